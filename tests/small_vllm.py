"""A small vLLM with releases: git repositories with tags, source archives in a folder that pip can use."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from winvllm_build.git import Oid
from winvllm_build.index import Index
from winvllm_build.intake.unpinned import released_source
from winvllm_build.pip_settings import PipSettings
from winvllm_build.sources.pins import SourcePin
from winvllm_build.sources.source import Source
from winvllm_build.workspace import Workspace

OLD, NEW, WHEELS_ONLY, CANDIDATE = "v1.0.0", "v1.1.0", "v1.0.5", "v1.2.0rc1"
LISTS = """\
cmake_minimum_required(VERSION 3.26)
project(vllm_extensions LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 17)
set(VLLM_TARGET_DEVICE "cuda" CACHE STRING "Target device")
include(${CMAKE_CURRENT_LIST_DIR}/cmake/utils.cmake)
set(TORCH_SUPPORTED_VERSION_CUDA "2.9.1")
if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 13.0)
  set(CUDA_SUPPORTED_ARCHS "8.0;9.0;12.0")
else()
  set(CUDA_SUPPORTED_ARCHS "7.0;8.0")
endif()
if (NOT VLLM_TARGET_DEVICE STREQUAL "cuda")
  include(${CMAKE_CURRENT_LIST_DIR}/cmake/cpu.cmake)
  return()
endif()
if (NOT HIP_FOUND AND CUDA_FOUND)
  set(VLLM_GPU_LANG "CUDA")
elseif(HIP_FOUND)
  set(VLLM_GPU_LANG "HIP")
else()
  message(FATAL_ERROR "nothing")
endif()
set(SRC "csrc/a.cu" "csrc/ops.cpp")
if(VLLM_GPU_LANG STREQUAL "HIP")
  list(APPEND SRC "csrc/hip.cu")
else()
  set(ONE_REVISION "r1")
  if (DEFINED ENV{ONE_SRC_DIR})
    set(ONE_SRC_DIR $ENV{ONE_SRC_DIR})
  endif()
  if(ONE_SRC_DIR)
    FetchContent_Declare(one SOURCE_DIR ${ONE_SRC_DIR})
  else()
    FetchContent_Declare(
      one
      GIT_REPOSITORY @ONE@
      # keep in sync
      GIT_TAG ${ONE_REVISION}
    )
  endif()
  FetchContent_MakeAvailable(one)
  cuda_archs_loose_intersection(FAST_ARCHS "9.0a" "${CUDA_ARCHS}")
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8 AND FAST_ARCHS)
    list(APPEND SRC "csrc/fast.cu")
  endif()
  file(GLOB GENERATED "csrc/gen/kernel_*.cu")
  list(APPEND SRC ${GENERATED})
endif()
define_extension_target(_C DESTINATION vllm LANGUAGE ${VLLM_GPU_LANG} SOURCES ${SRC}
  INCLUDE_DIRECTORIES ${ONE_INCLUDE_DIR} WITH_SOABI)
if (VLLM_GPU_LANG STREQUAL "CUDA")
  include(cmake/external_projects/two.cmake)
endif()
"""
TWO = """\
include(FetchContent)
if(DEFINED ENV{TWO_SRC_DIR})
  set(TWO_SRC_DIR $ENV{TWO_SRC_DIR})
endif()
if(TWO_SRC_DIR)
  set(two_SOURCE_DIR "${TWO_SRC_DIR}")
else()
  set(_TWO_REPO "@TWO@")
  FetchContent_Populate(two GIT_REPOSITORY "${_TWO_REPO}" GIT_TAG "@TWO_COMMIT@" GIT_SUBMODULES "csrc/sub")
endif()
cuda_archs_loose_intersection(TWO_ARCHS "9.0a;10.0f" "${CUDA_ARCHS}")
if(TWO_ARCHS)
  define_extension_target(_two_C SOURCES ${two_SOURCE_DIR}/x.cu csrc/two.cpp)
else()
  add_custom_target(_two_C)
endif()
"""
SETUP = """\
ext_modules = []
if _is_cuda() or _is_hip():
    ext_modules.append(CMakeExtension(name="vllm._C"))
if _is_cpu():
    ext_modules.append(CMakeExtension(name="vllm._cpu_C"))
