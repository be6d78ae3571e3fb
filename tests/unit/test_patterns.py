"""Files named with wildcards, which Windows' shells leave to the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.cli import patterns
from winvllm_build.cli.main import run
from winvllm_build.errors import SourceError, UsageError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("shard-2.tar", "shard-1.tar", "shard-3.txt", "shard-[1].tar", "below/shard-4.tar"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "shard-folder.tar").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["shard-1.tar"], ["shard-1.tar"]),
        (["gone.tar"], ["gone.tar"]),
        (["shard-?.tar"], ["shard-1.tar", "shard-2.tar"]),
        (["shard-2.tar", "shard-?.tar"], ["shard-2.tar", "shard-1.tar"]),
        (["shard-[1].tar"], ["shard-[1].tar"]),
        (["shard-[12].tar"], ["shard-1.tar", "shard-2.tar"]),
        (["shard-f*.tar", "*/*.tar"], None),
        (["*/*.tar"], ["below/shard-4.tar"]),
        ([], []),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_is_meant(words: list[str], meant: list[str] | None) -> None:
    if meant is None:
        with pytest.raises(UsageError, match=r"no file matches shard-f\*\.tar"):
            patterns.files(words)
    else:
        assert patterns.files(words) == tuple(map(Path, meant))


def test_a_pattern_with_its_folder(here: Path) -> None:
    assert patterns.files([str(here / "b*" / "*")]) == (here / "below" / "shard-4.tar",)


@pytest.mark.usefixtures("here")
def test_an_import_reads_what_a_pattern_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["state", "import", "nothing-*.tar"]) == UsageError.exit_code
    assert "no file matches nothing-*.tar" in capsys.readouterr().err
    assert run(["state", "import", "shard-?.tar"]) == SourceError.exit_code
    assert "shard-1.tar is no whole export" in capsys.readouterr().err
