"""Intake of every published source archive from v0.14.1 to v0.33.0, against facts found by other means.

`data/tag_facts.json` was made with regular expressions over the unpacked archives; only the numbers of
sources come from the reader, and those are checked file by file against the trees. The tables in this file
were read by hand for five of the tags.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.real_vllm.conftest import unheard
from winvllm_build.cli.main import run
from winvllm_build.errors import RefusedError
from winvllm_build.index import Index
from winvllm_build.intake import facts
from winvllm_build.intake.add import add_tag
from winvllm_build.intake.brief import brief
from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.dependencies import same_address
from winvllm_build.intake.facts import TagFacts
from winvllm_build.intake.patched import Fate
from winvllm_build.intake.unpinned import released_source, released_tags
from winvllm_build.patchset import manifest
from winvllm_build.sources.pins import SourcePin, read_pins
from winvllm_build.sources.remote import Remotes
from winvllm_build.workspace import Workspace

FACTS: Mapping[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "tag_facts.json").read_text(encoding="utf-8")
)
WITHOUT_ARCHIVE = ("v0.15.0", "v0.15.1")
OF_FLASH_ATTENTION = {"_vllm_fa2_C", "_vllm_fa3_C"}
"""Extensions whose targets are in flash-attention's own CMake files."""
VARIABLES = {
    "cutlass": "VLLM_CUTLASS_SRC_DIR", "triton_kernels": "TRITON_KERNELS_SRC_DIR",
    "flashmla": "FLASH_MLA_SRC_DIR", "qutlass": "QUTLASS_SRC_DIR",
    "vllm-flash-attn": "VLLM_FLASH_ATTN_SRC_DIR", "deepgemm": "DEEPGEMM_SRC_DIR",
    "fmha_sm100": "FMHA_SM100_SRC_DIR", "tml_fa4": "TML_FA4_SRC_DIR", "flashkda": "FLASH_KDA_SRC_DIR",
    "deepselect": "DEEPSELECT_SRC_DIR",
}  # fmt: skip
ARCHS = {
    "v0.14.1": {
        "CUDA >= 13.0": "7.5 8.0 8.6 8.7 8.9 9.0 10.0 11.0 12.0",
        "CUDA >= 12.8": "7.0 7.2 7.5 8.0 8.6 8.7 8.9 9.0 10.0 10.1 12.0",
        "older CUDA": "7.0 7.2 7.5 8.0 8.6 8.7 8.9 9.0",
    },
    "v0.19.0": {
        "CUDA >= 13.0": "7.5 8.0 8.6 8.7 8.9 9.0 10.0 11.0 12.0 12.1",
        "CUDA >= 12.8": "7.0 7.2 7.5 8.0 8.6 8.7 8.9 9.0 10.0 10.1 12.0 12.1",
        "older CUDA": "7.0 7.2 7.5 8.0 8.6 8.7 8.9 9.0",
    },
    "v0.33.0": {
        "CUDA >= 13.4": "7.5 8.0 8.6 8.7 8.9 9.0 10.0 10.7 11.0 12.0",
        "CUDA >= 13.0": "7.5 8.0 8.6 8.7 8.9 9.0 10.0 11.0 12.0",
        "CUDA >= 12.8": "7.5 8.0 8.6 8.7 8.9 9.0 10.0 10.1 10.3 12.0 12.1",
        "older CUDA": "7.0 7.5 8.0 8.6 8.7 8.9 9.0",
    },
}  # fmt: skip
EXTENSIONS = {
    "v0.14.1": "_moe_C cumem_allocator triton_kernels? _vllm_fa2_C _vllm_fa3_C _flashmla_C? "
    "_flashmla_extension_C? _C",
    "v0.20.0": "_moe_C cumem_allocator triton_kernels? _vllm_fa2_C _vllm_fa3_C _vllm_fa4_cutedsl_C? "
    "_flashmla_C? _flashmla_extension_C? _deep_gemm_C? _C _C_stable_libtorch",
    "v0.26.0": "cumem_allocator triton_kernels? spinloop fs_io_C _vllm_fa2_C _vllm_fa3_C "
    "_vllm_fa4_cutedsl_C? _flashmla_C? _flashmla_extension_C? _deep_gemm_C? _qutlass_C? fmha_sm100? tml_fa4? "
    "_C_stable_libtorch _moe_C_stable_libtorch",
}  # fmt: skip
"""In the order of setup.py; `?` is optional."""
TORCH = {
    "v0.14.1": {"torch": "2.9.1", "torchvision": "0.24.1", "torchaudio": "2.9.1"},
    "v0.19.0": {"torch": "2.10.0", "torchvision": "0.25.0", "torchaudio": "2.10.0"},
    "v0.20.0": {"torch": "2.11.0", "torchvision": "0.26.0", "torchaudio": "2.11.0"},
    "v0.26.0": {"torch": "2.11.0", "torchvision": "0.26.0", "torchaudio": "2.11.0"},
    "v0.33.0": {"torch": "2.14.0", "torchvision": "0.29.0", "torchaudio": "2.11.0"},
}

