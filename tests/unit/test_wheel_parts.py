"""The parts of `wheel check` and `wheel verify`: device code, RECORD, versions, libraries, requirements."""

from __future__ import annotations

import csv
import importlib.machinery
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.tags import Tag, sys_tags
from packaging.version import Version

from tests.wheel_forge import made, recorded
from winvllm_build.errors import WheelError
from winvllm_build.wheel import binary, devicecode, libraries, metadata, modules, provenance, record, sbom
from winvllm_build.wheel.binary import Format, UnreadableError
from winvllm_build.wheel.libraries import Origin
from winvllm_build.wheel.verify import Verdict, compare_cuda, compare_versions, requirements_met
from winvllm_build.wheel.version import Platform, read_local, wheel_version

LIBRARIES = ("_C.abi3.so", "archs.so", "spinloop.abi3.so", "_C.pyd")


def test_device_code_of_every_kind_is_read() -> None:
    assert binary.read(recorded("archs.so")).code == {"compute_86", "sm_100f", "sm_86", "sm_90a"}
    assert binary.read(recorded("_C.pyd")).code == {"sm_86"}
    assert binary.read(recorded("spinloop.abi3.so")).code == frozenset()


def test_a_library_cut_off_anywhere_is_unreadable_or_says_less() -> None:
    """Whatever is left of a library is refused in one way: no other error comes out."""
    for name in LIBRARIES:
        whole = recorded(name)
        full = binary.read(whole)
        for length in range(0, len(whole), 97):
            try:
                found = binary.read(whole[:length])
            except UnreadableError:
                continue
            assert found.machine == full.machine
            assert found.code <= full.code


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.sampled_from(LIBRARIES), st.data())
def test_a_library_with_any_bytes_changed_is_unreadable_or_read(name: str, data: st.DataObject) -> None:
    content = bytearray(recorded(name))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = binary.read(bytes(content))
    except UnreadableError:
        return
    assert found.format in Format


