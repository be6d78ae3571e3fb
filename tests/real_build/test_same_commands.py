"""A patched tree is configured on Linux into the same compile commands as upstream's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.configured import Bench
from winvllm_build.workspace import Workspace

pytestmark = [pytest.mark.network, pytest.mark.nvcc]
FA3 = "vllm-flash-attn/CMakeFiles/_vllm_fa3_C.dir/"


def test_the_commands_are_upstreams_and_fa3_goes_only_where_asked(
    checkout: Path, test_cache: Path, tmp_path: Path
) -> None:
    bench = Bench(
        checkout=checkout, workspace=Workspace(root=test_cache / "workspace"), folder=tmp_path,
        tag="v0.33.0", archs=("8.6",),
    )  # fmt: skip
    upstream, patched = bench.graph(patched=False), bench.graph(patched=True)
    assert len(upstream.commands) > 80
    assert (patched.commands, patched.targets) == (upstream.commands, upstream.targets)
    asked = bench.graph(patched=True, VLLM_FA3_IF_HOPPER="ON")
    assert asked.targets == upstream.targets
    assert {name for name in asked.commands if name not in patched.commands} == {
        name for name in asked.commands if name.startswith(FA3) and name.endswith("fa3_unavailable.cpp.o")
    }
    assert {name for name in patched.commands if name not in asked.commands} == {f"{FA3}hopper.cpp.o"}
