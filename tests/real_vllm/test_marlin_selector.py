"""The Marlin generators choose the same kernels on Windows, in chains that MSVC can compile (C1061)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from winvllm_build.audit.device.selectors import deepest_chain, parse, regions
from winvllm_build.audit.device.selectors import differing as differing_choices

pytestmark = pytest.mark.network
GENERATORS = (
    "csrc/quantization/gptq_marlin/generate_kernels.py",
    "csrc/moe/marlin_moe_wna16/generate_kernels.py",
)
SELECTOR = "kernel_selector.h"
STALE = "sm80_kernel_stale.cu"
NESTED_BLOCKS = 128
"""MSVC gives up at this depth; every `else if` counts as one."""
RUNNER = """\
import runpy, sys
script, archs, platform = sys.argv[1:4]
sys.platform = platform
sys.argv = [script, archs]
runpy.run_path(script, run_name="__main__")
"""
HEAD = "if ("
GENERIC = "if (a_type == vllm::kFloat16) {\n  kernel = Wrong;\n}\n"


def generated(script: Path, archs: str, folder: Path, platform: str = sys.platform) -> dict[str, bytes]:
    """What a copy of the generator writes into `folder`, where a stale kernel and selector lie."""
    folder.mkdir()
    copy = folder / script.name
    shutil.copyfile(script, copy)
    for name in (STALE, SELECTOR):
        (folder / name).write_text("stale")
    command = [sys.executable, "-c", RUNNER, str(copy), archs, platform]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    return {path.name: path.read_bytes() for path in folder.iterdir() if path != copy}


def differing(before: str, after: str) -> list[tuple[str, str]]:
    """The choices that differ between two selectors, over all configurations."""
    return differing_choices(parse(before), parse(after))


@pytest.mark.parametrize("archs", ["8.6", "7.5,8.6,8.9,12.0"])
@pytest.mark.parametrize("generator", GENERATORS)
def test_every_configuration_gets_the_same_kernel(
    pristine_tree: Path, patched_tree: Path, tmp_path: Path, generator: str, archs: str
) -> None:
    upstream = generated(pristine_tree / generator, archs, tmp_path / "upstream")
    assert STALE not in upstream
    assert generated(patched_tree / generator, archs, tmp_path / "here") == upstream
    windows = generated(patched_tree / generator, archs, tmp_path / "windows", "win32")
    before, after = upstream.pop(SELECTOR).decode(), windows.pop(SELECTOR).decode()
    assert windows == upstream
    assert differing(before, after) == []
    chosen = [region for region in regions(parse(before), parse(after)) if region.before]
    assert len(chosen) > 400
    assert deepest_chain(parse(before)) > NESTED_BLOCKS
    assert deepest_chain(parse(after)) < NESTED_BLOCKS


@pytest.fixture(scope="module")
def selectors(
    pristine_tree: Path, patched_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str]:
    """Upstream's selector, and the patched one for Windows."""
    folder = tmp_path_factory.mktemp("selectors")
    texts = [
        generated(tree / GENERATORS[0], "7.5,8.9", folder / platform, platform)[SELECTOR].decode()
        for tree, platform in ((pristine_tree, "linux"), (patched_tree, "win32"))
    ]
    return texts[0], texts[1]


def damaged(name: str, text: str) -> str:
    head, _, tail = text.partition(HEAD)
    first, second = re.findall(r"kernel = (Marlin<[^;]*>);", text)[:2]
    match name:
        case "swapped branches":
            return text.replace(first, "?").replace(second, first).replace("?", second)
        case "dropped branch":
            return re.sub(r"if \([^{]*\{[^}]*\}\n", "", text, count=1)
        case "other condition":
            return re.sub(r"stages == 2", "stages == 4", text, count=1)
        case "general branch in front":
            return head + GENERIC.replace("}", "  break;\n}") + HEAD + tail
        case "no break":
            return text.replace("  break;\n", "").replace("} while", GENERIC + "} while")
        case _:
            raise ValueError(name)


@pytest.mark.parametrize(
    "name", ["swapped branches", "dropped branch", "other condition", "general branch in front", "no break"]
)
def test_a_damaged_selector_is_noticed(selectors: tuple[str, str], name: str) -> None:
    upstream, windows = selectors
    assert differing(upstream, windows) == []
    assert differing(upstream, damaged(name, windows))


@pytest.mark.parametrize(
    ("old", "new"),
    [("break;", "continue;"), (" && ", " || "), ("do {", "{"), ("} while (false);", "}"), (" == ", " != ")],
)
def test_an_unknown_form_is_refused(selectors: tuple[str, str], old: str, new: str) -> None:
    with pytest.raises(ValueError, match=r"cannot parse|not one statement|not a conjunction|loop"):
        parse(selectors[1].replace(old, new, 1))
