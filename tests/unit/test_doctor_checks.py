"""Each check of `doctor`: silent on a machine in order, and not on one that has its sickness."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from tests import machine_patient as patient
from tests.machine_patient import GB, asking, equipped, living, machine, windows
from winvllm_build.choices import TorchSource
from winvllm_build.doctor.checks import CHECKS, examine
from winvllm_build.doctor.facts import BuildFolder, Facts, Leftover, Role
from winvllm_build.doctor.finding import RANK, TELLING, Finding, Status
from winvllm_build.doctor.gpus import runs_on
from winvllm_build.doctor.resources import jobs_by_memory
from winvllm_build.doctor.windows import Defender, Scanner
from winvllm_build.errors import ToolchainError
from winvllm_build.profile.findings import Finding as Contradiction
from winvllm_build.profile.findings import Severity
from winvllm_build.toolchain.cuda_survey import Verdict
from winvllm_build.toolchain.gpu import Absence, DriverModel, Gpus
from winvllm_build.toolchain.torch_version import TorchVersion

PROBLEM, WARNING, ADVICE, UNKNOWN = Status.PROBLEM, Status.WARNING, Status.ADVICE, Status.UNKNOWN
BROKEN = replace(patient.TOOLS, missing=("link",))
NEWER = replace(
    patient.CL, version=Version("19.50.35717"), refusal="this nvcc takes _MSC_VER 1910 to 1949, cl has 1950"
)
OTHER = replace(
    patient.TOOLKIT, home=Path("C:/CUDA/v13.0"), verdict=Verdict.MISFIT, version=Version("13.0.88"),
    reason="CUDA 13.0.88 is not 12.x", named_by=("CUDA_HOME",),
)  # fmt: skip
SECOND = replace(patient.CARD, index=1, capability="12.0", shows_display=False, name="RTX 5090")
GPUS = patient.INVENTORY.gpus
CPU_TORCH = replace(
    patient.PYTHON, torch=TorchVersion(version="2.9.1+cpu", cuda=None, hip=None), torch_package=Path("t")
)
PROGRAMS = Path("C:/Program Files/NVIDIA GPU Computing Toolkit/CUDA/v12.8")
VISUAL_STUDIO = BuildFolder(path=Path("b"), generator="Visual Studio 17 2022", source="s")
REFUSED = Contradiction(key="cuda.arch_list", message="6.1 was dropped", fix="remove it")
NOTED = Contradiction(
    key="cuda.arch_list", message="vLLM ignores the +PTX of 8.6+PTX", severity=Severity.NOTE
)
HIDDEN = Defender(scanner=Scanner.SCANS, exclusions=None)


def gpus(**parts: Any) -> Facts:  # noqa: ANN401 - fields of a record
    return equipped(gpus=replace(GPUS, **parts))


def python(**parts: Any) -> Facts:  # noqa: ANN401 - fields of a record
    return equipped(python=replace(patient.PYTHON, **parts))


def memory(**parts: Any) -> Facts:  # noqa: ANN401 - fields of a record
    return machine(memory=replace(patient.HEALTHY.memory, **parts))


def windows_without_long_paths(role: Role, path: str) -> Facts:
    return replace(living(role, path=Path(path)), windows=windows(long_paths=False).windows)


def on_linux(**parts: Any) -> Facts:  # noqa: ANN401 - fields of a record
    return replace(patient.LINUX, inventory=replace(patient.LINUX.inventory, **parts), folders=())


def git(**values: str) -> Facts:
    named = {name.replace("_", "."): value for name, value in values.items()}
    found = patient.INVENTORY.git
    assert found is not None
    return equipped(git=replace(found, values=named))


SICK: tuple[tuple[str, Facts, Status, str], ...] = (
    ("visual-cpp", equipped(studios=(), errors={"studios": ToolchainError("no vswhere")}),
     PROBLEM, "no vswhere"),
    ("visual-cpp", equipped(studios=(replace(patient.STUDIO, tools=()),)), PROBLEM, "lacks the C++ workload"),
    ("visual-cpp", equipped(studios=(replace(patient.STUDIO, tools=(BROKEN,)),)), PROBLEM, "lacks link"),
    ("windows-sdk", equipped(sdks=()), PROBLEM, "no rc.exe"),
    ("windows-sdk", equipped(sdks=(replace(patient.SDK, is_known=False),)), PROBLEM, "only parts of 10.0"),
    ("windows-sdk", equipped(sdks=(replace(patient.SDK, rc=None),)), PROBLEM, "lacks rc.exe"),
    ("windows-sdk", equipped(sdks=(replace(patient.SDK, mt=None, lacks=("Lib/x",)),)),
     PROBLEM, "mt.exe, Lib/x"),
    ("host-compiler", equipped(compilers=()), PROBLEM, "no Visual C++"),
    ("host-compiler", equipped(compilers=(NEWER,)), PROBLEM, "takes none of them"),
    ("host-compiler", equipped(compilers=(NEWER, patient.CL)), WARNING, "19.50.35717 comes first"),
    ("profile", machine(contradictions=(REFUSED,)), PROBLEM, "cuda.arch_list: 6.1 was dropped"),
    ("profile", machine(contradictions=(NOTED,)), ADVICE, "ignores the +PTX"),
    ("cuda-toolkit", equipped(toolkits=(OTHER,)), PROBLEM, "CUDA 13.0.88 is not 12.x"),
    ("torch-cuda", equipped(toolkits=(replace(OTHER, verdict=Verdict.TAKEN),)),
     PROBLEM, "built with CUDA 12.8"),
    ("torch-cuda", equipped(installed_torch="no CUDA", python=CPU_TORCH), WARNING, "CPU build"),
    ("torch-cuda", equipped(installed_torch="no torch", python=replace(patient.PYTHON, torch=None)),
     ADVICE, "no torch"),
    ("arch-toolkit", asking(architectures=("8.6", "12.1")), PROBLEM, "12.1 needs CUDA 12.9"),
    ("arch-toolkit", asking(architectures=("8.7",)), PROBLEM, "does not compile 8.7"),
    ("arch-toolkit", asking(architectures=("8.6", "9.0a")), WARNING, "Machete"),
    ("arch-toolkit", equipped(toolkits=()), UNKNOWN, "no toolkit"),
    ("long-paths-git", equipped(git=None), UNKNOWN, "no git"),
    ("cuda-home", machine(environment={"CUDA_HOME": "C:\\CUDA\\v12.8\\bin"}), PROBLEM, "bin folder"),
    ("cuda-home", machine(environment={"CUDA_PATH": "/nowhere"}), WARNING, "no CUDA toolkit"),
    ("cuda-leak", equipped(toolkits=(OTHER, patient.TOOLKIT)), WARNING, "CUDA_HOME leads to CUDA 13.0.88"),
    ("environment-leak", machine(environment={"CMAKE_CXX_COMPILER_LAUNCHER": "sccache"}), ADVICE, "PDB"),
    ("environment-leak", machine(environment={"CL": "/O2"}), ADVICE, "CL: cl takes options"),
    ("gpu-driver", gpus(cuda=Version("11.8")), PROBLEM, "runs CUDA up to 11.8"),
    ("gpu-driver", gpus(cuda=Version("12.2")), ADVICE, "is not translated"),
    ("gpu-driver", equipped(gpus=Gpus(absence=Absence.NO_DRIVER)), WARNING, "does not answer"),
    ("gpu-driver", equipped(gpus=Gpus(absence=Absence.NO_LIBRARY)), UNKNOWN, "a build needs none"),
    ("gpu-arch", gpus(gpus=(SECOND,)), PROBLEM, "no kernel image"),
    ("gpu-arch", gpus(gpus=(replace(SECOND, capability="6.1"),)), PROBLEM, "is 6.1"),
    ("gpu-arch", asking(architectures=("8.6", "12.0")), ADVICE, "no GPU here runs 12.0"),
    ("gpu-model", windows(tdr_delay=2), WARNING, "more than 2 s"),
    ("gpu-model", gpus(gpus=(patient.CARD, replace(SECOND, capability="8.6"))),
     ADVICE, "GPU 0 draws the desktop"),
    ("gpu-several", gpus(gpus=(patient.CARD, SECOND)), WARNING, "2 kinds (8.6, 12.0)"),
    ("gpu-several", gpus(gpus=(patient.CARD, patient.CARD)), ADVICE, "no NCCL"),
    ("cmake", equipped(cmake=None, errors={"cmake": ToolchainError("no cmake of 3.26", fix="f")}),
     PROBLEM, "3.26"),
    ("ninja", equipped(ninja=None), PROBLEM, "no ninja"),
    ("git", equipped(git=None), PROBLEM, "no git"),
    ("python", equipped(python=None, errors={"python": ToolchainError("silent")}), PROBLEM, "silent"),
    ("python", python(bits=32), PROBLEM, "no 64-bit CPython"),
    ("python", python(is_free_threaded=True), PROBLEM, "free-threaded"),
    ("python", python(version=Version("3.14.0")), PROBLEM, "supports <3.14"),
    ("python-headers", python(missing=(Path("Python.h"),), is_embedded=True), PROBLEM, "embeddable package"),
    ("python-gil", python(lies=True, version=Version("3.13.4")), PROBLEM, "pythonXYt.lib"),
    ("python-embedded", python(is_embedded=True), ADVICE, "._pth"),
    ("long-paths", windows(long_paths=False), WARNING, "LongPathsEnabled"),
    ("long-paths-git", git(core_longpaths="false"), WARNING, "Filename too long"),
    ("long-paths-git", git(), WARNING, "core.longpaths"),
    ("path-budget", living(Role.WORKSPACE, path=Path("C:\\Users\\" + "n" * 90)), ADVICE, "junction"),
    ("path-budget", windows_without_long_paths(Role.ENVIRONMENT, "C:\\" + "n" * 190), WARNING, "more than"),
    ("path-marks", living(Role.WORKSPACE, path=Path("C:\\a;b")), PROBLEM, "has ; in"),
    ("path-marks", equipped(toolkits=(replace(patient.TOOLKIT, home=PROGRAMS),)), ADVICE, "no 8.3 name"),
    ("path-marks", equipped(toolkits=(replace(patient.TOOLKIT, home=Path("C:/a&b")),)), ADVICE, "has & in"),
    ("path-marks", on_linux(toolkits=(replace(patient.TOOLKIT, home=Path("/opt/a b")),)),
     PROBLEM, "ln -s '/opt/a b' ~/cuda"),
    ("path-letters", living(Role.WORKSPACE, path=Path("C:\\J\u00fcrgen")), WARNING, "code page 1252"),
    ("line-ends", machine(crlf=("v0.14.1/setup.py.patch",)), PROBLEM, "CR LF"),
    ("line-ends", git(core_longpaths="true", core_autocrlf="true"), ADVICE, "core.autocrlf"),
    ("memory", memory(free=1 * GB), PROBLEM, "not even one"),
    ("memory", memory(free=6 * GB), WARNING, "flash-attention"),
    ("memory", memory(commit_left=8 * GB), ADVICE, "of which Windows promises 8.0 GB: 4 jobs"),
    ("memory", memory(commit_left=1 * GB), PROBLEM, "not even one"),
    ("memory", memory(free=8 * GB, limited_by="/sys/fs/cgroup/memory.max"), ADVICE, "limited by /sys"),
    ("page-file", windows(page_files=()), WARNING, "no page file"),
    ("page-file", memory(commit_left=3 * GB), WARNING, "only 3.0 GB more"),
    ("disk", living(Role.WORKSPACE, free=2 * GB), PROBLEM, "2.0 GB free"),
    ("disk", living(Role.WORKSPACE, free=10 * GB), ADVICE, "several builds"),
    ("disk", living(Role.TEMPORARY, writable=False), PROBLEM, "cannot be written"),
    ("disk", living(Role.WORKSPACE, blocked_by=Path("C:/w")), PROBLEM, "is no folder"),
    ("disk", living(Role.ENVIRONMENT, free=None), UNKNOWN, "does not tell"),
    ("antivirus", windows(defender=replace(HIDDEN, exclusions=("C:\\Users",))), ADVICE, "Add-MpPreference"),
    ("antivirus", windows(defender=HIDDEN), ADVICE, "administrator may see"),
    ("generator", machine(builds=(VISUAL_STUDIO,)), PROBLEM, "Visual Studio 17 2022"),
    ("temporary-builds", machine(leftovers=(Leftover(path=Path("C:/t/tmp1.build-temp"), days=3),)), ADVICE,
     "3 days"),
)  # fmt: skip


def told(facts: Facts, name: str) -> list[Finding]:
    return [one for one in examine(facts) if one.id == name]


@pytest.mark.parametrize(("name", "facts", "status", "words"), SICK, ids=[one[0] for one in SICK])
def test_a_sick_machine(name: str, facts: Facts, status: Status, words: str) -> None:
    found = [one for one in told(facts, name) if one.status is status]
    assert len(found) == 1
    assert words in found[0].detail or words in found[0].fix
    assert found[0].fix or status is UNKNOWN or name == "profile"


def test_a_machine_in_order_has_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvcc.exe").touch()
    facts = machine(environment={"CUDA_PATH": str(tmp_path)})
    assert [one for one in examine(facts) if one.status is not Status.OK] == []


def test_what_windows_alone_has_is_said_not_to_apply_on_linux() -> None:
    found = {one.id for one in examine(patient.LINUX) if one.status is Status.NOT_APPLICABLE}
    assert found == {
        "antivirus", "gpu-model", "long-paths", "long-paths-git", "page-file", "path-budget",
        "python-embedded", "visual-cpp", "windows-sdk",
    }  # fmt: skip


def test_every_check_was_seen_to_fail() -> None:
    assert {check.id for check in CHECKS} == {name for name, _, status, _ in SICK if status in TELLING}
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_the_gravest_come_first() -> None:
    found = examine(replace(windows(long_paths=False), crlf=("a.patch",)))
    assert [one.status for one in found] == sorted((one.status for one in found), key=lambda one: RANK[one])
    assert found[0].id == "line-ends"


def test_no_toolkit_is_no_problem_where_one_can_be_laid_down() -> None:
    free = equipped(toolkits=(), installed_torch="no torch")
    (one,) = told(free, "cuda-toolkit")
    assert one.status is Status.OK
    assert "lays down CUDA 13.0.88" in one.detail
    (bound,) = told(equipped(toolkits=()), "cuda-toolkit")
    assert bound.status is PROBLEM
    assert "install a CUDA 12.x toolkit" in bound.fix


def test_a_toolkit_that_will_be_laid_down_is_held_against_compilers_and_architectures() -> None:
    free = equipped(toolkits=(), installed_torch="no torch", compilers=(NEWER,))
    (compiler,) = told(free, "host-compiler")
    assert "nvcc 13.0.88, which the first build lays down, takes none of them" in compiler.detail
    assert [one.status for one in told(free, "arch-toolkit")] == [Status.OK]
    hopper = replace(free, request=replace(free.request, architectures=("9.0a",)))
    assert [one.status for one in told(hopper, "arch-toolkit")] == [WARNING]
    older = replace(free, request=replace(free.request, architectures=("6.1",)))
    assert [one.status for one in told(older, "arch-toolkit")] == [UNKNOWN]
    (toolkit,) = told(older, "cuda-toolkit")
    assert toolkit.status is PROBLEM
    assert "13.0.88 is not laid down: CUDA 13.0.88 does not compile for 6.1" in toolkit.detail


def test_a_second_nvcc_on_path_is_nobodys_concern() -> None:
    second = replace(OTHER, named_by=("PATH, behind another",))
    assert [one.status for one in told(equipped(toolkits=(patient.TOOLKIT, second)), "cuda-leak")] == [
        Status.OK
    ]


def test_a_short_name_without_marks_is_enough() -> None:
    facts = equipped(toolkits=(replace(patient.TOOLKIT, home=PROGRAMS),))
    (one,) = told(replace(facts, toolkit_short="C:\\PROGRA~1\\NVIDIA~2\\CUDA\\v12.8"), "path-marks")
    assert one.status is Status.OK
    assert "PROGRA~1" in one.detail


def test_visual_cpp_names_the_tools_that_a_build_takes() -> None:
    newer = replace(patient.TOOLS, version=Version("14.50.35717"), is_default=False)
    both = equipped(studios=(replace(patient.STUDIO, tools=(patient.TOOLS, newer)),))
    (one,) = told(both, "visual-cpp")
    assert one.detail == "Build Tools 17.14.1: cl 19.44.35207; Build Tools 17.14.1: cl 19.50.35717"


def test_an_installed_torch_that_the_profile_wants_is_no_advice() -> None:
    facts = equipped(installed_torch="there is none")
    wanted = replace(facts, request=replace(facts.request, torch_source=TorchSource.INSTALLED))
    (one,) = told(wanted, "torch-cuda")
    assert one.status is PROBLEM


def test_cards_of_one_kind_are_named_for_both_shells() -> None:
    cards = (SECOND, replace(patient.CARD, index=2), patient.CARD)
    (kinds, *_) = told(gpus(gpus=cards), "gpu-several")
    assert kinds.fix.splitlines()[1].startswith('setx CUDA_VISIBLE_DEVICES "2,0"')


@pytest.mark.parametrize("free", [0, 10 * GB])
def test_only_a_workspace_that_is_there_can_be_pruned(free: int) -> None:
    def fix(facts: Facts) -> str:
        return next(one.fix for one in examine(facts) if one.id == "disk")

    assert "state prune" in fix(living(Role.WORKSPACE, free=free))
    assert fix(living(Role.WORKSPACE, free=free, there=False)).startswith("setx WINVLLM_BUILD_HOME")


def test_a_profile_in_a_folder_with_a_blank_is_one_word_of_the_command() -> None:
    facts = replace(equipped(installed_torch="there is none"), profile="C:/my profiles/a.toml")
    (one,) = told(facts, "torch-cuda")
    assert '--profile "C:/my profiles/a.toml" --tag' in one.fix


def test_hopper_kernels_are_no_warning_beside_a_hopper() -> None:
    facts = gpus(gpus=(replace(patient.CARD, capability="9.0", model=DriverModel.TCC),))
    hopper = replace(facts, request=replace(facts.request, architectures=("9.0a",)))
    assert [one.status for one in told(hopper, "arch-toolkit")] == [Status.OK]
    assert [one.status for one in told(hopper, "gpu-arch")] == [Status.OK]


@pytest.mark.parametrize(
    ("name", "capability", "runs"),
    [
        ("8.6", "8.6", True), ("8.0", "8.6", True), ("8.6", "8.0", False), ("8.6", "8.9", True),
        ("8.6+PTX", "12.0", False), ("9.0a", "9.0", True), ("10.0a", "10.3", False), ("10.0f", "10.3", True),
        ("12.0", "12.1", True), ("7.5", "8.6", False),
    ],
)  # fmt: skip
def test_which_kernels_run_on_which_card(name: str, capability: str, runs: bool) -> None:  # noqa: FBT001 - a parameter
    assert runs_on(name, capability) is runs


@pytest.mark.parametrize(("free", "jobs"), [(0, 1), (2 * GB, 1), (8 * GB, 4), (64 * GB, 36)])
def test_jobs_by_memory(free: int, jobs: int) -> None:
    assert jobs_by_memory(free) == jobs
