"""cl, link, rc, mt; g++; and whether this nvcc takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from winvllm_build.doctor import fixes
from winvllm_build.doctor.facts import Facts
from winvllm_build.doctor.finding import Check, Outcome, ok, problem, warning
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain import host, vswhere
from winvllm_build.toolchain.windows_sdk import chosen

WINDOWS: Final = PlatformTag.WINDOWS_AMD64


def visual_cpp(facts: Facts) -> Iterator[Outcome]:
    """A Visual Studio with cl, link, lib and vcvarsall."""
    studios = facts.inventory.studios
    complete = [(one, tools) for one in studios for tools in one.tools if not one.lacks(tools)]
    if complete:
        told = [f"{one.installation.name} {one.installation.version}: cl {tools.compiler}"
                for one, tools in complete]  # fmt: skip
        yield ok("; ".join(told))
        return
    if not studios:
        error = facts.inventory.errors.get("studios")
        yield problem(error.message if error else "no Visual Studio and no Build Tools", vswhere.INSTALL)
    for one in studios:
        lacks = sorted({name for tools in one.tools for name in one.lacks(tools)}) or ["the C++ workload"]
        yield problem(f"{one.installation.path} lacks {', '.join(lacks)}", vswhere.INSTALL)


def windows_sdk(facts: Facts) -> Iterator[Outcome]:
    """rc, mt, and the headers and libraries that cl needs; vcvarsall takes the newest that has headers."""
    sdks = facts.inventory.sdks
    if not sdks:
        yield problem("no Windows SDK: no rc.exe, no mt.exe, no kernel32.lib", fixes.SDK)
        return
    taken = chosen(sdks)
    if taken is None:
        named = ", ".join(str(one.version) for one in sdks)
        yield problem(f"no Windows SDK with headers: {sdks[0].root} has only parts of {named}", fixes.SDK)
        return
    if taken.is_complete:
        yield ok(f"{taken.version} at {taken.root}, with rc and mt")
        return
    programs = [name for name, file in (("rc.exe", taken.rc), ("mt.exe", taken.mt)) if file is None]
    lacks = ", ".join([*programs, *taken.lacks])
    yield problem(
        f"the Windows SDK that vcvarsall takes, {taken.version} at {taken.root}, lacks {lacks}", fixes.SDK
    )


def host_compiler(facts: Facts) -> Iterator[Outcome]:
    """One that the chosen nvcc takes."""
    found, taken = facts.inventory.compilers, facts.inventory.compiler
    toolkit = facts.inventory.toolkit
    of = f"nvcc {toolkit.version}" if toolkit is not None else "no toolkit to ask"
    if toolkit is None and facts.inventory.lays_down(facts.request):
        of = f"nvcc {facts.inventory.laid_down.version}, which the first build lays down,"
    install = vswhere.INSTALL if facts.system is WINDOWS else host.INSTALL
    if taken is None:
        if found:
            refused = "; ".join(f"{one.kind.value} {one.version}: {one.refusal}" for one in found)
            yield problem(f"{of} takes none of them: {refused}", _other(facts))
        elif facts.system is not WINDOWS:
            yield problem("no C++ compiler on PATH", install)
        else:
            yield problem("no Visual C++ compiler", install)
        return
    yield ok(f"{of} takes {taken.kind.value} {taken.version}")
    if taken is not found[0]:
        first = found[0]
        yield warning(
            f"{first.kind.value} {first.version} comes first and is refused ({first.refusal}); "
            f"a build by pip takes it",
            _other(facts),
        )


def _other(facts: Facts) -> str:
    if facts.system is WINDOWS:
        return (
            "install the tools that this nvcc takes beside the others: Visual Studio Installer, "
            'Modify, Individual components, "MSVC v143 - VS 2022 C++ x64/x86 build tools"; '
            "or a newer CUDA toolkit"
        )
    return "install an older compiler and set CXX to it"


CHECKS: Final = (
    Check(id="visual-cpp", title="Visual C++: cl, link, lib", ask=visual_cpp, rows=("U10",), only=WINDOWS),
    Check(id="windows-sdk", title="Windows SDK: rc, mt, libraries", ask=windows_sdk, rows=("U10",),
          only=WINDOWS),
    Check(id="host-compiler", title="nvcc takes the C++ compiler", ask=host_compiler, rows=("U10",)),
)  # fmt: skip
