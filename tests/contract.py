"""What a module of the package may import and touch, read from its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator

PACKAGE = "winvllm_build"
ROOMS = {
    "cli": 6, "port": 5, "audit": 5, "doctor": 5, "serving": 5, "build": 4, "intake": 4, "review": 4,
    "runtime": 3, "wheel": 3, "toolchain": 2, "patchset": 2, "sources": 2, "profile": 2,
}  # fmt: skip
GROUND = 1
"""Level of the single modules below the rooms (process, git, workspace, data, ...)."""
ERRORS = 0
SERVER = "fallback"
ALONE = (SERVER, "relay")
"""They run in another Python: know nothing of the rest, nor the rest of them."""
EXCEPTIONS = {("patchset", f"{PACKAGE}.sources.pins")}

PROGRAM_MODULES = ("subprocess", "pty", "multiprocessing")
PROGRAM_CALLS = (
    "asyncio.create_subprocess", "os.exec", "os.fork", "os.popen", "os.posix_spawn", "os.spawn",
    "os.startfile", "os.system",
)  # fmt: skip
TALKERS = {"cli", f"{PACKAGE}.{SERVER}.command", f"{PACKAGE}.{SERVER}.__main__"}
"""The room and the modules that are programs."""
TERMINAL = (
    "print",
    "sys.exit",
    "sys.stdout",
    "sys.stderr",
    "os._exit",
    "exit",
    "quit",
    "SystemExit",
    "input",
)
FOLDER = ("os.chdir", "os.fchdir", "contextlib.chdir")


def room_of(module: str) -> str:
    """`winvllm_build.cli.main` is in room `cli`, `winvllm_build.git` is the module `git`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def level(room: str) -> int:
    return ERRORS if room == "errors" else ROOMS.get(room, GROUND)


def violations(module: str, text: str) -> list[str]:
    """Every breach in `module`, one line each: module, line number, what and why."""
    tree = ast.parse(text)
    names = _aliases(module, tree)
    found = [*_imports(module, tree), *_doors(module, tree, names)]
    return [f"{module}:{line}: {complaint}" for line, complaint in sorted(set(found))]


def _imports(module: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    own = room_of(module)
    for line, target in _imported(module, tree):
        room = room_of(target)
        if not target.startswith(f"{PACKAGE}.") or room == own:
            continue
        alone = next((one for one in ALONE if one in {room, own}), None)
        if alone is not None:
            yield line, f"{own} must not import {room} ({target}): {alone} stands alone"
            continue
        allowed = level(room) < level(own) or (own, target) in EXCEPTIONS
        ground = level(room) == level(own) == GROUND
        if not (allowed or ground):
            yield line, f"{own} must not import {room} ({target})"


def _imported(module: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted target of each import of the package; `from p import a` counts as `p.a`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            for name in node.names:
                target = f"{base}.{name.name}"
                yield node.lineno, base if (room_of(base), base) in _pins() else target


def _pins() -> set[tuple[str, str]]:
    """A name taken from an excepted module is that module's."""
    return {(room_of(target), target) for _, target in EXCEPTIONS}


def _base(module: str, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    parent = module.split(".")[: -node.level]
    return ".".join([*parent, *([node.module] if node.module else [])])


def _aliases(module: str, tree: ast.AST) -> dict[str, str]:
    """Local name to the dotted name it stands for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                names[name.asname or name.name.split(".")[0]] = (
                    name.name if name.asname else name.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                names[name.asname or name.name] = f"{_base(module, node)}.{name.name}"
    return names


def _doors(module: str, tree: ast.AST, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    room = room_of(module)
    for line, used in _used(module, tree, names):
        if room != "process" and _opens_programs(used):
            yield line, f"{_short(used)} belongs to process.py"
        if not TALKERS.intersection((room, module)) and used in TERMINAL:
            yield line, f"{used} belongs to cli/"
        if used in FOLDER:
            yield line, f"{used}: nothing changes the working folder"
    if room != "git":
        yield from _git_calls(tree, names)


def _opens_programs(used: str) -> bool:
    return _short(used) in PROGRAM_MODULES or used.startswith(PROGRAM_CALLS)


def _short(used: str) -> str:
    head = used.partition(".")[0]
    return head if head in PROGRAM_MODULES else used


def _used(module: str, tree: ast.AST, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported, called or read through an attribute."""
    yield from _imported(module, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            dotted = _dotted(node, names)
            if dotted is not None:
                yield node.lineno, dotted


def _dotted(node: ast.expr, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value, names)
        return None if inner is None else f"{inner}.{node.attr}"
    return None


def _git_calls(tree: ast.AST, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Calls of the process door whose program is the literal `git`."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        called = _dotted(node.func, names) or ""
        if called.startswith(f"{PACKAGE}.process.") and _program(node.args[0]) in {"git", "git.exe"}:
            yield node.lineno, "the program git is called in git.py only"


def _program(first: ast.expr) -> str | None:
    if isinstance(first, ast.List | ast.Tuple) and first.elts:
        first = first.elts[0]
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
