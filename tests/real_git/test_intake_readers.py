"""The readers of a tag's files, each on a tree of its own in git's objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from winvllm_build.errors import SourceError
from winvllm_build.git import Git, Oid
from winvllm_build.intake import cmake_facts, expectations, extensions, rust
from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.cmake_facts import CMakeFacts
from winvllm_build.intake.cmake_targets import told

Make = Callable[..., Checkout]
FETCH = "FetchContent_Declare({} GIT_REPOSITORY https://example.org/{}.git GIT_TAG {})\n"


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a checkout of the files given."""
    git = Git(tmp_path)
    git.out("init", "-q", "--bare", "--template=", ".")

    def made(files: dict[str, str]) -> Checkout:
        records = b""
        for name, text in files.items():
            oid = git.line("hash-object", "-w", "--stdin", stdin=text.encode("utf-8", "surrogateescape"))
            records += f"100644 {oid}\t{name}\0".encode()
        with git.temporary_index() as index:
            git.out("update-index", "-z", "--add", "--index-info", stdin=records, index=index)
            tree = Oid(git.line("write-tree", index=index))
        return Checkout(git, tree, "v1.0.0")

    return made


def read(make: Make, top: str, **more: str) -> CMakeFacts:
    """The facts of CMakeLists.txt `top` and of files like `cmake__one_cmake`, which is cmake/one.cmake."""
    files = {name.replace("__", "/").replace("_cmake", ".cmake"): text for name, text in more.items()}
    return cmake_facts.read(make({"CMakeLists.txt": top, **files}))


def sources(facts: CMakeFacts, target: str) -> list[tuple[str, tuple[str, ...]]]:
    (found,) = [one for one in facts.targets if one.name == target]
    return [(file.path, told(file.conditions)) for file in found.sources]


def test_each_branch_has_its_own_sources(make: Make) -> None:
    facts = read(make, """\
if(VLLM_TARGET_DEVICE STREQUAL "rocm")
  set(S hip.cu)
elseif(V VERSION_LESS 2)
  set(S old.cu both.cu)
else()
  set(S new.cu both.cu)
endif()
define_extension_target(_C SOURCES ${S} last.cpp)
""")  # fmt: skip
    assert sources(facts, "_C") == [
        ("old.cu", ("V VERSION_LESS 2",)), ("both.cu", ("V VERSION_LESS 2",)),
        ("new.cu", ("not (V VERSION_LESS 2)",)), ("last.cpp", ()),
    ]  # fmt: skip


def test_what_functions_would_do_is_not_done(make: Make) -> None:
    facts = read(make, """\
function(define_extension_target NAME)
  add_library(never x.cu)
  set(S lost.cu PARENT_SCOPE)
endfunction()
set(S kept.cu)
define_extension_target(_C SOURCES ${S})
""")  # fmt: skip
    assert [target.name for target in facts.targets] == ["_C"]
    assert sources(facts, "_C") == [("kept.cu", ())]


def test_included_files_are_read_where_they_are_included(make: Make) -> None:
    facts = read(
        make,
        "set(S a.cu)\ninclude(cmake/one.cmake)\ninclude(FetchContent)\ninclude(gone.cmake)\n"
        "define_extension_target(_C SOURCES ${S})\ninclude(CMakeLists.txt)\n",
        cmake__one_cmake="list(APPEND S b.cu)\ninclude(${CMAKE_CURRENT_LIST_DIR}/two.cmake)\n"
        "if(X)\n  return()\nendif()\nlist(APPEND S c.cu)\nreturn()\nlist(APPEND S never.cu)\n",
        cmake__two_cmake="list(PREPEND S ${CMAKE_CURRENT_SOURCE_DIR}/z.cu)\n",
    )
    assert [path for path, _ in sources(facts, "_C")][:4] == ["z.cu", "a.cu", "b.cu", "c.cu"]


