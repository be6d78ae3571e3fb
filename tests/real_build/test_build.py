"""The main job on real vLLM with a real nvcc: build, again, edited, interrupted, killed, misused, packed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builder import KERNEL, SMALL, TAG, Builder
from winvllm_build.workspace import Workspace

pytestmark = [pytest.mark.network, pytest.mark.nvcc]


@pytest.fixture(scope="module")
def shared(test_cache: Path) -> Builder:
    """A workspace kept between test runs: downloads, source and toolchain cost their time once."""
    return Builder(test_cache / "workspace")


@pytest.fixture(scope="module")
def built(shared: Builder) -> dict[str, Any]:
    tree = Workspace(root=shared.home).trees / f"{TAG}-sm86"
    if tree.is_dir():  # an earlier, failed run may have left its edits
        assert shared.run("apply", TAG, "--tree", str(tree), "--restore").returncode == 0
        subprocess.run(["git", "-C", str(tree), "checkout", "--", KERNEL], check=True)
    return shared.build()


@pytest.fixture
def kernel(built: dict[str, Any]) -> Iterator[Path]:
    """A kernel outside the patch set, put back afterwards."""
    file = Path(built["tree"]) / KERNEL
    before = file.read_bytes()
    yield file
    file.write_bytes(before)


@pytest.fixture
def patched(built: dict[str, Any]) -> Iterator[Path]:
    """A patched file, put back afterwards."""
    file = Path(built["tree"]) / "csrc" / "core" / "math.hpp"
    before = file.read_bytes()
    yield file
    file.write_bytes(before)


def test_build_makes_the_library_and_the_object(built: dict[str, Any]) -> None:
    made = {Path(built["build"]) / name for name in built["artifacts"]}
    assert {file.name for file in made} == {"cumem_allocator.abi3.so", "cuda_utils_kernels.cu.o"}
    assert all(file.read_bytes()[:4] == b"\x7fELF" for file in made)
    assert built["patches"] > 26
    assert built["left_out"]["_C"] == "not asked for"


def test_the_tree_is_applied_and_only_the_patched_files_differ(
    shared: Builder, built: dict[str, Any]
) -> None:
    done = shared.run("status", TAG, "--tree", built["tree"], "--json")
    assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "applied")
    changed = subprocess.run(
        ["git", "-C", built["tree"], "diff", "--name-only", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(changed.stdout.splitlines()) == built["patches"]


def test_a_second_build_does_nothing(shared: Builder, built: dict[str, Any]) -> None:
    again = shared.build("--offline")
    assert again["edges"]["ran"] == 0
    assert again["build"] == built["build"]
    assert again["artifacts"] == built["artifacts"]


def test_editing_a_kernel_compiles_that_kernel_only(shared: Builder, kernel: Path) -> None:
    kernel.write_bytes(kernel.read_bytes() + b"\n// edited\n")
    again = shared.build()
    assert again["edges"]["ran"] == 1
    assert any(KERNEL in note for note in again["notes"])


def test_a_failing_kernel_is_explained_with_its_log(shared: Builder, kernel: Path) -> None:
    kernel.write_bytes(kernel.read_bytes() + b"\nint broken = no_such_name;\n")
    said = shared.fails(14, "build", *SMALL)
    assert 'identifier "no_such_name" is undefined' in said
    log = Path(next(line for line in said.splitlines() if line.strip().startswith("log: ")).strip()[5:])
    assert "no_such_name" in log.read_text()


def test_keep_going_finishes_the_rest_and_reports_the_failure(shared: Builder, kernel: Path) -> None:
    kernel.write_bytes(kernel.read_bytes() + b"\nint broken = no_such_name;\n")
    done = shared.run("build", *SMALL, "--keep-going", "--json")
    assert done.returncode == 14
    result = json.loads(done.stdout)
    assert [f["outputs"] for f in result["failed"]] == [[f"CMakeFiles/_C.dir/{KERNEL}.o"]]


def test_dry_run_lists_the_edges_and_changes_nothing(shared: Builder, kernel: Path) -> None:
    kernel.write_bytes(kernel.read_bytes() + b"\n// edited again\n")
    done = shared.run("build", *SMALL, "--dry-run", "--json")
    plan = json.loads(done.stdout)
    assert [title.rpartition("/")[2] for title in plan["pending"]] == ["cuda_utils_kernels.cu.o"]
    assert plan["total"] == 3


def test_no_tree_is_made_for_an_architecture_that_the_tag_lacks(
    shared: Builder, built: dict[str, Any]
) -> None:
    said = shared.fails(6, "build", *SMALL, "--arch", "5.0")
    assert "does not support architecture 5.0; it supports 7.0" in said
    assert not Path(built["tree"]).with_name(f"{TAG}-sm50").exists()


def test_edits_in_a_patched_file_are_refused_and_kept(shared: Builder, patched: Path) -> None:
    edited = patched.read_bytes() + b"// mine\n"
    patched.write_bytes(edited)
    said = shared.fails(10, "build", *SMALL)
    assert "csrc/core/math.hpp" in said
    assert "--edited" in said
    assert patched.read_bytes() == edited
    assert shared.build("--edited")["edges"]["ran"] <= 1  # the kernel that an earlier test put back


def test_two_builds_on_one_tree_exclude_each_other(
    shared: Builder, built: dict[str, Any], kernel: Path
) -> None:
    kernel.write_bytes(kernel.read_bytes() + b"\n// slow\n")
    first = shared.start("build", *SMALL)
    lock = Path(built["tree"]).with_name(f"{TAG}-sm86.lock.owner")
    wait_for(lambda: lock.is_file() and str(first.pid) in lock.read_text())
    said = shared.fails(11, "build", *SMALL)
    assert str(first.pid) in said
    first.communicate()
    assert first.returncode == 0


def test_kill_9_while_compiling_is_repaired_by_the_next_run(
    shared: Builder, built: dict[str, Any], kernel: Path
) -> None:
    kernel.write_bytes(kernel.read_bytes() + b"\n// killed\n")
    child = shared.start("build", *SMALL)
    wait_for((Path(built["build"]) / ".winvllm-running.json").is_file)
    child.kill()
    child.communicate()
    assert shared.build()["edges"]["total"] == 3
    assert shared.build()["edges"]["ran"] == 0


def test_interruption_says_so_and_the_next_run_goes_on(
    shared: Builder, built: dict[str, Any], kernel: Path
) -> None:
    kernel.write_bytes(kernel.read_bytes() + b"\n// interrupted\n")
    child = shared.start("build", *SMALL)
    wait_for((Path(built["build"]) / ".winvllm-running.json").is_file)
    child.send_signal(signal.SIGTERM)
    said = child.communicate()[1].decode()
    assert child.returncode == 130
    assert "error: interrupted" in said
    assert shared.build()["edges"]["ran"] <= 1


def test_kill_9_while_configuring_is_repaired_by_the_next_run(shared: Builder, built: dict[str, Any]) -> None:
    stamp = Path(built["build"]) / ".winvllm-configuring"
    child = shared.start("build", *SMALL, "--fresh")
    wait_for(stamp.is_file)
    time.sleep(1.0)
    child.kill()
    child.communicate()
    assert stamp.is_file()
    again = shared.build()
    assert again["artifacts"].keys() == built["artifacts"].keys()
    assert not stamp.exists()


@pytest.fixture(scope="module")
def packed(shared: Builder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real wheel with one real extension."""
    out = tmp_path_factory.mktemp("packed")
    asked = ("--profile", "sm86", "--tag", TAG, "--targets", "cumem_allocator")
    return Path(shared.build("--out", str(out), "--wheel", chosen=asked)["wheel"]["path"])


