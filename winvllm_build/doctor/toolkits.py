"""CUDA toolkits, torch's CUDA, and variables that lead elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from winvllm_build import arch, cuda_home
from winvllm_build.choices import TorchSource
from winvllm_build.commands import set_variable, unset_variables, word
from winvllm_build.doctor.facts import Facts
from winvllm_build.doctor.finding import Check, Outcome, advice, ok, problem, unknown, warning
from winvllm_build.index import PlatformTag
from winvllm_build.profile.findings import Severity
from winvllm_build.toolchain.cuda import Wanted
from winvllm_build.toolchain.cuda_search import variables
from winvllm_build.toolchain.cuda_survey import FoundToolkit, Verdict
from winvllm_build.toolchain.inventory import LaidDown
from winvllm_build.toolchain.torch import Torch

LEAKING: Final = {
    "CL": "cl takes options from it", "_CL_": "cl takes options from it",
    "LINK": "link takes options from it",
    "CFLAGS": "CMake takes flags from it", "CXXFLAGS": "CMake takes flags from it",
    "CUDAFLAGS": "CMake takes flags from it", "NVCC_APPEND_FLAGS": "nvcc takes options from it",
    "NVCC_PREPEND_FLAGS": "nvcc takes options from it", "NVCC_CCBIN": "nvcc takes its compiler from it",
    "CMAKE_GENERATOR": "CMake takes another generator than Ninja",
    "CMAKE_C_COMPILER_LAUNCHER": "a compiler cache runs cl, which ends in PDB conflicts",
    "CMAKE_CXX_COMPILER_LAUNCHER": "a compiler cache runs cl, which ends in PDB conflicts",
    "CMAKE_CUDA_COMPILER_LAUNCHER": "a compiler cache runs nvcc",
    "PYTHONPATH": "Python finds other modules", "PYTHONHOME": "Python finds another library",
}  # fmt: skip


def contradictions(facts: Facts) -> Iterator[Outcome]:
    """What a build of this profile would be refused for on any machine."""
    for one in facts.contradictions:
        told = f"{one.key}: {one.message}"
        yield problem(told, one.fix) if one.severity is Severity.REFUSED else advice(told)


def toolkit(facts: Facts) -> Iterator[Outcome]:
    """One that fits the profile, the tag and an installed torch."""
    inventory = facts.inventory
    taken = inventory.toolkit
    if taken is not None:
        yield ok(f"CUDA {taken.version} at {taken.home} ({', '.join(taken.named_by)})")
        return
    rejected = "; ".join(f"{one.home}: {one.reason}" for one in inventory.toolkits) or "none is installed"
    wanted = _wanted(facts)
    if inventory.lays_down(facts.request):
        yield ok(
            f"the first build lays down CUDA {inventory.laid_down.version} from NVIDIA's wheels ({rejected})"
        )
        return
    fix = wanted.fix or "install a CUDA toolkit that fits, then set cuda.home (or CUDA_HOME) to its folder"
    laid_down = f"{inventory.laid_down.version} is not laid down: {inventory.laid_down.refusal(wanted)}"
    yield problem(f"no {wanted} toolkit that fits: {rejected}; {laid_down}", fix)


def torch_cuda(facts: Facts) -> Iterator[Outcome]:
    """The torch that the wheel will run with has to be a CUDA build of the toolkit's major version."""
    found = facts.inventory.installed_torch
    if isinstance(found, Torch):
        yield from _against_toolkit(facts, found)
        return
    if facts.request.torch_source is TorchSource.INSTALLED:
        yield problem(f"torch.source is installed, but {found}", _install(facts))
        return
    python = facts.inventory.python
    said = None if python is None else python.torch
    if said is not None and said.cuda is None and said.hip is None:
        yield warning(
            f"torch {said.version} is a CPU build: what is built imports nothing with it "
            "(`No module named 'vllm._C'`)",
            _install(facts),
        )
    else:
        yield advice(
            f"{found}: a build takes torch's headers and checks only that everything compiles and links",
            _install(facts),
        )


def architectures(facts: Facts) -> Iterator[Outcome]:
    """The toolkit compiles for every architecture of the profile."""
    taken = facts.inventory.toolkit
    compiles: FoundToolkit | LaidDown = facts.inventory.laid_down if taken is None else taken
    if compiles.version is None or (taken is None and not facts.inventory.lays_down(facts.request)):
        yield unknown("no toolkit is installed that fits")
        return
    listed = ", ".join(compiles.architectures)
    for name in facts.request.architectures:
        known = arch.refusal(name, compiles.version)
        if known is None and arch.base(name) not in compiles.architectures:
            known = f"the nvcc of CUDA {compiles.version} does not compile {name}; it lists {listed}"
        if known is not None:
            yield problem(known, f"remove {name} from cuda.arch_list, or set cuda.home to another toolkit")
    hopper = [name for name in facts.request.architectures if arch.base(name) == "9.0"]
    if hopper and not _has_gpu(facts, "9.0"):
        yield warning(
            f"{hopper[0]} compiles Machete and flash-attention 3, which not every tag gets through MSVC",
            f"remove {hopper[0]} from cuda.arch_list unless the wheel is for an H100 or H200",
        )


