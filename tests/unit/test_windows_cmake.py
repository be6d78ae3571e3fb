"""What Windows' CMake 3.31.10 wrote and ninja 1.13.2 printed (Wine 8.0, no compilers), as it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.recorded_builds import setting_of
from winvllm_build.build.engine import commandline, order
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.plan import edges, kinds, words

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
    assert read[1].gencodes == ("sm_86",)
    assert kinds.kind_of(read[1]) is kinds.Kind.ORDINARY


def test_the_gate_knows_the_command_that_the_launcher_was_given(
    entries: list[dict[str, Any]], read: list[Edge]
) -> None:
    for entry, edge in zip(entries[:2], read, strict=False):
        given = words.split(entry["command"], windows=True)[len(LAUNCHERS[0]) :]
        assert commandline.output_of(given, "C:/ws/build", windows=True) == edge.output
        whole = [word.replace("CMakeFiles", r"C:\ws\build\CMakeFiles") for word in given]
        assert commandline.output_of(whole, r"C:\ws\build", windows=True) == edge.output
        assert commandline.is_same(given, edge.arguments)


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
