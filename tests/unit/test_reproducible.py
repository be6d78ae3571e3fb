"""Which folders are named in objects, and which compilers can be asked for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from tests import toolchain_fakes as fakes
from winvllm_build.build import reproducible
from winvllm_build.toolchain.host import HostCompiler, HostKind

DRY = """\
echo '#$ gcc -E "winvllm-probe.cu"' >&2
echo '#$ cudafe++ --orig_src_path_name "/x/winvllm-probe.cu" {more} "probe.ii"' >&2
exit {code}
"""


def compiler(kind: HostKind, version: str) -> HostCompiler:
    return HostCompiler(
        kind=kind, cxx=Path("/usr/bin/c++"), c=None, version=Version(version), librarian=Path("/usr/bin/c++")
    )


def entries(folder: Path, found: HostCompiler, nvcc: Path) -> dict[str, str]:
    return reproducible.options(
        found, nvcc, {"/src": "/vllm"}, rules=folder / "gate" / "rules.cmake", environment={}
    )


def test_an_inner_folder_comes_after_the_one_around_it() -> None:
    assert reproducible.prefix_maps({"/w": "/winvllm", "/w/trees/t": "/vllm"}) == [
        "-ffile-prefix-map=/w=/winvllm",
        "-ffile-prefix-map=/w/trees/t=/vllm",
    ]


@pytest.mark.parametrize("folder", ["/a b", "/a,b", "/a=b", "/a$b", "/a;b", "/a<b"])
def test_a_folder_that_no_option_can_hold_stays_as_it_is(folder: str) -> None:
    assert reproducible.prefix_maps({folder: "/vllm", "/c": "/build"}) == ["-ffile-prefix-map=/c=/build"]


def test_cl_exe_is_left_alone(tmp_path: Path) -> None:
    assert entries(tmp_path, compiler(HostKind.MSVC, "19.44"), tmp_path / "nvcc") == {}
    assert entries(tmp_path, compiler(HostKind.GCC, "7.5"), tmp_path / "nvcc") == {}
    assert not (tmp_path / "gate").exists()


@pytest.mark.parametrize(
    ("more", "code", "seeded"),
    [
        ('--orig_src_path_name "probe.o"', 0, True),
        ("", 0, False),
        ('--orig_src_path_name "probe.o"', 1, False),
    ],
)
def test_an_older_nvcc_gets_no_option_it_does_not_know(
    tmp_path: Path, more: str, code: int, *, seeded: bool
) -> None:
    nvcc = fakes.script(tmp_path / "nvcc", DRY.format(more=more, code=code))
    found = entries(tmp_path, compiler(HostKind.GCC, "12.2.0"), nvcc)
    assert found["WINVLLM_CXX_MAPS"] == "-ffile-prefix-map=/src=/vllm"
    assert ("WINVLLM_SEED" in found, "CMAKE_USER_MAKE_RULES_OVERRIDE_CUDA" in found) == (seeded, seeded)
    assert (tmp_path / "gate" / "rules.cmake").read_bytes() == reproducible.RULES.read_bytes()
