"""The profiles that come with the tool, and the reference page that describes them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from winvllm_build.profile.loader import ProfileRoots, available, resolve
from winvllm_build.profile.model import keys
from winvllm_build.profile.reference import render
from winvllm_build.profile.validate import ToolkitFacts, check

ARCHS = {
    "quickstart": ("8.6",),
    "sm75": ("7.5",),
    "sm86": ("8.6",),
    "sm89": ("8.9",),
    "sm120": ("12.0",),
    "datacenter": ("8.0", "9.0", "10.0"),
    "ci-multi-arch": ("7.5", "8.0", "8.6", "8.9", "12.0"),
}


@pytest.fixture
def roots(checkout: Path, tmp_path: Path) -> ProfileRoots:
    return ProfileRoots(shipped=checkout / "profiles", user=tmp_path)


def test_these_are_shipped_each_with_a_description(roots: ProfileRoots) -> None:
    found = {summary.name: summary.description for summary in available(roots)}
    assert set(found) == set(ARCHS)
    assert all(found.values())
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("name", ARCHS)
def test_each_resolves_for_its_cards_and_some_toolkit(roots: ProfileRoots, name: str) -> None:
    found = resolve(name, roots=roots, environment={}, overrides={})
    assert found.profile.cuda.arch_list == ARCHS[name]
    assert found.profile.tag == ("v0.33.0" if name == "quickstart" else "v0.14.1")
    assert check(found.profile, ToolkitFacts()) == []
    assert check(found.profile, ToolkitFacts(cuda_version=Version("13.0"))) == []
    assert found.profile.build.wheel is (name != "quickstart")


def test_quickstart_is_small(roots: ProfileRoots) -> None:
    build = resolve("quickstart", roots=roots, environment={}, overrides={}).profile.build
    assert build.targets == ("cumem_allocator",)
    assert 1 <= len(build.objects) <= 4
    assert not any("*" in pattern for pattern in build.objects)


def test_the_reference_names_every_key() -> None:
    page = render()
    assert all(f"`{key[-1]}`" in page or f"[{key[-1]}]" in page for key in keys())


def test_the_committed_reference_is_current(checkout: Path) -> None:
    script = checkout / "scripts" / "generate_profile_docs.py"
    done = subprocess.run([sys.executable, str(script), "--check"], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
