"""setup.py of v0.33.0: the Rust front end, precompiled wheels, and a CMake target for each extension."""

from __future__ import annotations

import ast
import re
import types
from pathlib import Path

import pytest

from tests.real_vllm.modules import BOTH_PLATFORMS, Modules, Recorder, execute, fake_sys
from tests.real_vllm.newest import patched_modules

pytestmark = pytest.mark.network
SETUP = "setup.py"
BUILD_RUST = "tools/build_rust.py"
STATIC_RUNTIME = "-Ctarget-feature=+crt-static"
NOT_WITH_MSVC = re.compile(r"^if\(MSVC\)\n(.*?)^  return\(\)\n^endif\(\)\n", re.DOTALL | re.MULTILINE)
TARGET = re.compile(r"(?:define_extension_target|add_custom_target|add_library)\(\s*(\w+)")
CARGO = ["vllm-rs"]


@pytest.fixture(scope="module")
def newest(checkout: Path, test_cache: Path) -> Modules:
    return patched_modules(checkout, test_cache)


def statements(newest: Modules, *words: str) -> list[ast.stmt]:
    """Those at the top of setup.py that have one of `words`."""
    text = newest.text(SETUP)
    body = ast.parse(text).body
    return [
        node for node in body if any(word in (ast.get_source_segment(text, node) or "") for word in words)
    ]


def rust_extensions(
    newest: Modules, platform: str, folder: Path, *, required: bool, programs: set[str]
) -> tuple[list[str], int]:
    """What is built of Rust, and the number of messages."""

    def made(*, optional: bool) -> list[str]:
        assert optional is not required
        return CARGO

    heard = Recorder()
    names: dict[str, object] = {
        "sys": fake_sys(platform),
        "logger": heard,
        "which": lambda name: name if name in programs else None,
        "should_require_rust_frontend": lambda: required,
        "rust_build": types.SimpleNamespace(rust_extensions=made),
        "PRECOMPILED_RUST_FRONTEND_PATH": folder / "vllm-rs.exe",
    }
    wanted = statements(newest, "rust_extensions = rust_build", "is not built on Windows unless")
    return execute(wanted, SETUP, names)["rust_extensions"], len(heard.calls)


@pytest.mark.parametrize(
    ("platform", "required", "expected"),
    [
        ("linux", False, (CARGO, 0)),
        ("linux", True, (CARGO, 0)),
        ("win32", False, ([], 1)),
        ("win32", True, (CARGO, 0)),
    ],
)
def test_the_rust_front_end_is_built_on_windows_when_asked_for(
    newest: Modules, tmp_path: Path, *, platform: str, required: bool, expected: tuple[list[str], int]
) -> None:
    programs = {"cargo", "perl"} if platform == "win32" else set()
    assert rust_extensions(newest, platform, tmp_path, required=required, programs=programs) == expected


def test_what_rust_needs_is_missed_before_cmake_runs(newest: Modules, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"=1, but not on PATH: cargo$"):
        rust_extensions(newest, "win32", tmp_path, required=True, programs={"perl"})
    (tmp_path / "vllm-rs.exe").touch()
    assert rust_extensions(newest, "win32", tmp_path, required=True, programs=set()) == (CARGO, 0)


@pytest.mark.parametrize(
    ("platform", "extensions", "rust", "refused"),
    [
        ("linux", True, False, False),
        ("win32", False, False, False),
        ("win32", True, False, True),
        ("win32", False, True, True),
    ],
)
def test_precompiled_wheels_are_refused_on_windows(
    newest: Modules, *, platform: str, extensions: bool, rust: bool, refused: bool
) -> None:
    envs = types.SimpleNamespace(VLLM_USE_PRECOMPILED=extensions, VLLM_USE_PRECOMPILED_RUST=rust)
    wanted = statements(
        newest, "USE_PRECOMPILED_RUST_FRONTEND = (", "No precompiled wheel of vLLM is for Windows"
    )
    names: dict[str, object] = {"sys": fake_sys(platform), "envs": envs}
    if refused:
        with pytest.raises(RuntimeError, match="Unset VLLM_USE_PRECOMPILED, VLLM_USE_PRECOMPILED_RUST and"):
            execute(wanted, SETUP, names)
    else:
        assert execute(wanted, SETUP, names)["USE_PRECOMPILED_RUST_FRONTEND"] is extensions


@BOTH_PLATFORMS
def test_a_program_that_was_built_before_is_taken_along(
    newest: Modules, platform: str, tmp_path: Path
) -> None:
    name = "vllm-rs.exe" if platform == "win32" else "vllm-rs"
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm" / name).touch()
    taken: list[str] = []
    names: dict[str, object] = {
        "sys": fake_sys(platform),
        "ROOT_DIR": tmp_path,
        "add_vllm_package_data": taken.append,
    }
    path = "PRECOMPILED_RUST_FRONTEND_PATH"
    execute(statements(newest, f"{path} = ROOT_DIR", f"if {path}.exists():"), SETUP, names)
    assert taken == [name]


@BOTH_PLATFORMS
def test_one_c_runtime_for_everything_that_cargo_compiles(newest: Modules, platform: str) -> None:
    environment = {"RUSTFLAGS": "-Cdebuginfo=1", "VLLM_RS_BUILD_VERSION": "0.33.0"}
    prepare = newest.cut(
        BUILD_RUST,
        "prepare_build_environment",
        VLLM_RS_BUILD_VERSION="VLLM_RS_BUILD_VERSION",
        sys=fake_sys(platform),
        os=types.SimpleNamespace(environ=environment, getenv=environment.get),
    )
    assert prepare() == "0.33.0"
    assert environment["RUSTFLAGS"] == "-Cdebuginfo=1" + (f" {STATIC_RUNTIME}" if platform == "win32" else "")


def extensions(newest: Modules) -> set[str]:
    """The targets that setup.py asks CMake for."""
    calls = [node for node in ast.walk(ast.parse(newest.text(SETUP))) if isinstance(node, ast.Call)]
    named = [
        keyword.value.value
        for call in calls
        for keyword in call.keywords
        if ast.unparse(call.func) == "CMakeExtension" and isinstance(keyword.value, ast.Constant)
    ]
    return {name.rpartition(".")[2] for name in named if isinstance(name, str)}


def test_what_cmake_leaves_out_with_msvc_is_an_empty_target(newest: Modules) -> None:
    wanted = extensions(newest)
    assert {"_C_stable_libtorch", "_deep_gemm_C", "_qutlass_C", "fmha_sm100"} <= wanted
    left_out: set[str] = set()
    for file in sorted(newest.path("cmake/external_projects").glob("*.cmake")):
        text = file.read_text(encoding="utf-8")
        block = NOT_WITH_MSVC.search(text)
        if block is not None:
            empty = set(TARGET.findall(block[1]))
            assert set(TARGET.findall(text)) & wanted == empty, file.name
            left_out |= empty
    assert {"_flashmla_C", "_flashmla_extension_C", "_qutlass_C"} <= left_out
