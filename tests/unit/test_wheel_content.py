"""`wheel check`: what every wheel of vLLM has, what Python and the loader find, what to do then."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import wheel_forge as forge
from tests.wheel_forge import INFO, LINUX, WINDOWS, Files
from winvllm_build.cli.main import run
from winvllm_build.errors import StorageError, WheelError
from winvllm_build.wheel import provenance
from winvllm_build.wheel.check import CheckRequest, check
from winvllm_build.wheel.finding import FIXES, Finding, Subject

CORE, LOOP = "vllm/_C.abi3.so", "vllm/spinloop.abi3.so"
COMMANDS = f"{INFO}/entry_points.txt"
MADE = f"{INFO}/{provenance.FILE}"


def problems(file: Path) -> tuple[Finding, ...]:
    return check(CheckRequest(file=file)).problems


def told(file: Path) -> list[tuple[str, str]]:
    return [(one.member, one.what) for one in problems(file)]


def without(content: Files, name: str) -> Files:
    return {other: data for other, data in content.items() if other != name}


@pytest.mark.parametrize("name", ["vllm/__init__.py", "vllm/_version.py"])
def test_a_file_without_which_there_is_no_vllm(tmp_path: Path, name: str) -> None:
    """Whoever packed it: this one does not describe itself."""
    content = without(without(forge.files(), MADE), name)
    assert told(forge.write(tmp_path, content)) == [(name, "is not there; every wheel of vLLM has it")]


def test_a_file_of_upstream_that_packing_lost(tmp_path: Path) -> None:
    name = "vllm/configs/E=8,N=14336.json"
    file = forge.write(tmp_path, without(forge.files(), name))
    assert told(file) == [(name, "is not there; the tree had it when it was packed")]


def test_a_wheel_without_its_package_data_is_told_in_few_lines(tmp_path: Path) -> None:
    content = forge.files()
    described = provenance.read(content[MADE])
    assert described is not None
    lost = tuple(f"vllm/configs/{number:03}.json" for number in range(200))
    content[MADE] = described.model_copy(update={"packed": (*described.packed, *lost)}).serialise()
    found = told(forge.write(tmp_path, content))
    assert [member for member, _ in found] == [*lost[:5], ""]
    assert "200 of 203 files of the tree are not there" in found[-1][1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "makes no command vllm"),
        (b"[console_scripts]\n", "makes no command vllm"),
        (
            b"[console_scripts]\nvllm = vllm.main:main\n",
            "the command vllm is vllm.main:main, which is not there",
        ),
        (b"vllm = vllm.cli:main\n", "cannot be read"),
        (b"[console_scripts]\nvllm = \xff\n", "cannot be read"),
    ],
)
def test_a_command_that_would_not_start(tmp_path: Path, text: bytes | None, words: str) -> None:
    content = without(forge.files(), COMMANDS) | ({} if text is None else {COMMANDS: text})
    ((member, what),) = told(forge.write(tmp_path, content))
    assert member == COMMANDS
    assert words in what


def test_a_command_of_a_package_that_it_requires(tmp_path: Path) -> None:
    more = b"[console_scripts]\nvllm = vllm.cli:main\nloop = vllm.spinloop:run\nother = torch.run:main\n"
    assert told(forge.write(tmp_path, forge.files() | {COMMANDS: more})) == []


def test_every_subject_has_a_fix() -> None:
    assert set(FIXES) == set(Subject)


def retagged(name: str, tag: str) -> Files:
    """The good wheel for Windows with its extension under another name, for another Python."""
    content = forge.files(WINDOWS)
    content[name] = content.pop("vllm/_C.pyd")
    content[MADE] = forge.made({name: ("sm_86",)}).serialise()
    content[f"{INFO}/WHEEL"] = content[f"{INFO}/WHEEL"].replace(WINDOWS.encode(), tag.encode())
    return content


@pytest.mark.parametrize(
    ("name", "tag", "good"),
    [
        ("vllm/_C.cp312-win_amd64.pyd", "cp312-cp312-win_amd64", True),
        ("vllm/_C.cp311-win_amd64.pyd", "cp312-cp312-win_amd64", False),
        ("vllm/_C.cp312-win_amd64.pyd", WINDOWS, False),
        ("vllm/_C.abi3.pyd", WINDOWS, False),
    ],
)
def test_a_module_named_for_another_python(tmp_path: Path, name: str, tag: str, *, good: bool) -> None:
    found = told(forge.write(tmp_path, retagged(name, tag), tag=tag))
    assert [member for member, _ in found] == ([] if good else [name])
    assert all("looks for that" in what for _, what in found)


def test_the_library_of_another_python(tmp_path: Path) -> None:
    name, tag = "vllm/_C.pyd", "cp312-cp312-win_amd64"
    content = retagged(name, tag)
    own, other = (b"python%d.dll\0\0\0" % release for release in (312, 311))
    content[name] = content[name].replace(b"cudart64_13.dll\0", own)
    assert told(forge.write(tmp_path, content, tag=tag)) == []
    content[name] = content[name].replace(own, other)
    ((member, what),) = told(forge.write(tmp_path, content, tag=tag))
    assert (member, "python311.dll, and the wheel is tagged cp312-cp312-win_amd64" in what) == (name, True)


def test_a_dll_in_another_folder_is_found_only_on_request(tmp_path: Path) -> None:
    content = forge.files(WINDOWS)
    content["vllm/_C.pyd"] = content["vllm/_C.pyd"].replace(b"c10.dll", b"our.dll")
    content["vllm/libs/OUR.dll"] = forge.recorded("_C.pyd")
    file = forge.write(tmp_path, content, tag=WINDOWS)
    assert told(file) == []
    (said,) = [one for one in check(CheckRequest(file=file)).findings if one.subject is Subject.LIBRARIES]
    assert (said.member, said.what) == (
        "vllm/_C.pyd", "asks for our.dll, which lies in another folder: vllm/libs/OUR.dll"
    )  # fmt: skip
    assert "os.add_dll_directory" in said.fix


LIBS = b"$ORIGIN/../vllm.libs\0"


@pytest.mark.parametrize(
    ("search", "folder", "good"),
    [
        (LIBS, "vllm.libs", True),
        (b"${ORIGIN}/libs", "vllm/libs", True),
        (b"$ORIGIN", "vllm", True),
        (LIBS, "vllm/vllm.libs", False),
        (b"$ORIGINAL/libs", "vllm/libs", False),
    ],
)
def test_a_library_where_the_rpath_leads(tmp_path: Path, search: bytes, folder: str, *, good: bool) -> None:
    loop = forge.recorded("spinloop-needs.so").replace(LIBS, search.ljust(len(LIBS), b"\0"))
    content = forge.files() | {LOOP: loop, f"{folder}/libours.so": loop}
    found = problems(forge.write(tmp_path, content))
    assert [one.what for one in found if (one.member, one.subject) == (LOOP, Subject.LIBRARIES)] == (
        [] if good else [f"asks for libours.so, and its RPATH does not lead to {folder}/libours.so"]
    )


def test_a_name_that_is_long_for_windows(tmp_path: Path) -> None:
    """v0.33.0's longest has 171 characters."""
    name = "vllm/" + "x" * 163 + ".py"
    for tag in (LINUX, WINDOWS):
        report = check(CheckRequest(file=forge.write(tmp_path, forge.files(tag) | {name: b""}, tag=tag)))
        said = [one for one in report.findings if one.member == name]
        assert report.problems == ()
        assert [one.what for one in said] == (
            []
            if tag == LINUX
            else ["has 171 characters: without long paths the folder of the packages may have 87"]
        )


