"""What a build says last: the command that goes on from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build import data
from winvllm_build.build.result import BuildResult
from winvllm_build.build.selection import LeftOut
from winvllm_build.cli import build
from winvllm_build.profile.files import ProfileRoots
from winvllm_build.profile.loader import ResolvedProfile, resolve


def shipped(name: str) -> ResolvedProfile:
    roots = ProfileRoots(shipped=data.profiles_root(), user=Path("nowhere"), project=None)
    return resolve(name, roots=roots, environment={}, overrides={})


def after(tag: str, *layers: str) -> list[str]:
    result = BuildResult(
        tag=tag, source="", tree=Path(), build=Path(), toolchain={}, patches=0, layers=("windows", *layers),
        artifacts={}, left_out=(LeftOut(name="_C", reason="not asked for"),), edges=0, total=0, failed=(),
        seconds={}, jobs="", wheel=None, loadable=False, notes=(), messages=(),
    )  # fmt: skip
    return build.next_steps(result, ())


@pytest.mark.parametrize(
    ("layers", "options"),
    [
        ((), "--tag v0.19.0"),
        (("gcc12", "qwen3"), "--tag v0.19.0 --layer gcc12 --layer qwen3"),
    ],
)
def test_the_next_build_is_of_the_same_tag_with_the_same_layers(
    layers: tuple[str, ...], options: str
) -> None:
    assert after("v0.19.0", *layers)[0] == f"winvllm-build build --profile sm86 {options}"


def test_the_readme_goes_on_as_the_quickstart_says_and_names_the_tag_of_the_profile(checkout: Path) -> None:
    started = shipped("quickstart").profile
    page = (checkout / "README.md").read_text(encoding="utf-8")
    first = after(started.tag, *started.source.layers)[0]
    assert f"    next: {first}\n" in page
    options = first.partition("build build ")[2]
    assert f"    sh scripts/quickstart.sh {options}  " in page
    assert f"without `--tag`, `sm86` builds the default, {shipped('sm86').profile.tag}." in page
