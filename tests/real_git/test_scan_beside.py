"""A scanner in an interpreter of its own says what it says here, and whatever ends that one is no loss."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patch_upstream import nothing as unheard
from tests.port_story import write
from winvllm_build.audit import beside
from winvllm_build.audit.beside import ENOUGH
from winvllm_build.audit.python.scanner import scan
from winvllm_build.audit.subject import Doors, Subject, Wanted, opened
from winvllm_build.index import Index
from winvllm_build.workspace import Workspace


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[Subject]:
    """A folder of many files, with a hit of each state and a file that is no Python."""
    files: dict[str, bytes | None] = {f"vllm/m{number}.py": b"X = 1\n" for number in range(ENOUGH)}
    files["vllm/locks.py"] = b"import fcntl\n"
    files["vllm/maybe.py"] = b"import sys\n\nif sys.platform != 'win32':\n    import fcntl\n"
    files["vllm/broken.py"] = "def \u00e4(:\n".encode()
    folder = tmp_path / "source"
    write(folder, files)
    workspace = Workspace(root=tmp_path / "home")
    index = Index(workspace, offline=True, on_event=unheard)
    doors = Doors(workspace=workspace, index=index, offline=True, tell=unheard)
    with opened(Wanted(name=str(folder), root=tmp_path), doors) as made:
        yield made


def test_both_say_the_same(subject: Subject) -> None:
    here = scan(subject.files)
    assert beside._elsewhere(subject, scan) == here
    assert len(here.hits) == 2
    assert len(here.blind) == 1
    with beside.beside(subject, scan, ".py") as answer:
        assert answer() == here


@pytest.mark.skipif(sys.platform == "win32", reason="needs a program that does nothing and fails")
def test_where_the_other_one_fails_it_is_done_here(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("/bin/false", "/bin/true", "/no/such/program"):
        monkeypatch.setattr(sys, "executable", program)
        assert beside._elsewhere(subject, scan) is None
        with beside.beside(subject, scan, ".py") as answer:
            assert len(answer().hits) == 2
