"""Rules on text in the code: folders and libraries as they are called on Linux."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from winvllm_build.audit.python.site import Finding, Rules, Site

KERNEL: Final = re.compile(r"^/(?:proc|sys)/")
SHARED_MEMORY: Final = re.compile(r"^/dev/shm\b")
TOPS: Final = ("tmp", "usr", "etc", "opt", "var", "home", "root", "mnt", "run", "bin", "dev")
"""Folders at the top of a Linux system."""
FOLDERS: Final = re.compile(rf"^/(?:{'|'.join(TOPS)})(?:/|$)")
LIBRARY: Final = re.compile(r"^[\w+./*{}-]*(?:\.so(?:\.\d+)*|\.so\*)$")
EXISTS: Final = frozenset(["os.path.exists", "os.path.isfile", "os.path.isdir"])
LOADS: Final = frozenset(["ctypes.CDLL", "ctypes.cdll.LoadLibrary", "ctypes.PyDLL", "cdll.LoadLibrary"])
NAMED: Final = {"libnuma": "E39", "libnccl": "E24", "librccl": "E24", "libmsccl": "E24"}
PROGRAM: Final = re.compile(r"^/bin/\w+$")
SETTING: Final = re.compile(r"ALLOC_CONF")


def folders(site: Site) -> Iterator[Finding]:
    """A path that only Linux has."""
    node = site.node
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/")):
        return
    text = node.value
    if site.is_message or _is_question(site) or _is_tail(site):
        return
    met = _asked_for(site)
    if KERNEL.search(text):
        yield Finding(
            hazard="E14",
            rule="proc-path",
            detail=text[:60],
            raises=("FileNotFoundError",),
            unless=r"exists|isfile|isdir",
            met=met,
        )
    elif SHARED_MEMORY.search(text):
        yield Finding(
            hazard="E15",
            rule="shm-path",
            detail=text[:60],
            raises=("FileNotFoundError",),
            unless=r"exists|isdir",
            met=met,
        )
    elif FOLDERS.search(text) and " " not in text:
        rule = "tmp-path" if text.startswith("/tmp") else "linux-path"  # noqa: S108 - what is looked for
        yield Finding(
            hazard="E19",
            rule=rule,
            detail=text[:60],
            unless=r"exists|isfile|isdir",
            met=met and rule == "linux-path",
        )


def _is_tail(site: Site) -> bool:
    """`f"{root}/bin/nvcc"`, `root + "/bin"`."""
    inner: ast.AST = site.node
    for around in reversed(site.parents):
        if isinstance(around, ast.JoinedStr):
            return around.values[0] is not inner
        if not isinstance(around, ast.IfExp):
            return isinstance(around, ast.BinOp) and around.right is inner
        inner = around
    return False


def _asked_for(site: Site) -> bool:
    """Its function looks whether the files are there."""
    function = site.place.function
    return function is not None and any(
        isinstance(node, ast.Attribute) and node.attr in {"exists", "is_file", "isfile", "isdir", "is_dir"}
        for node in ast.walk(function)
    )


def _is_question(site: Site) -> bool:
    """Compared with, or looked for: nothing breaks where it is not there."""
    for parent in site.parents[-2:]:
        if isinstance(parent, ast.Compare):
            return True
        if isinstance(parent, ast.Call):
            name = site.dotted(parent.func)
            if name in EXISTS or name.rpartition(".")[2] in {
                "exists",
                "is_file",
                "is_dir",
                "startswith",
                "which",
                "is_absolute",
            }:
                return True
    return False


def libraries(site: Site) -> Iterator[Finding]:
    """`libcudart.so` by name."""
    node = site.node
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str) and ".so" in node.value):
        return
    text = node.value
    if text.endswith(".abi3.so"):
        return
    if (
        not LIBRARY.search(text)
        or site.is_message
        or (_is_question(site) and "endswith" not in ast.unparse(site.statement))
    ):
        return
    hazard = next((known for start, known in NAMED.items() if start in text), "E50")
    yield Finding(hazard=hazard, rule="linux-library", detail=text[:60], raises=("OSError",))


def whole_program(site: Site) -> Iterator[Finding]:
    """`ctypes.CDLL(None)` is the program itself on Linux alone."""
    node = site.node
    if isinstance(node, ast.Call) and site.dotted(node.func) in LOADS and node.args:
        first = node.args[0]
        if isinstance(first, ast.Constant) and first.value is None:
            yield Finding(hazard="E50", rule="linux-library", detail="CDLL(None)", raises=("TypeError",))
        elif isinstance(first, ast.Constant) and str(first.value) in {"libc", "c", "libc.so.6"}:
            return


def allocator_settings(site: Site) -> Iterator[Finding]:
    """expandable_segments put into the environment, not asked for."""
    node = site.node
    if not (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and "expandable_segments:True" in node.value
    ):
        return
    if site.is_message or any(isinstance(parent, ast.Compare) for parent in site.parents[-2:]):
        return
    if SETTING.search(ast.unparse(site.statement)) or isinstance(site.parent, ast.Call):
        yield Finding(hazard="E27", rule="expandable-segments", detail=node.value[:60])


def repository_names(site: Site) -> Iterator[Finding]:
    """os.path.join for a name inside a model repository."""
    node = site.node
    if not (isinstance(node, ast.Call) and REMOTE.search(ast.unparse(node.func))):
        return
    for argument in [
        *node.args,
        *(keyword.value for keyword in node.keywords if keyword.arg in REMOTE_ARGUMENTS),
    ]:
        if _joined(argument, site):
            yield Finding(hazard="E28", rule="joined-repository-name", detail=ast.unparse(argument)[:60])


REMOTE: Final = re.compile(
    r"(?:^|\.)(?:hf_hub_download|file_exists|file_or_path_exists|try_to_load_from_cache|list_repo_files"
    r"|get_hf_file_\w+)$"
    r"|(?:^|\b)(?:hf_?fs|fs|file_system|HfFileSystem\(\))\.(?:ls|glob|find|open|exists|isfile|info|walk|get_file)$"
)
REMOTE_ARGUMENTS: Final = frozenset(["filename", "subfolder", "path", "file_name"])


def _joined(argument: ast.expr, site: Site) -> bool:
    if any(
        isinstance(node, ast.Call) and site.dotted(node.func) == "os.path.join" for node in ast.walk(argument)
    ):
        return True
    if re.search(r"^str\((?:Path|\w+ / )|Path\(.*\) / ", ast.unparse(argument)):
        return True
    function = site.place.function
    if not isinstance(argument, ast.Name) or function is None:
        return False
    return any(
        isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == argument.id
        and isinstance(node.value, ast.Call)
        and site.dotted(node.value.func) == "os.path.join"
        for node in ast.walk(function)
    )


def program_names(site: Site) -> Iterator[Finding]:
    """`f"{root}/bin/nvcc"`: a name with a folder gets no .exe by itself."""
    node = site.node
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return
    if PROGRAM.search(node.value) and _is_tail(site) and not site.is_message:
        met = any(".exe" in text for text in site.module.windows_text)
        yield Finding(hazard="E33", rule="name-without-exe", detail=node.value, met=met)


def permissions(site: Site) -> Iterator[Finding]:
    """os.access(X_OK) says yes to every file on Windows."""
    node = site.node
    if isinstance(node, ast.Attribute) and site.dotted() == "os.X_OK":
        yield Finding(hazard="E33", rule="executable-bit", detail="os.X_OK")


RULES: Final[Rules] = {
    ast.Constant: (folders, libraries, allocator_settings, program_names),
    ast.Call: (whole_program, repository_names),
    ast.Attribute: (permissions,),
}
WORDS: Final = (
    *(f'"/{name}/' for name in TOPS), "/tmp", "/proc/", "/sys/", "/dev/", "/bin/",  # noqa: S108 - what is looked for
    ".so", "CDLL", "expandable_segments",
    "hf_hub_download", "fs.ls", "fs.glob", "fs.open", "fs.find", "HfFileSystem", "X_OK",
    "file_exists", "try_to_load_from_cache", "get_hf_file",
)  # fmt: skip
