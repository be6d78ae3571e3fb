"""Who brings the libraries that an extension asks for, and whether they are of the wheel's CUDA release."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final

from winvllm_build.wheel.binary import ORIGIN, Binary, Format
from winvllm_build.wheel.finding import Finding, Subject, advice, problem
from winvllm_build.wheel.metadata import STABLE, FileName

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = Path(__file__).parent / "data" / "libraries.toml"
PYTHON_OF_ONE_RELEASE: Final = re.compile(r"python(3\d+t?)\.dll|libpython(3\.\d+t?)(?:\..*)?")


class Origin(Enum):
    """Who brings a library."""

    SYSTEM = "system"
    PYTHON = "python"
    COMPILER = "compiler"
    TORCH = "torch"
    CUDA = "cuda"
    DRIVER = "driver"
    WHEEL = "wheel"


def origin(name: str, form: Format, inside: AbstractSet[str] = frozenset()) -> Origin | None:
    """Who brings `name`; None if nobody is known to.

    Args:
        name: the library, as the binary spells it.
        form: of the binary that asks.
        inside: names of libraries in the wheel, in lower case for Windows.
    """
    spelt = name.lower() if form is Format.PE else name
    if spelt in inside:
        return Origin.WHEEL
    table = _table()["windows" if form is Format.PE else "linux"]
    for kind, patterns in table.items():
        if any(fnmatchcase(spelt, pattern) for pattern in patterns):
            return Origin(kind)
    return None


def cuda_major(name: str) -> int | None:
    """The major release of CUDA that a library is part of, where its name tells."""
    spelt = name.lower() if name.lower().endswith(".dll") else name
    if not any(fnmatchcase(spelt, pattern) for pattern in _table()["numbered"]["names"]):
        return None
    found = re.search(r"(?:64_|\.so\.)(\d+)", spelt)
    if found is None:
        return None
    number = int(found[1])
    return number // 10 if number >= 100 else number  # noqa: PLR2004 - cudart64_110.dll is of CUDA 11


def found_by(binary: Binary, member: str, names: AbstractSet[str]) -> frozenset[str]:
    """The libraries of a wheel that the loader finds for one of its members, by their names alone.

    Windows looks beside a module that Python loads, and then where `os.add_dll_directory` says; ELF where the
    member's own RPATH or RUNPATH leads.

    Args:
        binary: the member as read.
        member: its name.
        names: of all members.
    """
    here = posixpath.dirname(member)
    if binary.format is Format.PE:
        return frozenset(posixpath.basename(one).lower() for one in names if posixpath.dirname(one) == here)
    folders = {
        posixpath.normpath(posixpath.join(here, *ORIGIN.sub(".", folder).split("/")))
        for folder in binary.search
        if ORIGIN.match(folder)
    }
    return frozenset(posixpath.basename(one) for one in names if posixpath.dirname(one) in folders)


def findings(
    binary: Binary, member: str, *, said: FileName | None, cuda: int | None, names: AbstractSet[str]
) -> Iterator[Finding]:
    """What is wrong with the libraries that a member asks for.

    Args:
        binary: the member as read.
        member: its name.
        said: the wheel's name.
        cuda: the major release in the wheel's version, None where it names none.
        names: of all members of the wheel.
    """
    near = found_by(binary, member, names)
    for name in binary.needed:
        if origin(name, binary.format, near) is None:
            yield _unresolved(name, binary.format, member, names)
        if said is not None:
            yield from _of_python(name, member, said)
        found = cuda_major(name)
        if cuda is not None and found is not None and found != cuda:
            yield problem(
                Subject.LIBRARIES, f"asks for {name}, of CUDA {found}; the version says CUDA {cuda}", member
            )


def _unresolved(name: str, form: Format, member: str, names: AbstractSet[str]) -> Finding:
    """A library that nobody brings, or that the wheel has where the loader does not look."""
    spelt = name.lower() if form is Format.PE else name
    elsewhere = sorted(
        one for one in names if spelt == (one.lower() if form is Format.PE else one).rpartition("/")[2]
    )
    if not elsewhere:
        what = f"asks for {name}, which neither the wheel nor torch or the system brings"
        return problem(Subject.LIBRARIES, what, member)
    if form is Format.PE:
        what = f"asks for {name}, which lies in another folder: {elsewhere[0]}"
        fix = "put it beside, or call os.add_dll_directory with its folder before the import"
        return advice(Subject.LIBRARIES, what, member, fix=fix)
    what = f"asks for {name}, and its RPATH does not lead to {elsewhere[0]}"
    return problem(Subject.LIBRARIES, what, member, fix="link it with an RPATH that begins with $ORIGIN")


def _of_python(name: str, member: str, said: FileName) -> Iterator[Finding]:
    """Python's own library of a release that the wheel is not for."""
    one = PYTHON_OF_ONE_RELEASE.fullmatch(name.lower())
    if one is None:
        return
    release = (one[1] or one[2]).replace(".", "")
    if said.abi == STABLE:
        what = f"asks for {name}, but the wheel is tagged {said.abi}, for every Python"
        yield problem(Subject.LIBRARIES, what, member)
    elif release != said.release:
        what = f"asks for {name}, and the wheel is tagged {' '.join(sorted(map(str, said.tags)))}"
        yield problem(Subject.LIBRARIES, what, member)


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(FILE.read_text("utf-8"))
