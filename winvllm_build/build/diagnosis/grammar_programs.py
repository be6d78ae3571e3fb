"""What CMake, ninja, git, Python, pip, Rust and PowerShell write when they fail."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from winvllm_build.build.diagnosis.grammar import status
from winvllm_build.build.diagnosis.message import Message, Weight

EXCEPTION: Final = re.compile(
    r"^(?:[Ee]rror: )?(?P<code>(?:[A-Za-z_]\w*\.)*"
    r"(?:[A-Z]\w*(?:Error|Exception|Missing|Failed|Refused|Interrupt)|OutOfResources))(?::\s*(?P<text>.*))?$"
)
FATAL_EXCEPTION: Final = re.compile(r"^(?:Windows fatal exception|Fatal Python error): (?P<text>.*)$")
PYTHON_WRAPPERS: Final = frozenset(
    ("CalledProcessError", "BackendUnavailable", "CompileError", "DistutilsExecError")
)
NINJA: Final = re.compile(r"^ninja(?:\.exe)?: (?P<word>error|fatal|build stopped): (?P<text>.*)$")
MAKE: Final = re.compile(r"^(?:g?make|nmake)(?:\[\d+\])?(?:\.exe)?: \*\*\* (?P<text>.*)$")
GIT: Final = re.compile(
    r"^(?:fatal|error): (?P<text>(?:unable to (?:access|checkout|create|process|read|resolve|unlink|write)|"
    r"cannot (?:apply|create|fetch|lock|open|stat|update)|could not (?:fetch|lock|open|read|resolve)|"
    r"patch failed|corrupt patch|No valid patches|RPC|pathspec|invalid path|not a git|Authentication|remote|"
    r"early EOF|repository|destination path|reference is|unrecognized input|.*does not apply|"
    r".*[Ff]ile ?name too long).*)$"
)
RUST: Final = re.compile(r"^error(?:\[(?P<code>E\d{4})\])?: (?P<text>.*)$")
CARGO: Final = re.compile(r"^error: (?:could not compile|failed to run custom build|aborting due to)")
PIP: Final = re.compile(r"^ERROR: (?P<text>.*)$")
PIP_WRAPPERS: Final = re.compile(
    r"^Exception:$|Failed building|Failed to build|Command errored out|Could not build wheels|"
    r"subprocess-exited-with-error|metadata-generation-failed|Getting requirements|"
    r"does not currently take into account"
)
ARGUMENT: Final = re.compile(
    r"^[\w. -]+: error: (?P<text>(?:argument|unrecognized arguments|the following) .*)$"
)
PLAIN: Final = re.compile(r"^[Ee]rror\s?: (?P<text>\S.*)$")
PLAIN_WRAPPERS: Final = re.compile(
    r"subprocess-exited-with-error|metadata-generation-failed|command .* failed|Failed to build|build failed|"
    r"Process completed|could not compile"
)
COMMANDLET: Final = re.compile(r"FullyQualifiedErrorId\s*: (?P<code>\w+)")
NOT_A_COMMAND: Final = re.compile(r"^'(?P<name>[^']+)' is not recognized as an internal or external command")
SHELL: Final = re.compile(
    r"^(?:/bin/sh|sh|bash|[\w./-]+)(?:: line)?(?: \d+)?: (?:\d+: |line \d+: )?"
    r"(?P<text>.*(?:not found|\$'[^']*\\r'.*))$"
)
KILLED: Final = re.compile(r"^(?:.*\s)?Killed(?:\s+\S.*)?$")
CODE: Final = re.compile(
    r"(?:Process completed with exit code|exited with code|exit code:?|exit status:?|returned exit code|"
    r"exit value) (?P<code>-?\d+|0x[0-9A-Fa-f]{8})\b"
)
CRASHES: Final = re.compile(r"0x[C8]\w{7}|13[2-9]|-\d+")
THROWN: Final = re.compile(
    r"terminate called after throwing an instance of '(?P<text>[^']+)'|what\(\):\s+(?P<what>.*)"
)
HEAP: Final = re.compile(r"(?:LLVM ERROR: |virtual memory exhausted|out of memory allocating)(?P<text>.*)")
DISK: Final = re.compile(r"No space left on device|There is not enough space on the disk|\[WinError 112\]")


def exception(text: str) -> Message | None:
    """The last line of a traceback, known by the class of the exception."""
    fatal = FATAL_EXCEPTION.match(text)
    if fatal is not None:
        return Message(tool="python", code="", text=f"fatal exception: {fatal['text']}", weight=Weight.CAUSE)
    match = EXCEPTION.match(text)
    if match is None:
        return None
    name = match["code"].rpartition(".")[2]
    if name in PYTHON_WRAPPERS and (crash := crashed(text)) is not None:
        return crash
    weight = Weight.WRAPPER if name in PYTHON_WRAPPERS else Weight.CAUSE
    return Message(tool="python", code=name, text=match["text"] or name, weight=weight)


def ninja(text: str) -> Message | None:
    match = NINJA.match(text) or MAKE.match(text)
    if match is None:
        return None
    stopped = match.re is MAKE or match["word"] == "build stopped"
    return Message(tool="ninja", code="", text=match["text"],
                   weight=Weight.WRAPPER if stopped else Weight.CAUSE)  # fmt: skip


def git(text: str) -> Message | None:
    match = GIT.match(text)
    return None if match is None else Message(tool="git", code="", text=match["text"], weight=Weight.CAUSE)


def rust(text: str) -> Message | None:
    match = RUST.match(text)
    if match is None or not (
        match["code"] or CARGO.match(text) or "linker" in text or "linking with" in text
    ):
        return None
    weight = Weight.WRAPPER if CARGO.match(text) else Weight.CAUSE
    return Message(tool="rust", code=match["code"] or "", text=match["text"], weight=weight)


def pip(text: str) -> Message | None:
    match = PIP.match(text)
    if match is None:
        return None
    inner = exception(match["text"])
    if inner is not None:
        return inner
    weight = Weight.WRAPPER if PIP_WRAPPERS.search(match["text"]) else Weight.CAUSE
    return Message(tool="pip", code="", text=match["text"], weight=weight)


def plain(text: str) -> Message | None:
    """`error: ...` of whoever says no more."""
    match = PLAIN.match(text) or ARGUMENT.match(text)
    if match is None:
        return None
    if (crash := crashed(match["text"])) is not None:
        return crash
    weight = Weight.WRAPPER if PLAIN_WRAPPERS.search(match["text"]) else Weight.CAUSE
    return Message(tool="setup", code="", text=match["text"], weight=weight)


def shell(text: str) -> Message | None:
    """What PowerShell, cmd and sh say of a program that is not there."""
    commandlet = COMMANDLET.search(text)
    if commandlet is not None:
        return Message(tool="powershell", code=commandlet["code"], text=text, weight=Weight.CAUSE)
    missing = NOT_A_COMMAND.match(text) or SHELL.match(text)
    return None if missing is None else Message(tool="shell", code="", text=text, weight=Weight.CAUSE)


def ended(text: str) -> Message | None:
    """A process that was killed, crashed, or ran out of memory or disk."""
    if KILLED.match(text):
        return Message(tool="exit", code="137", text=text, weight=Weight.CAUSE)
    thrown = THROWN.search(text) or HEAP.search(text)
    if thrown is not None:
        return Message(tool="exit", code="", text=text, weight=Weight.CAUSE)
    if DISK.search(text):
        return Message(tool="exit", code="", text=text, weight=Weight.CAUSE)
    match = CODE.search(text)
    if match is None or int(match["code"], 0) == 0:
        return None
    return crashed(text) or Message(tool="exit", code=status(match["code"]), text=text, weight=Weight.WRAPPER)


def crashed(text: str) -> Message | None:
    """An exit code that no program chooses by itself: a signal, or a status of Windows."""
    match = CODE.search(text)
    if match is None or not CRASHES.fullmatch(code := status(match["code"])):
        return None
    return Message(tool="exit", code=code, text=text, weight=Weight.CAUSE)


PROGRAMS: Final[tuple[Callable[[str], Message | None], ...]] = (
    ninja, git, rust, pip, exception, shell, plain, ended,
)  # fmt: skip
