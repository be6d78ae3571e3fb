"""CMake, build programs and requirements: small files, each with one thing to see or to leave alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from packaging.utils import canonicalize_name

from winvllm_build.audit.config.cmake_options import Program, options, pieces
from winvllm_build.audit.config.cmake_view import Placed, Reader
from winvllm_build.audit.config.cmake_world import LINUX, UNSAID, WINDOWS
from winvllm_build.audit.config.scanner import scan
from winvllm_build.audit.config.ternary import Answer
from winvllm_build.audit.config.wheels import Kind, read
from winvllm_build.audit.files import Files
from winvllm_build.audit.hazard import catalogue
from winvllm_build.audit.hit import Found, Hit, Reach, State
from winvllm_build.intake.cmake_text import commands


def found(tree: Mapping[str, str]) -> Found:
    return scan(Files.of_mapping({path: text.encode() for path, text in tree.items()}))


def states(tree: Mapping[str, str], hazard: str) -> list[State]:
    return [hit.state for hit in found(tree).hits if hit.hazard == hazard]


def placed(text: str, **others: str) -> dict[str, Placed]:
    """The commands `here(...)` of a project by their argument."""
    names = {f"cmake/{name}.cmake": body for name, body in others.items()} | {"CMakeLists.txt": text}
    view = Reader(Files.of_mapping({path: body.encode() for path, body in names.items()})).view()
    return {one.words[0]: one for one in view.placed if one.command.name == "here"}


@pytest.mark.parametrize(
    ("condition", "windows", "unsaid", "linux"),
    [
        ("MSVC", True, None, False),
        ("NOT WIN32", False, None, True),
        ("UNIX", False, False, True),
        ("UNIX AND NOT APPLE", False, False, True),
        ("MSVC OR MY_OPTION", True, None, None),
        ("MY_OPTION", None, None, None),
        ('CMAKE_CXX_COMPILER_ID STREQUAL "GNU"', False, False, True),
        ('CMAKE_SYSTEM_NAME MATCHES "Linux|Darwin"', False, False, True),
        ('CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64"', False, False, True),
        ('CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64"', True, True, True),
        ('VLLM_GPU_LANG STREQUAL "HIP"', False, False, False),
        ('NOT VLLM_TARGET_DEVICE STREQUAL "cpu"', True, True, True),
        ("DEFINED ENV{CUDA_HOME}", None, None, None),
        ("CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8", None, None, None),
    ],
)
def test_a_condition_on_each_machine(condition: str, windows: Answer, unsaid: Answer, linux: Answer) -> None:
    arguments = commands(f"if({condition})\nendif()", "x")[0].arguments
    assert [world.decide(arguments) for world in (WINDOWS, UNSAID, LINUX)] == [windows, unsaid, linux]


def test_what_stands_around_a_command_decides() -> None:
    here = placed("""
        here(always)
        if(MSVC)
          here(ours)
        elseif(VLLM_GPU_LANG STREQUAL "HIP")
          here(hip)
        else()
          here(theirs)
        endif()
        if(SOME_OPTION)
          here(open)
        endif()
    """)
    assert {name: one.state for name, one in here.items()} == {
        "always": State.LIVE, "ours": State.LIVE, "hip": State.DEAD, "theirs": State.GUARDED,
        "open": State.LIVE,
    }  # fmt: skip
    assert [name for name, one in here.items() if one.windows] == ["ours"]


def test_behind_a_return_is_what_the_return_leaves() -> None:
    here = placed(
        "include(cmake/a.cmake)\ninclude(cmake/b.cmake)\nhere(top)",
        a="here(before)\nif(MSVC)\n  return()\nendif()\nhere(after)",
        b="if(NOT MSVC)\n  return()\nendif()\nhere(ours)",
    )
    assert {name: one.state for name, one in here.items()} == {
        "before": State.LIVE, "after": State.GUARDED, "ours": State.LIVE, "top": State.LIVE,
    }  # fmt: skip
    assert here["ours"].windows
    assert not here["top"].windows


def test_an_included_file_has_the_conditions_of_its_include() -> None:
    here = placed(
        'if(VLLM_TARGET_DEVICE STREQUAL "cpu")\ninclude(${CMAKE_CURRENT_LIST_DIR}/cmake/cpu.cmake)\nendif()',
        cpu="here(cpu)", nobody="here(nobody)",
    )  # fmt: skip
    assert (here["cpu"].state, here["cpu"].reach) == (State.DEAD, Reach.BUILD)
    assert (here["nobody"].state, here["nobody"].reach) == (State.LIVE, Reach.CORNER)


def test_a_function_is_run_where_it_is_called() -> None:
    here = placed("""
        function(used A)
          if(NOT A)
            return()
          endif()
          here(used)
        endfunction()
        macro(of_hip)
          here(of_hip)
        endmacro()
        used(1)
        if(VLLM_GPU_LANG STREQUAL "HIP")
          of_hip()
        endif()
    """)
    assert (here["used"].state, here["of_hip"].state) == (State.LIVE, State.DEAD)


def test_what_windows_sets_empty_is_empty_there() -> None:
    """Machete: a list of architectures is emptied under if(MSVC), and what asks for it is left out."""
    found, asked = 'loose(ARCHS "9.0a" "${CUDA_ARCHS}")\n', "if(ARCHS)\n  here(kernels)\nendif()"
    emptied, again = "if(MSVC)\n  set(ARCHS)\nendif()\n", "list(APPEND ARCHS 8.0)\n"
    assert placed(found + asked)["kernels"].state is State.LIVE
    assert placed(found + emptied + asked)["kernels"].state is State.GUARDED
    assert placed(found + emptied + again + asked)["kernels"].state is State.LIVE


def test_generator_expressions_are_read_across_arguments() -> None:
    text = "f(-a $<$<COMPILE_LANGUAGE:CUDA>:-b -c> $<$<AND:$<CONFIG:Debug>,$<CXX_COMPILER_ID:GNU>>:-d;-e>)"
    found = [(word, genex) for word, _, genex in pieces(commands(text, "x")[0].arguments)]
    device, debug = ("$<COMPILE_LANGUAGE:CUDA>",), ("$<AND:$<CONFIG:Debug>,$<CXX_COMPILER_ID:GNU>>",)
    assert found == [("-a", ()), ("-b", device), ("-c", device), ("-d", debug), ("-e", debug)]


def test_the_program_that_gets_an_option() -> None:
    text = """
        list(APPEND SPIN_FLAGS -one)
        list(APPEND KERNEL_FLAGS -two)
        set(CMAKE_CXX_FLAGS "${CMAKE_CXX_FLAGS} -three")
        set(CMAKE_HIP_FLAGS "-four")
        target_compile_options(_C PRIVATE -five $<$<COMPILE_LANGUAGE:CXX>:-six>)
        target_link_options(_C PRIVATE -seven)
        define_extension_target(a LANGUAGE CXX SOURCES a.cpp COMPILE_FLAGS ${SPIN_FLAGS})
        define_extension_target(b LANGUAGE CUDA SOURCES b.cu COMPILE_FLAGS ${KERNEL_FLAGS})
    """
    view = Reader(Files.of_mapping({"CMakeLists.txt": text.encode()})).view()
    assert {option.text: option.program for option in options(view.placed)} == {
        "-one": Program.CL, "-two": Program.NVCC, "-three": Program.CL, "-four": Program.OTHER,
        "-five": Program.BOTH, "-six": Program.CL, "-seven": Program.LINK,
    }  # fmt: skip


@pytest.mark.parametrize(
    "option", ["/W3", "-W4", "-Wall", "-WX", "/wd4996", "-w", "/fp:fast", "-O2", "-DA=1", "/Zi"]
)
def test_options_of_cl_are_left_alone(option: str) -> None:
    hits = found({"CMakeLists.txt": f"add_compile_options({option})"}).hits
    assert [hit.rule for hit in hits] == []


@pytest.mark.parametrize(
    ("option", "hazard"),
    [("-Wno-unused", "D31"), ("-Wextra", "D31"), ("-Werror", "D31"), ("-Wl,-s", "D31"), ("-fPIC", "D67"),
     ("-march=native", "D67"), ("-O3", "D67"), ("-std=c++17", "D67"), ("-pthread", "D67"), ("-g", "D67")],
)  # fmt: skip
def test_options_of_gcc_are_not(option: str, hazard: str) -> None:
    assert [hit.hazard for hit in found({"CMakeLists.txt": f"add_compile_options({option})"}).hits] == [
        hazard
    ]


def test_options_that_nvcc_hands_on_reach_cl() -> None:
    text = 'list(APPEND VLLM_GPU_FLAGS "-Xcompiler=-fPIC,-Wno-x" -O3)'
    assert [hit.hazard for hit in found({"CMakeLists.txt": text}).hits] == ["D67", "D31"]


KERNEL = "void f(cublasHandle_t h) { cublasHgemm(h); }\n"
TARGET = """
set(SRC "csrc/other.cu")
list(APPEND SRC "csrc/gemm.cu")
define_extension_target(_C LANGUAGE CUDA SOURCES ${SRC})
"""


@pytest.mark.parametrize(
    ("linked", "expected"),
    [
        ("", [State.LIVE]),
        ("target_link_libraries(_moe_C PRIVATE CUDA::cublas)", [State.LIVE]),
        ("if(MSVC)\n  target_link_libraries(_C PRIVATE CUDA::cublas)\nendif()", [State.GUARDED]),
        ("target_link_libraries(_C PRIVATE CUDA::cublas)", []),
        ("list(APPEND LIBS CUDA::cublas)\ntarget_link_libraries(_C PRIVATE ${LIBS})", []),
    ],
)
def test_a_library_that_a_source_calls(linked: str, expected: list[State]) -> None:
    tree = {"CMakeLists.txt": TARGET + linked, "csrc/gemm.cu": KERNEL, "csrc/other.cu": "// cublas\n"}
    assert states(tree, "D23") == expected


def test_an_option_given_to_everybody_is_no_hit_and_one_for_msvc_a_guarded_one() -> None:
    target = "define_extension_target(_C LANGUAGE CUDA SOURCES csrc/a.cu)\n"
    give = "add_compile_options(/bigobj)\n"
    assert states({"CMakeLists.txt": target}, "D64") == [State.LIVE]
    assert states({"CMakeLists.txt": give + target}, "D64") == []
    assert states({"CMakeLists.txt": f"if(MSVC)\n{give}endif()\n{target}"}, "D64") == [State.GUARDED]
    assert states({"CMakeLists.txt": f"if(NOT MSVC)\n{give}endif()\n{target}"}, "D64") == [State.LIVE]
    assert states({"CMakeLists.txt": 'define_extension_target(a LANGUAGE CXX SOURCES "a.cpp")'}, "D64") == []


def test_a_path_that_a_command_of_cmake_turns_is_met() -> None:
    take = "set(DEEP_SRC_DIR $ENV{DEEP_SRC_DIR})\n"
    turn = 'set(_user "${DEEP_SRC_DIR}")\ncmake_path(ABSOLUTE_PATH _user)\nset(DEEP_SRC_DIR "${_user}")\n'
    assert states({"cmake/deep.cmake": take}, "D42") == [State.LIVE]
    assert states({"cmake/deep.cmake": take + turn}, "D42") == [State.GUARDED]


def test_a_file_that_is_not_cmake_is_named() -> None:
    blind = found({"CMakeLists.txt": "project(x", "cmake/a.cmake": "set(X 1)"}).blind
    assert [one.path for one in blind] == ["CMakeLists.txt"]
    assert "line 1" in blind[0].why


def test_a_long_name_is_found_where_it_is_installed() -> None:
    name = "x" * 170
    hits = found({f"vllm/{name}": "", f"tests/{name}": "", "vllm/short": ""}).hits
    assert [(hit.hazard, hit.path) for hit in hits] == [("D41", f"vllm/{name}")]


def rules(program: str) -> list[tuple[str, State]]:
    return [(hit.rule, hit.state) for hit in found({"setup.py": program}).hits]


def test_a_later_statement_for_windows_repairs_the_same_variable() -> None:
    body = 'import sys\nargs = [f"-DX={sys.executable}"]\nif sys.platform == "win32":\n    '
    turned = 'args = [a.replace("\\\\", "/") for a in args]\n'
    assert rules(body + turned) == [("backslash-in-define", State.GUARDED)]
    assert rules(body + turned.replace("args", "other")) == [("backslash-in-define", State.LIVE)]
    assert rules(body + "args.append('x')\n") == [("backslash-in-define", State.LIVE)]


def test_a_program_that_is_caught_missing_is_guarded() -> None:
    run = 'import subprocess\ntry:\n    subprocess.check_output(["ldconfig", "-p"])\nexcept {}:\n    pass\n'
    assert rules(run.format("OSError")) == [("posix-program", State.GUARDED)]
    assert rules(run.format("ValueError")) == [("posix-program", State.LIVE)]


def test_what_is_split_from_an_address_is_no_path() -> None:
    assert rules('name = wheel_url.split("/")[-1]\n') == []
    assert rules('name = file_path.split("/")[-1]\n') == [("split-at-slash", State.LIVE)]


def test_names_in_a_wheel_of_others_are_a_corner() -> None:
    text = 'def unpack_precompiled(m):\n    m.add("vllm/_C.abi3.so")\nNAME = "vllm/_D.abi3.so"\n'
    hits = found({"setup.py": text}).hits
    assert [(hit.line, hit.reach) for hit in hits] == [(2, Reach.CORNER), (3, Reach.BUILD)]


def test_helpers_that_the_build_names_are_read() -> None:
    call = "import os\nos.symlink('a', 'b')\n"
    tree = {"setup.py": "run('tools/build_a.py')\n", "tools/build_a.py": call, "tools/build_b.py": call}
    assert [hit.path for hit in found(tree).hits] == ["tools/build_a.py"]


def requirement(line: str, path: str = "requirements/common.txt") -> list[Hit]:
    return list(found({path: f"{line}\n"}).hits)


@pytest.mark.parametrize(
    "line",
    [
        'xgrammar == 0.1.29; platform_machine == "x86_64" or platform_machine == "AMD64"',
        'uvloop; sys_platform == "linux" and platform_machine == "x86_64"',
        'six>=1.16.0; python_version > "3.11"',
        "--extra-index-url ${WHEELS}",
        "# uvloop",
        "numpy",
    ],
)
def test_requirements_that_windows_meets(line: str) -> None:
    assert [hit for hit in requirement(line) if hit.state is State.LIVE] == []


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('xgrammar == 0.1.29; platform_machine == "x86_64"  # why', "machine-spelling"),
        ("uvloop", "no-windows-wheel"),
        ('uvloop; python_version >= "3.10"', "no-windows-wheel"),
        ("tilelang==0.1.9", "pin-without-wheel"),
        ("torch==2.9.1", "torch-without-cuda"),
    ],
)
def test_requirements_that_it_does_not(line: str, rule: str) -> None:
    assert [(hit.rule, hit.state) for hit in requirement(line)] == [(rule, State.LIVE)]


def test_lists_of_other_platforms_are_dead_and_those_of_tests_a_corner() -> None:
    assert [hit.state for hit in requirement("uvloop", "requirements/rocm.txt")] == [State.DEAD]
    assert [hit.reach for hit in requirement("uvloop", "requirements/test/cuda.txt")] == [Reach.CORNER]
    tree = {"requirements/cuda.txt": "-r common.txt\n", "requirements/common.txt": "uvloop\n"}
    assert [hit.reach for hit in found(tree).hits] == [Reach.BUILD]


def test_what_cannot_be_read_is_named() -> None:
    tree = {"requirements/cuda.txt": "numpy\nnot a = requirement\n", "pyproject.toml": "[project\n"}
    assert {(one.path, one.lines) for one in found(tree).blind} == {
        ("requirements/cuda.txt", 1), ("pyproject.toml", 0),
    }  # fmt: skip


def test_the_facts_on_wheels_can_be_read() -> None:
    known = read()
    assert {name for name in known if name != canonicalize_name(name)} == set()
    assert known["uvloop"].kind is Kind.LINUX
    assert known["torch"].kind is Kind.WINDOWS
    assert "0.1.9" in known["tilelang"].lacks


def test_every_hazard_that_a_rule_names_is_in_the_catalogue() -> None:
    bad = {sample.path: sample.bad for hazard in catalogue().values() for sample in hazard.samples}
    assert {hit.hazard for hit in found(bad).hits} <= set(catalogue())
