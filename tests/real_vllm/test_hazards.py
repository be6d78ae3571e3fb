"""Every known hazard has a state in each patch set, and the state is true of the real source."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.tag_trees import published
from winvllm_build.audit.hazard import catalogue, rank
from winvllm_build.patchset.patchset import load

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TESTS = Path(__file__)
CHECKOUT = TESTS.parents[2]
PATCHES = CHECKOUT / "patches"
FIRST = "v0.14.1"
"""Its list is older than the catalogue, and was made without it."""
SETS: dict[str, dict[str, dict[str, Any]]] = {
    file.parent.name: tomllib.loads(file.read_text("utf-8"))
    for file in sorted(PATCHES.glob("*/hazards.toml"))
}
KNOWN: list[str] = tomllib.loads((TESTS.parent / "data" / "expected.toml").read_text("utf-8"))["hazards"]
KEYS = {
    "patched": {"what", "state"},
    "tool": {"what", "state", "where", "reason"},
    "absent": {"what", "state", "reason"},
    "documented": {"what", "state", "where", "reason"},
    "open": {"what", "state", "reason"},
}
SEARCH = {"pattern", "files", "except"}
ENTRIES = [(tag, hazard) for tag, states in SETS.items() for hazard in states]
SEARCHED = [(tag, hazard) for tag, hazard in ENTRIES if "pattern" in SETS[tag][hazard]]
PLANTED = {
    "D2": ("csrc/a.cuh", "float x __attribute__((aligned(16)));"),
    "D16": ("csrc/a.cu", "float most = __FLT_MAX__;"),
    "D24": ("csrc/core/a.cpp", "#include <unistd.h>"),
    "D28": ("csrc/cache_kernels.cu", "int64_t key_cache_ptrs[num_layers];"),
    "D31": ("cmake/a.cmake", 'target_link_options(x PRIVATE "-Wl,-z,now")'),
    "D32": ("CMakeLists.txt", "target_link_libraries(x python312.lib)"),
    "D39": ("rust/Cargo.toml", "[package]"),
    "D44": ("csrc/a.cuh", "__typeof__(x) y = x;"),
    "D46": ("csrc/a.cu", "int n = blocks ?: 1;"),
    "D47": ("csrc/a.cpp", "log(__PRETTY_FUNCTION__);"),
    "D49": ("csrc/a.h", "#include_next <math.h>"),
    "D50": ("csrc/a.cu", "#pragma GCC unroll 4"),
    "D51": ("csrc/a.cu", "long* p = reinterpret_cast<long*>(ids.data_ptr());"),
    "D54": ("csrc/a.cu", "CUDAGuard guard{(char)x.get_device()};"),
    "D56": ("csrc/a.cu", "case 1 ... 5:"),
    "D57": ("csrc/a.cpp", "static __thread int rank;"),
    "D59": ("csrc/a.cu", "constexpr float scale = std::sqrt(2.0f);"),
    "D70": ("rust/src/main.rs", 'let folder = "/tmp";'),
    "E13": ("vllm/a.py", "os.sched_setaffinity(0, cores)"),
    "E15": ("vllm/a.py", "path = '/dev/shm/region'"),
    "E16": ("vllm/a.py", "os.preadv(fd, buffers, 0)"),
    "E18": ("vllm/a.py", "os.rename(part, final)"),
    "E27": ("vllm/a.py", 'os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"'),
    "E28": ("vllm/a.py", "hf_hub_download(\n    repo, os.path.join(folder, name))"),
    "E33": ("vllm/a.py", "os.access(path, os.X_OK)"),
    "E34": ("vllm/a.py", "Popen(command, pass_fds=[fd])"),
    "E38": ("vllm/collect_env.py", 'assert sys.platform == "linux"'),
    "E39": ("vllm/a.py", 'ctypes.CDLL("libnuma.so.1")'),
    "E40": ("csrc/cache_kernels.cu", "cuMemcpyBatchAsync(a, b, sizes, n, stream);"),
    "E46": ("vllm/a.py", "machine = os.uname().machine"),
    "E47": ("vllm/a.py", "    import pwd"),
    "E48": ("vllm/a.py", "Popen(command, preexec_fn=os.setsid)"),
    "E49": ("vllm/a.py", 'subprocess.check_output(["lscpu", "-J"])'),
    "E51": ("vllm/a.py", "os.symlink(target, link)"),
    "E55": ("vllm/a.py", "os.kill(pid, 0)"),
    "E57": ("vllm/a.py", 'now.strftime("%-d.%m.")'),
    "E63": ("vllm/a.py", '":".join(sys.path)'),
}
"""For each hazard that is searched for, a line that has it."""


def entry_of(tag: str, hazard: str) -> dict[str, Any]:
    return SETS[tag][hazard]


@cache
def suppressed(file: Path) -> frozenset[str]:
    """The hazards of a set's suppressions."""
    return frozenset(entry["hazard"] for entry in tomllib.loads(file.read_text("utf-8"))["suppression"])


