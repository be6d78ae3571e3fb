"""Shares of a build on machines of their own, replayed: each edge once, only links where they meet."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.replay import compiler, recorded
from benchmarks.replay.compiler import Scale
from benchmarks.shards import Runner, pieces
from winvllm_build.build.engine.record import Outcome
from winvllm_build.build.matrix.shares import dealt
from winvllm_build.build.store import transfer

pytestmark = pytest.mark.skipif(
    not compiler.available(), reason="the replay compiler is for POSIX and needs cc"
)
NUMBER = 14


def test_the_machine_that_links_compiles_nothing(tmp_path: Path) -> None:
    wanted = recorded.thinned(recorded.load(recorded.SMALL), NUMBER)
    toolkit = compiler.build(tmp_path / "toolkit", Scale(time=0.001))
    toolkit.configure(wanted)
    compiled: Counter[str] = Counter()
    for number, share in enumerate(dealt(pieces(wanted), 2)):
        runner = Runner(tmp_path, f"runner{number}", wanted, toolkit)
        outputs = [piece.output for piece in share]
        assert runner.run(outputs, 2)[Outcome.COMPILED] == len(outputs)
        compiled.update(outputs)
        assert transfer.export(runner.store, tmp_path / f"{number}.tar").edges == len(outputs)
    assert set(compiled.values()) == {1}
    last = Runner(tmp_path, "last", wanted, toolkit)
    for number in range(2):
        transfer.import_(last.store, tmp_path / f"{number}.tar")
    found = last.run(None, 2)
    assert found[Outcome.REUSED] == len(compiled) == NUMBER
    assert found[Outcome.COMPILED] == sum(edge.links for edge in wanted)
    assert last.built.missing() == []
