"""Whether an added file is used on Windows alone: nothing that Linux reads may name it."""

from __future__ import annotations

import ast
import fnmatch
import posixpath
from collections.abc import Iterator
from typing import Final

from winvllm_build.audit.cxx.branches import view as text_left
from winvllm_build.audit.cxx.text import logical_lines
from winvllm_build.audit.files import Files
from winvllm_build.audit.guard import cmake_view, cxx_view
from winvllm_build.audit.guard.judgement import Confirmed, Ground, Platform, Verdict, View
from winvllm_build.audit.guard.python_module import Module, Siblings
from winvllm_build.audit.guard.python_names import imported
from winvllm_build.errors import SourceError
from winvllm_build.intake.cmake_text import commands

CMAKE: Final = (".cmake", "CMakeLists.txt")
SPEAKERS: Final = (".py", *CMAKE, *cxx_view.SUFFIXES, ".toml", ".cfg", ".in", ".sh", ".rs")
"""Files that can make Linux use another one."""
KINDS: Final = (".py", *CMAKE, *cxx_view.SUFFIXES)
"""Files that are only used where their name is written."""
ALWAYS: Final = ("__init__", "__main__", "conftest", "sitecustomize", "usercustomize", "CMakeLists")
"""Found without being named."""
SHOWN: Final = 3


def view(path: str, platform: Platform, trees: tuple[Files, Files], siblings: Siblings) -> View:
    """How one platform sees an added file.

    Args:
        path: where it is in the tree.
        platform: decides conditions of C++ and CMake.
        trees: without the patches of the layer, and with all of them.
        siblings: of the latter.
    """
    new = trees[1]
    stem = posixpath.basename(path).rpartition(".")[0]
    added = f"+{path}"
    if not path.endswith(KINDS) or stem in ALWAYS:
        return View.of((), left=(added, "it is found without being named, or nothing says how it is found"))
    naming = list(_naming(stem, path, new))
    try:
        using = [name for name in naming if _uses(name, path, platform, trees, siblings)]
    except (SyntaxError, ValueError, SourceError) as error:
        return View.of((), left=(added, f"a file that names it cannot be read: {error}"))
    using += _globs(path, platform, new)
    if using:
        return View.of((), left=(added, f"Linux uses it in {', '.join(using[:SHOWN])}"))
    where = ", ".join(naming[:SHOWN]) + (", ..." if len(naming) > SHOWN else "")
    detail = f"named only for Windows, in {where}" if naming else "nothing names it"
    ground = Confirmed(ground=Ground.NEW_FILE, detail=detail)
    return View(verdict=Verdict.IDENTICAL, grounds=(ground,), changes=(added,))


def _naming(stem: str, path: str, new: Files) -> Iterator[str]:
    """The files in which the name stands at all; a suffix may be left out between files of one language."""
    names = [name for name in new.names if name.endswith(SPEAKERS) and name != path]
    new.fetch(names)
    for name in names:
        alike = any(path.endswith(kind) and name.endswith(kind) for kind in ((".py",), CMAKE))
        wanted = stem if alike else posixpath.basename(path)
        if wanted.encode() in (new.content(name) or b""):
            yield name


def _uses(name: str, path: str, platform: Platform, trees: tuple[Files, Files], siblings: Siblings) -> bool:
    """Whether what is left of a file on Linux names the path."""
    text = trees[1].text(name) or ""
    base = posixpath.basename(path)
    if name.endswith(".py"):
        return _imports(Module(name, text, siblings), path)
    if name.endswith(CMAKE):
        words = [word for one in cmake_view.on_linux(text, name, platform, trees) for word in one.words]
        stem = base.rpartition(".")[0]
        return any(base in word or stem == word for word in words)
    if name.endswith(cxx_view.SUFFIXES):
        lines = text_left(logical_lines(text), cxx_view.WORLDS[platform])
        return any(base in "".join(line) for line in lines if line[1:2] in (("include",), ("define",)))
    return base in text


def _imports(module: Module, path: str) -> bool:
    """Whether Linux imports a module, or has its name in a text."""
    dotted = path.removesuffix(".py").replace("/", ".")
    said = {dotted, path, posixpath.basename(path)}
    stem = posixpath.basename(path).removesuffix(".py")
    for unit in module.units():
        if unit.source and stem not in unit.source:
            continue
        for node in module.folded(unit)[0]:
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value in said:
                    return True
                if isinstance(part, (ast.Import, ast.ImportFrom)) and _names(part, module.package, dotted):
                    return True
    return False


def _names(node: ast.Import | ast.ImportFrom, package: str, dotted: str) -> bool:
    if isinstance(node, ast.Import):
        return any(f"{alias.name}.".startswith(f"{dotted}.") for alias in node.names)
    return any(f"{name}.".startswith(f"{dotted}.") for _, name in imported(node, package))


def _globs(path: str, platform: Platform, new: Files) -> list[str]:
    """CMake files whose `file(GLOB)` takes the file in."""
    names = [name for name in new.names if name.endswith(CMAKE)]
    new.fetch(names)
    found: list[str] = []
    for name in names:
        text = new.text(name) or ""
        if "GLOB" not in text:
            continue
        for one in cmake_view.left(commands(text, name), cmake_view.known_on(platform)):
            patterns = (
                one.words if one.name == "file" and one.words[:1] in (("GLOB",), ("GLOB_RECURSE",)) else ()
            )
            if any("*" in word and _matches(path, word, posixpath.dirname(name)) for word in patterns):
                found.append(name)
                break
    return found


def _matches(path: str, pattern: str, folder: str) -> bool:
    """Whether a pattern may take a path in; folders in variables may be any."""
    last = pattern.rpartition("}/")[2]
    if not fnmatch.fnmatch(posixpath.basename(path), posixpath.basename(last)):
        return False
    return fnmatch.fnmatch(path, posixpath.join("*", last)) or fnmatch.fnmatch(
        path, posixpath.join(folder, last)
    )
