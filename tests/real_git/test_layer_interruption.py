"""Kill -9 while layers are switched or regenerated: the next run finishes, and nothing is in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kill_driver import attempts, small, sound
from tests.layered import layered
from tests.patch_upstream import TAG, Upstream
from winvllm_build.errors import PatchError
from winvllm_build.workspace import write_atomic

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the driver forks")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return layered(tmp_path_factory.mktemp("layered"))


@pytest.mark.parametrize(
    ("operation", "stride"),
    [("switch", 5), ("take back", 6), ("carry", 27), ("regen layer", 15)],
)
def test_killed_at_many_steps(
    template: Upstream, tmp_path: Path, checkout: Path, operation: str, stride: int
) -> None:
    made = template.copied(tmp_path / "from")
    made.apply(*{"carry": (), "regen layer": ("fast",)}.get(operation, ("extra", "narrow")))
    sound(attempts(made, tmp_path / "work", checkout, operation, stride))


@pytest.mark.parametrize("left", range(1, 6))
def test_a_regeneration_killed_between_two_files_is_finished(
    template: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """What was carried over could not be made again from the half of it."""
    upstream = template.copied(tmp_path / "u")
    upstream.apply()
    upstream.write(small())
    killed_between_files(upstream, monkeypatch, left)
    with pytest.raises(PatchError):
        upstream.load()
    upstream.regen()
    assert [event for event in upstream.events if event.startswith("an interrupted regen was finished: ")]
    upstream.regen(check=True)
    assert not (upstream.folder / ".git" / "winvllm" / "regen.json").exists()


def test_one_that_was_taken_back_is_forgotten(
    template: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = template.copied(tmp_path / "u")
    before = upstream.patch_bytes()
    upstream.apply()
    upstream.write(small())
    killed_between_files(upstream, monkeypatch, 3)
    assert upstream.patch_bytes() != before
    for name, content in before.items():
        (upstream.patches / TAG / name).write_bytes(content)
    upstream.apply(restore=True)
    upstream.events.clear()
    upstream.regen()
    assert upstream.patch_bytes() == before
    assert upstream.events == []
    assert not (upstream.folder / ".git" / "winvllm" / "regen.json").exists()


def test_what_was_changed_since_is_not_overwritten(
    template: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = template.copied(tmp_path / "u")
    upstream.apply()
    upstream.write(small())
    killed_between_files(upstream, monkeypatch, 3)
    file = upstream.patch_file("a.py", "narrow")
    mine = file.read_bytes().replace(b"Subject: TODO", b"Subject: Mine")
    file.write_bytes(mine)
    with pytest.raises(PatchError):
        upstream.regen()
    assert file.read_bytes() == mine


def killed_between_files(upstream: Upstream, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    calls = iter(range(left))

    def failing(file: Path, content: bytes) -> None:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        write_atomic(file, content)

    monkeypatch.setattr("winvllm_build.patchset.rewrite.write_atomic", failing)
    with pytest.raises(KeyboardInterrupt):
        upstream.regen()
    monkeypatch.undo()