def test_a_description_of_a_newer_version_is_an_advice(tmp_path: Path) -> None:
    content = forge.files()
    newer = json.loads(content[MADE]) | {"schema_version": provenance.SCHEMA + 1, "more": 1}
    content[MADE] = json.dumps(newer).encode()
    report = check(CheckRequest(file=forge.write(tmp_path, content)))
    assert (report.problems, report.provenance) == ((), False)
    (said,) = [one for one in report.findings if one.subject is Subject.DESCRIPTION]
    assert "was written by a newer winvllm-build" in said.what
    assert said.fix == "check it with that version"


def test_every_finding_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = forge.write(tmp_path, without(forge.files(), CORE) | {"vllm/bad.py": b"def f(:\n"})
    assert run(["wheel", "check", str(bad), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert len(found) >= 2
    assert all(one["fix"] for one in found)
    assert run(["wheel", "check", str(bad)]) == 1
    said = capsys.readouterr().out
    assert said.count("fix: mend that line in the tree, then winvllm-build build --profile PROFILE") == 1
    assert said.endswith("problems\n")


def test_a_refused_wheel_is_checked_and_not_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = forge.write(tmp_path, forge.files())
    refused = good.rename(good.with_name(good.name + ".refused"))
    assert run(["wheel", "check", str(refused)]) == 0
    for command in (["wheel", "verify"], ["install-command"]):
        capsys.readouterr()
        assert run([*command, str(refused)]) == WheelError.exit_code
        said = capsys.readouterr().err
        assert "its own check refuses it" in said
        assert f"winvllm-build wheel check {refused}" in said


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """A wheel with a member that is unpacked into a temporary file."""
    file = forge.write(tmp_path, forge.files())
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("vllm/large.bin", bytes(17 << 20))
    yield file
    file.unlink()


def checked_by(program: str, file: Path) -> str:
    """`wheel check` in a process of its own, after these statements; what it says of the storage."""
    command = f"{program}\nfrom winvllm_build.cli.main import run; import sys; sys.exit(run(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", command, "wheel", "check", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == StorageError.exit_code, done.stdout + done.stderr
    assert "vllm/large.bin cannot be unpacked into the folder for temporary files" in done.stderr
    return done.stderr


def test_a_full_folder_for_temporary_files_is_not_the_wheels_fault(large: Path) -> None:
    program = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))"
    assert "18 MB free" in checked_by(program, large)


def test_no_folder_for_temporary_files_is_not_the_wheels_fault(large: Path) -> None:
    """`/proc/1` takes no file, from nobody."""
    assert "set TMPDIR to a folder" in checked_by("import tempfile; tempfile.tempdir = '/proc/1'", large)
