"""What a patch does to Linux: the verdict for CUDA and for ROCm, and the grounds it stands on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from winvllm_build.patchset.diff import Change


class Verdict(Enum):
    """From the best to the worst."""

    IDENTICAL = "identical"
    """What Linux reads, with every condition on Windows decided, did not change."""
    NEUTRAL = "neutral"
    """It changed, and each change was proven to mean the same."""
    CHANGED = "changed"
    """Something changed that nothing proves harmless."""


ORDER: Final = (Verdict.IDENTICAL, Verdict.NEUTRAL, Verdict.CHANGED)


class Platform(Enum):
    """What is built on Linux; a file that both read alike has one view for both."""

    CUDA = "cuda"
    ROCM = "rocm"


class Ground(Enum):
    """Why a difference means nothing on Linux; the value is the word that the table shows."""

    NEW_FILE = "new file for Windows"
    """Nothing that Linux reads names the added file."""
    TOKENS = "alternative tokens"
    """`and`, `or`, `not` are `&&`, `||`, `!` (C++ standard, [lex.digraph])."""
    KEYWORDS = "keyword spelling"
    """`__asm__ __volatile__` is `asm volatile` (GCC manual, Alternate Keywords)."""
    LONG = "long is int64_t"
    """The same type with glibc on 64-bit Linux."""
    DEVICE_INDEX = "device index"
    """An integer goes to `c10::DeviceIndex` (8 bits) directly or over `char`: the same value."""
    MACHINE_CODE = "machine code"
    """A compiler made the same of both versions, as the record of `audit device` says."""
    IMPORT = "added import"
    """Of a module of the standard library that does nothing else when it is imported."""
    ATTEMPT = "import in try"
    """Upstream makes the same import without one, so it succeeds wherever upstream works."""
    DEFAULT = "default argument"
    """The argument is the one that the function takes anyway."""
    CONSTANT = "constant of Linux"
    """`os.pathsep` is `:`."""
    INTEGER = "64-bit integer"
    """C long has 64 bits on Linux, and the value goes into an array of 64-bit integers."""
    UNUSED = "unused definition"
    """Linux has no use of the name."""
    GENERATED = "generated files"
    """Both versions of the generator were run: the files are the same, byte for byte."""
    QUOTES = "quoted argument"
    """Without the quotes it is one argument as well: neither empty nor a list."""
    STOPS = "where upstream stops"
    """Upstream's configure ends there with FATAL_ERROR, so nothing is built that could change."""
    OWN = "variable of its own"
    """A condition on a variable that upstream does not know and nothing sets, which is false."""
    MARKERS = "requirement markers"
    """They are true and false for the same Linux machines and Pythons as before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A ground that was found to hold; `detail` says for what."""

    ground: Ground
    detail: str = ""

    @property
    def words(self) -> str:
        return f"{self.ground.value} ({self.detail})" if self.detail else self.ground.value


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How one platform sees a patch.

    Attributes:
        grounds: what makes the differences neutral.
        changes: all that differs on that platform.
        left: of a changed file, what no ground covers.
        open: why a ground could not be confirmed, in words.
    """

    verdict: Verdict
    grounds: tuple[Confirmed, ...] = ()
    changes: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, grounds: Iterable[Confirmed], changes: Iterable[str] = (), *, left: Iterable[str] = ()
    ) -> View:
        """The view that follows: changed if something is `left`, identical if there are no grounds either."""
        told, rest = tuple(dict.fromkeys(grounds)), tuple(left)
        verdict = Verdict.CHANGED if rest else Verdict.NEUTRAL if told else Verdict.IDENTICAL
        return cls(verdict=verdict, grounds=told, changes=tuple(changes) or rest, left=rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was found about one patch.

    Attributes:
        layer: the layer, or several joined by `+` for what they make of a file together.
        guard: the header's field.
        disagreement: how the header contradicts the verdict; empty where it does not.
        fix: the line to write in the header, or what to do about the change.
    """

    layer: str
    path: str
    change: Change
    cuda: View
    rocm: View
    guard: str = ""
    disagreement: str = ""
    fix: str = ""

    @property
    def verdict(self) -> Verdict:
        return max((self.cuda.verdict, self.rocm.verdict), key=ORDER.index)

    @property
    def grounds(self) -> tuple[Confirmed, ...]:
        return tuple(dict.fromkeys([*self.cuda.grounds, *self.rocm.grounds]))

    @property
    def is_fine(self) -> bool:
        return self.verdict is not Verdict.CHANGED and not self.disagreement
