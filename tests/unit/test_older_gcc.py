"""Where upstream's CMake stops for the compiler's age, audits go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from winvllm_build.build.older_gcc import REFUSAL, definitions
from winvllm_build.toolchain.host import HostCompiler, HostKind


@pytest.mark.parametrize(
    ("kind", "version", "text", "goes_on"),
    [
        (HostKind.GCC, "12.2.0", REFUSAL, True),
        (HostKind.GCC, "13.1.0", REFUSAL, False),
        (HostKind.CLANG, "12.0.0", REFUSAL, False),
        (HostKind.GCC, "12.2.0", b"project(vllm)", False),
        (HostKind.GCC, "12.2.0", None, False),
    ],
)
def test_only_a_gcc_that_would_be_refused(
    tmp_path: Path, kind: HostKind, version: str, text: bytes | None, *, goes_on: bool
) -> None:
    if text is not None:
        (tmp_path / "CMakeLists.txt").write_bytes(text)
    cxx = Path("/usr/bin/c++")
    host = HostCompiler(kind=kind, cxx=cxx, c=None, version=Version(version), librarian=cxx)
    found = definitions(tmp_path, host, tmp_path / "builds" / "one")
    assert list(found) == (["CMAKE_PROJECT_INCLUDE"] if goes_on else [])
    assert all(Path(value).is_file() for value in found.values())
