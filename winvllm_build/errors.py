"""One base class; every class of failure has its own exit code and names the command that fixes it."""

from __future__ import annotations

from typing import ClassVar, Final


class WinvllmError(Exception):
    """Base of every expected failure.

    Args:
        message: what is wrong and where, one sentence per line.
        fix: the command or edit that repairs it.
    """

    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return self.message if self.fix is None else f"{self.message}\nfix: {self.fix}"


class FindingsError(WinvllmError):
    """A check ran to its end and found something (`regen --check`, `apply --check`)."""

    exit_code = 1


class UsageError(WinvllmError):
    """The command line asks for something that does not exist or contradicts itself."""

    exit_code = 2


class ConflictError(WinvllmError):
    """A port or a combination of layers needs a human's decision; what was clean is kept."""

    exit_code = 3


class ToolchainError(WinvllmError):
    """A compiler, CUDA toolkit, Python, torch, git, cmake or ninja is missing or does not fit."""

    exit_code = 4


class ProfileError(WinvllmError):
    """A profile value is unknown, of the wrong type, unsafe or impossible; all are listed at once."""

    exit_code = 6


class SourceError(WinvllmError):
    """A source is not what its pin says: unknown or moved tag, wrong hash, unsafe archive."""

    exit_code = 7


class OfflineError(SourceError):
    """Something has to be downloaded, the network did not answer, and no cached copy exists."""

    exit_code = 8


class RefusedError(SourceError):
    """The package index or the git host answers, but lacks what is asked for or does not give it out."""

    exit_code = 16


class PatchError(WinvllmError):
    """A patch file, manifest or lock is malformed, unsafe or made for another tag."""

    exit_code = 9


class TreeStateError(WinvllmError):
    """The source tree is dirty, half patched, foreign or based on something else."""

    exit_code = 10


class BusyError(WinvllmError):
    """Another run holds the lock of this tree or cache entry."""

    exit_code = 11


class StorageError(WinvllmError):
    """The disk is full, read-only or refuses the write."""

    exit_code = 12


class ConfigureError(WinvllmError):
    """Upstream's CMake configure step failed."""

    exit_code = 13


class CompileError(WinvllmError):
    """One or more compile or link edges failed."""

    exit_code = 14


class PackError(WinvllmError):
    """Installing the components or packing the wheel failed."""

    exit_code = 15


class WheelError(WinvllmError):
    """A wheel cannot be read at all: cut off, damaged, or no wheel; what a check finds in one is code 1."""

    exit_code = 17


class EngineError(WinvllmError):
    """The engine of a server did not start, ended by itself, or does not answer."""

    exit_code = 18


class InterruptedRunError(WinvllmError):
    """Ctrl-C or SIGTERM; the same command goes on where this one stopped.

    Args:
        message: what was stopped.
        fix: how it goes on.
        told: whether the data on standard output says so already.
    """

    exit_code = 130

    def __init__(self, message: str, *, fix: str | None = None, told: bool = False) -> None:
        super().__init__(message, fix=fix)
        self.told = told


UNOBTAINABLE: Final = (OfflineError, RefusedError)
"""What leaves one part out; a wrong hash or a moved tag never does."""
