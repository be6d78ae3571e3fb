"""The readers of the store: dependency files, printed includes, commands, folders, journals, logs."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winvllm_build.build.engine.edge import Language, Roots
from winvllm_build.build.store import command, depfile, includes, ninjalogs, settings
from winvllm_build.build.store.journal import NAME, Done, EdgeJournal
from winvllm_build.build.store.places import Places
from winvllm_build.build.store.records import Made, Record, unpacked
from winvllm_build.build.store.sizes import parse
from winvllm_build.errors import UsageError

GCC = """\
CMakeFiles/t.dir/a.cpp.o: /src/a\\ b/a.cpp /usr/include/stdc-predef.h \\
 /src/a\\ b/one\\#two.h \\
  ../rel/x.h /src/price$$.h

/src/a\\ b/one\\#two.h:
"""


def test_a_dependency_file_of_gcc() -> None:
    assert depfile.read(GCC) == (
        "/src/a b/a.cpp", "/usr/include/stdc-predef.h", "/src/a b/one#two.h", "../rel/x.h", "/src/price$.h",
    )  # fmt: skip


def test_a_dependency_file_of_nvcc_on_windows() -> None:
    text = "x.cu.obj : C:/src/x.cu \\\r\n    C:/Program\\ Files/NVIDIA/include\\cuda.h\r\n"
    assert depfile.read(text) == ("C:/src/x.cu", "C:/Program Files/NVIDIA/include\\cuda.h")


@pytest.mark.parametrize("text", ["a.o: x.h", "a.o: x.h \\\n y", "no colon here\n"])
def test_a_torn_dependency_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="dependency file"):
        depfile.read(text)


@given(st.lists(st.text(st.sampled_from("ab /.#$\\%é-:"), min_size=1).map(lambda t: f"/{t}x"), unique=True))
def test_what_is_written_is_read_again(names: list[str]) -> None:
    assert depfile.read(depfile.written("some dir/a.o", names)) == tuple(names)


@pytest.mark.parametrize(
    ("prefix", "encoding"),
    [
        ("Note: including file:", "utf-8"),
        ("Hinweis: Einlesen der Datei:", "cp1252"),
        ("Remarque\u00a0: inclusion du fichier\u00a0:", "cp1252"),
        ("メモ: インクルード ファイル:", "utf-8"),
    ],
)
def test_what_cl_says_it_includes(prefix: str, encoding: str) -> None:
    text = f"a.cpp\r\n{prefix} C:\\src\\one.h\r\n{prefix}  C:\\Program Files\\x.h\r\na.cpp(3): warning\r\n"
    files = {"C:\\src\\one.h", "C:\\Program Files\\x.h"}
    found = includes.read(text.encode(encoding), prefix, files.__contains__)
    assert found == ("C:\\src\\one.h", "C:\\Program Files\\x.h")
    assert includes.read(text.encode(encoding), "configured otherwise", files.__contains__) == found


def test_the_prefix_that_cmake_found() -> None:
    assert (
        includes.prefix_of("msvc_deps_prefix = Hinweis: Einlesen der Datei: \n")
        == "Hinweis: Einlesen der Datei:"
    )
    assert includes.prefix_of("rule x\n") == "Note: including file:"


def read(text: str, language: Language, output: str, *, windows: bool = False) -> command.Command:
    rsp = {"one.rsp": '-I"/inc one" -DX'}
    return command.read(text.split(), language, output, text_of=rsp.get, windows=windows)


NVCC = (
    "/cuda/bin/nvcc -forward-unknown-to-host-compiler -ccbin=/usr/bin/g++ -DX=1 -I/t/csrc"
    " -isystem /torch/include --expt-relaxed-constexpr -O2 -Xcompiler=-fPIC --threads=1"
    " -gencode arch=compute_86,code=sm_86 -MD -MT a.cu.o -MF a.cu.o.d -x cu -c /t/a.cu -o a.cu.o"
)
CL = (
    "C:\\VS\\cl.exe /nologo /TP -DX -IC:\\t\\csrc -external:IC:\\torch\\include /O2 /EHsc /showIncludes"
    " /FoCMakeFiles\\t.dir\\a.cpp.obj /FdCMakeFiles\\t.dir\\ /FS -c C:\\t\\a.cpp"
)
LINK = (
    "C:\\cmake.exe -E vs_link_dll --intdir=CMakeFiles\\t.dir --rc=rc.exe --mt=mt.exe --manifests --"
    " C:\\VS\\link.exe /nologo CMakeFiles\\t.dir\\a.cpp.obj /out:t.pyd /implib:t.lib /dll /version:0.0"
    " /machine:x64 /INCREMENTAL:NO -LIBPATH:C:\\lib kernel32.lib"
)


def test_a_command_of_nvcc() -> None:
    found = read(NVCC, Language.CUDA, "a.cu.o")
    assert (found.refusal, found.outputs, found.depfile) == ("", ("a.cu.o",), "a.cu.o.d")
    assert found.search == ("/t/csrc", "/torch/include")


def test_a_command_of_cl() -> None:
    found = read(CL, Language.CXX, "CMakeFiles/t.dir/a.cpp.obj", windows=True)
    assert (found.refusal, found.shows_includes, found.depfile) == ("", True, "")
    assert found.search == ("C:\\t\\csrc", "C:\\torch\\include")


def test_a_command_of_link() -> None:
    found = read(LINK, Language.LINK, "t.pyd", windows=True)
    assert (found.refusal, found.outputs, found.search) == ("", ("t.pyd", "t.lib"), ("C:\\lib",))


def test_a_response_file_is_read() -> None:
    found = read("/usr/bin/g++ @one.rsp -MD -MF a.d -o a.o -c a.cpp", Language.CXX, "a.o")
    assert (found.refusal, found.search, "-DX" in found.words) == ("", ("/inc one",), True)
    assert "cannot be read" in read("/usr/bin/g++ @two.rsp -o a.o", Language.CXX, "a.o").refusal


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (f"{NVCC} --keep", Language.CUDA),
        (f"{NVCC} -fdevice-time-trace x", Language.CUDA),
        (f"{NVCC} --time x.csv", Language.CUDA),
        (f"{NVCC} -Xcompiler=-Zi", Language.CUDA),
        (NVCC.replace("-MF a.cu.o.d", ""), Language.CUDA),
        (NVCC.replace("-o a.cu.o", ""), Language.CUDA),
        ("g++ -MD -MF a.d -o a.cu.o -c a.cpp -gsplit-dwarf", Language.CXX),
        ("g++ -MD -MF a.d -o a.cu.o -c a.cpp -fprofile-use=x", Language.CXX),
        ("g++ -MD -MF a.d -o a.cu.o -c a.cpp -fplugin=x", Language.CXX),
        ("cl /showIncludes /Zi /Foa.cu.o -c a.cpp", Language.CXX),
        ("cl /showIncludes /Yustdafx.h /Foa.cu.o -c a.cpp", Language.CXX),
        ("link a.obj /out:a.cu.o /pdb:a.pdb /debug", Language.LINK),
        ("g++ -shared -o a.cu.o a.o -Wl,-Map=x", Language.LINK),
    ],
)
def test_what_is_not_understood_is_refused(text: str, language: Language) -> None:
    assert read(text, language, "a.cu.o").refusal


def test_a_folder_that_looks_like_a_switch_of_cl_is_none() -> None:
    text = "/doc/gcc/g++ -MD -MF a.d -o a.o -c /Install/FA/a.cpp"
    found = read(text, Language.CXX, "a.o")
    assert (found.refusal, found.search) == ("", ())


def places(*, windows: bool = False) -> Places:
    drive = "C:" if windows else ""
    roots = Roots(
        folders={
            "<tree>": f"{drive}/src/vllm",
            "<deps>": f"{drive}/src/vllm/.deps",
            "<cuda>": f"{drive}/cuda",
        }
    )
    return Places(roots, Path("/build"), windows=windows)


def test_folders_are_named_at_their_ends_only() -> None:
    here = places()
    for path, named in {
        "/src/vllm/a.cu": "<tree>/a.cu",
        "/src/vllm": "<tree>",
        "/src/vllm-old/a.cu": "/src/vllm-old/a.cu",
        "/src/vllm/.deps/x": "<deps>/x",
        "rel/x.h": "rel/x.h",
    }.items():
        assert (here.named(path), here.spelt(named)) == (named, path)
    assert here.file("rel/x.h") == "/build/rel/x.h"


def test_folders_are_named_on_windows_however_they_are_written() -> None:
    here = places(windows=True)
    assert here.named("c:\\SRC\\vllm\\csrc\\a.cu") == "<tree>/csrc/a.cu"
    text = b"C:\\src\\vllm\\a.cu(3): warning\r\nC:/cuda/include/x.h\r\n"
    assert b"src" not in here.named_text(text)


def test_folders_behind_links_have_the_name_of_the_link() -> None:
    roots = Roots(folders={"<workspace>": "/ws"}, aliases=(("<workspace>/toolchains", "/disk/tc"),))
    here = Places(roots, Path("/build"), windows=False)
    assert here.named("/disk/tc/torch/x.h") == here.named("/ws/toolchains/torch/x.h")
    assert here.file("<workspace>/toolchains/torch/x.h") == "/ws/toolchains/torch/x.h"
    assert here.spelt_text(here.named_text(b"in /disk/tc/x.h:")) == b"in /ws/toolchains/x.h:"
    assert list(here.spellings) == ["<workspace>", "<workspace>/toolchains behind /disk/tc"]


def test_printed_text_comes_back() -> None:
    here = places()
    text = b"/src/vllm/a.cu:3: warning: see /src/vllm-old/a.cu and </cuda/include/x.h>\n"
    named = here.named_text(text)
    assert b"/src/vllm/" not in named
    assert b"/src/vllm-old/" in named
    assert here.spelt_text(named) == text


def test_variables_that_decide() -> None:
    environment = {"CPATH": "/src/vllm/inc:/x", "HOME": "/h", "NVCC_APPEND_FLAGS": "-lineinfo", "LIB": ""}
    assert settings.deciding(environment, places(), separator=":") == [
        "CPATH=<tree>/inc:/x", "NVCC_APPEND_FLAGS=-lineinfo",
    ]  # fmt: skip


DONE = Done(command="c" * 64, key="k" * 64, variant="", size=3, modified=5, hash="h" * 64)


def journal_of(folder: Path, *, clean: bool) -> bytes:
    journal = EdgeJournal(folder)
    journal.open()
    for name in ("a.o", "b.o"):
        journal.begin(name)
        journal.finish(name, DONE)
    journal.begin("c.o")
    if clean:
        journal.close()
    return (folder / NAME).read_bytes()


def test_a_journal_knows_how_its_run_ended(tmp_path: Path) -> None:
    journal_of(tmp_path, clean=True)
    found = EdgeJournal(tmp_path)
    assert (sorted(found.done), found.begun, found.unclean) == (["a.o", "b.o"], {"c.o"}, False)
    found.open()
    assert EdgeJournal(tmp_path).unclean


def test_a_journal_torn_anywhere_says_no_more_than_it_knows(tmp_path: Path) -> None:
    whole = journal_of(tmp_path, clean=True)
    for at in range(len(whole)):
        for torn in (whole[:at], whole[:at] + bytes(len(whole) - at)):
            (tmp_path / NAME).write_bytes(torn)
            found = EdgeJournal(tmp_path)
            assert set(found.done) <= {"a.o", "b.o"}
            assert all(done == DONE for done in found.done.values())
            assert found.unclean or at < 60 or at >= len(whole) - 1
    (tmp_path / NAME).write_bytes(whole[: len(whole) // 2])
    again = EdgeJournal(tmp_path)
    again.open()
    again.finish("d.o", DONE)
    assert "d.o" in EdgeJournal(tmp_path).done


def test_a_long_journal_is_written_anew(tmp_path: Path) -> None:
    journal = EdgeJournal(tmp_path)
    journal.open()
    for _ in range(3000):
        journal.finish("a.o", DONE)
    journal.close()
    long = (tmp_path / NAME).stat().st_size
    again = EdgeJournal(tmp_path)
    again.open()
    again.close()
    assert (tmp_path / NAME).stat().st_size < long / 100
    assert EdgeJournal(tmp_path).done == {"a.o": DONE}


def deps_log() -> bytes:
    """As ninja writes it: two paths, one entry of dependencies."""
    content = b"# ninjadeps\n" + struct.pack("<i", 4)
    for number, name in enumerate((b"a.o", b"b.h")):
        padded = name + bytes(-len(name) % 4)
        content += struct.pack("<I", len(padded) + 4) + padded + struct.pack("<I", ~number & 0xFFFFFFFF)
    return content + struct.pack("<IiQi", 0x80000010, 0, 12345, 1)


def test_a_dependency_log_is_cut_back_to_whole_entries() -> None:
    whole = deps_log()
    assert ninjalogs.whole_length(whole) == len(whole)
    ends = {0, 16, 28, 40, len(whole)}
    for at in range(len(whole)):
        assert ninjalogs.whole_length(whole[:at]) == max(end for end in ends if end <= at)
        assert ninjalogs.whole_length(whole[:at] + bytes(len(whole) - at)) in ends


def test_a_log_is_cut_back_to_whole_lines() -> None:
    assert ninjalogs.whole_lines(b"# ninja log v7\n1\t2\t3\ta.o\tx\n1\t2") == 27
    assert ninjalogs.whole_lines(b"# ninja log v7\n\0\0\0\n") == 15
    assert ninjalogs.whole_lines(b"") == 0


RECORD = Record(
    key="a" * 64, output="a.o", tag="v1", inputs=(("<tree>/a.cpp", "b" * 64),), listed=1,
    missing=("x/y.h",), search=("<tree>/inc",), lookups="c" * 64,
    made=(Made(name="a.o", blob="d" * 64, size=3, executable=False),),
    text=b"\xff\0warning\n", spelt=(("<tree>", "/t"),), bound="", seconds=1.5,
)  # fmt: skip


def test_a_record_comes_back() -> None:
    assert unpacked(RECORD.packed()) == RECORD


@given(st.data())
def test_a_damaged_record_is_refused_or_whole(data: st.DataObject) -> None:
    packed = bytearray(RECORD.packed())
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    try:
        found = unpacked(bytes(packed))
    except ValueError:
        return
    assert found == RECORD


def test_sizes_as_people_write_them() -> None:
    assert [parse(text) for text in ("500MB", "20 GB", "1GiB", "1.5k", "7")] == [
        500_000_000, 20_000_000_000, 1 << 30, 1500, 7,
    ]  # fmt: skip
    for text in ("", "much", "1XB", "-1GB", "iB"):
        with pytest.raises(UsageError):
            parse(text)