def hits(tree: Path, entry: dict[str, Any]) -> Iterator[str]:
    """The files below `tree` that have an absent hazard after all."""
    pattern = re.compile(entry["pattern"])
    for name, path in files_of(tree):
        wanted = any(fnmatchcase(name, glob) for glob in entry["files"])
        if not wanted or any(fnmatchcase(name, glob) for glob in entry.get("except", ())):
            continue
        if pattern.search(text_of(path)):
            yield name


@cache
def files_of(tree: Path) -> tuple[tuple[str, Path], ...]:
    found = [(path.relative_to(tree).as_posix(), path) for path in sorted(tree.rglob("*")) if path.is_file()]
    return tuple(found)


@cache
def text_of(path: Path) -> str:
    return path.read_text("utf-8", errors="replace")


@pytest.fixture(scope="module")
def pristine(test_cache: Path) -> Callable[[str], Path]:
    """Upstream's files of a set's tag, as its published archive has them."""

    @cache
    def made(tag: str) -> Path:
        return published(tag, test_cache, patched=False)

    return made


@pytest.mark.parametrize("tag", SETS)
def test_every_hazard_has_a_state(tag: str) -> None:
    known = KNOWN if tag == FIRST else catalogue()
    assert list(SETS[tag]) == sorted(set(known) | set(SETS[tag]), key=rank)
    assert set(SETS[tag]) <= set(catalogue())
    assert set(Counter(entry["state"] for entry in SETS[tag].values())) <= set(KEYS)


def test_the_catalogue_has_every_hazard_that_was_known_before() -> None:
    assert set(KNOWN) <= set(catalogue())
    assert set(SETS) == {file.parent.name for file in PATCHES.glob("*/patchset.toml")}


@pytest.mark.parametrize(("tag", "hazard"), ENTRIES)
def test_a_state_says_what_it_has_to(tag: str, hazard: str) -> None:
    entry = entry_of(tag, hazard)
    search = set(entry) & SEARCH
    assert set(entry) - search == KEYS[entry["state"]]
    assert not search or entry["state"] == "absent"
    assert all(len(str(entry[key])) > 3 for key in KEYS[entry["state"]])


@pytest.mark.parametrize("tag", SETS)
def test_patched_hazards_are_those_of_the_headers(tag: str) -> None:
    named = {
        word
        for patch in load(PATCHES, tag).patches
        for word in (patch.content.header.get("Hazards") or "").replace(",", " ").split()
    } - {"-"}
    assert {hazard for hazard, entry in SETS[tag].items() if entry["state"] == "patched"} == named


@pytest.mark.parametrize(("tag", "hazard"), [pair for pair in ENTRIES if "where" in entry_of(*pair)])
def test_what_meets_a_hazard_exists(tag: str, hazard: str) -> None:
    entry = entry_of(tag, hazard)
    where = CHECKOUT / entry["where"]
    assert where.is_file()
    assert entry["state"] != "documented" or hazard in suppressed(where)


@pytest.mark.network
@pytest.mark.parametrize(("tag", "hazard"), SEARCHED)
def test_an_absent_hazard_is_not_in_the_source(
    tag: str, hazard: str, pristine: Callable[[str], Path]
) -> None:
    assert list(hits(pristine(tag), entry_of(tag, hazard))) == []


@pytest.mark.parametrize(("tag", "hazard"), SEARCHED)
def test_an_absent_hazard_would_be_noticed(tag: str, hazard: str, tmp_path: Path) -> None:
    name, line = PLANTED[hazard]
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line, encoding="utf-8")
    assert list(hits(tmp_path, entry_of(tag, hazard))) == [name]


@pytest.mark.network
@pytest.mark.parametrize(("tag", "hazard"), [pair for pair in SEARCHED if "except" in entry_of(*pair)])
def test_every_exception_is_one(tag: str, hazard: str, pristine: Callable[[str], Path]) -> None:
    entry = entry_of(tag, hazard)
    found = list(hits(pristine(tag), {key: entry[key] for key in ("pattern", "files")}))
    unused = [glob for glob in entry["except"] if not any(fnmatchcase(name, glob) for name in found)]
    assert unused == []
