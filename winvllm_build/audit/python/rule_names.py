"""Rules on modules and names that Windows has not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from winvllm_build.audit.python.posix import lacks, modules
from winvllm_build.audit.python.site import Finding, Rules, Site

MODULES: Final = {"fcntl": "E1", "uvloop": "E4", "resource": "E39"}
NAMES: Final = {
    "os.sched_yield": "E12", "os.sched_getaffinity": "E13", "os.sched_setaffinity": "E13",
    "os.killpg": "E11", "os.getpgid": "E11", "os.getpgrp": "E11", "os.setpgid": "E11", "os.setpgrp": "E11",
    "os.setsid": "E11", "os.getsid": "E11", "os.waitid": "E11", "os.fork": "E9", "os.forkpty": "E9",
    "os.register_at_fork": "E9", "os.posix_spawn": "E9", "os.posix_spawnp": "E9", "os.memfd_create": "E15",
    "os.posix_fallocate": "E15", "socket.SO_REUSEPORT": "E2", "socket.AF_UNIX": "E3",
    "socket.SCM_RIGHTS": "E34", "socket.send_fds": "E34", "socket.recv_fds": "E34",
    "asyncio.open_unix_connection": "E3", "asyncio.start_unix_server": "E3",
}  # fmt: skip
STARTS: Final = {
    "signal.": "E11", "mmap.": "E15", "os.O_": "E16", "os.pread": "E16", "os.pwrite": "E16",
    "os.readv": "E16", "os.writev": "E16", "os.posix_fadvise": "E16", "os.POSIX_FADV": "E16",
    "socketserver.": "E3",
}  # fmt: skip
OTHERS: Final = "E46"
FORK: Final = "fork"
TAKES_METHOD: Final = ("get_context", "set_start_method")
UNWATCHED: Final = {
    "add_signal_handler": ("E6", "loop-signal-handler", "NotImplementedError"),
    "remove_signal_handler": ("E6", "loop-signal-handler", "NotImplementedError"),
    "create_unix_server": ("E3", "unix-socket", "NotImplementedError"),
    "create_unix_connection": ("E3", "unix-socket", "NotImplementedError"),
    "connect_read_pipe": ("E5", "loop-pipe", "NotImplementedError"),
    "connect_write_pipe": ("E5", "loop-pipe", "NotImplementedError"),
}
"""Methods of event loops that Windows' loops do not implement."""


def hazard_of(name: str) -> str:
    """The entry of the catalogue for a name of the standard library."""
    starts = [hazard for start, hazard in STARTS.items() if name.startswith(start)]
    return NAMES.get(name) or (starts[0] if starts else OTHERS)


def imported(site: Site) -> Iterator[Finding]:
    """`import fcntl`, `from os import sched_yield`."""
    node = site.node
    if isinstance(node, ast.Import):
        for name in node.names:
            yield from _module(name.name)
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        yield from _module(node.module)
        for name in node.names:
            if lacks(node.module, name.name):
                full = f"{node.module}.{name.name}"
                yield Finding(hazard=hazard_of(full), rule="posix-name", detail=full, raises=("ImportError",))


def _module(name: str) -> Iterator[Finding]:
    head = name.partition(".")[0]
    found = name if name in modules() else head
    if found in modules():
        hazard = MODULES.get(found, "E47")
        unless = rf"\b(?:has|have|is)\w*{found}|{found}\w*available|find_spec"
        yield Finding(
            hazard=hazard, rule="posix-module", detail=name, raises=("ModuleNotFoundError",), unless=unless
        )


def used(site: Site) -> Iterator[Finding]:
    """`os.sched_yield`, `signal.SIGKILL`; from-imports are reported where they stand."""
    node = site.node
    if not isinstance(node, ast.Attribute):
        return
    name = site.dotted()
    module, _, last = name.rpartition(".")
    if lacks(module, last):
        unless = rf"['\"]{last}['\"]"
        yield Finding(
            hazard=hazard_of(name), rule="posix-name", detail=name, raises=("AttributeError",), unless=unless
        )


