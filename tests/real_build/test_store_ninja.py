"""The store behind the real ninja and gate: killed anywhere, power lost, folders dropped, carried away."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.store_ninja import FILES, Project
from winvllm_build.build import ninja
from winvllm_build.build.engine.record import Outcome
from winvllm_build.build.store import inventory, transfer
from winvllm_build.build.store.journal import EdgeJournal
from winvllm_build.workspace import Journal

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or not Path("/usr/bin/g++").exists(),
    reason="the wrapped compiler is a shell script around /usr/bin/g++",
)
KILLS = int(os.environ.get("WINVLLM_TEST_KILLS", "6"))
EVERYTHING = FILES + 1


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.make()
    return made


@pytest.fixture
def built(project: Project) -> Project:
    ran, records = project.run()
    assert (ran.code, ran.finished, len(records)) == (0, EVERYTHING, EVERYTHING)
    return project


def outcomes(project: Project) -> Counter[Outcome]:
    ran, records = project.run()
    assert ran.code == 0, ran.tail
    return Counter(record.outcome for record in records)


def test_nothing_to_do_does_nothing(built: Project) -> None:
    assert outcomes(built) == {}


def test_a_dropped_build_folder_comes_back_without_a_compiler(built: Project) -> None:
    made = built.contents()
    built.forget()
    assert outcomes(built) == {Outcome.REUSED: EVERYTHING}
    assert built.contents() == made
    assert outcomes(built) == {}
    assert len(built.started()) == EVERYTHING


def test_a_touched_header_compiles_nothing(built: Project) -> None:
    time.sleep(0.01)
    (built.tree / "inc" / "value.h").touch()
    assert outcomes(built) == {Outcome.REUSED: EVERYTHING}
    assert outcomes(built) == {}


def test_a_changed_header_with_an_old_time_compiles_everything(built: Project) -> None:
    header = built.tree / "inc" / "value.h"
    header.write_text("#define VALUE 5\n")
    os.utime(header, (1e9, 1e9))
    assert outcomes(built) == {Outcome.COMPILED: EVERYTHING}
    assert outcomes(built) == {}


def test_another_folder_compiles_nothing_and_links(built: Project) -> None:
    there = Project(built.root, "two")
    there.make()
    found = outcomes(there)
    assert found == {Outcome.REUSED: FILES, Outcome.COMPILED: 1}
    assert {n: c for n, c in there.contents().items() if n.endswith(".o")} == {
        n: c for n, c in built.contents().items() if n.endswith(".o")
    }


@pytest.mark.parametrize("damage", ["zeroed", "truncated", "grown", "gone"])
@pytest.mark.parametrize("clean", [True, False])
def test_a_torn_output_is_put_in_place_again(built: Project, damage: str, clean: bool) -> None:  # noqa: FBT001 - pytest
    made = built.contents()
    if not clean:
        _forget_the_end(built)
    for name in ("obj/f1.o", "all.so"):
        _tear(built.build / name, damage, keep_time=not clean)
    expected = {} if damage == "gone" else {Outcome.REUSED: 2}
    found = outcomes(built)
    assert found.keys() <= {Outcome.REUSED}
    assert not expected or found == expected
    assert built.contents() == made
    assert len(built.started()) == EVERYTHING


def _forget_the_end(project: Project) -> None:
    """As after a power loss: the journal's last line did not reach the disk."""
    journal = project.build / ".winvllm-edges"
    journal.write_bytes(journal.read_bytes()[:-20])


def _tear(file: Path, damage: str, *, keep_time: bool) -> None:
    stat, content = file.stat(), file.read_bytes()
    file.unlink()
    if damage == "gone":
        return
    torn = {"zeroed": bytes(len(content)), "truncated": content[:100], "grown": content + b"x"}[damage]
    file.write_bytes(torn)
    if keep_time:
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("lost", [".ninja_log", ".ninja_deps", ".winvllm-edges", ".winvllm-inputs"])
def test_a_lost_log_compiles_nothing(built: Project, lost: str) -> None:
    made = built.contents()
    (built.build / lost).unlink()
    found = outcomes(built)
    assert found.keys() <= {Outcome.REUSED}
    assert outcomes(built) == {}
    assert built.contents() == made
    assert len(built.started()) == EVERYTHING


