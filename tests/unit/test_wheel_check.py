"""`wheel check`: a good wheel passes, and each way of being wrong is found by name."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests import wheel_forge as forge
from tests.wheel_forge import INFO, LINUX, WINDOWS, Files
from winvllm_build.cli.main import run
from winvllm_build.errors import WheelError
from winvllm_build.wheel import provenance
from winvllm_build.wheel.check import CheckRequest, check
from winvllm_build.wheel.finding import Subject
from winvllm_build.wheel.report import Report

CORE = "vllm/_C.abi3.so"


def checked(file: Path, *, archs: tuple[str, ...] | None = None, folders: tuple[str, ...] = ()) -> Report:
    return check(CheckRequest(file=file, archs=archs, folders=folders))


def problems(file: Path, **asked: tuple[str, ...]) -> list[tuple[Subject, str, str]]:
    found = checked(file, **asked).problems
    return [(one.subject, one.member, one.what) for one in found]


def only(file: Path, subject: Subject, member: str, words: str, **asked: tuple[str, ...]) -> None:
    """That one problem, and no other."""
    found = problems(file, **asked)
    assert len(found) == 1, found
    assert found[0][:2] == (subject, member)
    assert words in found[0][2]


def redescribed(content: Files, name: str, code: tuple[str, ...] | None, *, mapped: bool = True) -> None:
    """Say of one extension what it was compiled for; with None leave it out of the description."""
    known = {CORE: ("sm_86",), "vllm/spinloop.abi3.so": (), **({} if code is None else {name: code})}
    if code is None:
        del known[name]
    content[f"{INFO}/{provenance.FILE}"] = forge.made(known, mapped=mapped).serialise()


@pytest.mark.parametrize("tag", [LINUX, WINDOWS])
def test_a_good_wheel_has_no_problem(tmp_path: Path, tag: str) -> None:
    report = checked(forge.write(tmp_path, forge.files(tag), tag=tag))
    assert report.problems == ()
    core = report.libraries[0]
    assert core.code == {"sm_86"}
    assert core.machine == ("PE AMD64" if tag == WINDOWS else "ELF x86_64")
    assert report.compiled == 3
    if tag == WINDOWS:
        assert core.needed == {"c10.dll": "torch", "cudart64_13.dll": "cuda", "python3.dll": "python"}


def test_a_wheel_cut_off_anywhere_is_never_taken_for_good(tmp_path: Path) -> None:
    whole = forge.write(tmp_path, forge.files()).read_bytes()
    cut = tmp_path / f"vllm-{forge.VERSION}-{LINUX}.whl"
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(WheelError, match="no readable wheel"):
            checked(cut)


def test_a_bit_flipped_in_a_member_is_found(tmp_path: Path) -> None:
    file = forge.write(tmp_path, forge.files())
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        info = archive.getinfo(CORE)
    content[info.header_offset + 30 + len(CORE) + info.compress_size // 2] ^= 1
    file.write_bytes(content)
    assert (Subject.ARCHIVE, CORE) in [one[:2] for one in problems(file)]


def test_a_missing_extension(tmp_path: Path) -> None:
    content = forge.files()
    del content["vllm/spinloop.abi3.so"]
    only(forge.write(tmp_path, content), Subject.EXTENSIONS, "vllm/spinloop.abi3.so", "is not there")


def test_a_missing_pyd(tmp_path: Path) -> None:
    content = forge.files(WINDOWS)
    del content["vllm/_C.pyd"]
    found = problems(forge.write(tmp_path, content, tag=WINDOWS))
    assert (Subject.EXTENSIONS, "vllm/_C.pyd") in [one[:2] for one in found]


def test_an_extension_that_nobody_described(tmp_path: Path) -> None:
    content = forge.files()
    redescribed(content, "vllm/spinloop.abi3.so", None)
    only(forge.write(tmp_path, content), Subject.EXTENSIONS, "vllm/spinloop.abi3.so", "does not know it")


def test_an_extension_asked_for_by_name(tmp_path: Path) -> None:
    file = forge.write(tmp_path, forge.files())
    report = check(CheckRequest(file=file, extensions=("_C", "_moe_C")))
    assert [one.what for one in report.problems] == ["no extension _moe_C is in the wheel"]


def test_a_python_file_that_upstreams_install_step_put_in(tmp_path: Path) -> None:
    content = forge.files()
    described = forge.made({CORE: ("sm_86",), "vllm/spinloop.abi3.so": ()})
    copied = described.model_copy(update={"copied": ("vllm/vllm_flash_attn/layers/rotary.py",)})
    content[f"{INFO}/{provenance.FILE}"] = copied.serialise()
    file = forge.write(tmp_path, content)
    only(file, Subject.EXTENSIONS, "vllm/vllm_flash_attn/layers/rotary.py", "install step put it in")


def test_an_empty_extension(tmp_path: Path) -> None:
    content = forge.files() | {CORE: b""}
    found = problems(forge.write(tmp_path, content))
    assert (Subject.MACHINE, CORE, "is neither an ELF nor a PE file") in found


def test_an_extension_that_cannot_be_imported_by_its_name(tmp_path: Path) -> None:
    content = forge.files() | {"vllm/spinloop.abi3.so": forge.recorded("_C.abi3.so")}
    redescribed(content, "vllm/spinloop.abi3.so", ("sm_86",))
    only(forge.write(tmp_path, content), Subject.EXTENSIONS, "vllm/spinloop.abi3.so", "PyInit_spinloop")


def test_another_machine(tmp_path: Path) -> None:
    content = forge.files()
    library = bytearray(content[CORE])
    library[18:20] = (183).to_bytes(2, "little")  # e_machine of aarch64
    content[CORE] = bytes(library)
    only(forge.write(tmp_path, content), Subject.MACHINE, CORE, "ELF for aarch64")


def test_a_linux_library_in_a_wheel_for_windows(tmp_path: Path) -> None:
    content = forge.files(WINDOWS) | {"vllm/_C.pyd": forge.recorded("_C.abi3.so")}
    found = problems(forge.write(tmp_path, content, tag=WINDOWS))
    assert {one[:2] for one in found} == {(Subject.MACHINE, "vllm/_C.pyd")}


def test_code_for_another_gpu_than_it_was_compiled_for(tmp_path: Path) -> None:
    content = forge.files()
    redescribed(content, CORE, ("sm_89",))
    found = problems(forge.write(tmp_path, content))
    assert [one[:2] for one in found] == [(Subject.DEVICE_CODE, CORE)] * 2
    assert "lacks code for sm_89; it has sm_86" in found[0][2]
    assert "has code for sm_86, which was not asked for" in found[1][2]


def test_code_for_another_gpu_than_was_asked_for(tmp_path: Path) -> None:
    file = forge.write(tmp_path, forge.files())
    assert problems(file, archs=("8.6",)) == []
    only(file, Subject.DEVICE_CODE, "", "no extension has code for 8.9", archs=("8.6", "8.9"))
    only(file, Subject.DEVICE_CODE, "", "no extension has the PTX of 8.6+PTX", archs=("8.6+PTX",))
    assert {one[1] for one in problems(file, archs=("12.0",))} == {"", CORE}


def test_more_code_than_asked_for(tmp_path: Path) -> None:
    content = forge.files() | {CORE: forge.recorded("archs.so")}
    only(
        forge.write(tmp_path, content), Subject.DEVICE_CODE, CORE, "has code for compute_86, sm_100f, sm_90a"
    )


def test_a_library_of_another_cuda_release(tmp_path: Path) -> None:
    content = forge.files(WINDOWS)
    content["vllm/_C.pyd"] = content["vllm/_C.pyd"].replace(b"cudart64_13.dll", b"cudart64_12.dll")
    file = forge.write(tmp_path, content, tag=WINDOWS)
    only(file, Subject.LIBRARIES, "vllm/_C.pyd", "of CUDA 12; the version says CUDA 13")


def test_a_library_that_nobody_brings(tmp_path: Path) -> None:
    content = forge.files(WINDOWS)
    content["vllm/_C.pyd"] = content["vllm/_C.pyd"].replace(b"c10.dll", b"our.dll")
    file = forge.write(tmp_path, content, tag=WINDOWS)
    only(file, Subject.LIBRARIES, "vllm/_C.pyd", "asks for our.dll")
    content["vllm/our.dll"] = b""
    file = forge.write(tmp_path, content, tag=WINDOWS)
    assert Subject.LIBRARIES not in {one[0] for one in problems(file)}


def test_a_library_of_one_python_alone(tmp_path: Path) -> None:
    content = forge.files(WINDOWS)
    content["vllm/_C.pyd"] = content["vllm/_C.pyd"].replace(b"cudart64_13.dll\0", b"python311.dll\0\0\0")
    file = forge.write(tmp_path, content, tag=WINDOWS)
    only(file, Subject.LIBRARIES, "vllm/_C.pyd", "tagged abi3, for every Python")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"vllm/__init__.py,sha256=", b"vllm/__init__.py,sha256=A", "its sha256 is another"),
        (b"vllm/__init__.py,sha256=", b"vllm/__init__.py,md5=", "listed with md5"),
        (b",3\n", b",4\n", "has 3 bytes, RECORD says 4"),
        (b'"vllm/configs/E=8,N=14336.json"', b"vllm/configs/E=8,N=14336.json", "a comma or quotation mark"),
        (b"vllm/__init__.py", b"vllm/__new__.py", "is listed in RECORD and not in the wheel"),
        (b"vllm/_version.py", b"vllm/__init__.py", "lists it 2 times"),
        (b"vllm/_version.py", b"\nvllm/_version.py", "has 0 fields instead of 3"),
        (b"vllm/__init__.py,sha256=", b"vllm/__init__.py,sha512=", "listed with sha512"),
        (b"vllm/__init__.py,sha256=", b"vllm/__init__.py,crc32=", "listed with crc32"),
    ],
)
def test_an_edited_record(tmp_path: Path, old: bytes, new: bytes, words: str) -> None:
    content = forge.files()
    listed = forge.record(content)
    assert old in listed
    found = problems(forge.write(tmp_path, content, listed=listed.replace(old, new)))
    assert {one[0] for one in found} == {Subject.RECORD}
    assert any(words in one[2] for one in found), found


def test_a_file_edited_and_not_its_record(tmp_path: Path) -> None:
    content = forge.files()
    listed = forge.record(content)
    content["vllm/__init__.py"] += b"# hello\n"
    found = problems(forge.write(tmp_path, content, listed=listed))
    assert {one[:2] for one in found} == {(Subject.RECORD, "vllm/__init__.py")}


def test_a_file_that_record_does_not_list(tmp_path: Path) -> None:
    content = forge.files()
    listed = forge.record(content)
    file = forge.write(tmp_path, content | {"vllm/more.py": b""}, listed=listed)
    only(file, Subject.RECORD, "vllm/more.py", "is not listed in RECORD")


def test_no_record(tmp_path: Path) -> None:
    file = tmp_path / f"vllm-{forge.VERSION}-{LINUX}.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in forge.files().items():
            archive.writestr(name, data)
    only(file, Subject.RECORD, f"{INFO}/RECORD", "is not there")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice(tmp_path: Path) -> None:
    file = forge.write(tmp_path, forge.files())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("vllm/__init__.py", b"import os\n")
    found = problems(file)
    assert (Subject.ARCHIVE, "vllm/__init__.py", "is in the archive 2 times") in found


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../evil.py", "leaves the folder with '..'"),
        ("vllm/../../evil.py", "leaves the folder with '..'"),
        ("/etc/evil.py", "is an absolute path"),
        ("C:/evil.py", "has a drive letter"),
        ("vllm\\evil.py", "has the character"),
        ("vllm/aux.py", "is a name Windows reserves"),
        ("vllm/configs", "is a file and a folder"),
        ("VLLM/more.py", "has the same name as 'vllm' on a file system that ignores case"),
        ("vllm/__INIT__.py", "on a file system that ignores case"),
    ],
)
def test_a_name_that_must_not_be_unpacked(tmp_path: Path, name: str, words: str) -> None:
    found = problems(forge.write(tmp_path, forge.files() | {name: b""}))
    assert any(one[0] is Subject.NAMES and words in one[2] for one in found), found


def test_a_link(tmp_path: Path) -> None:
    file = forge.write(tmp_path, forge.files())
    with zipfile.ZipFile(file, "a") as archive:
        link = zipfile.ZipInfo("vllm/link.py")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert (Subject.ARCHIVE, "vllm/link.py", "is not a regular file") in problems(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"if True:\n        a = 1\n\tb = 2\n", "TabError, line 3"),
        (b"def f(:\n", "SyntaxError, line 1"),
        (b"return 1\n", "outside function"),
        (b"a = '\xff'\n", "SyntaxError"),
    ],
)
def test_a_file_that_does_not_compile(tmp_path: Path, text: bytes, words: str) -> None:
    file = forge.write(tmp_path, forge.files() | {"vllm/bad.py": text})
    only(file, Subject.PYTHON, "vllm/bad.py", words)


def test_a_python_that_the_wheel_is_not_for_compiles_nothing(tmp_path: Path) -> None:
    content = forge.files() | {"vllm/bad.py": b"def f(:\n"}
    name = f"{INFO}/METADATA"
    content[name] = content[name].replace(b">=3.10", b">=3.99")
    report = checked(forge.write(tmp_path, content))
    assert report.problems == ()
    assert report.compiled == 0
    assert any("no .py file was compiled" in one.what for one in report.findings)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"0.33.0+cu130.sm86\n", b"0.33.0\n", "METADATA has version 0.33.0"),
        (b"Name: vllm", b"Name: other", "METADATA is of other"),
        (b"torch==2.14.0", b"torch==", "'torch==' is invalid"),
    ],
)
def test_wrong_metadata(tmp_path: Path, old: bytes, new: bytes, words: str) -> None:
    content = forge.files()
    name = f"{INFO}/METADATA"
    assert old in content[name]
    content[name] = content[name].replace(old, new)
    found = problems(forge.write(tmp_path, content))
    assert [one[0] for one in found] == [Subject.METADATA]
    assert words in found[0][2]


def test_a_requirement_that_windows_would_not_get(tmp_path: Path) -> None:
    """A wheel for Linux is none for Windows: upstream's own says x86_64."""
    name = f"{INFO}/METADATA"
    for tag in (LINUX, WINDOWS):
        content = forge.files(tag)
        content[name] = content[name].replace(b'"AMD64"', b'"arm64"')
        file = forge.write(tmp_path, content, tag=tag)
        if tag == LINUX:
            assert problems(file) == []
        else:
            only(file, Subject.METADATA, name, "requires xgrammar for x86_64; Windows says AMD64")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [(b"linux_x86_64", b"linux_aarch64", "the file's name"), (b"false", b"true", "says Root-Is-Purelib")],
)
def test_wrong_tags(tmp_path: Path, old: bytes, new: bytes, words: str) -> None:
    content = forge.files()
    name = f"{INFO}/WHEEL"
    content[name] = content[name].replace(old, new)
    only(forge.write(tmp_path, content), Subject.TAGS, name, words)


