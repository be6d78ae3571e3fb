"""What is piped into a command: real pipes and files, and the letters that come through them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from winvllm_build.cli.piped import decoded
from winvllm_build.errors import UsageError

CHECKOUT = Path(__file__).resolve().parents[2]
ASK = "from winvllm_build.cli import piped; t = piped.text(wanted={}, needed={}); print(t[:9], len(t))"
END_SECONDS = 30.0


def started(
    stdin: int | IO[bytes], *, wanted: bool | None, needed: bool, encoding: str = "utf-8"
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", ASK.format(wanted, needed)], stdin=stdin, cwd=CHECKOUT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip


def ended(child: subprocess.Popen[bytes], encoding: str = "utf-8") -> tuple[str, str]:
    """What it found, and what it told; a child that waits for ever is a failure."""
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        child.wait(END_SECONDS)
    finally:
        child.kill()
        child.wait()
    with child.stdout as out, child.stderr as err:
        return out.read().decode(encoding).strip(), err.read().decode().strip()


def test_a_pipe_that_nobody_closes_is_not_waited_for() -> None:
    child = started(subprocess.PIPE, wanted=None, needed=False)
    found, told = ended(child)
    assert child.stdin is not None
    child.stdin.close()
    assert found == "0"
    assert "--stdin waits for it" in told


@pytest.mark.parametrize(("wanted", "needed"), [(True, False), (None, True), (None, False)])
def test_what_comes_is_read_to_its_end(*, wanted: bool | None, needed: bool) -> None:
    child = started(subprocess.PIPE, wanted=wanted, needed=needed)
    assert child.stdin is not None
    with child.stdin as pipe:
        for _ in range(3):
            pipe.write("ü".encode() * 100_000)
            pipe.flush()
    assert ended(child) == (f"{'ü' * 9} 300000", "")


def test_a_file_is_read_or_left(tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(b"caf\xe9\n")
    with (tmp_path / "notes").open("rb") as file:
        found, told = ended(started(file, wanted=None, needed=False, encoding="cp1252"), "cp1252")
    assert found == "café 4"
    assert "read as cp1252" in told
    with (tmp_path / "notes").open("rb") as file:
        assert ended(started(file, wanted=False, needed=False)) == ("0", "")


@pytest.mark.parametrize("name", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_in_its_forms(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert decoded("naïve 你好".encode(name), "cp1252") == "naïve 你好"
    assert not capsys.readouterr().err


def test_no_letter_is_replaced() -> None:
    with pytest.raises(UsageError, match="neither UTF-8 nor utf-8"):
        decoded(b"caf\xe9", "utf-8")
