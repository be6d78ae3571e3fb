"""The definitions of a Windows build, read from CMake files that git has."""

from __future__ import annotations

from pathlib import Path

from winvllm_build.audit.frontend.definitions import on_windows
from winvllm_build.git import Git

TOP = """\
add_compile_definitions(EVERYWHERE)
if(WIN32)
  include(cmake/windows.cmake)
elseif(UNIX)
  add_compile_definitions(ELSEWHERE)
endif()
"""
WINDOWS = """\
add_compile_definitions(
  # a comment
  NOMINMAX
  EVERYWHERE
  _USE_MATH_DEFINES=
  $<$<CONFIG:Debug>:SLOW>)
if(VLLM_TARGET_DEVICE STREQUAL "cuda")
  add_compile_definitions(USE_CUDA)
endif()
if(VLLM_TARGET_DEVICE STREQUAL "rocm")
  add_compile_definitions(USE_ROCM)
endif()
"""


def test_what_only_windows_defines_is_read_from_the_index(tmp_path: Path) -> None:
    (tmp_path / "cmake").mkdir()
    (tmp_path / "CMakeLists.txt").write_text(TOP)
    (tmp_path / "cmake" / "windows.cmake").write_text(WINDOWS)
    git = Git(tmp_path)
    git.out("init", "--quiet")
    git.out("add", "--all")
    assert on_windows(tmp_path) == ("NOMINMAX", "_USE_MATH_DEFINES=", "USE_CUDA")