@pytest.mark.parametrize(
    ("code", "gpu", "runs"),
    [
        ("sm_86", 86, True), ("sm_80", 86, True), ("sm_86", 80, False), ("sm_89", 86, False),
        ("sm_75", 86, False), ("compute_75", 86, True), ("compute_90", 86, False), ("sm_90a", 90, True),
        ("sm_90a", 91, False), ("compute_90a", 120, False), ("sm_100f", 103, True), ("sm_100f", 120, False),
        ("sm_120", 121, True), ("elf", 86, False),
    ],
)  # fmt: skip
def test_what_runs_where(code: str, gpu: int, *, runs: bool) -> None:
    assert devicecode.runs(code, gpu) is runs


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0"), min_size=1), min_size=1, unique=True))
def test_any_names_survive_a_record(names: list[str]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([(name, "sha256=AA", "1") for name in names])
    found = record.read("x.dist-info/RECORD", text.getvalue().encode("utf-8", "surrogatepass"))
    if any("\ud800" <= letter <= "\udfff" for name in names for letter in name):
        assert [one.what.startswith("is not csv in UTF-8") for one in found.findings] == [True]
    else:
        assert (set(found.rows), found.findings) == (set(names), ())


@pytest.mark.parametrize(
    ("archs", "options", "version"),
    [
        (["8.6"], {}, "0.14.1+cu126.sm86"),
        (["7.5", "8.6", "8.9"], {}, "0.14.1+cu126.sm75.86.89"),
        (["9.0a", "12.0+PTX"], {}, "0.14.1+cu126.sm90a.120ptx"),
        (["8.6"], {"layers": ["fast-compile"]}, "0.14.1+cu126.sm86.fast.compile"),
        (["8.6"], {"layers": ["gcc12"], "partial": True}, "0.14.1+cu126.sm86.gcc12.partial"),
        (["gfx1100", "gfx942"], {"platform": Platform.ROCM}, "0.14.1+rocm126.gfx1100.gfx942"),
    ],
)
def test_versions(archs: list[str], options: dict[str, object], version: str) -> None:
    release = Version("12.6.85")
    found = wheel_version("v0.14.1", release, archs, **options)  # type: ignore[arg-type]  # a table
    assert found == version
    parsed = Version(version)
    assert (parsed.public, str(parsed)) == ("0.14.1", version)


SUFFIXES = ("", "a", "f", "+PTX", "a+PTX")
ARCHS = st.lists(
    st.builds(
        "{}.{}{}".format, st.integers(7, 12), st.integers(0, 9), st.sampled_from(SUFFIXES)
    ),
    min_size=1, unique=True,
)  # fmt: skip


@settings(deadline=None)
@given(archs=ARCHS, partial=st.booleans())
def test_a_version_says_what_it_was_made_of(archs: list[str], *, partial: bool) -> None:
    written = wheel_version("v1.2", Version("13.0"), archs, layers=["gcc12"], partial=partial)
    local = read_local(Version(written))
    short = tuple(arch.replace(".", "").replace("+PTX", "ptx") for arch in archs)
    assert (local.platform, local.release, local.archs) == (Platform.CUDA, "130", short)
    assert (local.rest, local.partial) == (("gcc12",), partial)


def test_versions_of_others_are_read_as_far_as_they_go() -> None:
    upstream = read_local(Version("0.14.1+cu129"))
    assert (upstream.platform, upstream.release, upstream.archs) == (Platform.CUDA, "129", ())
    assert read_local(Version("0.14.1")).platform is None


@pytest.mark.parametrize(
    ("name", "form", "origin"),
    [
        ("KERNEL32.dll", Format.PE, Origin.SYSTEM),
        ("api-ms-win-crt-runtime-l1-1-0.dll", Format.PE, Origin.SYSTEM),
        ("python3.dll", Format.PE, Origin.PYTHON),
        ("VCRUNTIME140_1.dll", Format.PE, Origin.COMPILER),
        ("torch_cuda.dll", Format.PE, Origin.TORCH),
        ("cublasLt64_13.dll", Format.PE, Origin.CUDA),
        ("nvcuda.dll", Format.PE, Origin.DRIVER),
        ("inside.dll", Format.PE, Origin.WHEEL),
        ("libgcc_s_seh-1.dll", Format.PE, None),
        ("libcudart.so.13", Format.ELF, Origin.CUDA),
        ("libcuda.so.1", Format.ELF, Origin.DRIVER),
        ("libtorch_cpu.so", Format.ELF, Origin.TORCH),
        ("libprotobuf.so.32", Format.ELF, None),
    ],
)
def test_who_brings_a_library(name: str, form: Format, origin: Origin | None) -> None:
    assert libraries.origin(name, form, {"inside.dll"}) is origin


@pytest.mark.parametrize(
    ("name", "major"),
    [
        ("cudart64_13.dll", 13), ("cudart64_110.dll", 11), ("CUBLAS64_12.dll", 12), ("libcudart.so.13", 13),
        ("libcublasLt.so.12", 12), ("libcufft.so.12", None), ("kernel32.dll", None),
    ],
)  # fmt: skip
def test_the_cuda_release_in_a_name(name: str, major: int | None) -> None:
    assert libraries.cuda_major(name) == major


@pytest.mark.parametrize(
    ("requirement", "left_out"),
    [
        ('xgrammar; platform_machine == "x86_64"', True),
        ('xgrammar; platform_machine == "x86_64" or platform_machine == "AMD64"', False),
        ('xgrammar; platform_machine in "x86_64 aarch64"', True),
        ('x; platform_machine == "x86_64" and sys_platform == "linux"', False),
        ('x; platform_machine != "s390x"', False),
        ('x; platform_machine == "x86_64" and python_version < "3.11"', True),
        ('x; platform_machine == "x86_64" and python_version > "3.13"', True),
        ('x; platform_machine == "x86_64" and python_version == "3.12"', False),
        ('x; extra == "y"', False),
        ("x", False),
    ],
)
def test_requirements_that_windows_would_not_get(requirement: str, *, left_out: bool) -> None:
    found = list(metadata.only_elsewhere((Requirement(requirement),), "METADATA", ("3.10", "3.14")))
    assert bool(found) is left_out


@pytest.mark.parametrize(
    ("installed", "inside", "verdict"),
    [
        ("0.26.0+cu128", "0.26.0", Verdict.GOOD),
        ("0.26.0", "0.26.0+cu128", Verdict.GOOD),
        ("0.26.0+cu128.sm86", "0.26.0+cu128.sm86", Verdict.GOOD),
        ("0.26.0", "0.26.1", Verdict.FAILED),
        ("0.26.0rc1", "0.26.0", Verdict.FAILED),
        ("0.26.0", None, Verdict.FAILED),
    ],
)
def test_only_the_public_part_of_a_version_counts(
    installed: str, inside: str | None, verdict: Verdict
) -> None:
    assert compare_versions(installed, inside)[0] is verdict


ENVIRONMENT = {**metadata.WINDOWS, "python_version": "3.12", "python_full_version": "3.12.4"}


@pytest.mark.parametrize(
    ("there", "verdict", "words"),
    [
        ({"torch": "2.14.0+cu130", "Fast_API": "1.0"}, Verdict.GOOD, "all 2"),
        ({"torch": "2.13.0", "fast-api": "1.0"}, Verdict.FAILED, "torch 2.13.0 is not ==2.14.0"),
        ({"torch": "2.14.0"}, Verdict.NOT_DONE, "1 of 2 are not installed"),
    ],
)
def test_requirements_of_an_environment(there: dict[str, str], verdict: Verdict, words: str) -> None:
    asked = [Requirement(text) for text in ("torch==2.14.0", "fast_api", 'uvloop; sys_platform != "win32"')]
    found = requirements_met(asked, {"environment": ENVIRONMENT, "installed": there})
    assert found[0] is verdict
    assert words in found[1]


def test_a_description_survives_its_file_and_says_no_time() -> None:
    one = made({"vllm/_C.pyd": ("sm_86",)})
    assert provenance.read(one.serialise()) == one
    assert one.serialise() == made({"vllm/_C.pyd": ("sm_86",)}).serialise()
    bill = sbom.serialise(one, "0.33.0+cu130.sm86")
    assert bill == sbom.serialise(one, "0.33.0+cu130.sm86")
    assert b"timestamp" not in bill
    assert bill != sbom.serialise(one, "0.33.0+cu130.sm86.partial")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"schema_version": 1, "unknown": 2}', b'{"schema_version": "9"}']
)
def test_a_damaged_description_is_refused(content: bytes) -> None:
    with pytest.raises(WheelError, match=r"winvllm-build\.json is not of schema 2"):
        provenance.read(content)


