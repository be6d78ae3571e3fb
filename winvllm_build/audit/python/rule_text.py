"""Rules on encodings, line ends, and text for the console."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from winvllm_build.audit.python.site import Finding, Rules, Site

CODE_PAGE: Final = "cp1252"
FREE_TEXT: Final = re.compile(
    r"template|chat|prompt|vocab|tokenizer|merges|readme|jinja|dataset|jsonl|yaml|yml|\.md\b|html|questions|messages|conversation",
    re.IGNORECASE,
)
READS_TEXT: Final = re.compile(
    r"json\.load|yaml\.\w*load|safe_load|jinja|csv\.reader|DictReader|orjson|regex\.|json_file"
)
PLAIN: Final = re.compile(r"config|index|weight|trace|cache|stats|result|output|shape", re.IGNORECASE)
"""JSON that programs wrote: json.dump escapes what is not ASCII."""
PRINTS: Final = re.compile(
    r"(?:^|\.)(?:print|sys\.stdout\.write|sys\.stderr\.write|typer\.echo|click\.echo)$"
)
LOGS: Final = re.compile(
    r"(?:^|\.)(?:log|logger|_logger|logging)\.(?:debug|info\w*|warning\w*|error|exception|critical)$"
)
HELPS: Final = frozenset(["help", "description", "epilog"])
BINARY: Final = re.compile(
    r"\.(?:bin|npy|npz|pt|pth|safetensors|pkl|pickle|mp4|png|jpg|jpeg|wav|gguf|so|zip|gz|whl)['\"]"
)
TEXT_METHODS: Final = {"read_text": 0, "write_text": 1}


def opened(site: Site) -> Iterator[Finding]:
    """open() without an encoding reads and writes in the code page of the machine."""
    node = site.node
    if not (
        isinstance(node, ast.Call)
        and site.dotted(node.func) in {"open", "io.open", "codecs.open"}
        and node.args
    ):
        return
    mode = _mode(node)
    if mode is None or "b" in mode:
        return
    if "r" in mode and BINARY.search(ast.unparse(node.args[0])):
        yield Finding(hazard="E16", rule="text-mode", detail=ast.unparse(node)[:60])
    given = next((keyword.value for keyword in node.keywords if keyword.arg == "encoding"), None)
    if given is None and len(node.args) > 3:  # noqa: PLR2004 - as many arguments as it takes
        given = node.args[3]
    if given is None:
        yield _unencoded(site, ast.unparse(node.args[0]), writes=not mode.startswith("r"))
    elif isinstance(given, ast.IfExp):
        yield Finding(hazard="E30", rule="encoding", detail=ast.unparse(node.args[0])[:60], met=True)
    if mode[0] in "wax" and _writes_csv(site) and not any(k.arg == "newline" for k in node.keywords):
        yield Finding(hazard="E53", rule="csv-newline", detail=ast.unparse(node)[:60])


def _mode(node: ast.Call) -> str | None:
    """The mode; None where it is not written down."""
    given = (
        node.args[1]
        if len(node.args) > 1
        else next((k.value for k in node.keywords if k.arg == "mode"), None)
    )
    if given is None:
        return "r"
    return given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else None


def methods(site: Site) -> Iterator[Finding]:
    """Path.read_text and write_text."""
    node = site.node
    if not (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TEXT_METHODS
    ):
        return
    if len(node.args) > TEXT_METHODS[node.func.attr] or any(k.arg == "encoding" for k in node.keywords):
        return
    yield _unencoded(site, ast.unparse(node.func.value), writes=node.func.attr == "write_text")


def _unencoded(site: Site, path: str, *, writes: bool) -> Finding:
    """Free text, and what other programs wrote in UTF-8, breaks; the rest is advice."""
    body = _body(site)
    if writes:
        likely = "ensure_ascii=False" in body or bool(re.search(r"\.md\b|\.html|template", path))
    else:
        likely = bool(FREE_TEXT.search(path) or (READS_TEXT.search(body) and not PLAIN.search(path)))
    hazard = "E30" if likely else "E60"
    return Finding(hazard=hazard, rule="encoding", detail=path[:60], raises=("UnicodeDecodeError",))


def _body(site: Site) -> str:
    """What is done with the file: the `with` around it, or its statement."""
    return ast.unparse(site.statement)[:4000]


def _writes_csv(site: Site) -> bool:
    return bool(re.search(r"csv\.(?:writer|DictWriter)", _body(site)))


def console(site: Site) -> Iterator[Finding]:
    """Text that a redirected console cannot write: it is in the code page."""
    node = site.node
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)) or node.value.isascii():
        return
    odd = _beyond(node.value)
    if not odd:
        return
    for parent in site.parents:
        if isinstance(parent, ast.keyword) and parent.arg in HELPS:
            yield Finding(
                hazard="E30", rule="console-text", detail=f"help with {odd}", raises=("UnicodeEncodeError",)
            )
            return
        if isinstance(parent, ast.Call):
            name = site.dotted(parent.func)
            if PRINTS.search(name):
                yield Finding(
                    hazard="E30",
                    rule="console-text",
                    detail=f"print of {odd}",
                    raises=("UnicodeEncodeError",),
                )
                return
            if LOGS.search(name):
                yield Finding(hazard="E65", rule="log-text", detail=f"log of {odd}")
                return


def _beyond(text: str) -> str:
    """The characters that Windows' Western code page lacks."""
    return "".join(sorted({letter for letter in text if not _fits(letter)}))[:8]


def _fits(letter: str) -> bool:
    try:
        letter.encode(CODE_PAGE)
    except UnicodeEncodeError:
        return False
    return True


def descriptors(site: Site) -> Iterator[Finding]:
    """os.open without O_BINARY translates line ends on Windows."""
    node = site.node
    if not (isinstance(node, ast.Call) and site.dotted(node.func) == "os.open" and len(node.args) > 1):
        return
    flags = ast.unparse(node.args[1])
    if "devnull" in ast.unparse(node.args[0]) or _binary_by_name(site, node.args[1]):
        return
    if "O_BINARY" not in flags and "O_DIRECTORY" not in flags and "lock" not in ast.unparse(node).lower():
        yield Finding(hazard="E16", rule="text-mode-descriptor", detail=flags[:60])


def _binary_by_name(site: Site, flags: ast.expr) -> bool:
    """`flags |= os.O_BINARY`, before."""
    names = {node.id for node in ast.walk(flags) if isinstance(node, ast.Name)}
    function = site.place.function
    return function is not None and any(
        isinstance(node, ast.AugAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id in names
        and node.lineno < site.statement.lineno
        and "O_BINARY" in ast.unparse(node.value)
        for node in ast.walk(function)
    )


RULES: Final[Rules] = {ast.Call: (opened, methods, descriptors), ast.Constant: (console,)}
WORDS: Final = ("open(", "read_text", "write_text")
