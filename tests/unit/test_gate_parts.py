"""The gate's parts: the order of a manifest, memory as sums, messages, edges from command lines."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winvllm_build.build.engine import commandline, memory, order, protocol
from winvllm_build.build.engine.edge import Language
from winvllm_build.profile.machine import Machine

GIB = 1 << 30
MANIFEST = """\
# CMAKE generated file
ninja_required_version = 1.5
include CMakeFiles/rules.ninja

build order_one: phony || .

build one.dir/a.cpp.o: CXX_COMPILER__one_Release /src/a.cpp || order_one
  FLAGS = -O3
  OBJECT_DIR = one.dir

build one.dir/sp$ ace.cu.o: CUDA_COMPILER__one_Release /src/sp$ ace.cu || order_one
  FLAGS = -O2

build libone.so: CXX_MODULE_LIBRARY_LINKER__one_Release one.dir/a.cpp.o one.dir/sp$ ace.cu.o
  LINK_FLAGS = -shared

build two.dir/c.cu.o two.dir/c.extra: CUDA_COMPILER__two_Release C$:/src/c.cu
  FLAGS = -O1

default libone.so
"""


def test_compile_statements_change_places_and_nothing_else_does() -> None:
    found = order.ordered(MANIFEST, ["two.dir/c.cu.o", "one.dir/sp ace.cu.o"])
    assert sorted(found.splitlines()) == sorted(MANIFEST.splitlines())
    outputs = [piece.output for piece in order.pieces(found) if piece.output]
    assert outputs == ["two.dir/c.cu.o", "one.dir/sp ace.cu.o", "one.dir/a.cpp.o"]
    assert found.index("build libone.so") > found.index("build one.dir/sp$ ace.cu.o")
    assert (
        "build two.dir/c.cu.o two.dir/c.extra: CUDA_COMPILER__two_Release C$:/src/c.cu\n  FLAGS = -O1\n"
        in found
    )
    assert order.ordered(found, ["two.dir/c.cu.o", "one.dir/sp ace.cu.o"]) == found


def test_the_manifest_of_windows_has_backslashes() -> None:
    """As CMake writes them there; ninja names the same files with slashes."""
    manifest = MANIFEST.replace(".dir/", ".dir\\")
    wished = ["two.dir/c.cu.o", "one.dir/sp ace.cu.o"]
    found = order.ordered(manifest, wished)
    assert [piece.output for piece in order.pieces(found) if piece.output][:2] == wished
    assert sorted(found.splitlines()) == sorted(manifest.splitlines())


LINES = (
    "build a.o: CXX_COMPILER__x a\n", "  FLAGS = 1\n", "\n", "# build\n", "build b: phony\n",
    "build $:c.o: CUDA_COMPILER__y c\n", "x = 1\n",
)  # fmt: skip


@given(st.lists(st.sampled_from(LINES)))
def test_pieces_are_the_whole_manifest(lines: list[str]) -> None:
    text = "".join(lines)
    assert "".join(piece.text for piece in order.pieces(text)) == text
    assert sorted(order.ordered(text, []).splitlines()) == sorted(text.splitlines())


def test_memory_of_a_tree_is_that_of_everything_below_its_root() -> None:
    parents = {10: 1, 11: 10, 12: 11, 20: 1, 21: 20, 30: 31, 31: 30}
    sizes = dict.fromkeys(parents, 5)
    assert memory.trees({10, 20}, parents, sizes) == {10: 10, 20: 5}


def test_what_other_programs_take_is_no_longer_in_the_budget() -> None:
    room = memory.room(Machine(memory=10 * GIB, cores=4))
    assert room.reserve == int(1.5 * GIB)
    assert room.budget(10 * GIB, 0) == int(8.5 * GIB)
    assert room.budget(6 * GIB, 4 * GIB) == int(8.5 * GIB), "what edges took is theirs"
    assert room.budget(5 * GIB, 2 * GIB) == int(5.5 * GIB), "somebody else took 3 GiB"
    assert room.budget(0, 0) == 0


def test_a_container_needs_a_smaller_reserve_and_a_large_machine_no_larger_one() -> None:
    assert memory.room(Machine(memory=10 * GIB, cores=4, limited_by="memory.max")).reserve == GIB // 2
    assert memory.room(Machine(memory=100 * GIB, cores=4)).reserve == 4 * GIB


def test_messages_arrive_as_they_were_sent() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        body = b"\0".join((b"ended", b"-9", b"1.5", b"4096", b"text\0with\0nul\xff"))
        theirs.sendall(len(body).to_bytes(4, "big") + body)
        report = protocol.read_report(ours)
        assert (report.code, report.cpu, report.memory, report.text) == (
            -9,
            1.5,
            4096,
            b"text\0with\0nul\xff",
        )
        body = b"\0".join((b"token", protocol.VERSION, b"1", b"/b\xff", b"nvcc", b"", b"x y.cu"))
        theirs.sendall(len(body).to_bytes(4, "big") + body)
        ask = protocol.read_ask(ours, b"token")
        assert (ask.command, ask.pid) == (("nvcc", "", "x y.cu"), 1)
        assert not protocol.is_closed(ours)
        theirs.close()
        assert protocol.is_closed(ours)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\5hello",
        b"\0\0\0\x0eother\0001\0001\0/b\0x",
        b"\0\0\0\x10token\0009\0001\0/b\0x\0y",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_stranger_is_sent_away(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(protocol.BrokenLineError):
            protocol.read_ask(ours, b"token")


@pytest.mark.parametrize(
    ("command", "language", "output", "source"),
    [
        (("/usr/bin/nvcc", "-c", "/t/a.cu", "-o", "/b/x/a.o"), Language.CUDA, "x/a.o", "/t/a.cu"),
        (("g++", "-c", "/t/a.cpp", "-o", "x/a.o"), Language.CXX, "x/a.o", "/t/a.cpp"),
        (("g++", "-shared", "-o", "lib.so", "a.o"), Language.LINK, "lib.so", ""),
        (("true",), Language.LINK, "", ""),
    ],
)
def test_an_edge_that_nobody_listed(
    command: tuple[str, ...], language: Language, output: str, source: str
) -> None:
    edge = commandline.edge_of(command, "/b")
    assert (edge.language, edge.output, edge.source, edge.arguments) == (language, output, source, command)


def test_a_command_of_the_database_has_no_launcher() -> None:
    plain = "/usr/bin/c++ -DX=1 -c a.cpp -o a.o"
    assert commandline.without_launcher(plain) == plain
    assert commandline.without_launcher(f"/p/python3 -I -S /w/gate/cpython-311/launcher.pyc {plain}") == plain
    assert commandline.without_launcher(f'"C:/p y/python.exe" -I -S "C:/w w/launcher.pyc" {plain}') == plain


def test_a_command_is_held_against_the_listed_one() -> None:
    listed = ("cl", "-IC:\\t", '-DX="a b"', "-c", "a.cpp")
    assert commandline.is_same(("cl", "-IC:\\t", "-DX=a b", "-c", "a.cpp"), listed)
    assert commandline.is_same(("cl", "@a.rsp"), listed)
    assert not commandline.is_same(("cl", "-IC:\\t", "-DX=a c", "-c", "a.cpp"), listed)
