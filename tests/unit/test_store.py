"""Finished edges are found again for the same command and inputs, and for nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.store_bench import COMPILER, Bench
from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.store.objects import Sharing

pytestmark = pytest.mark.skipif(
    not Path(f"/usr/bin/{COMPILER}").exists(), reason="compiles with a real g++ in /usr/bin"
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(store=tmp_path / "objects", tree=tmp_path / "a tree", build=tmp_path / "build 1")
    made.write("a.cpp", '#include "one.h"\nint a() { return ONE; }\n')
    made.write("inc/one.h", "#define ONE 1\n")
    return made


def edge_of(bench: Bench, *flags: str) -> Edge:
    return bench.compile_edge("a.cpp", *flags, search=("first", "inc"))


def elsewhere(bench: Bench, tmp_path: Path) -> Bench:
    """The same tree in another folder, with another build folder."""
    tree = tmp_path / "other" / "the tree"
    shutil.copytree(bench.tree, tree)
    return Bench(store=bench.store, tree=tree, build=tmp_path / "other" / "build 2")


def test_the_same_edge_is_not_compiled_twice(bench: Bench) -> None:
    edge = edge_of(bench)
    assert bench.run(edge) == ["a.cpp.o"]
    made, listed = bench.bytes_of("a.cpp.o"), bench.bytes_of("a.cpp.o.d")
    shutil.rmtree(bench.build)
    assert bench.run(edge) == []
    assert bench.bytes_of("a.cpp.o") == made
    assert listed.replace(b"\\\n", b"").split() == bench.bytes_of("a.cpp.o.d").replace(b"\\\n", b"").split()


def test_another_folder_uses_it_with_its_own_paths(bench: Bench, tmp_path: Path) -> None:
    bench.write("inc/one.h", "#warning look\n#define ONE 1\n")
    bench.run(edge_of(bench))
    there = elsewhere(bench, tmp_path)
    assert there.run(edge_of(there)) == []
    assert str(there.tree / "inc" / "one.h").encode() in there.printed["a.cpp.o"]
    assert str(bench.tree).encode() not in there.printed["a.cpp.o"]
    assert "other/the\\ tree/inc/one.h" in there.bytes_of("a.cpp.o.d").decode()


def test_an_object_that_spells_out_its_folder_stays_there_when_asked(bench: Bench, tmp_path: Path) -> None:
    bench.run(edge_of(bench, "-g"))
    there = elsewhere(bench, tmp_path)
    there.sharing = Sharing.SAME_PLACE
    assert there.run(edge_of(there, "-g")) == ["a.cpp.o"]
    assert there.reasons["a.cpp.o"] == "its result spells out another folder"
    mapped = [f"-ffile-prefix-map={bench.tree}=.", f"-ffile-prefix-map={bench.build}=."]
    bench.run(edge_of(bench, "-g", *mapped))
    mapped = [f"-ffile-prefix-map={there.tree}=.", f"-ffile-prefix-map={there.build}=."]
    assert there.run(edge_of(there, "-g", *mapped)) == []


def test_another_content_is_compiled_whatever_its_time(bench: Bench) -> None:
    edge = edge_of(bench)
    bench.run(edge)
    bench.write("inc/one.h", "#define ONE 2\n", age=6000)
    assert bench.run(edge) == ["a.cpp.o"]
    assert bench.verified is not None
    assert bench.verified.removed == (("a.cpp.o", "<tree>/inc/one.h has changed"),)


def test_several_contents_of_one_input_are_kept(bench: Bench) -> None:
    edge = edge_of(bench)
    made: dict[int, bytes] = {}
    for value in (1, 2, 3):
        bench.write("inc/one.h", f"#define ONE {value}\n", age=value)
        bench.run(edge)
        made[value] = bench.bytes_of("a.cpp.o")
    for value in (2, 3, 1):
        bench.write("inc/one.h", f"#define ONE {value}\n", age=100 + value)
        assert bench.run(edge) == []
        assert bench.bytes_of("a.cpp.o") == made[value]


def test_a_header_that_appears_in_front_counts(bench: Bench) -> None:
    edge = edge_of(bench)
    bench.run(edge)
    bench.write("first/other.h", "#define OTHER 1\n")
    assert bench.run(edge) == []
    bench.write("first/one.h", "#define ONE 7\n")
    assert bench.run(edge) == ["a.cpp.o"]


def test_a_header_that_appears_beside_the_source_counts(bench: Bench) -> None:
    edge = edge_of(bench)
    bench.run(edge)
    bench.write("one.h", "#define ONE 7\n")
    assert bench.run(edge) == ["a.cpp.o"]


def test_a_header_of_the_system_that_appears_in_front_counts(bench: Bench) -> None:
    bench.write("a.cpp", "#include <sys/types.h>\nint a() { return 1; }\n")
    edge = edge_of(bench)
    bench.run(edge)
    bench.write("inc/sys/types.h", "\n")
    assert bench.run(edge) == ["a.cpp.o"]


def test_a_header_that_was_asked_for_and_appears_counts(bench: Bench) -> None:
    bench.write("a.cpp", "#if __has_include(<opt/extra.h>)\n#include <opt/extra.h>\n#endif\nint a();\n")
    edge = edge_of(bench)
    bench.run(edge)
    bench.write("inc/opt/extra.h", "int b() { return 2; }\n")
    assert bench.run(edge) == ["a.cpp.o"]


def test_a_generated_header_counts(bench: Bench) -> None:
    bench.build.mkdir()
    bench.write("a.cpp", '#include "made.h"\nint a() { return MADE; }\n')
    edge = bench.compile_edge("a.cpp", f"-I{bench.build}")
    made: dict[int, bytes] = {}
    for value in (1, 2, 1):
        (bench.build / "made.h").write_text(f"#define MADE {value}\n")
        os.utime(bench.build / "made.h", (1e9 + value, 1e9 + value))
        ran = bench.run(edge)
        assert bool(ran) == (value not in made)
        assert made.setdefault(value, bench.bytes_of("a.cpp.o")) == bench.bytes_of("a.cpp.o")


def test_the_environment_of_the_compiler_counts(bench: Bench) -> None:
    edge = edge_of(bench)
    bench.run(edge)
    bench.environment["UNRELATED"] = "1"
    assert bench.run(edge) == []
    bench.environment["CPATH"] = str(bench.tree / "first")
    assert bench.run(edge) == ["a.cpp.o"]
    bench.environment["NVCC_APPEND_FLAGS"] = "-lineinfo"
    assert bench.run(edge) == ["a.cpp.o"]


def test_a_source_that_names_the_time_is_not_shared(bench: Bench, tmp_path: Path) -> None:
    bench.write("a.cpp", "const char *a() { return __DATE__; }\n")
    bench.run(edge_of(bench))
    assert bench.run(edge_of(bench)) == []
    there = elsewhere(bench, tmp_path)
    assert there.run(edge_of(there)) == ["a.cpp.o"]


def test_hidden_inputs_are_not_kept(bench: Bench) -> None:
    bench.write("data.bin", "x")
    bench.write("a.cpp", f'asm(".incbin \\"{bench.tree}/data.bin\\"");\n')
    edge = edge_of(bench)
    bench.run(edge)
    assert "assembler" in bench.reasons["a.cpp.o"]
    (bench.build / "a.cpp.o").unlink()
    assert bench.run(edge) == ["a.cpp.o"]


@pytest.mark.skipif(os.name == "nt", reason="Windows tells when a file was made, not when it was exchanged")
def test_an_input_that_changes_while_it_is_read_is_not_kept(bench: Bench) -> None:
    edge = edge_of(bench)
    bench.build.mkdir()
    store = bench.open()
    store.prepare([edge])
    store.begun(edge)
    subprocess.run(edge.arguments, cwd=bench.build, check=True)
    time.sleep(0.02)
    bench.write("inc/one.h", "#define ONE 9\n", age=6000)
    store.keep(edge, b"")
    store.close()
    assert "changed while it was read" in store.reasons["a.cpp.o"]
    (bench.build / "a.cpp.o").unlink()
    assert bench.run(edge) == ["a.cpp.o"]


def test_an_edge_that_nobody_listed_is_not_kept(bench: Bench) -> None:
    edge = replace(edge_of(bench), target="")
    bench.run(edge)
    (bench.build / "a.cpp.o").unlink()
    assert bench.run(edge) == ["a.cpp.o"]


def test_a_response_file_counts(bench: Bench) -> None:
    bench.build.mkdir()
    words = bench.build / "flags.rsp"
    words.write_text("-DTWO=2")
    edge = edge_of(bench, "@flags.rsp")
    bench.run(edge)
    assert bench.run(edge) == []
    words.write_text("-DTWO=3")
    assert bench.run(edge) == ["a.cpp.o"]


def test_links_are_kept_for_their_place(bench: Bench, tmp_path: Path) -> None:
    edges = [edge_of(bench, "-fPIC"), bench.link_edge("a.so", "a.cpp.o", "-Wl,-rpath,/x")]
    assert bench.run(*edges) == ["a.cpp.o", "a.so"]
    made = bench.bytes_of("a.so")
    shutil.rmtree(bench.build)
    assert bench.run(*edges) == []
    assert bench.bytes_of("a.so") == made
    assert os.access(bench.build / "a.so", os.X_OK)
    there = elsewhere(bench, tmp_path)
    assert there.run(edge_of(there, "-fPIC"), there.link_edge("a.so", "a.cpp.o", "-Wl,-rpath,/x")) == ["a.so"]


@pytest.mark.parametrize("damage", ["truncated", "zeroed", "gone"])
def test_a_torn_object_of_the_store_is_compiled_again(bench: Bench, damage: str) -> None:
    edge = edge_of(bench)
    bench.run(edge)
    made = bench.bytes_of("a.cpp.o")
    shutil.rmtree(bench.build)
    for blob in (bench.store / "blobs").glob("*/*"):
        tear(blob, damage)
    assert bench.run(edge) == ["a.cpp.o"]
    assert bench.bytes_of("a.cpp.o") == made
    shutil.rmtree(bench.build)
    assert bench.run(edge) == []


@pytest.mark.parametrize("damage", ["truncated", "zeroed", "gone"])
def test_a_torn_record_is_compiled_again(bench: Bench, damage: str) -> None:
    edge = edge_of(bench)
    bench.run(edge)
    shutil.rmtree(bench.build)
    for record in (bench.store / "records").glob("*/*/*"):
        tear(record, damage)
    assert bench.run(edge) == ["a.cpp.o"]


def tear(file: Path, damage: str) -> None:
    if damage == "gone":
        file.unlink()
    elif damage == "zeroed":
        file.write_bytes(bytes(file.stat().st_size))
    else:
        os.truncate(file, file.stat().st_size // 2)


def test_two_builds_share_a_store_while_both_run(bench: Bench, tmp_path: Path) -> None:
    there = elsewhere(bench, tmp_path)
    for one in (bench, there):
        one.build.mkdir(parents=True, exist_ok=True)
    first, second = bench.open(), there.open()
    edges = (edge_of(bench), edge_of(there))
    first.prepare(edges[:1])
    second.prepare(edges[1:])
    for one, store, edge in ((bench, first, edges[0]), (there, second, edges[1])):
        one._one(store, edge)
    first.close()
    second.close()
    assert (bench.ran, there.ran) == (["a.cpp.o"], [])


def test_a_store_that_cannot_be_written_lets_the_build_go_on(bench: Bench) -> None:
    bench.store.write_text("a file where the folder should be")
    assert bench.run(edge_of(bench)) == ["a.cpp.o"]
    assert bench.run(edge_of(bench)) == ["a.cpp.o"]
    assert len(bench.told) >= 1
    assert "not kept any more" in bench.told[0]


@pytest.mark.parametrize("kept_times", [False, True])
def test_a_run_of_other_edges_after_a_crash_trusts_no_torn_output(bench: Bench, *, kept_times: bool) -> None:
    """The torn one is of no interest to the first run after the crash; the second asks for it."""
    bench.write("a.cpp", "int a() { return 1; }\n")
    bench.write("b.cpp", "int b() { return 1; }\n")
    first, second = bench.compile_edge("a.cpp"), bench.compile_edge("b.cpp")
    bench.run(first, second, close=False)  # the end is not noted, as of a run that was killed
    torn = bench.build / first.output
    whole, before = torn.read_bytes(), torn.stat()
    torn.unlink()  # perhaps a link into the store
    torn.write_bytes(bytes(len(whole)))
    if kept_times:
        os.utime(torn, ns=(before.st_atime_ns, before.st_mtime_ns))
    bench.run(second)
    assert bench.verified is not None
    assert bench.verified.unclean
    bench.run(first, second)
    assert not bench.verified.unclean
    assert [name for name, _ in bench.verified.removed] == [first.output]
    assert torn.read_bytes() == whole


def test_a_run_of_other_edges_leaves_sound_outputs_alone(bench: Bench) -> None:
    bench.write("a.cpp", "int a() { return 1; }\n")
    bench.write("b.cpp", "int b() { return 1; }\n")
    first, second = bench.compile_edge("a.cpp"), bench.compile_edge("b.cpp")
    bench.run(first, second, close=False)
    bench.run(second)
    bench.run(first, second)
    assert bench.verified is not None
    assert (bench.verified.trusted, bench.verified.removed) == (2, ())