def test_a_description_of_another_schema() -> None:
    one = json.loads(made({"vllm/_C.pyd": ("sm_86",)}).serialise())
    newer = {**one, "schema_version": 3, "what nobody knows yet": 1}
    assert provenance.read(json.dumps(newer).encode()) is None
    older = {name: value for name, value in one.items() if name != "packed"} | {"schema_version": 1}
    found = provenance.read(json.dumps(older).encode())
    assert found is not None
    assert (found.packed, found.archs) == ((), ("8.6",))


PLATFORMS = {"win": "win_amd64", "linux": "manylinux_2_28_x86_64"}


@pytest.mark.parametrize(
    ("between", "tag", "found"),
    [
        ("", "cp38-abi3-win", True), ("", "cp312-cp312-linux", True), ("abi3", "cp38-abi3-linux", True),
        ("abi3", "cp312-cp312-linux", True), ("abi3", "cp38-abi3-win", False),
        ("abi3", "cp313-cp313t-linux", False), ("cp312-win_amd64", "cp312-cp312-win", True),
        ("cp312-win_amd64", "cp312-none-win", True), ("cp311-win_amd64", "cp312-cp312-win", False),
        ("cp312-win_arm64", "cp312-cp312-win", False), ("cp312-win_amd64", "cp38-abi3-win", False),
        ("cp312-win_amd64", "py3-none-win", False), ("cp313-win_amd64", "cp313-cp313t-win", False),
        ("cpython-312", "cp312-cp312-linux", True),
        ("cpython-312-x86_64-linux-gnu", "cp312-cp312-linux", True),
        ("cpython-311-x86_64-linux-gnu", "cp312-cp312-linux", False),
        ("cpython-311-x86_64-linux-gnu", "cp38-abi3-linux", False),
    ],
)  # fmt: skip
def test_which_modules_a_python_looks_for(between: str, tag: str, *, found: bool) -> None:
    python, abi, system = tag.split("-")
    assert modules.finds(between, Tag(python, abi, PLATFORMS[system])) is found


def test_this_python_looks_for_what_is_said() -> None:
    own = next(sys_tags())
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        assert modules.finds(suffix.rpartition(".")[0].removeprefix("."), own), suffix


@pytest.mark.parametrize(
    ("wanted", "torch", "cuda", "verdict"),
    [
        ("13.0", "2.14.0+cu130", "13.0", Verdict.GOOD),
        ("12.9", "2.9.1+cu126", "12.6", Verdict.GOOD),
        ("13.0", "2.9.1+cu126", "12.6", Verdict.FAILED),
        ("13.0", "2.13.0+cpu", None, Verdict.NOT_DONE),
        ("13.0", None, None, Verdict.NOT_DONE),
        (None, "2.14.0+cu130", "13.0", Verdict.NOT_DONE),
    ],
)
def test_torch_has_to_be_for_the_wheels_cuda(
    wanted: str | None, torch: str | None, cuda: str | None, verdict: Verdict
) -> None:
    release = Version(wanted) if wanted else None
    assert compare_cuda(release, {"torch": torch, "torch_cuda": cuda})[0] is verdict