def test_a_version_that_is_not_what_was_built(tmp_path: Path) -> None:
    file = forge.write(tmp_path, forge.files())
    renamed = file.rename(tmp_path / file.name.replace("sm86", "sm89"))
    found = [one[2] for one in problems(renamed)]
    assert any("is not for 8.6" in what for what in found)


def test_a_search_path_of_the_machine(tmp_path: Path) -> None:
    content = forge.files() | {"vllm/spinloop.abi3.so": forge.recorded("spinloop-rpath.so")}
    found = problems(forge.write(tmp_path, content))
    assert (
        Subject.FOLDERS, "vllm/spinloop.abi3.so", "makes the loader search /home/builder/lib (RPATH)"
    ) in found  # fmt: skip


def test_folders_in_a_library_are_a_problem_where_the_compilers_hid_them(tmp_path: Path) -> None:
    content = forge.files()
    content[CORE] += b"\0/data/ws/trees/v0.33.0-sm86/csrc/ops.cpp\0"
    only(forge.write(tmp_path, content), Subject.FOLDERS, CORE, "/data/ws/trees/v0.33.0-sm86/csrc/ops.cpp")
    redescribed(content, CORE, ("sm_86",), mapped=False)
    report = checked(forge.write(tmp_path, content))
    assert report.problems == ()
    assert any(one.subject is Subject.FOLDERS for one in report.findings)


