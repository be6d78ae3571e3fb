"""What the front ends say, as recorded from cudafe++ 13.0.88, cicc 13.0.88 and clang 19."""

from __future__ import annotations

from winvllm_build.audit.frontend import messages
from winvllm_build.audit.frontend.messages import Message

CUDAFE = """\
torch/c10/util/typeid.h(673): warning #1390-D: dllexport/dllimport conflict with "x" (declared at line 563)
  extern template uint16_t TypeMeta::addTypeMetaData<std::string>();
csrc/attention/merge_attn_states.cu(14): error: identifier "uint" is undefined
  const uint x = 1;
        ^

csrc/attention/merge_attn_states.cu(14): error: identifier "uint" is undefined
csrc/quantization/activation_kernels.cu(302): error #20: identifier "__int128_t" is undefined
csrc/a.cu(192): catastrophic error: expected a declaration
28 errors detected in the compilation of "merge_attn_states.cu".
"""
CLANG = """\
In file included from csrc/b.cpp:1:
/t/vllm/csrc/cumem_allocator.cpp:95:5: error: unknown type name 'ssize_t'; did you mean 'size_t'?
/t/vllm/csrc/core/registration.h:3:10: fatal error: 'Python.h' file not found
2 errors generated.
"""


def test_errors_of_edg_are_read_once_each_and_warnings_are_not() -> None:
    found = messages.parse(CUDAFE.splitlines())
    assert [(m.file, m.line, m.code) for m in found] == [
        ("csrc/attention/merge_attn_states.cu", 14, ""),
        ("csrc/quantization/activation_kernels.cu", 302, "20"),
        ("csrc/a.cu", 192, ""),
    ]
    assert found[0].text == 'identifier "uint" is undefined'
    assert messages.counted(CUDAFE.splitlines()) == 28


def test_errors_of_clang_get_the_short_names() -> None:
    found = messages.parse(CLANG.splitlines(), lambda file: file.removeprefix("/t/vllm/"))
    assert [(m.file, m.line) for m in found] == [
        ("csrc/cumem_allocator.cpp", 95),
        ("csrc/core/registration.h", 3),
    ]
    assert messages.counted(CLANG.splitlines()) == 2


def test_an_error_without_a_place_is_told_too() -> None:
    said = ["Command-line error: invalid option: --help", "clang-19: error: no input files"]
    assert messages.parse(said) == (
        Message(file="", line=0, text="invalid option: --help"),
        Message(file="", line=0, text="no input files"),
    )


def test_a_path_of_windows_is_read_with_slashes() -> None:
    (found,) = messages.parse([r"csrc\core\x.cu(3): error: expected a )"])
    assert found.file == "csrc/core/x.cu"