pytestmark = pytest.mark.network
Read = Callable[[str], tuple[SourcePin, Checkout, TagFacts]]


@pytest.fixture(scope="module")
def workspace(test_cache: Path) -> Workspace:
    return Workspace(root=test_cache / "workspace")


@pytest.fixture(scope="module")
def index(workspace: Workspace) -> Index:
    return Index(workspace, on_event=unheard)


@pytest.fixture(scope="module")
def read(workspace: Workspace, index: Index) -> Read:
    """The pin, the files and the facts of a tag, each read once."""

    @cache
    def made(tag: str) -> tuple[SourcePin, Checkout, TagFacts]:
        pin, source = released_source(tag, workspace=workspace, index=index, offline=False, on_event=unheard)
        checkout = Checkout.of(source)
        return pin, checkout, facts.read(checkout)

    return made


def test_the_index_has_every_release(index: Index) -> None:
    found = {one.tag: one.has_sdist for one in released_tags(index)}
    assert [tag for tag in found if tag in FACTS] == list(FACTS)
    assert all(found[tag] for tag in FACTS)
    assert [found[tag] for tag in WITHOUT_ARCHIVE] == [False, False]


@pytest.mark.parametrize("tag", WITHOUT_ARCHIVE)
def test_a_release_without_an_archive_is_refused(tag: str, workspace: Workspace, index: Index) -> None:
    with pytest.raises(RefusedError, match="only as wheels"):
        released_source(tag, workspace=workspace, index=index, offline=False, on_event=unheard)


@pytest.mark.parametrize("tag", FACTS)
def test_facts_of_every_archive(tag: str, read: Read) -> None:
    pin, checkout, found = read(tag)
    expected = FACTS[tag]
    assert pin.abbreviated == expected["commit"]
    assert found.expect.python == expected["python"]
    assert (found.expect.torch, found.cmake.torch) == (expected["torch"], expected["torch"])
    assert found.expect.main_cuda == expected["cuda"]
    assert found.cmake.standards == expected["standards"]
    assert found.cmake.unread == ()
    rust = found.rust
    assert (None if rust is None else [rust.channel, rust.crates, rust.needs_protoc]) == expected["rust"]
    assert {one.content: one.revision for one in found.cmake.pins} == expected["pins"]
    assert {one.content: one.variable for one in found.cmake.pins} == {
        content: VARIABLES[content] for content in expected["pins"]
    }
    for one in found.cmake.pins:  # the line that is named is the one of the call
        assert "FetchContent" in checkout.text(one.file).splitlines()[one.line - 1]


@pytest.mark.parametrize("tag", FACTS)
def test_every_source_is_there_or_generated(tag: str, read: Read) -> None:
    _, checkout, found = read(tag)
    expected = FACTS[tag]["targets"]
    assert {target.name: len(target.sources) for target in found.cmake.targets} == expected
    missing = {
        file.path
        for target in found.cmake.targets
        for file in target.sources
        if not file.path.startswith("${") and file.path not in checkout.entries
    }
    assert all(path.endswith(("kernel_*.cu", "float16.cu", "machete/generated/*.cu")) for path in missing)
    assert len(missing) == 8
    projects = {one.content for one in found.cmake.pins}
    foreign = {
        file.path.partition("_SOURCE_DIR}")[0].removeprefix("${")
        for target in found.cmake.targets
        for file in target.sources
        if file.path.startswith("${")
    }
    assert foreign <= projects


