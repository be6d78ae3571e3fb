"""Each impossible combination is refused with its reason, and possible ones are let through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from winvllm_build.cuda_home import above_bin, holds_nvcc
from winvllm_build.errors import ProfileError
from winvllm_build.profile.model import Profile
from winvllm_build.profile.problem import LayerKind, Origin
from winvllm_build.profile.validate import (
    Finding,
    Severity,
    ToolkitFacts,
    check,
    require,
)

NVCC_13 = ("7.5", "8.0", "8.6", "8.7", "8.8", "8.9", "9.0", "10.0", "11.0", "10.3", "12.0", "12.1")
TAG_ARCHS = frozenset("7.0 7.2 7.5 8.0 8.6 8.7 8.9 9.0 10.0 10.1 11.0 12.0".split())  # noqa: SIM905 - as nvcc lists
GOOD = ToolkitFacts(
    cuda_home="/usr/local/cuda",
    home_is_toolkit=True,
    cuda_version=Version("13.0"),
    listed_archs=NVCC_13,
    torch_version=Version("2.9.1+cu130"),
    python_version=Version("3.11.7"),
    tag_python=SpecifierSet(">=3.10,<3.14"),
    tag_torch="2.9.1",
    tag_archs=TAG_ARCHS,
    patched_tags=("v0.14.1",),
)
CUDA_12_6 = replace(GOOD, cuda_version=Version("12.6"), listed_archs=())


def profile(**sections: Any) -> Profile:  # noqa: ANN401 - tables of a profile
    return Profile.model_validate(sections)


def refused(asked: Profile, facts: ToolkitFacts) -> list[Finding]:
    return [finding for finding in check(asked, facts) if finding.severity is Severity.REFUSED]


def test_what_fits_has_no_findings() -> None:
    assert check(profile(), GOOD) == []
    assert check(profile(cuda={"arch_list": ["7.5", "8.6", "9.0a", "12.0f"]}), GOOD) == []


def test_nothing_known_is_nothing_refused() -> None:
    assert check(profile(), ToolkitFacts()) == []


@pytest.mark.parametrize(
    ("archs", "facts", "said"),
    [
        ("12.0", CUDA_12_6, "architecture 12.0 needs CUDA 12.8 or newer, this is CUDA 12.6"),
        ("10.0", CUDA_12_6, "architecture 10.0 needs CUDA 12.8 or newer"),
        ("7.0", GOOD, "architecture 7.0 was dropped by CUDA 13.0, this is CUDA 13.0"),
        ("10.1", GOOD, "it is called 11.0 since"),
        ("11.0", CUDA_12_6, "architecture 11.0 needs CUDA 13.0"),
        ("9.0f", CUDA_12_6, "the suffix of 9.0f needs CUDA 12.9"),
        (
            "8.6",
            replace(GOOD, listed_archs=("7.5", "9.0", "10.0")),
            "does not compile architecture 8.6; it lists 7.5, 9.0, 10.0",
        ),
        (
            "5.0",
            replace(CUDA_12_6, tag_archs=TAG_ARCHS),
            "does not support architecture 5.0; it supports 7.0",
        ),
        ("13.0", replace(GOOD, listed_archs=()), "does not support architecture 13.0"),
        ("3.0", ToolkitFacts(), "no toolkit that fits cuda.version >=12.6,<14 will do: architecture 3.0 was"),
        ("3.5", replace(CUDA_12_6, tag_archs=frozenset()), "architecture 3.5 was dropped by CUDA 12.0"),
    ],
)
def test_an_architecture_that_cannot_be_compiled_is_refused(
    archs: str, facts: ToolkitFacts, said: str
) -> None:
    found = refused(profile(cuda={"arch_list": archs}), facts)
    assert [finding.key for finding in found] == ["cuda.arch_list"]
    assert said in found[0].message
    assert archs in found[0].fix


def test_volta_is_fine_with_cuda_12() -> None:
    assert refused(profile(cuda={"arch_list": "7.0"}), CUDA_12_6) == []


def test_an_architecture_that_upstream_replaces_is_noted() -> None:
    found = check(profile(cuda={"arch_list": "12.1"}), GOOD)
    assert [finding.severity for finding in found] == [Severity.NOTE]
    assert "compiles 12.0 instead" in found[0].message


def test_ptx_is_noted() -> None:
    assert [f.severity for f in check(profile(cuda={"arch_list": "8.6+PTX"}), GOOD)] == [Severity.NOTE]


@pytest.mark.parametrize(
    ("version", "arch", "said"),
    [
        (
            "==12.6.*",
            "12.0",
            "no toolkit that fits cuda.version ==12.6.* will do: architecture 12.0 needs CUDA 12.8",
        ),
        (">=13", "7.0", "was dropped by CUDA 13.0"),
        (">=12.6,<14", "12.0", ""),
        (">=12.6,<14", "7.0", ""),
        (">=20", "12.0", ""),
    ],
)
def test_a_specifier_that_no_toolkit_of_the_architecture_fits(version: str, arch: str, said: str) -> None:
    found = refused(profile(cuda={"version": version, "arch_list": arch}), ToolkitFacts())
    assert bool(found) is bool(said)
    assert not found or said in found[0].message


def test_a_toolkit_outside_the_specifier() -> None:
    found = refused(profile(), replace(CUDA_12_6, cuda_version=Version("12.4")))
    assert found[0].key == "cuda.version"
    assert "is CUDA 12.4, the profile asks for >=12.6,<14" in found[0].message


@pytest.mark.parametrize(
    ("home", "right"),
    [
        ("/usr/local/cuda/bin", "/usr/local/cuda"),
        ("/usr/local/cuda/bin/", "/usr/local/cuda"),
        ("C:\\CUDA\\v13.0\\bin", "C:\\CUDA\\v13.0"),
        ("C:/CUDA/v13.0/BIN/", "C:\\CUDA\\v13.0"),
        ("/usr/local/cuda", None),
        ("/opt/robin", None),
    ],
)
def test_a_home_that_ends_in_bin(home: str, right: str | None) -> None:
    assert above_bin(home) == right
    found = refused(profile(cuda={"home": home}), ToolkitFacts())
    assert [finding.key for finding in found] == (["cuda.home"] if right else [])
    assert not right or right in found[0].fix


def test_a_home_that_is_no_toolkit(tmp_path: Path) -> None:
    assert not holds_nvcc(tmp_path)
    facts = replace(GOOD, cuda_home=str(tmp_path), home_is_toolkit=holds_nvcc(tmp_path))
    assert "no CUDA toolkit" in refused(profile(), facts)[0].message
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvcc.exe").write_bytes(b"")
    assert holds_nvcc(tmp_path)


def test_another_torch_than_the_pinned_one_is_noted_by_its_public_version() -> None:
    found = check(profile(), replace(GOOD, torch_version=Version("2.10.0+cu130")))
    assert [(f.key, f.severity) for f in found] == [("torch.version", Severity.NOTE)]


@pytest.mark.parametrize(
    ("python", "version", "key"),
    [
        ({}, "3.9.18", "python.executable"),
        ({}, "3.14.0", "python.executable"),
        ({"version": "==3.12.*"}, "3.11.7", "python.version"),
    ],
)
def test_a_python_that_does_not_fit(python: dict[str, str], version: str, key: str) -> None:
    found = refused(profile(python=python), replace(GOOD, python_version=Version(version)))
    assert [finding.key for finding in found] == [key]


def test_a_tag_without_patch_set() -> None:
    found = refused(profile(tag="v0.14.0"), GOOD)
    assert [finding.key for finding in found] == ["tag"]
    assert 'no patch set for v0.14.0; did you mean "v0.14.1"?' in found[0].message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"kind": "local"}, "has to be named"),
        ({"kind": "git", "location": "/vllm"}, "would be ignored"),
        ({"kind": "sdist", "location": "/vllm"}, "would be ignored"),
        ({"location": "https://host/vllm"}, "is an address"),
        ({"kind": "local", "location": "git@host:vllm"}, "is an address"),
        ({"kind": "local", "location": "/vllm"}, ""),
        ({"location": "C:\\vllm"}, ""),
    ],
)
def test_a_location_that_does_not_suit_the_kind(source: dict[str, str], said: str) -> None:
    found = refused(profile(source=source), GOOD)
    assert [finding.key for finding in found] == (["source.location"] if said else [])
    assert not found or said in found[0].message


def test_contradictions_within_the_build() -> None:
    asked = profile(build={"targets": ["_C"], "leave_out": ["_C"], "objects": ["csrc/*.cu"]})
    assert [finding.key for finding in refused(asked, GOOD)] == ["build.leave_out", "build.wheel"]


def test_all_findings_are_raised_at_once_with_their_origins() -> None:
    asked = profile(cuda={"home": "/cuda/bin", "arch_list": ["7.0", "8.6+PTX"]}, tag="v0.99.0")
    origins = {"cuda.arch_list": Origin(layer=LayerKind.USER, source="my.toml", line=4)}
    with pytest.raises(ProfileError) as caught:
        require(check(asked, replace(GOOD, cuda_home=None)), origins)
    said = str(caught.value)
    assert "the profile has 3 problems" in said
    assert "my.toml:4: cuda.arch_list: architecture 7.0 was dropped" in said
    assert "set cuda.home (or CUDA_HOME) to /cuda" in said


def test_notes_do_not_raise() -> None:
    findings = check(profile(cuda={"arch_list": "8.6+PTX"}), GOOD)
    assert require(findings, {}) == tuple(findings)
