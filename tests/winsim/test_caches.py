"""The arithmetic of `winvllm_build.runtime` against the planning of a real vLLM."""

from __future__ import annotations

import pytest

from tests.kv_caches import SMALL, recorded, same_plan
from tests.winsim.conftest import Machines

pytestmark = pytest.mark.network


def test_vllm_plans_what_was_recorded_and_what_is_computed(machine: Machines) -> None:
    ended = machine("v0.33.0", emulated=False).run("winsim.caches", *SMALL)
    assert ended.status == 0, ended.text[-3000:]
    assert sorted(ended.answer) == sorted(SMALL), ended.text[-3000:]
    for name, model in ended.answer.items():
        assert model["answer"] == recorded()[name]["answer"], name
        same_plan(model)
