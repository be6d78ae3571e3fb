"""Kill -9 at any moment: the next run finishes or rolls back, says which, and leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.kill_driver import attempts, sound
from tests.patch_upstream import BASE, Upstream, after, patched
from winvllm_build.errors import TreeStateError
from winvllm_build.patchset import materialise
from winvllm_build.patchset.status import TreeState

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the driver forks")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return patched(tmp_path_factory.mktemp("template"))


@pytest.mark.parametrize(("operation", "stride"), [("apply", 1), ("unapply", 3), ("regen", 3)])
def test_killed_at_every_step(
    template: Upstream, tmp_path: Path, checkout: Path, operation: str, stride: int
) -> None:
    made = template.copied(tmp_path / "from")
    if operation != "apply":
        made.apply()
    sound(attempts(made, tmp_path / "work", checkout, operation, stride))


def interrupted(upstream: Upstream, monkeypatch: pytest.MonkeyPatch, name: str, left: int) -> None:
    """As if the power failed in the `left`-th call of `materialise.<name>`: nothing is undone."""
    real = getattr(materialise, name)
    calls = iter(range(left))

    def failing(*args: Any) -> Any:  # noqa: ANN401 - handed through
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return real(*args)

    def no_roll_back(*args: Any, **more: Any) -> None:  # noqa: ANN401 - handed through
        del args, more

    monkeypatch.setattr(materialise, name, failing)
    monkeypatch.setattr(materialise, "_roll_back", no_roll_back)
    with pytest.raises(KeyboardInterrupt):
        upstream.apply()
    monkeypatch.undo()


def test_before_the_first_rename_it_is_rolled_back(
    template: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = template.copied(tmp_path / "u")
    interrupted(upstream, monkeypatch, "_stage", 3)
    assert upstream.status().interrupted == "apply"
    with pytest.raises(TreeStateError, match="an apply was interrupted"):
        upstream.regen()
    done = upstream.apply()
    assert done.recovered == "an interrupted apply was rolled back: nothing had been changed"
    assert done.recovered in upstream.events
    assert upstream.content() == after()


def test_after_it_is_finished(template: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upstream = template.copied(tmp_path / "u")
    interrupted(upstream, monkeypatch, "_move", 2)
    assert upstream.status().state is TreeState.PARTIAL
    done = upstream.apply()
    assert done.recovered == "an interrupted apply was finished: 5 files"
    assert done.already
    assert upstream.content() == after()


def test_an_edit_after_the_crash_is_kept(
    template: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = template.copied(tmp_path / "u")
    interrupted(upstream, monkeypatch, "_move", 2)
    upstream.write({"dos.bat": b"edited after the crash\n"})
    with pytest.raises(TreeStateError, match=r"dos\.bat"):
        upstream.apply()
    assert any("1 files were edited since" in event for event in upstream.events)
    assert upstream.content()["dos.bat"] == b"edited after the crash\n"
    assert upstream.status().interrupted is None


def test_the_way_back_after_a_crash(
    template: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = template.copied(tmp_path / "u")
    interrupted(upstream, monkeypatch, "_move", 4)
    done = upstream.unapply()
    assert done.recovered is not None
    assert upstream.content() == dict(BASE)
    assert upstream.index_tree() == upstream.git.tree_of("HEAD")


def test_a_stale_index_lock_of_ours_is_removed(template: Upstream, tmp_path: Path) -> None:
    upstream = template.copied(tmp_path / "u")
    (upstream.folder / ".git" / "index.lock").write_bytes(materialise.OWNER)
    upstream.apply()
    assert upstream.content() == after()
