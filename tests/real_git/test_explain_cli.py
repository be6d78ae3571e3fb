"""`port NEW --explain` on the command line: commits where there is a clone, releases where there is none."""

from __future__ import annotations

import json

import pytest

from tests.long_upstream import BROKEN, LongUpstream, sealed, subject
from tests.patch_upstream import TAG
from winvllm_build.cli.main import run
from winvllm_build.errors import UsageError
from winvllm_build.patchset.patchset import PatchSet

NEW = "v1.6.0"


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> LongUpstream:
    return sealed(tmp_path_factory.mktemp("long"))


@pytest.fixture
def settings(long: LongUpstream, monkeypatch: pytest.MonkeyPatch) -> PatchSet:
    """The command line, with the archives of `long` as the package index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(long.small.links))
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(long.small.workspace.root))
    return long.patch_set


def explain(long: LongUpstream, *words: str) -> int:
    return run(["port", NEW, *words, "--from", TAG, "--explain", "--patches", str(long.patches)])


def test_the_command_names_commits(
    long: LongUpstream, settings: PatchSet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(long, "--history", str(long.folder)) == 0
    said = capsys.readouterr().out
    short = long.commits[17][:12]
    assert (
        f"  broken by {short} {subject(17)}\n    2023-12-02, Ada Lovelace, https://example.invalid/u/pull/417\n"
        in said
    )
    assert "      +hot breaks it 20 now\n" in said
    assert "  not monotone: it changed 3 times; the last one above counts\n" in said
    assert "back.py" not in said
    assert settings.tag == TAG


def test_the_command_names_a_patch_that_never_broke(
    long: LongUpstream, settings: PatchSet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(long, "same.py", "--history", str(long.folder)) == 0
    assert f"never broken from {settings.tag} to {NEW}" in capsys.readouterr().out


def test_without_history_the_release_is_named(
    long: LongUpstream, settings: PatchSet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(long, "flip.py", "gone.cu", "hot.py", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    turns = {one["path"]: [turn["at"] for turn in one["turns"]] for one in found["patches"]}
    assert turns == {"flip.py": ["v1.3.0", "v1.4.0", "v1.6.0"], "gone.cu": ["v1.5.0"], "hot.py": ["v1.4.0"]}
    hot = next(one for one in found["patches"] if one["path"] == "hot.py")
    assert (hot["turns"][0]["before"], hot["turns"][0]["unseen"]) == ("v1.3.0", ["v1.3.1"])
    assert "+hot breaks it 20 now" in hot["turns"][0]["change"][0]["lines"]
    assert found["from"] == settings.tag
    assert explain(long) == 0
    said = capsys.readouterr().out
    assert "broken by v1.4.0, or by v1.3.1, of which there are no files (last carried on v1.3.0)" in said
    assert {
        line.split(":")[0] for line in said.splitlines() if f" on {NEW}" in line and not line.startswith(" ")
    } == {path for path, numbers in BROKEN.items() if len(numbers) % 2}


def test_a_release_that_is_not_newer_is_refused(long: LongUpstream, settings: PatchSet) -> None:
    assert (
        run(["port", settings.tag, "--from", TAG, "--explain", "--patches", str(long.patches)])
        == UsageError.exit_code
    )