def test_sources_and_includes_added_to_a_target_later(make: Make) -> None:
    facts = read(make, FETCH.format("dep", "dep", "v1") + """\
define_extension_target(_C SOURCES a.cu)
foreach(name b c)
  target_sources(_C PRIVATE ${name}.cu)
endforeach()
if(FAST)
  target_include_directories(_C PRIVATE ${dep_SOURCE_DIR}/include)
endif()
target_sources(_unknown PRIVATE x.cu)
""")  # fmt: skip
    assert [path for path, _ in sources(facts, "_C")] == ["a.cu", "b.cu", "c.cu"]
    assert [(pin.content, pin.targets) for pin in facts.pins] == [("dep", ("_C",))]


def test_patterns_are_files_where_there_are_some(make: Make) -> None:
    checkout = make({
        "CMakeLists.txt": "file(GLOB S CONFIGURE_DEPENDS csrc/*.cu gen/*.cu)\n"
        "define_extension_target(_C SOURCES ${S})\n",
        "csrc/a.cu": "", "csrc/sub/b.cu": "", "csrc/c.cpp": "",
    })  # fmt: skip
    assert [path for path, _ in sources(cmake_facts.read(checkout), "_C")] == ["csrc/a.cu", "gen/*.cu"]


def test_the_variable_that_gives_a_folder(make: Make) -> None:
    facts = read(make, """\
if(DEFINED ENV{A_SRC_DIR})
  set(A_SRC_DIR $ENV{A_SRC_DIR})
endif()
if(A_SRC_DIR)
  FetchContent_Declare(a SOURCE_DIR
    ${A_SRC_DIR} BINARY_DIR x)
else()
  FetchContent_Declare(a GIT_REPOSITORY https://example.org/a.git GIT_TAG v1 GIT_SUBMODULES "")
endif()
if(DEFINED ENV{B_SRC_DIR})
  FetchContent_Declare(b SOURCE_DIR $ENV{B_SRC_DIR})
else()
  FetchContent_Declare(b GIT_REPOSITORY https://example.org/b.git GIT_TAG v2 SOURCE_SUBDIR p/q)
endif()
FetchContent_MakeAvailable(a b)
""")  # fmt: skip
    assert [(p.content, p.variable, p.folder, p.submodules, p.line) for p in facts.pins] == [
        ("a", "A_SRC_DIR", "", (), 8), ("b", "B_SRC_DIR", "p/q", None, 13),
    ]  # fmt: skip


def test_what_is_not_understood_is_said(make: Make) -> None:
    facts = read(make, """\
if(V)
  set(REVISION v1)
else()
  set(REVISION v2)
endif()
FetchContent_Declare(two GIT_REPOSITORY https://example.org/two.git GIT_TAG ${REVISION})
FetchContent_Declare(zip URL https://example.org/x.zip)
FetchContent_Declare(unknown GIT_REPOSITORY ${NOWHERE} GIT_TAG v1)
""")  # fmt: skip
    assert facts.pins == ()
    assert [words.split(":")[0] for words in facts.unread] == [
        "CMakeLists.txt, line 6", "CMakeLists.txt, line 7", "CMakeLists.txt, line 8",
    ]  # fmt: skip