elif CUDA_HOME and get_nvcc_cuda_version() >= Version("12.3"):
    ext_modules.append(CMakeExtension(name="vllm._two_C", optional=True))
"""
PROJECT = """\
[build-system]
requires = ["cmake>=3.26.1", "torch == 2.9.1", "wheel"]
[project]
name = "vllm"
requires-python = ">=3.10,<3.14"
"""
KERNEL = "".join(f"// line {number}\n" for number in range(40))


def files_of(one: str, two: str, two_commit: str) -> dict[str, str]:
    """The older release."""
    return {
        "CMakeLists.txt": LISTS.replace("@ONE@", one),
        "cmake/utils.cmake": "macro(define_extension_target NAME)\n  set(SRC lost)\nendmacro()\n",
        "cmake/external_projects/two.cmake": TWO.replace("@TWO@", two).replace("@TWO_COMMIT@", two_commit),
        "csrc/a.cu": KERNEL,
        "csrc/fast.cu": KERNEL.replace("line", "fast"),
        "csrc/gen/make.py": "# writes kernel_*.cu\n" + KERNEL.replace("//", "#"),
        "csrc/ops.cpp": "int ops;\n",
        "csrc/two.cpp": "int two;\n",
        "pyproject.toml": PROJECT,
        "requirements/build.txt": "# mirrored\ncmake>=3.26.1\ntorch==2.9.1\nwheel\n",
        "requirements/cuda.txt": "-r common.txt\nray>=2.48  # why\ntorch==2.9.1\ntorchvision==0.24.1\n",
        "setup.py": SETUP,
        "vllm/__init__.py": "",
        "vllm/envs.py": 'VLLM_MAIN_CUDA_VERSION: str = "12.9"\n',
    }


def changed(files: Mapping[str, str], two_commit: str) -> dict[str, str]:
    """The newer release: a folder moves, a project moves, requirements and extensions change."""
    made = {
        name.replace("csrc/gen/", "csrc/kernels/").replace("csrc/fast.cu", "csrc/kernels/fast.cu"): text
        for name, text in files.items()
    }
    made["csrc/a.cu"] = KERNEL + "// more\n// and more\n"
    made["csrc/new.cu"] = "// new\n"
    lists = made["CMakeLists.txt"].replace('"csrc/a.cu" ', '"csrc/a.cu" "csrc/new.cu" ')
    lists = lists.replace("csrc/gen/", "csrc/kernels/").replace("csrc/fast.cu", "csrc/kernels/fast.cu")
    lists = lists.replace('ONE_REVISION "r1"', 'ONE_REVISION "r2"').replace("STANDARD 17", "STANDARD 20")
    made["CMakeLists.txt"] = lists.replace('"2.9.1"', '"2.10.0"').replace("7.0;8.0", "8.0")
    two = made["cmake/external_projects/two.cmake"]
    at = two.index('GIT_TAG "') + len('GIT_TAG "')
    made["cmake/external_projects/two.cmake"] = two[:at] + two_commit + two[at + 40 :]
    made["pyproject.toml"] = PROJECT.replace("2.9.1", "2.10.0").replace("<3.14", "<3.15")
    made["requirements/cuda.txt"] = "-r common.txt\ntorch==2.10.0\ntorchvision==0.25.0\nnumba == 0.65\n"
    made["requirements/build/cuda.txt"] = made.pop("requirements/build.txt").replace("2.9.1", "2.10.0")
    made["setup.py"] = SETUP + 'ext_modules.append(CMakeExtension(name="vllm.tools"))\n'
    made["vllm/envs.py"] = 'VLLM_MAIN_CUDA_VERSION: str = "13.0"\n'
    made["rust/Cargo.toml"] = '[workspace]\nmembers = ["a", "b"]\n'
    made["rust/Cargo.lock"] = '[[package]]\nname = "a"\n[[package]]\nname = "prost-build"\n'
    made["rust-toolchain.toml"] = '[toolchain]\nchannel = "1.95"\n'
    return made


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", "-C", folder, *args], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def unheard(event: str) -> None:
    assert event


@dataclass(kw_only=True)
class SmallVllm:
    """`upstream`, `one`, `two` and `sub` are repositories, `links` is the index."""

    top: Path
    commits: dict[str, Oid] = field(default_factory=dict)
    """By vLLM's tags, `one`'s (r1, r2), and for `two` and `sub` two-1, two-2, sub-1, sub-2."""

    @classmethod
    def make(cls, top: Path) -> SmallVllm:
        made = cls(top=top)
        made._dependencies()
        files = files_of(made.one.as_uri(), made.two.as_uri(), made.commits["two-1"])
        made._release(OLD, files)
        newer = changed(files, made.commits["two-2"])
        made._release(NEW, newer)
        made._release(CANDIDATE, {**newer, "csrc/new.cu": "// newer\n"})
        git(made.upstream, "tag", WHEELS_ONLY, NEW)
        (made.links / "vllm-1.0.5-py3-none-any.whl").write_bytes(b"never opened")
        return made

    @property
    def upstream(self) -> Path:
        return self.top / "repositories" / "vllm"

    @property
    def one(self) -> Path:
        return self.top / "repositories" / "one"

    @property
    def two(self) -> Path:
        return self.top / "repositories" / "two"

    @property
    def links(self) -> Path:
        return self.top / "links"

    @property
    def workspace(self) -> Workspace:
        return Workspace(root=self.top / "workspace")

    @property
    def patches(self) -> Path:
        return self.top / "patches"

    def index(self, *, offline: bool = False) -> Index:
        settings = PipSettings(no_index=True, find_links=(str(self.links),))
        return Index(self.workspace, offline=offline, on_event=unheard, settings=settings)

    def archive(self, version: str) -> Path:
        return self.links / f"vllm-{version}.tar.gz"

    def _dependencies(self) -> None:
        sub = self.top / "repositories" / "sub"
        for number in ("1", "2"):
            self.commits[f"sub-{number}"] = self.commit(sub, {"s.h": f"// {number}\n"}, f"s{number}")
            self.commits[f"r{number}"] = self.commit(self.one, {"one.h": f"// {number}\n"}, f"r{number}")
            (self.two / "csrc").mkdir(parents=True, exist_ok=True)
            modules = '[submodule "s"]\n\tpath = csrc/sub\n\turl = ../sub\n'
            link = ("csrc/sub", self.commits[f"sub-{number}"])
            self.commits[f"two-{number}"] = self.commit(
                self.two, {".gitmodules": modules, "x.cu": f"// {number}\n"}, f"t{number}", link=link
            )

    def _release(self, tag: str, files: Mapping[str, str]) -> None:
        if self.upstream.is_dir():
            git(self.upstream, "rm", "-rq", "--cached", ".")
        self.commits[tag] = self.commit(self.upstream, files, tag)
        self.links.mkdir(exist_ok=True)
        self.pack(tag.removeprefix("v"), files, self.commits[tag])

    def pack(self, version: str, files: Mapping[str, str], commit: str) -> None:
        """A source archive as setuptools makes it."""
        packing = {
            "PKG-INFO": "Name: vllm\n",
            "setup.cfg": "[egg_info]\ntag_build = \ntag_date = 0\n\n",
            "vllm/_version.py": (
                "# file generated by setuptools-scm\ncommit_id: str | None\n"
                f"__commit_id__ = commit_id = 'g{commit[:9]}'\n"
            ),
        }
        with tarfile.open(self.archive(version), "w:gz") as tar:
            for name, text in sorted({**files, **packing}.items()):
                info = tarfile.TarInfo(f"vllm-{version}/{name}")
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))

    @staticmethod
    def commit(
        folder: Path, files: Mapping[str, str], tag: str, *, link: tuple[str, str] | None = None
    ) -> Oid:
        """A tagged commit of these files; `link` is a submodule's path and commit."""
        if not (folder / ".git").is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            git(folder, "init", "-q")
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        git(folder, "add", "-f", *files)
        if link is not None:
            git(folder, "update-index", "--add", "--cacheinfo", f"160000,{link[1]},{link[0]}")
        git(folder, "commit", "-qm", tag)
        git(folder, "tag", tag)
        return Oid(git(folder, "rev-parse", "HEAD"))


def take(small: SmallVllm, tag: str, *, offline: bool = False) -> tuple[SourcePin, Source]:
    return released_source(
        tag, workspace=small.workspace, index=small.index(offline=offline), offline=offline, on_event=unheard,
        url=small.upstream.as_uri(),
    )  # fmt: skip