def test_a_torn_log_of_dependencies_does_not_rebuild_forever(built: Project) -> None:
    deps = built.build / ".ninja_deps"
    whole = deps.read_bytes()
    chooser = random.Random(7)  # noqa: S311 - not for secrets
    for _ in range(6):
        at = chooser.randrange(16, len(whole))
        torn = chooser.choice([whole[:at], whole[:at] + bytes(len(whole) - at)])
        if at % 4 == 0:
            torn = whole[:at] + struct.pack("<I", 0x7FFFFFFF) + whole[at + 4 :]
        deps.write_bytes(torn)
        assert outcomes(built).keys() <= {Outcome.REUSED}
        assert outcomes(built) == {}
    assert len(built.started()) == EVERYTHING


def test_random_kills_lose_and_repeat_nothing(project: Project) -> None:
    """What has a record is never compiled again; in the end the bytes are those of one run."""
    chooser = random.Random(20)  # noqa: S311 - not for secrets
    kept: set[str] = set()
    for _ in range(KILLS):
        before = len(project.started())
        _killed(project, after=chooser.uniform(0.0, 1.5), all_of_it=chooser.random() < 0.5)
        again = set(project.started()[before:]) & kept
        assert not again, (again, project.runs.with_name("log").read_text()[-4000:])
        kept |= _recorded(project)
        if EdgeJournal(project.build).unclean and chooser.random() < 0.5:
            _lose_power(project, chooser)
    before = len(project.started())
    assert outcomes(project)[Outcome.FAILED] == 0
    assert not set(project.started()[before:]) & kept
    made = project.contents()
    reference = Project(project.root / "reference")
    reference.make()
    reference.run()
    assert made == reference.contents()
    assert outcomes(project) == {}


def _killed(project: Project, *, after: float, all_of_it: bool) -> None:
    """Kill the tool, with what it started or without."""
    script = Path(__file__).parent.parent / "store_ninja.py"
    child = subprocess.Popen(
        [sys.executable, str(script), str(project.root), project.name],
        env={**os.environ, "PYTHONPATH": str(script.parent.parent)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while not (project.build / ".winvllm-running.json").exists() and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(after)
    running = Journal(path=project.build / ninja.RUNNING).read() or {}
    if child.poll() is None:
        os.kill(child.pid, signal.SIGKILL)
    if all_of_it and "ninja" in running:  # it leads the session of everything that it started
        _kill_session(int(running["ninja"]))
    child.wait()


def _kill_session(leader: int) -> None:
    for found in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(found.pid) == leader:
                found.kill()


def _recorded(project: Project) -> set[str]:
    return {entry.summary.output for entry in inventory.entries(project.workspace.objects)}


def _lose_power(project: Project, chooser: random.Random) -> None:
    """What was not synced: torn outputs of the same size and time, ninja's logs cut."""
    for name in project.outputs:
        file = project.build / name
        if file.exists() and chooser.random() < 0.5:
            _tear(file, "zeroed", keep_time=True)
    for name in (".ninja_log", ".ninja_deps"):
        log = project.build / name
        if log.exists():
            os.truncate(log, chooser.randrange(log.stat().st_size + 1))


def test_tries_add_up_over_exported_files(built: Project, tmp_path: Path) -> None:
    first, second = tmp_path / "one.tar", tmp_path / "two.tar"
    objects = built.workspace.objects
    transfer.export(objects, first)
    transfer.export(objects, second, builds=[built.build.name])
    assert first.read_bytes() == second.read_bytes()
    there = Project(tmp_path / "machine")
    there.make()
    done = transfer.import_(there.workspace.objects, first)
    assert (done.edges, done.new) == (EVERYTHING, EVERYTHING)
    assert transfer.import_(there.workspace.objects, second).new == 0
    assert outcomes(there) == {Outcome.REUSED: FILES, Outcome.COMPILED: 1}
    assert _recorded(there) == _recorded(built)
