"""What Windows' CMake 3.31.10 wrote and ninja 1.13.2 printed (Wine 8.0, no compilers), as it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.recorded_builds import setting_of
from winvllm_build.build.engine import commandline, order
from winvllm_build.build.engine.edge import Edge, Language, Roots
from winvllm_build.build.plan import edges, kinds, words
from winvllm_build.build.store import command as store_command
from winvllm_build.build.store.digests import Digests
from winvllm_build.build.store.places import Places
from winvllm_build.build.store.reading import Reader

FOLDER = Path("tests/recorded/windows-cmake")
LAUNCHERS = [
    (r"C:/Py thon/python.exe", "-I", "-S", "C:/ws/gate/launcher.pyc"),
    (r"C:/py/python.exe", "-I", "-S", "C:/ws/gate/launcher.pyc"),
]


@pytest.fixture
def entries(checkout: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((checkout / FOLDER / "compdb.json").read_bytes())
    return found


@pytest.fixture
def read(entries: list[dict[str, Any]]) -> list[Edge]:
    return list(edges.of(entries, setting_of("v1", root="C:/ws", launchers=LAUNCHERS, windows=True)))


def test_edges_are_those_of_the_compilers_without_the_launcher(read: list[Edge]) -> None:
    assert [(edge.language, edge.target, edge.output) for edge in read] == [
        (Language.CXX, "_C", "CMakeFiles/_C.dir/csrc/alpha.cpp.obj"),
        (Language.CUDA, "_C", "CMakeFiles/_C.dir/csrc/topk.cu.obj"),
        (Language.LINK, "_C", "_C.pyd"),
    ]
    assert [edge.arguments[0] for edge in read[:2]] == [r"C:\vc\cl.exe", r"C:\cuda\bin\nvcc.exe"]
    assert read[2].arguments[:3] == (r"C:\cmake\bin\cmake.exe", "-E", "vs_link_dll")
    assert read[2].arguments[read[2].arguments.index("--") + 1] == r"C:\vc\link.exe"
    assert not any("launcher" in word for edge in read for word in edge.arguments)
    assert read[1].gencodes == ("sm_86",)
    assert kinds.kind_of(read[1]) is kinds.Kind.ORDINARY


def test_the_gate_knows_the_command_that_the_launcher_was_given(
    entries: list[dict[str, Any]], read: list[Edge]
) -> None:
    for entry, edge in zip(entries[:2], read, strict=False):
        given = words.split(entry["command"], windows=True)[len(LAUNCHERS[0]) :]
        assert commandline.output_of(given, "C:/ws/build", windows=True) == edge.output
        assert not commandline.is_same([*given, "-DX"], edge.arguments)
        whole = [word.replace("CMakeFiles", r"C:\ws\build\CMakeFiles") for word in given]
        assert commandline.output_of(whole, r"C:\ws\build", windows=True) == edge.output
        assert commandline.is_same(given, edge.arguments)


def test_the_gate_knows_the_linker_that_cmake_starts(entries: list[dict[str, Any]], read: list[Edge]) -> None:
    """CMake's wrapper adds where the manifest goes."""
    listed = words.split(entries[2]["command"], windows=True)
    given = listed[listed.index("--") + 1 + len(LAUNCHERS[1]) :]
    assert commandline.output_of(given, "C:/ws/build", windows=True) == "_C.pyd"
    assert commandline.is_same([*given, "/MANIFEST:EMBED,ID=2"], read[2].arguments)
    assert not commandline.is_same([*given, "another.lib"], read[2].arguments)


def test_what_an_edge_makes_is_none_of_its_inputs(
    read: list[Edge], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows both spellings are one file; here each is made."""
    monkeypatch.chdir(tmp_path)
    for edge in read[:2]:
        command = store_command.read(
            edge.arguments, edge.language, edge.output, text_of=lambda _: None, windows=True
        )
        assert not command.refusal
        for name in (edge.output, edge.output.replace("/", "\\"), f"{edge.output}.d"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("made")
        (tmp_path / r"C:\ws\tree\csrc\topk.cu").write_text("read")
        reader = Reader(Places(Roots(folders={}), tmp_path, windows=False), {}, Digests(tmp_path / "digests"))
        given = reader._given(edge, command)
        assert not any(edge.output.rpartition("/")[2] in name for name in given)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_order_is_that_which_was_wished(
    checkout: Path, tmp_path: Path, read: list[Edge], end: str
) -> None:
    """CMake ends lines as Windows does."""
    text = (checkout / FOLDER / "build.ninja").read_text(encoding="utf-8")
    file = tmp_path / "build.ninja"
    file.write_bytes(text.replace("\n", end).encode())
    wished = [read[1].output, read[0].output]
    assert order.reorder(tmp_path, wished)
    found = file.read_bytes().decode()
    assert [piece.output for piece in order.pieces(found) if piece.output] == wished
    assert sorted(found.split(end)) == sorted(text.split("\n"))
    assert not order.reorder(tmp_path, wished)
