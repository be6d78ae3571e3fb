"""The requirement files: Linux gets upstream's list, Windows what can be installed there."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.network
ENVIRONMENTS = {
    "linux-x86_64": ("linux", "Linux", "posix", "x86_64"),
    "linux-aarch64": ("linux", "Linux", "posix", "aarch64"),
    "windows-amd64": ("win32", "Windows", "nt", "AMD64"),
}


def chosen(tree: Path, name: str, environment: str) -> list[str]:
    """What `requirements/<name>` asks for in `environment`, in the file's order, `-r` followed."""
    platform, system, os_name, machine = ENVIRONMENTS[environment]
    values = {
        "sys_platform": platform,
        "platform_system": system,
        "os_name": os_name,
        "platform_machine": machine,
        "python_version": "3.12",
        "python_full_version": "3.12.0",
    }
    found: list[str] = []
    for line in (tree / "requirements" / name).read_text(encoding="utf-8").splitlines():
        text = line.split(" #")[0].strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("-"):
            if text.startswith("-r "):
                found += chosen(tree, text[3:].strip(), environment)
            else:
                found.append(text)
            continue
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(values):
            extras = ",".join(sorted(requirement.extras))
            found.append(f"{requirement.name}[{extras}]{requirement.specifier}{requirement.url or ''}")
    return found


def test_requirements_on_windows(patched_tree: Path) -> None:
    windows = chosen(patched_tree, "cuda.txt", "windows-amd64")
    linux = chosen(patched_tree, "cuda.txt", "linux-x86_64")
    assert set(linux) - set(windows) == {"flashinfer-python[]==0.5.3"}
    assert set(windows) <= set(linux)
    assert any(name.startswith("xgrammar[]") for name in windows)
    assert any(name.startswith("llguidance[]") for name in windows)


@pytest.mark.parametrize("environment", ["linux-x86_64", "linux-aarch64"])
def test_requirements_on_linux_are_those_of_upstream(
    pristine_tree: Path, patched_tree: Path, environment: str
) -> None:
    names = sorted(file.name for file in (pristine_tree / "requirements").glob("*.txt"))
    assert {"common.txt", "cuda.txt", "rocm.txt", "build.txt"} <= set(names)
    for name in names:
        assert chosen(patched_tree, name, environment) == chosen(pristine_tree, name, environment), name


def test_no_requirement_is_commented_out(pristine_tree: Path, patched_tree: Path) -> None:
    for file in sorted((pristine_tree / "requirements").glob("*.txt")):
        before = file.read_text(encoding="utf-8").count("#")
        assert (patched_tree / "requirements" / file.name).read_text(encoding="utf-8").count("#") == before
