"""Rules on programs, processes and signals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from winvllm_build.audit.python.posix import programs as programs_of_posix
from winvllm_build.audit.python.reach import is_build
from winvllm_build.audit.python.site import Finding, Rules, Site

RUNNERS: Final = frozenset(
    [
        "subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output",
        "subprocess.Popen", "subprocess.getoutput", "subprocess.getstatusoutput", "os.system", "os.popen",
        "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell",
    ]
)  # fmt: skip
SYNTAX: Final = re.compile(
    r"^\s*\w+=\S+ \w|[^|]\| *(?:grep|awk|sed|head|tail|wc|tr|cut|xargs)\b|2>&1|/dev/null|\$\(|\$\{?\w|`"
)
"""What sh understands and cmd does not."""
UNSUPPORTED: Final = {
    "preexec_fn": "ValueError", "process_group": "ValueError", "user": "ValueError", "group": "ValueError",
    "extra_groups": "ValueError", "umask": "ValueError",
}  # fmt: skip
UNSUPPORTED_BY: Final = RUNNERS - {"os.system", "os.popen"}
TIMERS: Final = frozenset(["signal.SIGTERM", "signal.SIGINT"])


def programs(site: Site) -> Iterator[Finding]:
    """`subprocess.call(["rm", ...])`, `os.system("ls | grep x")`."""
    node = site.node
    if not (isinstance(node, ast.Call) and node.args and site.dotted(node.func) in RUNNERS):
        return
    first = _first(node.args[0], site)
    program = first.split("/")[-1].partition(" ")[0] if first else ""
    raises = ("FileNotFoundError", "CalledProcessError") if _checked(site, node) else ("FileNotFoundError",)
    if program == "rm" and is_build(site.module.path):
        yield Finding(hazard="D13", rule="rm-called", detail=first[:60], raises=raises)
    elif program in programs_of_posix() or first.startswith(("/bin/", "/usr/")):
        yield Finding(
            hazard="E49", rule="posix-program", detail=first[:60], raises=raises, unless=rf"which|{program}"
        )
    elif _uses_shell(site, node) and SYNTAX.search(first):
        yield Finding(hazard="E49", rule="shell-syntax", detail=first[:60])


def _checked(site: Site, node: ast.Call) -> bool:
    return "check" in site.dotted(node.func) or _uses_shell(site, node)


def _uses_shell(site: Site, node: ast.Call) -> bool:
    if site.dotted(node.func).startswith(("os.", "subprocess.get")):
        return True
    return any(
        keyword.arg == "shell" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in node.keywords
    )


def _first(argument: ast.expr, site: Site) -> str:
    """The program, or the whole line for a shell."""
    if isinstance(argument, ast.List | ast.Tuple):
        return _text(argument.elts[0]) if argument.elts else ""
    if isinstance(argument, ast.Name):
        function = site.place.function
        for node in ast.walk(function) if function is not None else ():
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == argument.id for target in node.targets
            ):
                return "" if isinstance(node.value, ast.Name) else _first(node.value, site)
        return ""
    if isinstance(argument, ast.Call) and site.dotted(argument.func) == "shlex.split" and argument.args:
        return _first(argument.args[0], site)
    return _text(argument)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) if isinstance(value, ast.Constant) else "x" for value in node.values)
    return _text(node.left) if isinstance(node, ast.BinOp) else ""


def options(site: Site) -> Iterator[Finding]:
    """Options of Popen that are for POSIX alone."""
    node = site.node
    if not (isinstance(node, ast.Call) and site.dotted(node.func) in UNSUPPORTED_BY):
        return
    for keyword in node.keywords:
        name = keyword.arg or ""
        if isinstance(keyword.value, ast.Constant) and keyword.value.value in {None, False}:
            continue
        if name in UNSUPPORTED:
            yield Finding(hazard="E48", rule="popen-option", detail=name, raises=(UNSUPPORTED[name],))
        elif name == "pass_fds":
            yield Finding(hazard="E34", rule="pass-fds", detail=name, raises=("AssertionError",))
        elif name == "start_new_session":
            yield Finding(hazard="E62", rule="new-session", detail=name)


def inherited(site: Site) -> Iterator[Finding]:
    """A descriptor given to a child."""
    node = site.node
    if isinstance(node, ast.Call) and site.dotted(node.func) == "os.set_inheritable":
        yield Finding(hazard="E34", rule="inherited-descriptor", detail="os.set_inheritable")


def kills(site: Site) -> Iterator[Finding]:
    """os.kill: signal 0 is Ctrl+C on Windows, the others end the process at once."""
    node = site.node
    if not (isinstance(node, ast.Call) and site.dotted(node.func) == "os.kill" and len(node.args) == 2):  # noqa: PLR2004 - as many arguments as it takes
        return
    sent = node.args[1]
    if isinstance(sent, ast.Constant) and sent.value == 0:
        yield Finding(hazard="E55", rule="kill-probe", detail="os.kill(pid, 0)")
    elif not site.dotted(sent).startswith("signal.SIGK"):
        yield Finding(hazard="E56", rule="kill-signal", detail=ast.unparse(sent)[:40])


def asyncio_processes(site: Site) -> Iterator[Finding]:
    """Child processes of asyncio need the Proactor loop, which ZeroMQ cannot use."""
    node = site.node
    if isinstance(node, ast.Call) and site.dotted(node.func).startswith("asyncio.create_subprocess"):
        yield Finding(
            hazard="E5",
            rule="asyncio-process",
            detail=site.dotted(node.func),
            raises=("NotImplementedError",),
        )


RULES: Final[Rules] = {ast.Call: (programs, options, inherited, kills, asyncio_processes)}
WORDS: Final = (
    "subprocess",
    "Popen(",
    "check_call(",
    "check_output(",
    "os.system",
    "os.popen",
    "os.kill(",
    "set_inheritable",
)