def test_the_wheel_holds_what_was_built(packed: Path) -> None:
    assert packed.name.startswith("vllm-0.14.1+cu130.sm86.partial-cp38-abi3-")
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        metadata = archive.read("vllm-0.14.1+cu130.sm86.partial.dist-info/METADATA").decode()
    assert {"vllm/cumem_allocator.abi3.so", "vllm/__init__.py", "vllm/utils/uvloop_compat.py"} <= names
    assert "Requires-Dist: torch==2.9.1" in metadata
    assert 'flashinfer-python==0.5.3; sys_platform != "win32"' in metadata


def test_the_wheel_says_how_it_was_made_and_passes_its_check(shared: Builder, packed: Path) -> None:
    done = shared.run("wheel", "check", str(packed), "--profile", "sm86", "--tag", TAG, "--json")
    report = json.loads(done.stdout)
    lacking = [one["what"] for one in report["findings"] if one["severity"] == "problem"]
    assert lacking == []
    assert (done.returncode, report["provenance"], report["architectures"]) == (0, True, ["8.6"])
    assert report["patched_files_compared"] > 20
    assert report["python_files_compiled"] > 1000
    with zipfile.ZipFile(packed) as archive:
        (bill,) = [name for name in archive.namelist() if name.endswith("/sboms/winvllm-build.cdx.json")]
        materials = json.loads(archive.read(bill))
        (made,) = [name for name in archive.namelist() if name.endswith(".dist-info/winvllm-build.json")]
        description = archive.read(made).decode()
    assert materials["metadata"]["component"]["pedigree"]["ancestors"][0]["version"] == "0.14.1"
    assert json.loads(description)["extensions"].keys() == {"vllm/cumem_allocator.abi3.so"}
    assert str(shared.home) not in description


