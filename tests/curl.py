"""The program curl as a client of a server: what it prints, and how it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PROGRAM: Final = shutil.which("curl")
WHY_NOT: Final = "curl is not on PATH"
SECONDS: Final = 120
REFUSED: Final = 22
"""What curl ends with for a status of 400 and more, with `--fail`."""
TIMED_OUT: Final = 28
"""What curl ends with where `--max-time` is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What curl got.

    Attributes:
        code: its exit status; 0 says no more than that an answer came.
        status: HTTP's; 0 without an answer.
        kind: the answer's type of content.
        text: the answer's body, or its head where `--head` asked for that.
    """

    code: int
    status: int
    kind: str
    text: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - as a JSON body is
        return json.loads(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curl:
    """curl for one server."""

    base: str
    scratch: Path

    def command(self, path: str, *options: str) -> list[str]:
        return [
            PROGRAM or "curl", "--silent", "--show-error", "--disable", "--noproxy", "*", *options,
            f"{self.base}{path}",
        ]  # fmt: skip

    def __call__(self, path: str, *options: str) -> Said:
        """Ask, with curl's own options; wait for the end."""
        body = self.scratch / "body"
        body.unlink(missing_ok=True)
        told = ("--output", str(body), "--write-out", "%{http_code} %{content_type}")
        ended = subprocess.run(
            self.command(path, *told, *options), capture_output=True, text=True, timeout=SECONDS, check=False
        )
        status, _, kind = ended.stdout.partition(" ")
        text = body.read_bytes().decode() if body.exists() else ""
        return Said(code=ended.returncode, status=int(status), kind=kind, text=text)

    def post(self, path: str, content: Mapping[str, object] | bytes, *options: str) -> Said:
        """Send JSON, or what should be JSON, from a file."""
        return self(path, *self.sending(content), *options)

    def sending(self, content: Mapping[str, object] | bytes) -> tuple[str, ...]:
        file = self.scratch / "request"
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return "--header", "Content-Type: application/json", "--data-binary", f"@{file}"

    def metric(self, name: str) -> float:
        """A figure of /metrics, all its labels together."""
        lines = self("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def wait_for(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.05)