def test_architectures_a_project_is_needed_for(make: Make) -> None:
    text = (
        "".join(FETCH.format(name, name, "v1") for name in ("some", "all", "none"))
        + """\
if(V VERSION_GREATER_EQUAL 13.0)
  cuda_archs_loose_intersection(A "9.0a;10.0f" "${CUDA_ARCHS}")
else()
  cuda_archs_loose_intersection(A "9.0a;10.0a;10.3a" "${CUDA_ARCHS}")
endif()
set(B ${A})
if(B)
  define_extension_target(_some SOURCES ${some_SOURCE_DIR}/x.cu ${all_SOURCE_DIR}/y.cu)
else()
  add_custom_target(_some)
endif()
define_extension_target(_all SOURCES ${all_SOURCE_DIR}/x.cu INCLUDE_DIRECTORIES ${ALL_INCLUDE_DIR})
"""
    )
    facts = read(make, text)
    assert {pin.content: (pin.targets, pin.archs) for pin in facts.pins} == {
        "some": (("_some",), ("9.0a", "10.0f")), "all": (("_all", "_some"), ()), "none": ((), ()),
    }  # fmt: skip
    (some,) = [target for target in facts.targets if target.name == "_some"]
    assert (some.kind.value, len(some.sources)) == ("extension", 2)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "v1.0.0 has no CMakeLists.txt"),
        ({"CMakeLists.txt": "set(A"}, "CMakeLists.txt, line 1"),
        ({"CMakeLists.txt": "# \udcff"}, "CMakeLists.txt of v1.0.0 is not UTF-8"),
    ],
)
def test_a_tree_that_is_not_vllm(make: Make, files: dict[str, str], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        cmake_facts.read(make(files))


def test_extensions_of_a_cuda_build_alone(make: Make) -> None:
    found = extensions.read(make({"setup.py": """\
class CMakeExtension: pass
ext_modules = [CMakeExtension("vllm.first")]
if _is_hip() or _is_cpu():
    ext_modules.append(CMakeExtension(name="vllm.never"))
elif not _is_xpu() and CUDA_HOME:
    ext_modules += [CMakeExtension(name="vllm.second", optional=True)]
else:
    ext_modules.append(CMakeExtension(name="vllm.third"))
if _no_device():
    ext_modules = [CMakeExtension(name="vllm.fourth")]
def later():
    return CMakeExtension(name="vllm.fifth")
"""}))  # fmt: skip
    assert [(one.target, one.optional, one.conditions) for one in found] == [
        ("first", False, ()), ("second", True, ("not _is_xpu() and CUDA_HOME",)),
        ("third", False, ("not (not _is_xpu() and CUDA_HOME)",)),
    ]  # fmt: skip
    with pytest.raises(SourceError, match=r"setup\.py of v1\.0\.0, line 2"):
        extensions.read(make({"setup.py": "x = 1\nif x\n"}))


LOCK = '[[package]]\nname = "{}"\nsource = "git+https://example.org/x?rev=1#2"\n'


@pytest.mark.parametrize(
    ("crates", "protoc"),
    [(("a",), False), (("a", "prost-build"), True), (("prost-build", "protox"), False)],
)
def test_rust(make: Make, crates: tuple[str, ...], *, protoc: bool) -> None:
    found = rust.read(make({
        "rust/Cargo.toml": '[workspace]\nmembers = ["a", "b"]\n', "rust/a/Cargo.toml": "[package]\n",
        "rust/Cargo.lock": "".join(LOCK.format(name) for name in crates),
        "rust-toolchain.toml": '[toolchain]\nchannel = "1.95"\n',
    }))  # fmt: skip
    assert found is not None
    assert (found.workspace, found.members, found.channel) == ("rust", 2, "1.95")
    assert (found.crates, found.from_git) == (len(crates), ("https://example.org/x",))
    assert (found.needs_protoc, found.builds_openssl) == (protoc, False)
    assert rust.read(make({"tools/Cargo.toml": "[package]\n"})) is None
    with pytest.raises(SourceError, match=r"Cargo\.toml of v1\.0\.0 is not TOML"):
        rust.read(make({"Cargo.toml": "[workspace"}))


def test_requirements_are_lines_with_a_meaning(make: Make) -> None:
    found = expectations.read(make({
        "pyproject.toml": '[build-system]\nrequires = ["torch == 2.9.1"]\n'
        '[project]\nrequires-python = ">=3.10"\n',
        "requirements/common.txt": "# all\n-r other.txt\n--index x\na >= 1 # why\nb[x]\\\n >= 2\n\n",
        "requirements/test.txt": "c\n",
    }))  # fmt: skip
    assert found.requirements == {"requirements/common.txt": ("a >= 1", "b[x] >= 2")}
    assert (found.main_cuda, dict(found.pinned)) == ("", {})
    for wrong in ("[project]\n", '[build-system]\nrequires = ["torch>=2"]\n[project]\nrequires-python="3"\n'):
        with pytest.raises(SourceError, match=r"pyproject\.toml of v1\.0\.0"):
            expectations.read(make({"pyproject.toml": wrong}))