def rewritten(wheel: Path, folder: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The wheel with its members changed, or left out; RECORD says what was there before."""
    made = folder / wheel.name
    with (
        zipfile.ZipFile(wheel) as before,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as after,
    ):
        for info in before.infolist():
            content = change(info.filename, before.read(info))
            if content is not None:
                after.writestr(info, content)
    return made


TABS = b"if 1:\n        a = 1\n\tb = 2\n"
FAULTS: dict[str, tuple[Callable[[bytes], bytes | None], set[str]]] = {
    "vllm/cumem_allocator.abi3.so": (lambda _: None, {"extensions", "record"}),
    "vllm/distributed/parallel_state.py": (lambda content: content + TABS, {"python", "patches", "record"}),
    "vllm/envs.py": (lambda _: None, {"extensions", "patches", "record"}),
    "vllm/logger.py": (lambda content: content + b"# edited\n", {"record"}),
}


def test_every_damage_to_a_wheel_is_caught(shared: Builder, packed: Path, tmp_path: Path) -> None:
    """An extension and a patched file lost, tabs in another, one edited: each by its own name."""

    def change(name: str, content: bytes) -> bytes | None:
        return FAULTS[name][0](content) if name in FAULTS else content

    done = shared.run("wheel", "check", str(rewritten(packed, tmp_path, change)), "--json")
    found = [one for one in json.loads(done.stdout)["findings"] if one["severity"] == "problem"]
    assert done.returncode == 1
    caught = {name: {one["subject"] for one in found if one["member"] == name} for name in FAULTS}
    assert caught == {name: subjects for name, (_, subjects) in FAULTS.items()}
    assert {one["member"] for one in found} == set(FAULTS)


def test_a_wheel_cut_off_is_caught(shared: Builder, packed: Path, tmp_path: Path) -> None:
    cut = tmp_path / packed.name
    cut.write_bytes(packed.read_bytes()[:-4096])
    assert "is no readable wheel" in shared.fails(17, "wheel", "check", str(cut))


def test_a_wheel_that_its_check_refuses_is_kept_aside(
    shared: Builder, built: dict[str, Any], packed: Path, tmp_path: Path
) -> None:
    file = Path(built["tree"]) / "vllm" / "broken_here.py"
    file.write_bytes(TABS)
    try:
        asked = ("--profile", "sm86", "--tag", TAG, "--targets", "cumem_allocator")
        said = shared.fails(15, "build", *asked, "--wheel", "--out", str(tmp_path))
    finally:
        file.unlink()
    assert "its own check refuses it" in said
    assert "vllm/broken_here.py TabError" in said
    assert [kept.name for kept in tmp_path.iterdir()] == [f"{packed.name}.refused"]


def test_single_targets_make_no_wheel_by_themselves(shared: Builder) -> None:
    result = shared.build(chosen=("--profile", "sm86", "--targets", "cumem_allocator"))
    assert result["wheel"] is None
    assert any("--wheel" in note for note in result["notes"])


def test_patching_waits_for_a_build_on_the_same_tree(
    shared: Builder, built: dict[str, Any], kernel: Path
) -> None:
    kernel.write_bytes(kernel.read_bytes() + b"\n// compiling\n")
    child = shared.start("build", *SMALL)
    wait_for((Path(built["build"]) / ".winvllm-running.json").is_file)
    said = shared.fails(11, "apply", TAG, "--tree", built["tree"], "--reverse")
    assert str(child.pid) in said
    child.communicate()
    assert child.returncode == 0


def test_a_variable_of_the_profile_makes_another_build(shared: Builder, built: dict[str, Any]) -> None:
    done = shared.run("build", *SMALL, "--dry-run", "--json", "--set", "environment.CXXFLAGS=-DEXTRA")
    plan = json.loads(done.stdout)
    assert plan["build"] != built["build"]
    assert len(plan["pending"]) == 3
    flags = [
        line
        for line in (Path(plan["build"]) / "CMakeCache.txt").read_text().splitlines()
        if "-DEXTRA" in line
    ]
    assert flags


def test_a_dry_run_never_drops_the_build_folder(shared: Builder, built: dict[str, Any]) -> None:
    assert "--fresh" in shared.fails(2, "build", *SMALL, "--dry-run", "--fresh")
    assert all((Path(built["build"]) / name).is_file() for name in built["artifacts"])


def test_status_and_apply_find_the_tree_that_was_built(shared: Builder, built: dict[str, Any]) -> None:
    assert built["patches"]
    done = shared.run("status", TAG)
    assert done.returncode == 0, done.stderr
    assert "applied" in done.stdout
    assert shared.run("apply", TAG, "--check").returncode == 0


@pytest.mark.parametrize(
    ("code", "arguments", "expected"),
    [
        (6, ("--tag", "v0.14.2"), "v0.14.1"),
        (2, ("--targets", "cumem_alocator"), 'did you mean "cumem_allocator"'),
        (2, ("--object", "csrc/cuda_utils_kernel.cu"), "csrc/cuda_utils_kernels.cu"),
        (6, ("--profile", "quickstrat"), "quickstart"),
        (6, ("--arch", "8.65"), "8.6"),
        (6, ("--cuda-home", "/usr/local/cuda/bin"), "bin"),
        (6, ("--set", "build.max_job=2"), "max_jobs"),
        (6, ("--set", "cuda.home=a\nb"), "cuda.home"),
        (7, ("--source", "local", "--location", "/no/such/folder"), "/no/such/folder"),
        (2, ("--no-such-option",), "--no-such-option"),
    ],
)
def test_bad_input_is_one_clear_error(
    shared: Builder, built: dict[str, Any], code: int, arguments: tuple[str, ...], expected: str
) -> None:
    assert built["tag"] == TAG
    given = {"--profile": "quickstart", "--tag": TAG}
    chosen = [word for name, value in given.items() if name not in arguments for word in (name, value)]
    assert expected in shared.fails(code, "build", *chosen, *arguments)


def test_an_unwritable_workspace_is_one_clear_error() -> None:
    said = Builder(Path("/sys/winvllm-build")).fails(12, "build", *SMALL)
    assert "WINVLLM_BUILD_HOME" in said


def test_a_full_disk_is_one_clear_error(tmp_path: Path, shared: Builder) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(small)], check=False)
    if mounted.returncode != 0:
        pytest.skip("a small file system can be mounted by root only")
    try:
        shutil.copytree(Workspace(root=shared.home).downloads, small / "downloads", ignore=other_releases)
        said = Builder(small).fails(12, "build", *SMALL)
        assert "full" in said
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def other_releases(folder: str, names: list[str]) -> list[str]:
    """Archives that other tests keep beside the one of this tag."""
    del folder
    return [n for n in names if n.startswith("vllm-") and n.endswith(".gz") and n != "vllm-0.14.1.tar.gz"]


def test_offline_with_nothing_cached_names_what_is_missing(tmp_path: Path) -> None:
    said = Builder(tmp_path / "empty").fails(8, "build", *SMALL, "--offline")
    assert "vllm" in said


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
