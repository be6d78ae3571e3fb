"""Files and locks on Windows: open targets, locks of other processes, journals."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from winvllm_build.build import exchange
from winvllm_build.errors import BusyError, StorageError
from winvllm_build.workspace import Journal, locked, staged_folder, write_atomic

HOLDER = """
import sys, time
from pathlib import Path
from winvllm_build.workspace import locked
with locked(Path(sys.argv[1]), "the thing"):
    print("held", flush=True)
    time.sleep(60)
"""

LOADER = """
import ctypes, sys, time
library = ctypes.WinDLL(sys.argv[1])
print("loaded", flush=True)
time.sleep(60)
"""


def test_a_loaded_extension_is_exchanged_and_removed(tmp_path: Path) -> None:
    """As `develop` does while an interpreter has the old one: Windows renames it and nothing else."""
    target, aside = tmp_path / "tree" / "_C.pyd", tmp_path / "aside"
    target.parent.mkdir()
    target.write_bytes(next(Path(sys.base_prefix).rglob("python3.dll")).read_bytes())
    new = tmp_path / "new"
    new.write_bytes(b"new")
    with subprocess.Popen([sys.executable, "-c", LOADER, str(target)], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline().strip() == b"loaded"
        with pytest.raises(PermissionError):
            target.unlink()
        exchange.put(new, target, aside)
        assert target.read_bytes() == b"new"
        assert not exchange.sweep(aside)
        program.kill()
    assert exchange.sweep(aside)
    assert target.read_bytes() == b"new"


def test_a_file_that_somebody_reads_is_replaced_when_he_is_done(tmp_path: Path) -> None:
    file = tmp_path / "a"
    write_atomic(file, b"old")
    reader = file.open("rb")
    done = threading.Timer(0.3, reader.close)
    done.start()
    write_atomic(file, b"new")
    done.join()
    assert file.read_bytes() == b"new"
    assert [one.name for one in tmp_path.iterdir() if one.name != "home"] == ["a"]


def test_a_lock_is_another_process_s_until_that_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(BusyError, match=r"pid \d+ since"), locked(lock, "the thing"):
            pass
        holder.kill()
    with locked(lock, "the thing", wait=5):
        pass


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "made") as part:
        (part / "file").write_text("x", encoding="utf-8")
        assert not (tmp_path / "made").exists()
    assert (tmp_path / "made" / "file").is_file()


def test_a_journal_names_its_process(tmp_path: Path) -> None:
    journal = Journal(path=tmp_path / "journal")
    journal.begin({"what": "test"})
    entry = journal.read()
    assert entry is not None
    assert abs(entry["started"] - time.time()) < 600
    journal.end()
    assert journal.read() is None


def test_a_file_in_the_place_of_a_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        write_atomic(tmp_path / "file" / "below", b"")
