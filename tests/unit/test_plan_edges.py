"""Edges of recorded builds: counts, device codes, and how many commands of five wheels are distinct."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests import recorded_builds
from tests.recorded_builds import setting_of
from winvllm_build.build.engine.edge import Edge, Language, Roots
from winvllm_build.build.plan import edges, setting
from winvllm_build.errors import ConfigureError


@cache
def recorded(tag: str) -> dict[str, tuple[Edge, ...]]:
    return recorded_builds.recorded(tag)


def of(found: Iterable[Edge], language: Language) -> list[Edge]:
    return [edge for edge in found if edge.language is language]


@pytest.mark.parametrize(
    ("tag", "upstream", "hopper", "distinct"), [("v0.33.0", 1781, 192, 524), ("v0.14.1", 1797, 222, 436)]
)
def test_five_wheels_share_most_of_their_kernels(tag: str, upstream: int, hopper: int, distinct: int) -> None:
    """Upstream compiles FlashAttention 3 for every list; the patched tree for 9.x alone."""
    kernels = [edge for found in recorded(tag).values() for edge in of(found, Language.CUDA)]
    assert len(kernels) + 5 * hopper == upstream
    assert len({edge.key for edge in kernels}) == distinct


@pytest.mark.parametrize(
    ("tag", "edges_of_86", "targets"),
    [
        ("v0.33.0", 94, {"_C_stable_libtorch": 60, "_moe_C_stable_libtorch": 23}),
        ("v0.14.1", 81, {"_C": 53, "_moe_C": 21}),
    ],
)
def test_counts_of_one_list(tag: str, edges_of_86: int, targets: dict[str, int]) -> None:
    own = [edge for edge in recorded(tag)["8.6"] if "_vllm_fa" not in edge.target]
    assert len(own) == edges_of_86
    assert Counter(edge.target for edge in of(own, Language.CUDA)) == targets


def test_device_passes_of_one_list() -> None:
    own = [edge for edge in recorded("v0.33.0")["8.6"] if "_vllm_fa" not in edge.target]
    assert sum(len(edge.gencodes) for edge in own) == 118
    marlin = [edge for edge in own if "sm80_kernel" in edge.source]
    assert len(marlin) == 28
    assert {edge.gencodes for edge in marlin} == {("compute_80", "sm_80")}


@pytest.mark.parametrize("root", ["/w", "/m", "/usr/local/w", "C:/w"])
def test_a_folder_with_a_short_name_is_none_in_longer_ones(root: str) -> None:
    roots = Roots(
        folders={"<workspace>": root, "<tree>": f"{root}/trees/v"}, aliases=(("<workspace>", "/behind/a"),)
    )
    for text, named in {
        f"-I{root}/trees/v/csrc": "-I<tree>/csrc",
        f"{root}/trees/v-old/w8a8/x.cu": "<workspace>/trees/v-old/w8a8/x.cu",
        "<tree>/csrc/w8a8/moe/x.cu": "<tree>/csrc/w8a8/moe/x.cu",
        f"-Xcompiler=-ffile-prefix-map={root}=/winvllm": "-Xcompiler=-ffile-prefix-map=<workspace>=/winvllm",
        f"{root}+b/x": f"{root}+b/x",
        f"{root}.d/x;{root}": f"{root}.d/x;<workspace>",
        "/behind/a/b": "<workspace>/b",
    }.items():
        assert roots.named(text) == named
    assert Roots(folders={}).named("/w/x") == "/w/x"


def test_for_turing_the_second_flash_attention_is_compiled_for_no_architecture() -> None:
    bare = [e for e in of(recorded("v0.33.0")["7.5"], Language.CUDA) if not e.gencodes]
    assert {edge.target for edge in bare} == {"_vllm_fa2_C"}
    assert len(bare) == 76


def test_equal_work_has_one_key_wherever_it_lies() -> None:
    found = recorded("v0.33.0")
    one, other = ({e.source: e for e in found[archs] if e.source} for archs in ("8.0", "8.6"))
    marlin = next(source for source in one if "sm80_kernel" in source)
    topk = "<tree>/csrc/topk.cu"
    assert one[marlin].key == other[marlin].key
    assert one[marlin].arguments != other[marlin].arguments
    assert one[topk].key != other[topk].key


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-gencode", "arch=compute_86,code=sm_86"], ("sm_86",)),
        (["-gencode=arch=compute_80,code=compute_80"], ("compute_80",)),
        (["--generate-code=arch=compute_75,code=[compute_75,sm_75]"], ("compute_75", "sm_75")),
        (["--generate-code", '"arch=compute_120f,code=sm_120f"'], ("sm_120f",)),
        (["-gencode", "arch=compute_86,code=sm_86", "-gencode", "arch=compute_86,code=sm_86"],
         ("sm_86", "sm_86")),
        (["-arch=sm_90a"], ("sm_90a",)),
        (["-archer", "sm_90a", "-O3"], ()),
    ],
    ids=str,
)  # fmt: skip
def test_device_codes_in_all_spellings(words: list[str], expected: tuple[str, ...]) -> None:
    assert edges.gencodes(["nvcc", *words, "-c", "a.cu"]) == expected


def test_a_build_on_windows_is_read_as_recorded_commands_are() -> None:
    """Response files are expanded by ninja; paths have both slashes, the gate and cmd.exe stand in front."""
    gate = ("C:/Py/python.exe", "-I", "C:/ws/gate.py")
    here = setting_of("v1", root="C:/ws", launchers=[gate], windows=True)
    start = r"C:\py\python.exe -I C:/ws/gate.py"  # CMake turns the slashes of the program alone
    found = list(
        edges.of(
            [
                {
                    "output": "CMakeFiles/_C.dir/csrc/topk.cu.obj",
                    "file": "C:/ws/trees/v1/csrc/topk.cu",
                    "command": rf'{start} C:\ws\cuda\bin\nvcc.exe -Xcompiler="-Fd_C.pdb,-FS" '
                    r"-I C:\ws\torch\include -gencode arch=compute_86,code=sm_86 "
                    r"-c C:\ws\trees\v1\csrc\topk.cu -o CMakeFiles\_C.dir\csrc\topk.cu.obj",
                },
                {
                    "output": "_C.pyd",
                    "file": "CMakeFiles/_C.dir/csrc/topk.cu.obj",
                    "command": rf'C:\Windows\system32\cmd.exe /C "cd . && {start} C:\vc\link.exe '
                    r'CMakeFiles\_C.dir\csrc\topk.cu.obj /out:_C.pyd && cd ."',
                },
                {"output": "generated.h", "file": "x.py", "command": "python x.py"},
            ],
            here,
        )
    )
    assert [(e.language, e.target, e.source) for e in found] == [
        (Language.CUDA, "_C", "<tree>/csrc/topk.cu"),
        (Language.LINK, "_C", ""),
    ]
    assert found[0].gencodes == ("sm_86",)
    assert found[0].arguments[:2] == (r"C:\ws\cuda\bin\nvcc.exe", "-Xcompiler=-Fd_C.pdb,-FS")
    assert found[1].arguments[0] == r"C:\vc\link.exe"


def test_a_folder_that_is_not_configured_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigureError, match="no configured build folder") as caught:
        setting.read(tmp_path)
    assert "winvllm-build" in str(caught.value)


def test_a_folder_behind_a_link_has_one_name(tmp_path: Path) -> None:
    """A home folder that is a link: CMake writes the tree as it was given and as it is."""
    (tmp_path / "real" / "trees" / "v1").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "kept").mkdir()
    (tmp_path / "real" / "toolchains").symlink_to(tmp_path / "kept")
    folders = {"<workspace>": f"{tmp_path}/link", "<tree>": f"{tmp_path}/real/trees/v1"}
    roots = setting.with_aliases(folders)
    for start in ("link", "real"):
        assert roots.named(f"-I{tmp_path}/{start}/trees/v1/csrc") == "-I<tree>/csrc"
        assert roots.named(f"{tmp_path}/{start}/sources") == "<workspace>/sources"
    assert roots.named(f"{tmp_path}/kept/cuda") == "<workspace>/toolchains/cuda"
    assert roots.spelt("<workspace>/x") == f"{tmp_path}/link/x"


def test_maps_of_folders_are_the_same_work_with_a_link_and_without() -> None:
    here = replace(
        setting_of("v1"), roots=Roots(folders={"<workspace>": "/w"}, aliases=(("<workspace>", "/real"),))
    )
    maps = ["-ffile-prefix-map=/real=/winvllm", "-ffile-prefix-map=/w=/winvllm"]
    keys = set()
    for chosen in (maps, maps[:1], maps[1:]):
        command = " ".join(["g++", *chosen, "-c", "/w/a.cpp", "-o", "a.o"])
        (one,) = edges.of([{"output": "a.o", "file": "/w/a.cpp", "command": command}], here)
        keys.add(one.key)
    assert len(keys) == 1