def test_folders_of_this_build_in_a_text(tmp_path: Path) -> None:
    content = forge.files()
    content["vllm/generated.py"] = b"ROOT = '/data/ws/build'\nOTHER = '/data/ws-other'\n"
    file = forge.write(tmp_path, content)
    assert problems(file, folders=("/data",)) == []
    only(file, Subject.FOLDERS, "vllm/generated.py", "/data/ws", folders=("/data/ws",))
    content["vllm/generated.py"] = b"OTHER = '/data/ws-other'\n"
    assert problems(forge.write(tmp_path, content), folders=("/data/ws",)) == []


def test_a_home_folder_in_what_the_tools_wrote(tmp_path: Path) -> None:
    content = forge.files()
    content["vllm/example.py"] = b"# such as /home/ray/models/llama\n"
    content[f"{INFO}/METADATA"] += b"\ndocker run -v ~/.cache:/home/ray/.cache/huggingface\n"
    assert problems(forge.write(tmp_path, content)) == []
    content[f"{INFO}/origin.json"] = b'{"folder": "/home/builder/vllm"}'
    only(forge.write(tmp_path, content), Subject.FOLDERS, f"{INFO}/origin.json", "/home/builder/vllm")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = forge.write(tmp_path, forge.files())
    assert run(["wheel", "check", str(good)]) == 0
    said = capsys.readouterr().out
    assert "vllm/_C.abi3.so (11 kB): ELF x86_64; sm_86" in said
    assert said.endswith("no problem found\n")
    bad = forge.write(tmp_path, forge.files() | {"vllm/bad.py": b"def f(:\n"})
    assert run(["wheel", "check", str(bad), "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["ok"] is False
    assert data["findings"][-1]["member"] == "vllm/bad.py"
    assert run(["wheel", "check", str(tmp_path / "none.whl")]) == WheelError.exit_code
    assert run(["wheel", "check", str(good), "--arch", "8.9"]) == 1
    assert run(["wheel", "check", str(good), "--layer", "gcc12"]) == 2
