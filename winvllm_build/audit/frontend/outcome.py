"""What became of a translation unit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Final

from winvllm_build.audit.frontend.messages import Message

KEPT: Final = 20
"""Messages kept of one pass."""


class Pass(Enum):
    """Which front end."""

    HOST = "host"
    """`cudafe++.exe`: the whole file, as for cl.exe's half."""
    DEVICE = "device"
    """`cicc.exe`: the kernels, up to PTX."""
    CLANG = "clang"
    """clang in Microsoft's mode, for files without CUDA."""


class Verdict(Enum):
    """How it ended."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    """Errors in the tree's own files, or because of what they include."""
    UNJUDGED = "not judged"
    """The front end crashed, ran out of time, or complained of system headers alone."""


class Side(Enum):
    """Which tree."""

    BEFORE = "before"
    """As upstream published it."""
    AFTER = "after"
    """With the patch set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One pass over one unit.

    Attributes:
        errors: how many the front end counted.
        messages: the first of them.
        lint: what cl.exe would be given and not take, found in the front end's output; only of the host pass.
        cpu: processor seconds of preprocessor and front end.
        peak: most memory, in bytes.
        text: the sha256 of the preprocessed text, with names that are the same on every machine.
        shared: taken from the same text of the other tree.
    """

    kind: Pass
    verdict: Verdict
    errors: int = 0
    messages: tuple[Message, ...] = ()
    lint: tuple[Message, ...] = ()
    cpu: float = 0.0
    peak: int = 0
    text: str = ""
    shared: bool = False

    def as_data(self) -> dict[str, Any]:
        return {**asdict(self), "kind": self.kind.value, "verdict": self.verdict.value}


def from_data(data: dict[str, Any]) -> Outcome:
    """The inverse of `as_data`.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    fields = dict(data)
    return Outcome(
        kind=Pass(fields.pop("kind")),
        verdict=Verdict(fields.pop("verdict")),
        messages=tuple(Message(**one) for one in fields.pop("messages")),
        lint=tuple(Message(**one) for one in fields.pop("lint")),
        **fields,
    )
