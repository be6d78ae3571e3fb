"""Files of any content: what cannot be read is named, and nothing else happens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.hostile_trees import thorough
from winvllm_build.audit.config.rust_cfg import LINUX, WINDOWS, evaluate
from winvllm_build.audit.config.scanner import scan
from winvllm_build.audit.files import Files

COMMANDS = st.sampled_from(
    ["set", "list", "string", "if", "elseif", "else", "endif", "foreach", "endforeach", "function", "macro",
     "endfunction", "endmacro", "return", "include", "file", "cmake_path", "message", "enable_language",
     "install", "execute_process", "add_custom_command", "add_compile_options", "target_link_libraries",
     "set_property", "set_source_files_properties", "FetchContent_Declare", "define_extension_target"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["A", "${A}", "$ENV{A_DIR}", "${VLLM_A_DIR}", '"a;b"', "APPEND", "MSVC", "NOT", "AND", "MATCHES", '"("',
     "DEFINED", "ENV{A}", "COMMAND", "rm", "-E", "env", "PYTHONPATH=$ENV{P}:${A}", "-Wno-x", "-I${A}/b",
     "REAL_PATH", "TO_CMAKE_PATH", "$<", "$<$<COMPILE_LANGUAGE:CUDA>:-O3>", "STREQUAL", ">", ":", "x.so",
     "$<$<NOT:$<CXX_COMPILER_ID:MSVC>>:-g>", "LANGUAGE", "CUDA", "SOURCES", "a.cu", "COMPILE_FLAGS", "12.0",
     "PROPERTIES", "GIT_REPOSITORY", "FATAL_ERROR", "CUDA_SUPPORTED_ARCHS", "SYMBOLIC", "CREATE_LINK",
     "cmake/a.cmake", "CMakeLists.txt", "A.B"]
)  # fmt: skip
CMAKE = st.lists(st.tuples(COMMANDS, st.lists(WORDS, max_size=6))).map(
    lambda lines: "\n".join(f"{name}({' '.join(words)})" for name, words in lines)
)
REQUIREMENTS = st.lists(
    st.text(alphabet="ab-_.[];=<>!#\"' \\0123@:/", max_size=30)
    | st.sampled_from(["-r x.txt", "-r cuda.txt", "torch==1", 'uvloop; platform_machine == "x86_64"', "a; b"])
).map("\n".join)
VALUES = st.recursive(
    st.integers() | st.booleans() | st.text(alphabet="abc", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "features", "package"]), inner)
    ),
)
TABLES = ["package", "dependencies", "features", "target", "workspace", "build-system", "project"]
RUST = st.lists(
    st.sampled_from(
        ["#[cfg(unix)]", "#![cfg(", "use std::os::unix;", "mod a;", "{", "}", "cfg_if! {", '"/tmp"',
         "if cfg!(unix)", "libc::kill(1)", "//", "/*", "ä", "fn f()", "else", "#[cfg(all(]", '"', "match a"]
    )
).map(" ".join)  # fmt: skip


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f'"{value}"'
        if isinstance(value, str)
        else str(value)
    )


def check(path: str, text: str) -> None:
    made = scan(Files.of_mapping({path: text.encode()}))
    assert {*(hit.path for hit in made.hits), *(one.path for one in made.blind)} <= {path}
    lines = text.count("\n") + 1
    assert all(0 < hit.line <= lines for hit in made.hits)


@thorough(150)
@given(CMAKE)
def test_any_cmake(text: str) -> None:
    check("CMakeLists.txt", text)


@thorough(150)
@given(REQUIREMENTS)
def test_any_requirements(text: str) -> None:
    check("requirements/cuda.txt", text)


@thorough(150)
@given(st.dictionaries(st.sampled_from(TABLES), VALUES), st.sampled_from(["Cargo.toml", "pyproject.toml"]))
def test_any_manifest(content: dict[str, object], path: str) -> None:
    check(path, "\n".join(f"{key} = {toml(value)}" for key, value in content.items()))


@thorough(150)
@given(RUST)
def test_any_rust(text: str) -> None:
    check("src/a.rs", text)


@thorough(150)
@given(st.text(alphabet='()=,"# \nabc', max_size=60))
def test_any_python(text: str) -> None:
    check("setup.py", text)


CONDITIONS = st.recursive(
    st.sampled_from(["unix", "windows", "test", 'target_os = "linux"', 'feature = "a"', "other"]),
    lambda inner: (
        st.builds("all({}, {})".format, inner, inner)
        | st.builds("any({}, {})".format, inner, inner)
        | st.builds("not({})".format, inner)
    ),
)


@thorough(150)
@given(CONDITIONS)
def test_a_condition_and_its_opposite(condition: str) -> None:
    for world in (WINDOWS, LINUX):
        answer = evaluate(condition, world)
        opposite = evaluate(f"not({condition})", world)
        assert opposite is (None if answer is None else not answer)
        assert evaluate(f"all({condition}, {condition})", world) is answer
