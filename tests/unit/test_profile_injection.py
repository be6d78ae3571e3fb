"""No value of a profile becomes more than a value: hostile texts in every key that reaches a command line."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest
from pydantic import ValidationError

from winvllm_build.build import short_home
from winvllm_build.errors import UsageError
from winvllm_build.profile.model import Profile
from winvllm_build.workspace import Workspace

NAMED = {
    "list": "a;b",
    "quote": 'a" -DX=1 "',
    "shell": "$(touch owned)",
    "backtick": "`touch owned`",
    "cmd": "a & echo owned",
    "percent": "%PATH%",
    "newline": "a\nrun: owned",
    "nul": "a\0b",
    "generator": "$<TARGET_FILE:x>",
    "cmake": "${CMAKE_BINARY_DIR}",
    "ninja": "a$\nrule x",
    "option": "-DCMAKE_CXX_COMPILER_LAUNCHER=evil",
    "up": "../../etc",
}
HOSTILE = MappingProxyType(NAMED)
NAMES = (("tag",), ("source", "layers"), ("build", "targets"), ("build", "leave_out"), ("cuda", "arch_list"))
TEXTS = (
    ("source", "location"), ("source", "dependencies"), ("cuda", "home"), ("python", "executable"),
    ("build", "objects"),
)  # fmt: skip


def profile(key: tuple[str, ...], value: str) -> Profile:
    content: object = value
    if key[-1] in {"layers", "targets", "leave_out", "arch_list", "objects"}:
        content = [value]
    if key[-1] in {"dependencies", "environment"}:
        content = {"cutlass" if key[-1] == "dependencies" else "CXXFLAGS": value}
    for part in reversed(key):
        content = {part: content}
    return Profile.model_validate(content)


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("key", NAMES, ids=".".join)
def test_names_are_names(key: tuple[str, ...], value: str) -> None:
    with pytest.raises(ValidationError):
        profile(key, value)


@pytest.mark.parametrize("value", [HOSTILE[name] for name in ("list", "newline", "nul", "ninja", "option")])
@pytest.mark.parametrize("key", TEXTS, ids=".".join)
def test_texts_that_cmake_gets_are_one_element_and_no_option(key: tuple[str, ...], value: str) -> None:
    with pytest.raises(ValidationError):
        profile(key, value)


@pytest.mark.parametrize("name", ["CXXFLAGS", "CUDAFLAGS", "LDFLAGS", "NVCC_APPEND_FLAGS", "cflags"])
@pytest.mark.parametrize("value", [v for k, v in HOSTILE.items() if k not in {"up", "option", "quote"}])
def test_flags_hold_nothing_that_a_shell_acts_on(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        Profile.model_validate({"environment": {name: value}})


@pytest.mark.parametrize(
    "value", ["-O2 -DNAME=x", '-DTEXT="a b"', "-isystem C:/x,y -Wl,-z,now", "/W3 /wd4244"]
)
def test_ordinary_flags_are_taken(value: str) -> None:
    assert Profile.model_validate({"environment": {"CXXFLAGS": value}}).environment["CXXFLAGS"] == value


@pytest.mark.parametrize(
    "name", ["a;b", 'a"b', "a'b", "a$(b)", "a`b`", "a$<b>", "[a]", "{a}", "a#b", "a*", "a,b"]
)
def test_a_workspace_that_cmake_would_take_apart_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="in its path, which CMake reads as more than a letter") as told:
        short_home.fitting(Workspace(root=tmp_path / name), Profile(), (), on_event=print)
    assert "WINVLLM_BUILD_HOME" in str(told.value.fix)


@pytest.mark.parametrize("name", ["a b", "a & b", "100%", "\u00fc \u5efa", "a (x86)", "a+b=c@d", "a!b^c~"])
def test_a_workspace_with_blanks_and_letters_of_any_script_is_taken(name: str, tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path / name)
    assert short_home.fitting(workspace, Profile(), (), on_event=print).root.name in {name, ""}
