"""v0.14.1 scanned as published and with the set applied, against the hazards that the patch headers name."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scan import met, named, shown
from tests.real_vllm.conftest import TAG, unheard
from winvllm_build.audit.hazard import catalogue
from winvllm_build.audit.hit import Hit, State
from winvllm_build.audit.newsince import compare, work
from winvllm_build.audit.scan import Scan, scan
from winvllm_build.audit.subject import Doors, Wanted, opened
from winvllm_build.index import Index
from winvllm_build.patchset.patchset import MAIN_TARGET, PatchSet
from winvllm_build.sources.source import Source
from winvllm_build.workspace import Workspace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.network
Look = Callable[..., Scan]
LATER = "v0.19.0"


@pytest.fixture(scope="module")
def look(published: Source, checkout: Path, test_cache: Path) -> Iterator[Look]:
    """A scan of v0.14.1, each kind made once."""
    assert published.tag == TAG
    workspace = Workspace(root=test_cache / "workspace")
    index = Index(workspace, offline=True, on_event=unheard)
    doors = Doors(workspace=workspace, index=index, offline=True, tell=unheard)
    made: dict[bool, Scan] = {}

    def scanned(*, patched: bool) -> Scan:
        if patched not in made:
            wanted = Wanted(name=TAG, root=checkout / "patches", patched=patched)
            with opened(wanted, doors) as subject:
                made[patched] = scan(subject)
        return made[patched]

    yield scanned
    made.clear()


def live(made: Scan) -> list[Hit]:
    return [hit for hit in made.found.hits if hit.state is State.LIVE]


def expected(checkout: Path, kind: str, tag: str = TAG) -> set[tuple[str, str]]:
    """File and hazard of what is listed with a reason."""
    file = checkout / "tests" / "real_vllm" / "data" / "scan_expected.toml"
    entries: list[dict[str, Any]] = tomllib.loads(file.read_text("utf-8")).get(kind, [])
    assert all(entry["why"] for entry in entries)
    return {(entry["path"], entry["hazard"]) for entry in entries if tag in entry["tags"]}


def test_what_the_set_leaves_is_known(look: Look, checkout: Path) -> None:
    """Every other place is met or suppressed with a reason, and every suppression is needed."""
    coverage = look(patched=True).coverage
    assert [fault.message for fault in coverage.faults] == []
    left = {(place.hit.path, place.hit.hazard) for place in coverage.failing}
    assert left == expected(checkout, "left")


def test_what_the_headers_name_is_found(look: Look, checkout: Path) -> None:
    """All pairs of file and hazard but those that are listed as missed."""
    hits = live(look(patched=False))
    pairs = shown(named(TAG), hits)
    assert pairs - met(hits, pairs) == expected(checkout, "missed")


def test_what_the_headers_of_a_later_set_name_is_found(checkout: Path, test_cache: Path) -> None:
    workspace = Workspace(root=test_cache / "workspace")
    doors = Doors(
        workspace=workspace, index=Index(workspace, on_event=unheard), offline=False, tell=unheard
    )  # fmt: skip
    with opened(Wanted(name=LATER, root=checkout / "patches"), doors) as subject:
        hits = live(scan(subject))
    pairs = shown(named(LATER), hits)
    assert len(pairs) > 100
    assert pairs - met(hits, pairs) == expected(checkout, "missed", LATER)


def test_what_a_patch_names_is_gone_from_its_file(look: Look) -> None:
    """A hazard that a header says to meet is no longer live there, unless it is suppressed with a reason."""
    before = met(live(look(patched=False)), named(TAG))
    after = look(patched=True).coverage
    assert len(before) > 60
    assert {place.hit.hazard for place in after.failing if met([place.hit], before)} == set()


def test_every_hit_is_a_place(look: Look, pristine_tree: Path) -> None:
    """The hazard is in the catalogue, the rule is a word, and the text stands at that line."""
    for hit in look(patched=False).found.hits:
        assert hit.hazard in catalogue()
        assert re.fullmatch(r"[a-z0-9_]+(-[a-z0-9_]+)*", hit.rule)
        if hit.path.startswith("generated/"):
            continue
        lines = (pristine_tree / hit.path).read_text("utf-8").splitlines()
        assert hit.text.strip() in lines[hit.line - 1], hit


def test_generated_kernels_are_looked_at(look: Look) -> None:
    """No file of the tree has the long chain of else-if: the generators of the tree write it."""
    chains = [hit for hit in live(look(patched=False)) if hit.hazard == "D10"]
    assert chains
    assert all(hit.path.startswith("generated/") for hit in chains)
    assert not [hit for hit in live(look(patched=True)) if hit.hazard == "D10"]


def test_what_is_not_followed_is_told(look: Look) -> None:
    made = look(patched=False)
    assert made.found.blind
    assert all(one.why for one in made.found.blind)


def test_the_patches_are_the_hints_for_what_they_met(look: Look, patch_set: PatchSet) -> None:
    """Against an older tree with nothing to find, every live place is work; its own patch is named."""
    since = compare("nothing", [], look(patched=False).coverage.left, str)
    assert (since.gone, since.moved, since.same) == ((), (), ())
    tasks = {task.path: task for task in work(since, patch_set.of(MAIN_TARGET), str)}
    uvloop = tasks["vllm/entrypoints/openai/api_server.py"]
    assert uvloop.patch == uvloop.path
    assert any("uvloop" in place.hit.text for place in uvloop.places)
    assert uvloop.examples
    assert uvloop.path not in uvloop.examples