@pytest.mark.parametrize("tag", FACTS)
def test_every_extension_has_its_target_and_every_target_a_use(tag: str, read: Read) -> None:
    _, _, found = read(tag)
    targets = {target.name for target in found.cmake.targets}
    extensions = {one.target for one in found.extensions}
    assert extensions <= targets | OF_FLASH_ATTENTION
    served = {name for pin in found.cmake.pins for name in pin.targets}
    assert served <= targets | OF_FLASH_ATTENTION
    assert all(pin.targets for pin in found.cmake.pins)


@pytest.mark.parametrize("tag", ARCHS)
def test_supported_architectures(tag: str, read: Read) -> None:
    _, _, found = read(tag)
    said = {
        one.condition.replace(
            "DEFINED CMAKE_CUDA_COMPILER_VERSION AND CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL",
            "CUDA >=",
        ): " ".join(one.archs)
        for one in found.cmake.archs
    }
    assert said == ARCHS[tag]


@pytest.mark.parametrize("tag", EXTENSIONS)
def test_extensions_of_setup_py(tag: str, read: Read) -> None:
    _, _, found = read(tag)
    said = " ".join(f"{one.target}{'?' if one.optional else ''}" for one in found.extensions)
    assert said == EXTENSIONS[tag]


@pytest.mark.parametrize("tag", TORCH)
def test_torch_and_what_has_to_fit_it(tag: str, read: Read) -> None:
    assert read(tag)[2].expect.pinned == TORCH[tag]


def test_conditions_of_a_kernel(read: Read) -> None:
    """Machete is for Hopper, Marlin with FP8 for 8.9 and 12.x, as CMakeLists.txt says."""
    _, _, found = read("v0.33.0")
    (stable,) = [target for target in found.cmake.targets if target.name == "_C_stable_libtorch"]
    by_path = {file.path: file.conditions for file in stable.sources}
    machete = by_path["csrc/quantization/machete/machete_pytorch.cu"]
    assert [(one.text, one.archs) for one in machete] == [
        ("CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.0 AND MACHETE_ARCHS", ("9.0a",))
    ]
    marlin = by_path["csrc/quantization/marlin/sm89_kernel_*.cu"]
    assert [(one.text, one.archs) for one in marlin] == [
        ("MARLIN_OTHER_ARCHS", ("7.5", "8.0+PTX")),
        ("MARLIN_FP8_ARCHS", ("8.9", "12.0f", "12.0a", "12.1a")),
    ]
    assert by_path["csrc/activation_kernels.cu"] == ()


def test_the_shipped_manifest_is_what_add_writes(
    checkout: Path, workspace: Workspace, index: Index, tmp_path: Path
) -> None:
    made = add_tag(
        tmp_path, "v0.14.1", previous=None, workspace=workspace, index=index, offline=False,
        on_event=unheard, remotes=Remotes(offline=True),
    )  # fmt: skip
    shipped = checkout / "patches" / "v0.14.1" / "patchset.toml"
    ours, theirs = read_pins(made.manifest), read_pins(shipped)
    assert ours.upstream.sdist == theirs.upstream.sdist
    assert theirs.upstream.commit is not None
    assert theirs.upstream.commit.startswith(ours.upstream.abbreviated or "none")
    by_content = {pin.content: pin for pin in ours.dependencies}
    assert sorted(by_content) == sorted(pin.content for pin in theirs.dependencies)
    for pin in theirs.dependencies:
        mine = by_content[pin.content]
        assert same_address(mine.url, pin.url)
        assert (mine.revision, mine.variable, mine.folder) == (pin.revision, pin.variable, pin.folder)
        assert (set(mine.targets), set(mine.archs)) == (set(pin.targets), set(pin.archs))
        assert mine.commit in (None, pin.commit)
    expect, said = manifest.read(made.manifest).expect, manifest.read(shipped).expect
    assert (expect["python"], expect["torch"]) == (said["python"], said["torch"])


