"""What can be imported on Linux can be imported on Windows."""

from __future__ import annotations

import pytest

from tests.winsim.conftest import Machines

pytestmark = [pytest.mark.network, pytest.mark.timeout(1200)]
TAGS = ("v0.14.1", "v0.19.0", "v0.33.0")
ONLY_ON_LINUX = {
    "v0.33.0": {
        "vllm.model_executor.model_loader.weight_cache.daemon": "`vllm preload` alone starts it, and refuses",
    },
}
"""Modules that Windows cannot import, by tag, with the reason why that is right."""


@pytest.mark.parametrize("tag", TAGS)
def test_every_module_that_imports_on_linux_imports_on_windows(machine: Machines, tag: str) -> None:
    tree = machine(tag).tree
    linux = machine(tag, emulated=False).run("winsim.sweep", tree)
    windows = machine(tag).run("winsim.sweep", tree)
    assert len(linux.answer) > 1000, linux.text[-3000:]
    assert linux.answer.keys() == windows.answer.keys()
    lost = {
        name: error
        for name, error in windows.answer.items()
        if error is not None and linux.answer[name] is None
    }
    assert lost.keys() == ONLY_ON_LINUX.get(tag, {}).keys(), lost
