"""`winvllm-build audit` on a small upstream: every fast part, its exit code, what is said to be left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.port_story import Story
from winvllm_build.audit.device import record
from winvllm_build.audit.device.record import Kind, Records, Unit
from winvllm_build.cli.main import run
from winvllm_build.git import Oid, RepoPath

Captured = pytest.CaptureFixture[str]
TAG = "v1.0.0"
LOOPS = b"import sys\n\nimport uvloop\n\nuvloop.install()\nprint(sys.argv)\n"
GUARDED = (
    b"import sys\n\nif sys.platform != 'win32':\n    import uvloop\nelse:\n    uvloop = None\n\n"
    b"if sys.platform != 'win32':\n    uvloop.install()\nprint(sys.argv)\n"
)
HEADER = "Subject: No uvloop\nDescription: Why.\nHazards: E4\nGuard: guarded\nUpstream-Status: Pending\n"
UNIT = Unit(
    source=RepoPath("csrc/k.cu"), arch="8.6", options=(), compiler="nvcc 13.0.88", inputs="0" * 64,
    files={RepoPath("csrc/k.cu"): (Oid("a" * 40), Oid("b" * 40))}, compared={Kind.PTX: 3},
)  # fmt: skip


def made(top: Path, patched: bytes, **more: bytes) -> Story:
    story = Story.make(top / "story")
    files = {"vllm/__init__.py": b"", "vllm/loops.py": LOOPS}
    story.release(TAG, {**files, **{f"vllm/{name}.py": text for name, text in more.items()}})
    story.patch(TAG, {"vllm/loops.py": patched})
    file = story.root / TAG / "windows" / "vllm" / "vllm" / "loops.py.patch"
    text = file.read_text(encoding="utf-8")
    file.write_text(HEADER + "\n" + text[text.index("diff --git") :], encoding="utf-8")
    story.rest()
    return story


def audit(
    story: Story, monkeypatch: pytest.MonkeyPatch, capsys: Captured, *words: str
) -> tuple[int, dict[str, Any]]:
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(story.workspace.root))
    code = run(["audit", TAG, "--patches", str(story.root), "--offline", "--json", *words])
    loaded: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, {part["name"]: part for part in loaded["parts"]}


def results(parts: dict[str, Any]) -> dict[str, str]:
    return {name: part["result"] for name, part in parts.items()}


def test_a_set_that_meets_everything_is_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    story = made(tmp_path, GUARDED)
    code, parts = audit(story, monkeypatch, capsys)
    assert code == 0, parts
    assert results(parts) == {
        "scan": "clean", "guards": "clean", "device record": "not run", "scripts": "clean",
        "device": "not run", "frontend": "not run",
    }  # fmt: skip
    assert audit(story, monkeypatch, capsys, "--strict")[0] == 1


def test_what_the_set_leaves_and_what_it_does_to_linux_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    story = made(tmp_path, LOOPS.replace(b"uvloop", b"asyncio"), locks=b"import fcntl\n")
    code, parts = audit(story, monkeypatch, capsys)
    assert code == 1
    assert parts["scan"]["findings"] == ["E1 vllm/locks.py:1 import fcntl"]
    assert [one.partition(":")[0] for one in parts["guards"]["findings"]] == ["vllm/loops.py"]
    assert parts["scan"]["fix"] == f"winvllm-build scan {TAG} --patched"


def test_a_record_of_other_patches_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    story = made(tmp_path, GUARDED)
    record.write(story.root / TAG, Records(units=(UNIT,)))
    code, parts = audit(story, monkeypatch, capsys)
    assert (code, parts["device record"]["result"]) == (1, "found")
    assert parts["device record"]["findings"] == ["csrc/k.cu: not the file that was compared"]
    assert "audit device" in parts["device record"]["fix"]
