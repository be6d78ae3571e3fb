"""`build --shard --export` where an edge failed: what is finished is written all the same."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from tests.store_bench import Bench
from winvllm_build.build.matrix import sharded
from winvllm_build.build.matrix.sharded import Dealt
from winvllm_build.build.matrix.shares import Piece, Share
from winvllm_build.build.pipeline import BuildRequest
from winvllm_build.build.store import transfer
from winvllm_build.cli import shard
from winvllm_build.cli.profiles import resolve_profile
from winvllm_build.cli.watch import watching
from winvllm_build.errors import CompileError
from winvllm_build.workspace import Workspace

SOURCES = ("a.cpp", "b.cpp")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    workspace = Workspace.default()
    made = Bench(workspace.objects, tmp_path / "tree", workspace.builds / "v1-sm86-release-1")
    for name in SOURCES:
        made.write(name, f"int {name[0]}() {{ return 1; }}\n")
    return made


def compile_a_failing_share(bench: Bench, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """A share of two builds, of which the second has no part in it."""
    piece = Piece(identity="i", build=0, output="a.cpp.o", name="a.cpp", seconds=1.0, memory=1, size=1)
    dealt = Dealt(
        share=Share(index=1, count=2),
        builds=(bench.build, bench.build.with_name("another")),
        pieces=(piece,),
        everything=(piece,),
    )

    def fail(*_: object) -> NoReturn:
        raise CompileError("b.cpp cannot be compiled")

    monkeypatch.setattr(sharded, "deal", lambda *_: dealt)
    monkeypatch.setattr(sharded, "run", fail)
    requests = [BuildRequest(resolved=resolve_profile(None, overrides={}))] * 2
    with watching() as watch, pytest.raises(CompileError, match=r"b\.cpp cannot be compiled"):
        shard.run(requests, "1/2", file, watch)


def test_what_a_failed_share_finished_is_exported(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run(*(bench.compile_edge(name) for name in SOURCES))
    file = tmp_path / "share.tar"
    compile_a_failing_share(bench, monkeypatch, file)
    assert transfer.import_(tmp_path / "elsewhere", file).edges == len(SOURCES)


def test_where_nothing_was_finished_the_error_stays_the_compilers(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "share.tar"
    compile_a_failing_share(bench, monkeypatch, file)
    assert f"{file} is not written" in " ".join(capsys.readouterr().err.split())
    assert not file.exists()
