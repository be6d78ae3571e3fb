"""Host compilers: what they say, which a toolkit accepts, and which of several is taken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from packaging.version import Version

from tests import toolchain_fakes as fakes
from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain import host
from winvllm_build.toolchain.host import HostKind, HostLimits

GCC = '#define __GNUC__ {major}\n#define __GNUC_MINOR__ 2\n#define __GNUC_PATCHLEVEL__ 0\n#define __V__ "x"\n'
CLANG = (
    GCC.format(major=4)
    + "#define __clang_major__ 19\n#define __clang_minor__ 1\n#define __clang_patchlevel__ 7\n"
)


def compiler(path: Path, major: int) -> Path:
    return fakes.script(path, f"cat <<'END'\n{GCC.format(major=major)}END")


def test_macros_tell_clang_from_gcc() -> None:
    assert host.parse_macros(GCC.format(major=12)) == (HostKind.GCC, Version("12.2.0"))
    assert host.parse_macros(CLANG.replace("\n", "\r\n")) == (HostKind.CLANG, Version("19.1.7"))
    assert host.parse_macros("#define __TINYC__ 927\n") is None


def test_the_limits_are_read_from_the_toolkits_own_header(tmp_path: Path) -> None:
    fakes.nvcc(tmp_path)
    assert host.read_limits(tmp_path) == HostLimits(gcc_newest=15, clang_below=21, msvc=(1920, 1950))
    assert host.read_limits(tmp_path / "nowhere") == HostLimits()


@pytest.mark.parametrize(
    ("kind", "version", "fits"),
    [
        (HostKind.GCC, "15.2.0", True),
        (HostKind.GCC, "16.1.0", False),
        (HostKind.CLANG, "20.1.0", True),
        (HostKind.CLANG, "21.0.0", False),
        (HostKind.MSVC, "19.44.35222", True),
        (HostKind.MSVC, "19.50.35717", False),
        (HostKind.MSVC, "19.16.27054", False),
    ],
)
def test_the_range_of_a_toolkit(kind: HostKind, version: str, fits: bool) -> None:  # noqa: FBT001 - a table
    limits = host.parse_limits(fakes.HOST_CONFIG)
    assert (host.misfit(kind, Version(version), limits) is None) is fits
    assert host.misfit(kind, Version(version), HostLimits()) is None


def test_a_compiler_too_new_for_nvcc_is_passed_over(tmp_path: Path) -> None:
    compiler(tmp_path / "g++", 16)
    compiler(tmp_path / "g++-14", 14)
    compiler(tmp_path / "gcc-14", 14)

    def ask(cxx: Path) -> host.HostCompiler:
        if cxx.parent != tmp_path:
            raise ToolchainError(f"{cxx} is not of this test")
        return host.ask_gnu(cxx)

    path = f"{tmp_path}{os.pathsep}/usr/bin"
    found = host.find_gnu({"PATH": path}, HostLimits(gcc_newest=15), ask=ask)
    assert found.cxx == tmp_path / "g++-14"
    assert found.c == tmp_path / "gcc-14"
    assert str(found) == f"gcc 14.2.0 ({tmp_path / 'g++-14'})"


def test_only_too_new_compilers_are_listed(tmp_path: Path) -> None:
    compiler(tmp_path / "g++", 16)
    with pytest.raises(ToolchainError, match="takes GCC up to 15") as caught:
        host.find_gnu({"PATH": str(tmp_path)}, HostLimits(gcc_newest=15))
    assert "g++" in caught.value.message


def test_no_compiler_at_all(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="no C\\+\\+ compiler on PATH") as caught:
        host.find_gnu({"PATH": str(tmp_path)}, HostLimits())
    assert caught.value.fix is not None
    assert "apt install g++" in caught.value.fix


def test_cxx_decides(tmp_path: Path) -> None:
    compiler(tmp_path / "special", 13)
    found = host.find_gnu({"PATH": "/usr/bin:/bin", "CXX": str(tmp_path / "special")}, HostLimits())
    assert found.version == Version("13.2.0")
    assert found.c is None


@pytest.mark.parametrize("value", ["g++ -O2", "sccache g++", "no-such-compiler"])
def test_cxx_has_to_be_one_program(value: str) -> None:
    with pytest.raises(ToolchainError, match="names no program"):
        host.find_gnu({"PATH": "/usr/bin:/bin", "CXX": value}, HostLimits())


def test_a_compiler_cache_that_poses_as_a_compiler_is_left_out(tmp_path: Path) -> None:
    folders = [str(tmp_path / "ccache"), "/usr/lib/ccache", "", "/usr/bin"]
    assert host.search_path({"PATH": os.pathsep.join(folders)}) == "/usr/bin"


def test_something_that_is_no_compiler(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="neither GCC nor Clang"):
        host.ask_gnu(fakes.script(tmp_path / "g++", "echo hello"))
    with pytest.raises(ToolchainError, match="exit code 3: cannot"):
        host.ask_gnu(fakes.script(tmp_path / "g++", "echo cannot >&2; exit 3"))


def test_the_real_compiler_of_this_machine() -> None:
    found = host.ask_gnu(fakes.real_compiler("g++"))
    assert found.kind is HostKind.GCC
    assert found.version.major >= 9
