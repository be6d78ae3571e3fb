"""When an edge that failed through the cache is tried again without it, and when the cache is given up."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

CRASHES_ALLOWED: Final = 3
"""After so many failures that were not the source's fault the rest of the run goes without the cache."""
OWN_WORDS: Final = re.compile(
    r"sccache: (error|encountered fatal error|caused by)|"
    r"(failed|error) to (get response from|send data to or receive data from|communicate with) (the )?server|"
    r"Timed out waiting for server startup|Server startup failed|thread '[^']*' panicked"
)
"""What sccache itself prints when it, and not the compiler, has failed."""
DIAGNOSTIC: Final = re.compile(
    r"(?m)\(\d+\)\s*: (fatal |catastrophic )?error\b|:\d+(:\d+)?: (fatal )?error\b|\berror [A-Z]+\d{3,}\b"
    r"|^nvcc (fatal|error)\b|^(ptxas|nvlink|cicc) (fatal|error)\b|ld returned \d+ exit status"
)
"""What a compiler prints when it does not like the source or the command."""


class Cause(Enum):
    """Why an edge that went through the cache failed."""

    COMPILER = "the compiler says why"
    CACHE = "sccache itself failed"
    CRASH = "the compiler ended without a word about the source"


def cause(code: int, text: str) -> Cause:
    """The cause of a failure, by what was printed; an exit code alone convinces nobody of a compile error.

    Args:
        code: the exit code, as the launcher saw it; of Windows also as an unsigned number.
        text: everything that was printed.
    """
    if OWN_WORDS.search(text):
        return Cause.CACHE
    return Cause.COMPILER if DIAGNOSTIC.search(text) and 0 < code < 128 else Cause.CRASH  # noqa: PLR2004 - a signal's


@dataclass(slots=True)
class Fallback:
    """Counts failures that were the cache's; safe to ask from several threads."""

    allowed: int = CRASHES_ALLOWED
    failures: int = 0
    given_up: str = ""
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def usable(self) -> bool:
        return not self.given_up

    def give_up(self, reason: str) -> bool:
        """Do without the cache from now on; True if this call decided it."""
        with self._guard:
            decided = not self.given_up
            self.given_up = self.given_up or reason
        return decided

    def again(self, code: int, text: str) -> bool:
        """Whether an edge that failed through the cache is worth a try without it."""
        why = cause(code, text)
        if why is Cause.COMPILER:
            return False
        with self._guard:
            self.failures += 1
            if self.failures >= self.allowed and not self.given_up:
                self.given_up = (
                    f"{self.failures} edges failed through it for no fault of the source ({why.value})"
                )
        return True
