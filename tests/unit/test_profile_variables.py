"""Environment variables and `--set`: which key each one sets, and what text means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from winvllm_build.errors import ProfileError, UsageError
from winvllm_build.profile.loader import ProfileRoots, ResolvedProfile, resolve
from winvllm_build.profile.model import FILE_ONLY, TABLES, keys
from winvllm_build.profile.problem import LayerKind
from winvllm_build.profile.variables import described, parse_setting, settable


def with_environment(tmp_path: Path, environment: dict[str, str], **overrides: object) -> ResolvedProfile:
    roots = ProfileRoots(shipped=tmp_path, user=tmp_path)
    return resolve(None, roots=roots, environment=environment, overrides=overrides)


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("CUDA_HOME", "/opt/cuda", "cuda.home", "/opt/cuda"),
        ("TORCH_CUDA_ARCH_LIST", "8.9 12.0+PTX", "cuda.arch_list", ["8.9", "12.0+PTX"]),
        ("MAX_JOBS", "4", "build.max_jobs", 4),
        ("NVCC_THREADS", " 2 ", "cuda.nvcc_threads", 2),
        ("CMAKE_BUILD_TYPE", "Debug", "build.type", "Debug"),
        ("WINVLLM_TAG", "v0.19.0", "tag", "v0.19.0"),
        ("WINVLLM_CUDA__ARCH_LIST", "8.6;8.9", "cuda.arch_list", ["8.6", "8.9"]),
        ("WINVLLM_BUILD__MAX_JOBS", "auto", "build.max_jobs", "auto"),
        ("WINVLLM_BUILD__MEMORY_PER_JOB", "2.5", "build.memory_per_job", 2.5),
        ("WINVLLM_BUILD__TARGETS", "_C, _moe_C;", "build.targets", ["_C", "_moe_C"]),
        ("WINVLLM_BUILD__WHEEL", "off", "build.wheel", False),
        ("WINVLLM_BUILD__KEEP_GOING", "Yes", "build.keep_going", True),
        ("WINVLLM_SOURCE__KIND", "sdist", "source.kind", "sdist"),
        ("WINVLLM_SOURCE__DEPENDENCIES__FLASH_ATTN", "/fa", "source.dependencies.flash-attn", "/fa"),
        ("WINVLLM_ENVIRONMENT__CXXFLAGS", "-g, x", "environment.CXXFLAGS", "-g, x"),
    ],
)
def test_a_variable_sets_its_key(tmp_path: Path, name: str, text: str, key: str, value: object) -> None:
    found = with_environment(tmp_path, {name: text})
    actual = found.profile.model_dump(mode="json")
    for part in key.split("."):
        actual = actual[part]
    assert actual == value
    assert (found.origins[key].layer, found.origins[key].source) == (LayerKind.ENVIRONMENT, name)


def test_every_key_but_those_of_a_file_has_a_variable() -> None:
    assert {key for key in keys() if not described(key)} == FILE_ONLY
    assert set(settable()) | FILE_ONLY == set(keys())
    assert set(keys()) >= TABLES


def test_own_variables_go_over_those_of_vllm(tmp_path: Path) -> None:
    environment = {"WINVLLM_BUILD__MAX_JOBS": "2", "MAX_JOBS": "8"}
    assert with_environment(tmp_path, environment).profile.build.max_jobs == 2


def test_other_variables_and_empty_ones_set_nothing(tmp_path: Path) -> None:
    environment = {
        "CUDA_PATH": "/usr/local/cuda",
        "CUDA_HOME": " ",
        "MAX_JOBS": "",
        "WINVLLM_BUILD_HOME": "/x",
        "WINVLLM_TEST_CACHE": "/y",
        "PATH": os.defpath,
    }
    found = with_environment(tmp_path, environment)
    assert {origin.layer for origin in found.origins.values()} == {LayerKind.DEFAULT}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("WINVLLM_CUDA__ARCHLIST", 'did you mean "WINVLLM_CUDA__ARCH_LIST"'),
        ("WINVLLM_CUDA_ARCH_LIST", 'did you mean "WINVLLM_CUDA__ARCH_LIST"'),
        ("WINVLLM_DESCRIPTION__X", "sets no key"),
        ("WINVLLM_ENVIRONMENT__", "sets no key"),
    ],
)
def test_a_variable_that_looks_meant_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ProfileError, match=f"{name}: .*{said}"):
        with_environment(tmp_path, {name: "8.6"})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("MAX_JOBS", "lots", r"MAX_JOBS: build\.max_jobs: expected"),
        ("WINVLLM_BUILD__WHEEL", "maybe", "expected true or false"),
        ("WINVLLM_ENVIRONMENT__PATH", "/x", "the tool sets PATH itself"),
        ("WINVLLM_CUDA__HOME", "/a\n/b", "a newline"),
        ("WINVLLM_CUDA__HOME", "/a\udcff", r"UTF-8.*\\udcff"),
    ],
)
def test_a_wrong_text_names_the_variable(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(ProfileError, match=said) as caught:
        with_environment(tmp_path, {name: text})
    assert len(str(caught.value).splitlines()) == 3
    assert all(line.isprintable() for line in str(caught.value).splitlines())


def test_options_are_text_or_typed(tmp_path: Path) -> None:
    overrides: dict[str, object] = {
        "build.max_jobs": "3",
        "build.wheel": False,
        "cuda.arch_list": ["8.9"],
        "environment": {"A": "1"},
        "environment.B": "2",
        "source.dependencies.cutlass": "/c",
        "tag": None,
    }
    roots = ProfileRoots(shipped=tmp_path, user=tmp_path)
    found = resolve(None, roots=roots, environment={"MAX_JOBS": "9"}, overrides=overrides)
    assert (found.profile.build.max_jobs, found.profile.build.wheel) == (3, False)
    assert found.profile.environment == {"A": "1", "B": "2"}
    assert str(found.origins["build.max_jobs"]) == "command line (build.max_jobs)"
    assert found.origins["tag"].layer is LayerKind.DEFAULT
    assert overrides["environment"] == {"A": "1"}


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("[]", ()),
        ('["csrc/a.cu", "csrc/b.cu"]', ("csrc/a.cu", "csrc/b.cu")),
        ("csrc/a.cu;csrc/b.cu", ("csrc/a.cu", "csrc/b.cu")),
        ("[a-c]*.cu", ("[a-c]*.cu",)),
        ("", ()),
    ],
)
def test_a_list_is_text_with_separators_or_as_a_profile_writes_it(
    tmp_path: Path, text: str, patterns: tuple[str, ...]
) -> None:
    roots = ProfileRoots(shipped=tmp_path, user=tmp_path)
    given = {"build.objects": text, "build.wheel": False}
    assert resolve(None, roots=roots, environment={}, overrides=given).profile.build.objects == patterns


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("build.maxjobs", 'did you mean "build.max_jobs"'),
        ("cuda", "unknown key"),
        ("inherit", "stands in a file only"),
        ("environment.", "unknown key"),
    ],
)
def test_an_unknown_option_key_is_refused(tmp_path: Path, key: str, said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        with_environment(tmp_path, {}, **{key: "1", "cuda.home": "/x"})


def test_settings_are_key_and_value() -> None:
    assert parse_setting("environment.A=b=c") == ("environment.A", "b=c")
    assert parse_setting("build.targets=") == ("build.targets", "")
    for text in ("build.wheel", "=1", " = 1"):
        with pytest.raises(UsageError, match="KEY=VALUE"):
            parse_setting(text)