def home_variables(facts: Facts) -> Iterator[Outcome]:
    """CUDA_HOME and its like name a toolkit, not its bin folder and not nothing."""
    for name, value in variables(facts.environment).items():
        above = cuda_home.above_bin(value)
        if above is not None:
            fix = set_variable(name, above, facts.system)
            yield problem(f"{name} = {value} names the toolkit's bin folder", fix)
        elif not cuda_home.holds_nvcc(Path(value)):
            yield warning(f"{name} = {value} is no CUDA toolkit", unset_variables([name], facts.system))


def leaking_toolkit(facts: Facts) -> Iterator[Outcome]:
    """What Triton, torch's JIT and pip would take instead: variables and the first nvcc on PATH."""
    taken = facts.inventory.toolkit
    if taken is None:
        return
    by_name = {name: one for one in facts.inventory.toolkits for name in one.named_by}
    for name in ("CUDA_HOME", "CUDA_PATH", "PATH"):
        other = by_name.get(name)
        if other is not None and other is not taken and other.verdict is not Verdict.BROKEN:
            yield warning(
                f"{name} leads to CUDA {other.version} at {other.home}; this build takes {taken.version}. "
                "Triton and FlashInfer read it when they compile at run time",
                _lead(name, taken.home, facts),
            )


def _lead(name: str, home: Path, facts: Facts) -> str:
    if name != "PATH":
        return set_variable(name, str(home), facts.system)
    if facts.system is PlatformTag.WINDOWS_AMD64:
        return f"put {home / 'bin'} before it on PATH: SystemPropertiesAdvanced.exe, Environment Variables"
    return f'export PATH={shlex.quote(str(home / "bin"))}:"$PATH"'


def leaking_variables(facts: Facts) -> Iterator[Outcome]:
    """Variables that change a compile unseen; the tool's own builds do not see them."""
    found = {name: why for name, why in LEAKING.items() if facts.environment.get(name)}
    if found:
        told = "; ".join(f"{name}: {why}" for name, why in found.items())
        fix = unset_variables(list(found), facts.system)
        yield advice(f"set for every program but this tool's builds: {told}", fix)


def _against_toolkit(facts: Facts, torch: Torch) -> Iterator[Outcome]:
    taken = facts.inventory.toolkit
    if taken is None or taken.version is None or torch.cuda_major is None:
        yield ok(f"torch {torch.version}, CUDA {torch.cuda}")
    elif taken.version.major != torch.cuda_major:
        yield problem(
            f"torch {torch.version} is built with CUDA {torch.cuda}, the toolkit is {taken.version}",
            Wanted(request=facts.request, torch=torch).fix,
        )
    else:
        yield ok(f"torch {torch.version} and the toolkit {taken.version} are both CUDA {torch.cuda_major}")


def _install(facts: Facts) -> str:
    profile = word(facts.profile, facts.system)
    return f"winvllm-build toolchain torch --profile {profile} --tag {facts.tag}"


def _wanted(facts: Facts) -> Wanted:
    torch = facts.inventory.installed_torch
    return Wanted(request=facts.request, torch=torch if isinstance(torch, Torch) else None)


def _has_gpu(facts: Facts, capability: str) -> bool:
    return any(one.capability == capability for one in facts.inventory.gpus.gpus)


CHECKS: Final = (
    Check(id="profile", title="the profile does not contradict itself", ask=contradictions,
          rows=("U5", "U19")),
    Check(id="cuda-toolkit", title="a CUDA toolkit that fits", ask=toolkit, rows=("U5", "U19", "U20")),
    Check(id="torch-cuda", title="torch's CUDA is the toolkit's", ask=torch_cuda,
          rows=("U2", "U5", "U20")),
    Check(id="arch-toolkit", title="nvcc compiles every architecture", ask=architectures,
          rows=("U13", "U19", "U43")),
    Check(id="cuda-home", title="CUDA_HOME names a toolkit", ask=home_variables, rows=("U20",)),
    Check(id="cuda-leak", title="variables and PATH lead to the same toolkit", ask=leaking_toolkit,
          rows=("U7", "U20", "U31", "002 CUDA")),
    Check(id="environment-leak", title="no variable changes compilers unseen", ask=leaking_variables,
          rows=("U15",)),
)  # fmt: skip
