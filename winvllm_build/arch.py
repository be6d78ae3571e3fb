"""CUDA architectures: how they are written, and which toolkits compile them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from packaging.version import Version

from winvllm_build.suggest import did_you_mean

WRITTEN: Final = re.compile(
    r"(?P<major>\d{1,2})\.(?P<minor>\d)(?P<feature>[af]?)(?P<ptx>\+PTX)?", re.IGNORECASE
)
COMPILER_NAME: Final = re.compile(
    r"(?:sm_|compute_)?(?P<major>\d{1,2})(?P<minor>\d)(?P<feature>[af]?)", re.IGNORECASE
)
GENERATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "volta": "7.0",
        "turing": "7.5",
        "ampere": "8.0;8.6",
        "ada": "8.9",
        "hopper": "9.0",
        "blackwell": "10.0;12.0",
    }
)
"""Names that torch accepts, and what to write instead: a name means different lists in different releases."""

FIRST_TOOLKIT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "8.7": "11.5",
        "8.8": "13.0",
        "8.9": "11.8",
        "9.0": "11.8",
        "10.0": "12.8",
        "10.1": "12.8",
        "10.3": "12.9",
        "11.0": "13.0",
        "12.0": "12.8",
        "12.1": "12.9",
    }
)
"""The first CUDA release whose nvcc compiles an architecture, where that is later than 11.4."""

FIRST_WITHOUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("2.0", "2.1"), "9.0"),
        **dict.fromkeys(("3.0", "3.2"), "11.0"),
        **dict.fromkeys(("3.5", "3.7"), "12.0"),
        **dict.fromkeys(("5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "10.1"), "13.0"),
    }
)
"""The first CUDA release whose nvcc no longer compiles an architecture (13.0 calls 10.1 by the name 11.0)."""

FAMILY_SUFFIX: Final = Version("12.9")
"""The first CUDA release that knows the family suffix `f`."""


def base(arch: str) -> str:
    """`9.0` of `9.0a+PTX`."""
    return re.sub(r"[af]?(\+PTX)?$", "", arch.strip())


def order(arch: str) -> tuple[int, int, str]:
    """A sort key: numeric, so that 10.0 follows 9.0."""
    major, minor = base(arch).split(".")
    return int(major), int(minor), arch


def normalised(written: str) -> str:
    """One architecture as `MAJOR.MINOR`, with its suffix in the usual case.

    Raises:
        ValueError: it is written otherwise; the message says how to write it.
    """
    text = written.strip()
    match = WRITTEN.fullmatch(text)
    if match:
        feature, ptx = match["feature"].lower(), "+PTX" if match["ptx"] else ""
        return f"{int(match['major'])}.{match['minor']}{feature}{ptx}"
    compiler = COMPILER_NAME.fullmatch(text)
    if compiler:
        wanted = f"{int(compiler['major'])}.{compiler['minor']}{compiler['feature'].lower()}"
        raise ValueError(f'"{text}" is not an architecture; write "{wanted}"')
    if text.lower() in GENERATIONS:
        raise ValueError(
            f'"{text}" names a generation; write its architectures: "{GENERATIONS[text.lower()]}"'
        )
    hint = did_you_mean(text, GENERATIONS) or ', written like "8.6", "9.0a" or "12.0+PTX"'
    raise ValueError(f'"{text}" is not an architecture{hint}')


def parsed(value: object) -> tuple[str, ...]:
    """An arch list from a list of strings or one string split at `;`, `,` or blanks; sorted, without doubles.

    Raises:
        ValueError: an element is not an architecture; all such elements are named.
    """
    if isinstance(value, str):
        items: list[object] = [item for item in re.split(r"[;,\s]+", value) if item]
    elif isinstance(value, (list, tuple)):
        items = list(value)
    else:
        raise ValueError(f"expected a list of architectures{_quoting(value)}")  # noqa: TRY004 - pydantic reports ValueError
    good: set[str] = set()
    complaints: list[str] = []
    for item in items:
        if not isinstance(item, str):
            complaints.append(f"an architecture is a text{_quoting(item)}")
            continue
        try:
            good.add(normalised(item))
        except ValueError as error:
            complaints.append(str(error))
    if complaints:
        raise ValueError("; ".join(complaints))
    if not good:
        raise ValueError('the list is empty; name at least one architecture, such as "8.6"')
    return tuple(sorted((arch for arch in good if f"{arch}+PTX" not in good), key=order))


def _quoting(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f", not {value!r}"
    wanted = f"{value}" if isinstance(value, float) else f"{value // 10}.{value % 10}"
    return f': write "{wanted}" in quotes (TOML reads {value} as a number, and 8.10 as 8.1)'


def refusal(arch: str, cuda: Version) -> str | None:
    """Why the nvcc of this CUDA release cannot compile `arch`, or None when nothing speaks against it."""
    number = base(arch)
    first, last = FIRST_TOOLKIT.get(number), FIRST_WITHOUT.get(number)
    if first and cuda < Version(first):
        return f"architecture {arch} needs CUDA {first} or newer, this is CUDA {cuda}"
    if last and cuda >= Version(last):
        renamed = "; it is called 11.0 since" if number == "10.1" else ""
        return f"architecture {arch} was dropped by CUDA {last}, this is CUDA {cuda}{renamed}"
    if arch.removesuffix("+PTX").endswith("f") and cuda < FAMILY_SUFFIX:
        return f"the suffix of {arch} needs CUDA {FAMILY_SUFFIX} or newer, this is CUDA {cuda}"
    return None
