"""Who brings the libraries that an extension asks for, and whether they are of the wheel's CUDA release."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final

from winvllm_build.wheel.binary import Binary, Format
from winvllm_build.wheel.finding import Finding, Subject, problem

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = Path(__file__).parent / "data" / "libraries.toml"
PYTHON_OF_ONE_RELEASE: Final = re.compile(r"python3\d+\.dll|libpython3\.\d+.*")
ABI3: Final = "abi3"


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


def findings(
    binary: Binary, member: str, *, abi: str, cuda: int | None, inside: AbstractSet[str]
) -> Iterator[Finding]:
    """What is wrong with the libraries that a member asks for.

    Args:
        binary: the member as read.
        member: its name.
        abi: the wheel's ABI tag.
        cuda: the major release in the wheel's version, None where it names none.
        inside: names of libraries in the wheel.
    """
    for name in binary.needed:
        if origin(name, binary.format, inside) is None:
            yield problem(
                Subject.LIBRARIES, f"asks for {name}, which neither the wheel nor torch or the system brings",
                member,
            )  # fmt: skip
        if abi == ABI3 and PYTHON_OF_ONE_RELEASE.fullmatch(name.lower()):
            yield problem(
                Subject.LIBRARIES, f"asks for {name}, but the wheel is tagged {abi}, for every Python", member
            )
        found = cuda_major(name)
        if cuda is not None and found is not None and found != cuda:
            yield problem(
                Subject.LIBRARIES, f"asks for {name}, of CUDA {found}; the version says CUDA {cuda}", member
            )


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(FILE.read_text("utf-8"))
