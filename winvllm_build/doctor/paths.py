"""Long paths, blanks and letters in paths, and what git does to files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from winvllm_build.build.path_budget import Place, excesses
from winvllm_build.build.path_marks import WORKSPACE
from winvllm_build.commands import link
from winvllm_build.cuda_home import first_mark
from winvllm_build.doctor import fixes
from winvllm_build.doctor.facts import Facts, Role
from winvllm_build.doctor.finding import Check, Outcome, advice, ok, problem, unknown, warning
from winvllm_build.doctor.windows import UTF8
from winvllm_build.index import PlatformTag

WINDOWS: Final = PlatformTag.WINDOWS_AMD64
PLACES: Final = {
    Place.WORKSPACE: Role.WORKSPACE,
    Place.TEMPORARY: Role.TEMPORARY,
    Place.ENVIRONMENT: Role.ENVIRONMENT,
}
TOOLKITS: Final = "the CUDA toolkit"
COMPILERS: Final = "the compiler"


def long_paths(facts: Facts) -> Iterator[Outcome]:
    """Without it, Python and pip stop at 260 characters; compilers do with it, too."""
    if facts.windows is not None and not facts.windows.long_paths:
        yield warning("LongPathsEnabled is not set: Python and pip stop at 260 characters", fixes.LONG_PATHS)


def long_paths_git(facts: Facts) -> Iterator[Outcome]:
    """The tool's own git always goes beyond; CMake's, pip's and the user's by this setting."""
    git = facts.inventory.git
    if git is None:
        yield unknown("there is no git to ask")
    elif not git.is_true("core.longpaths"):
        yield warning(
            "git's core.longpaths is not set: `Filename too long` in clones by pip, CMake or you",
            "git config --global core.longpaths true",
        )


def budget(facts: Facts) -> Iterator[Outcome]:
    """The longest generated name below the workspace, temporary files and environment."""
    found = {place: facts.folder(role) for place, role in PLACES.items()}
    roots = {place: str(folder.path) for place, folder in found.items() if folder is not None}
    windows = facts.windows
    worst: dict[Place, str] = {}
    for one in excesses(facts.needs, roots, long_paths=windows is not None and windows.long_paths):
        worst.setdefault(
            one.need.place,
            f"below {one.root}, {one.need.kind} has {one.length} characters, {one.over} more than "
            f"{one.need.opener.value} can open",
        )
    for place, told in worst.items():
        if place is Place.WORKSPACE:
            yield advice(f"{told}; builds take a junction or a drive letter to it", fixes.home(facts.system))
        else:
            yield warning(told, _shorter(place))
    if not worst:
        root = roots.get(Place.WORKSPACE, "")
        yield ok(f"the longest name below {root} fits")


def marks(facts: Facts) -> Iterator[Outcome]:
    """What CMake, Ninja or a compiler's flags make something else of; blanks only in the toolkit's path."""
    for what, path in _folders(facts):
        found = WORKSPACE.search(_slashes(facts, path))
        if found is not None:
            yield problem(f"{what} {path} has {found[0]} in its name", _elsewhere(facts, what, path))
    yield from _toolkit(facts)


def _toolkit(facts: Facts) -> Iterator[Outcome]:
    toolkit = facts.inventory.toolkit
    mark = None if toolkit is None else first_mark(str(toolkit.home))
    if toolkit is None or mark is None:
        return
    told = f"the CUDA toolkit {toolkit.home} has {mark.strip() or 'a blank'} in its name"
    fix = _elsewhere(facts, TOOLKITS, toolkit.home)
    if facts.system is not WINDOWS:
        yield problem(f"{told}, where compilers' flags are cut", fix)
    elif facts.toolkit_short is not None and first_mark(facts.toolkit_short) is None:
        yield ok(f"{told}; a build names it {facts.toolkit_short}")
    else:
        yield advice(f"{told}, and its volume keeps no 8.3 name; builds take a junction to it", fix)


def letters(facts: Facts) -> Iterator[Outcome]:
    """Letters outside ASCII, which nvcc and cl read in the system's code page."""
    for what, path in (*_folders(facts), *_programs(facts)):
        if not str(path).isascii():
            page = facts.windows.code_page if facts.windows is not None else UTF8
            told = f"{what} {path} has letters outside ASCII"
            if facts.system is WINDOWS and page != UTF8:
                yield warning(
                    f"{told}; this Windows reads them in code page {page}", _elsewhere(facts, what, path)
                )
            else:
                yield advice(told, _elsewhere(facts, what, path))


def line_ends(facts: Facts) -> Iterator[Outcome]:
    """Patches apply to what upstream wrote, with LF; the tool's own trees always have it."""
    for name in facts.crlf:
        yield problem(
            f"{name} has CR LF at its line ends: it applies to nothing",
            "git -c core.autocrlf=false checkout -- patches",
        )
    git = facts.inventory.git
    if git is not None and git.is_true("core.autocrlf"):
        yield advice(
            "git's core.autocrlf is true: a checkout of vLLM that you make yourself has CR LF, and patches "
            "do not apply to it",
            "git clone -c core.autocrlf=false ..., or let this tool make the tree",
        )


def _folders(facts: Facts) -> Iterator[tuple[str, Path]]:
    """Where a build writes."""
    for folder in facts.folders:
        if folder.role is not Role.HERE:
            yield folder.role.value, folder.path


def _programs(facts: Facts) -> Iterator[tuple[str, Path]]:
    """What a build starts."""
    inventory = facts.inventory
    if inventory.toolkit is not None:
        yield TOOLKITS, inventory.toolkit.home
    if inventory.compiler is not None:
        yield COMPILERS, inventory.compiler.path


def _slashes(facts: Facts, path: Path) -> str:
    """As CMake is given it."""
    return str(path).replace("\\", "/") if facts.system is WINDOWS else str(path)


def _elsewhere(facts: Facts, what: str, path: Path) -> str:
    if what == TOOLKITS:
        return f"{link(path, facts.system)}, and set cuda.home to that link"
    if what == Role.TEMPORARY.value:
        return fixes.temporary(facts.system)
    if what == Role.ENVIRONMENT.value:
        return fixes.environment(facts.system)
    if what == COMPILERS:
        return "install it into a folder of plain letters"
    return fixes.home(facts.system)


def _shorter(place: Place) -> str:
    """Windows alone has a limit."""
    other = fixes.temporary(WINDOWS) if place is Place.TEMPORARY else fixes.environment(WINDOWS)
    return f"{fixes.LONG_PATHS}\nor {other}"


CHECKS: Final = (
    Check(id="long-paths", title="Windows lets paths be long", ask=long_paths, rows=("U1", "U9"),
          only=WINDOWS),
    Check(id="long-paths-git", title="git lets paths be long", ask=long_paths_git, rows=("U9",),
          only=WINDOWS),
    Check(id="path-budget", title="the longest generated name fits", ask=budget, rows=("U1", "U9"),
          only=WINDOWS),
    Check(id="path-marks", title="no blanks and marks in paths", ask=marks, rows=("U10",)),
    Check(id="path-letters", title="plain letters in paths", ask=letters),
    Check(id="line-ends", title="patches have LF", ask=line_ends),
)  # fmt: skip