@pytest.mark.parametrize("tag", ["v0.19.0", "v0.20.0", "v0.26.0", "v0.33.0"])
def test_a_new_tag_carries_the_shipped_manifest(
    tag: str, checkout: Path, workspace: Workspace, index: Index, tmp_path: Path
) -> None:
    shipped = tmp_path / "v0.14.1" / "patchset.toml"
    shipped.parent.mkdir()
    shipped.write_bytes((checkout / "patches" / "v0.14.1" / "patchset.toml").read_bytes())
    made = add_tag(
        tmp_path, tag, previous=None, workspace=workspace, index=index, offline=False, on_event=unheard,
        remotes=Remotes(offline=True),
    )  # fmt: skip
    found, old = read_pins(made.manifest), read_pins(shipped)
    assert made.previous == "v0.14.1"
    assert {pin.content: pin.revision for pin in found.dependencies} == FACTS[tag]["pins"]
    assert [pin.name for pin in found.dependencies][:5] == [pin.name for pin in old.dependencies]
    rules = manifest.read(made.manifest)
    assert rules.topics == manifest.read(shipped).topics
    assert (rules.expect["torch"], rules.expect["cuda"]) == (FACTS[tag]["torch"], ">=12.6,<14")
    for pin in found.dependencies:
        before = next((one for one in old.dependencies if one.name == pin.name), None)
        same = before is not None and before.revision == pin.revision
        own = pin.revision if len(pin.revision) == 40 else None
        assert pin.commit == (before.commit if same and before is not None else own)
        assert bool(pin.package) == (same and before is not None and before.package is not None)
        assert same or not pin.submodules


def test_the_brief_of_the_longest_way(checkout: Path, workspace: Workspace, index: Index) -> None:
    root = checkout / "patches"
    for tag in ("v0.14.1", "v0.33.0"):
        released_source(tag, workspace=workspace, index=index, offline=False, on_event=unheard)
    begun = time.process_time()
    made = brief(root, "v0.14.1", "v0.33.0", workspace=workspace, index=index, offline=True, on_event=unheard)
    assert time.process_time() - begun < 3
    assert made.patched is not None
    fates = {file.path: file.fate for file in made.patched}
    assert fates["csrc/quantization/marlin/sparse/common/base.h"] is Fate.GONE
    assert fates["csrc/quantization/gptq_marlin/generate_kernels.py"] is Fate.MOVED
    assert fates["CMakeLists.txt"] is Fate.CHANGED
    moved = {file.path: file.new for file in made.patched if file.fate is Fate.MOVED}
    assert moved["csrc/quantization/gptq_marlin/generate_kernels.py"] == (
        "csrc/quantization/marlin/generate_kernels.py"
    )
    states = {one.content: one.state.value for one in made.pins}
    assert [name for name, state in states.items() if state == "new"] == [
        "deepgemm", "deepselect", "fmha_sm100", "flashkda", "tml_fa4",
    ]  # fmt: skip
    machine = {one.what: (one.old, one.new) for one in made.machine}
    assert machine["torch"] == ("2.9.1", "2.14.0")
    assert machine["Rust toolchain"] == ("", "1.95")
    targets = {one.name: one for one in made.targets}
    assert (targets["_C"].state.value, targets["_C"].size) == ("gone", 0)
    came = {one.path: one.target for one in targets["_C_stable_libtorch"].added}
    assert came["csrc/cache_kernels.cu"] == "_C"


def test_a_folder_that_came_back_is_a_move(
    workspace: Workspace, read: Read, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`csrc/libtorch_stable` of v0.31.0 is `csrc` again in v0.32.0."""
    read("v0.31.0")
    read("v0.32.0")
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(workspace.root))
    assert run(["tags", "diff", "v0.31.0", "v0.32.0", "--offline", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    first = told["folders"][0]
    assert (first["old"], first["new"]) == ("csrc/libtorch_stable", "csrc")
    assert first["files"] > 150
    (stable,) = [one for one in told["targets"] if one["name"] == "_C_stable_libtorch"]
    assert (len(stable["added"]), len(stable["removed"]), len(stable["moved"])) == (1, 3, 83)