def read_by_name(site: Site) -> Iterator[Finding]:
    """`getattr(signal, "SIGUSR1")` without a default."""
    node = site.node
    if not (isinstance(node, ast.Call) and site.dotted(node.func) == "getattr" and len(node.args) == 2):  # noqa: PLR2004 - as many arguments as it takes
        return
    owner, name = site.dotted(node.args[0]), node.args[1]
    if isinstance(name, ast.Constant) and isinstance(name.value, str) and lacks(owner, name.value):
        full = f"{owner}.{name.value}"
        yield Finding(hazard=hazard_of(full), rule="posix-name", detail=full, raises=("AttributeError",))


def loop_methods(site: Site) -> Iterator[Finding]:
    node = site.node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in UNWATCHED:
        hazard, rule, raises = UNWATCHED[node.func.attr]
        yield Finding(hazard=hazard, rule=rule, detail=node.func.attr, raises=(raises,))


def start_methods(site: Site) -> Iterator[Finding]:
    """`get_context("fork")`, a setting whose default is fork, a method that nobody checked."""
    node = site.node
    if isinstance(node, ast.Constant) and node.value == FORK and _is_chosen(site):
        yield Finding(hazard="E9", rule="fork", detail="start method fork", raises=("ValueError",))
    if not (isinstance(node, ast.Call) and node.args):
        return
    name = site.dotted(node.func)
    if name.rpartition(".")[2] in TAKES_METHOD and "multiprocessing" in name:
        argument = node.args[0]
        if not isinstance(argument, ast.Constant | ast.IfExp) and not _default_spawn(site, argument):
            detail = f"start method {ast.unparse(argument)}"
            yield Finding(hazard="E9", rule="start-method", detail=detail, raises=("ValueError",))


def _is_chosen(site: Site) -> bool:
    """Not compared with, and not one of a list of choices."""
    if isinstance(site.parent, ast.Call):
        return not (isinstance(site.parent.func, ast.Attribute) and site.parent.func.attr == "add")
    if isinstance(site.parent, ast.IfExp):
        return True
    return site.parent is None and isinstance(site.statement, ast.Assign | ast.AnnAssign | ast.Return)


def _default_spawn(site: Site, argument: ast.expr) -> bool:
    """A parameter that is spawn unless somebody says otherwise."""
    function = site.place.function
    if function is None or not isinstance(argument, ast.Name):
        return False
    names = [parameter.arg for parameter in function.args.args]
    defaults = dict(zip(reversed(names), reversed(function.args.defaults), strict=False))
    default = defaults.get(argument.id)
    return isinstance(default, ast.Constant) and default.value == "spawn"


def local_targets(site: Site) -> Iterator[Finding]:
    """A process whose function is local or a lambda: a new interpreter cannot import it."""
    node = site.node
    if not (isinstance(node, ast.Call) and _name_of(node).endswith("Process")):
        return
    for keyword in node.keywords:
        if keyword.arg == "target" and _is_local(site, keyword.value):
            detail = f"target {ast.unparse(keyword.value)[:40]}"
            yield Finding(hazard="E9", rule="local-target", detail=detail)


def _name_of(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)


def _is_local(site: Site, target: ast.expr) -> bool:
    if isinstance(target, ast.Lambda):
        return True
    function = site.place.function
    if function is None or not isinstance(target, ast.Name):
        return False
    return any(isinstance(node, ast.FunctionDef) and node.name == target.id for node in ast.walk(function))


RULES: Final[Rules] = {
    ast.Import: (imported,),
    ast.ImportFrom: (imported,),
    ast.Attribute: (used,),
    ast.Call: (read_by_name, loop_methods, start_methods, local_targets),
    ast.Constant: (start_methods,),
}
WORDS: Final = (
    '"fork"',
    "add_signal_handler",
    "unix_server",
    "unix_connection",
    "_pipe(",
    "Process(",
    "get_context(",
    "start_method(",
    "getattr(signal",
    "getattr(os",
    "getattr(socket",
)
