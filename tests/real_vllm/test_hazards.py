"""Every known hazard has a state in the patch set, and the state is true of the real source."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from winvllm_build.patchset.patchset import PatchSet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TESTS = Path(__file__)
CHECKOUT = TESTS.parents[2]
STATES: dict[str, dict[str, Any]] = tomllib.loads(
    (CHECKOUT / "patches" / "v0.14.1" / "hazards.toml").read_text("utf-8")
)
KNOWN: list[str] = tomllib.loads((TESTS.parent / "data" / "expected.toml").read_text("utf-8"))["hazards"]
KEYS = {
    "patched": {"what", "state"},
    "tool": {"what", "state", "where", "reason"},
    "absent": {"what", "state", "reason"},
    "documented": {"what", "state", "where", "reason"},
    "open": {"what", "state", "reason"},
}
SEARCH = {"pattern", "files", "except"}
SEARCHED = [hazard for hazard, entry in STATES.items() if "pattern" in entry]
PLANTED = {
    "D2": ("csrc/a.cuh", "float x __attribute__((aligned(16)));"),
    "D16": ("csrc/a.cu", "float most = __FLT_MAX__;"),
    "D24": ("csrc/core/a.cpp", "#include <unistd.h>"),
    "D28": ("csrc/cache_kernels.cu", "int64_t key_cache_ptrs[num_layers];"),
    "D31": ("cmake/a.cmake", 'target_link_options(x PRIVATE "-Wl,-z,now")'),
    "D32": ("CMakeLists.txt", "target_link_libraries(x python312.lib)"),
    "D39": ("rust/Cargo.toml", "[package]"),
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
}
"""For each hazard that is searched for, a line that has it."""


def hits(tree: Path, entry: dict[str, Any]) -> Iterator[str]:
    """The files below `tree` that have an absent hazard after all."""
    pattern = re.compile(entry["pattern"])
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree).as_posix()
        wanted = any(fnmatchcase(name, glob) for glob in entry["files"])
        if not wanted or any(fnmatchcase(name, glob) for glob in entry.get("except", ())):
            continue
        if path.is_file() and pattern.search(path.read_text("utf-8", errors="replace")):
            yield name


def test_every_hazard_has_a_state() -> None:
    assert list(STATES) == KNOWN
    assert set(Counter(entry["state"] for entry in STATES.values())) <= set(KEYS)


@pytest.mark.parametrize("hazard", STATES)
def test_a_state_says_what_it_has_to(hazard: str) -> None:
    entry = STATES[hazard]
    search = set(entry) & SEARCH
    assert set(entry) - search == KEYS[entry["state"]]
    assert not search or entry["state"] == "absent"
    assert all(len(str(entry[key])) > 3 for key in KEYS[entry["state"]])


def test_patched_hazards_are_those_of_the_headers(patch_set: PatchSet) -> None:
    named = {
        word
        for patch in patch_set.patches
        for word in (patch.content.header.get("Hazards") or "").replace(",", " ").split()
    } - {"-"}
    assert {hazard for hazard, entry in STATES.items() if entry["state"] == "patched"} == named


@pytest.mark.parametrize("hazard", [h for h, entry in STATES.items() if "where" in entry])
def test_what_meets_a_hazard_exists(hazard: str) -> None:
    assert (CHECKOUT / STATES[hazard]["where"]).is_file()


@pytest.mark.network
@pytest.mark.parametrize("hazard", SEARCHED)
def test_an_absent_hazard_is_not_in_the_source(hazard: str, pristine_tree: Path) -> None:
    assert list(hits(pristine_tree, STATES[hazard])) == []


@pytest.mark.parametrize("hazard", SEARCHED)
def test_an_absent_hazard_would_be_noticed(hazard: str, tmp_path: Path) -> None:
    name, line = PLANTED[hazard]
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line, encoding="utf-8")
    assert list(hits(tmp_path, STATES[hazard])) == [name]


@pytest.mark.network
@pytest.mark.parametrize("hazard", [h for h in SEARCHED if "except" in STATES[h]])
def test_every_exception_is_one(hazard: str, pristine_tree: Path) -> None:
    entry = STATES[hazard]
    found = list(hits(pristine_tree, {key: entry[key] for key in ("pattern", "files")}))
    unused = [glob for glob in entry["except"] if not any(fnmatchcase(name, glob) for name in found)]
    assert unused == []
