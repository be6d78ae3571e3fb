"""Single values: what a profile takes, how it is normalised, and what it refuses in which words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from winvllm_build.arch import order, parsed
from winvllm_build.profile.layers import Layer, check, nested
from winvllm_build.profile.model import Profile
from winvllm_build.profile.problem import LayerKind, Origin

TEXT_KEYS = (
    "description",
    "tag",
    "source.location",
    "source.dependencies.cutlass",
    "cuda.home",
    "cuda.version",
    "python.executable",
    "python.version",
    "torch.version",
    "environment.EXTRA",
)
LIST_KEYS = ("cuda.arch_list", "build.targets", "build.leave_out", "build.objects")
CMAKE_KEYS = ("source.location", "source.dependencies.cutlass", "cuda.home", "python.executable")


def complaints(values: dict[str, Any]) -> list[str]:
    """What a profile with these values by dotted key is told."""
    table = nested({tuple(key.split(".")): value for key, value in values.items()})
    return [str(p) for p in check(Layer(origin=Origin(layer=LayerKind.DEFAULT), table=table)).problems]


def complaint(key: str, value: object) -> str:
    found = complaints({key: value})
    assert len(found) == 1, found
    assert key.split(".", maxsplit=1)[0] in found[0]
    return found[0]


@pytest.mark.parametrize("key", [*TEXT_KEYS, *LIST_KEYS])
@pytest.mark.parametrize(
    ("character", "name"), [("\n", "newline"), ("\0", "NUL"), ("\x1b", "U+001B"), ("\u2028", "U+2028")]
)
def test_control_characters_are_refused_in_every_text(key: str, character: str, name: str) -> None:
    value: object = f"a{character}b" if key in TEXT_KEYS else [f"csrc/a{character}b.cu"]
    said = complaint(key, value)
    assert character not in said
    free_text = ("description", "environment.EXTRA", "build.objects", *CMAKE_KEYS)
    assert key not in free_text or name in said


@pytest.mark.parametrize("key", CMAKE_KEYS)
def test_what_becomes_a_cmake_element_holds_no_separator_and_is_no_option(key: str) -> None:
    assert "separates list elements" in complaint(key, "/a;b")
    assert "read as an option" in complaint(key, "--upload-pack=x")


def test_an_environment_value_may_hold_a_semicolon() -> None:
    assert complaints({"environment.EXTRA": "a;b"}) == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("tag", "0.14.1", 'did you mean "v0.14.1"?'),
        ("tag", "../v0.14.1", "is not a vLLM tag"),
        ("tag", 14, "expected a text in quotes, not 14"),
        ("source.kind", "gti", 'did you mean "git"?'),
        ("source", 3, "expected a table, not 3"),
        ("cuda.version", "12.6", 'did you mean "==12.6.*"?'),
        ("cuda.home", "", "at least 1 character"),
        ("cuda.nvcc_threads", "2", 'expected a whole number, not the text "2"'),
        ("cuda.nvcc_threads", True, "expected a whole number, not true"),
        ("cuda.nvcc_threads", 0, "greater than or equal to 1"),
        ("build.type", "release", 'did you mean "Release"?'),
        ("build.max_jobs", "8", "write 8 without quotes"),
        ("build.max_jobs", 0, "from 1, not 0"),
        ("build.max_jobs", True, "from 1, not True"),
        ("build.max_jobs", "aut", 'did you mean "auto"?'),
        ("build.memory_per_job", -1.5, "GiB above 0"),
        ("build.memory_per_job", float("nan"), "GiB above 0"),
        ("build.wheel", "yes", 'expected true or false, not the text "yes"'),
        ("build.targets", 3, "expected a list, not 3"),
        ("build.targets", ["_C", "a b"], '"a b" is not the name of a build target'),
        ("build.objects", ["csrc\\a.cu"], 'write "csrc/a.cu"'),
        ("build.objects", ["../a.cu"], "must lie inside"),
        ("build.objects", ["C:/a.cu"], "must lie inside"),
        ("torch.cuda", "12.8", "unknown key"),
        ("environment", "A=1", "expected a table"),
        ("environment.A", 1, "expected a text in quotes, not 1"),
        ("environment.9A", "1", "not a valid variable name"),
        ("environment.Path", "x", "composes it from cuda.home"),
        ("environment.MAX_JOBS", "4", "set build.max_jobs"),
        ("environment.torch_cuda_arch_list", "8.6", "set cuda.arch_list"),
        ("environment.CMAKE_ARGS", "-DA=1", "use CXXFLAGS or CUDAFLAGS"),
        ("environment.CXX", "g++-12", "in the real environment"),
        ("environment.VLLM_VERSION_OVERRIDE", "1", "composes the wheel's version"),
        ("environment.SETUPTOOLS_SCM_PRETEND_VERSION", "1", "composes the wheel's version"),
        ("environment.VLLM_CUTLASS_SRC_DIR", "/x", "in source.dependencies"),
        ("environment.WINVLLM_TAG", "v1", "configures this tool"),
        ("source.dependencies.a b", "/x", "not the name of a dependency"),
    ],
)
def test_a_wrong_value_is_told_what_is_expected(key: str, value: object, said: str) -> None:
    assert said in complaint(key, value)


def test_names_that_windows_cannot_tell_apart_are_refused() -> None:
    assert "one variable on Windows" in complaints({"environment.Foo": "1", "environment.FOO": "2"})[0]


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("cuda.arch_lst", "arch_list"),
        ("cuda.max_jobs", "build.max_jobs"),
        ("arch_list", "cuda.arch_list"),
        ("bild", "build"),
        ("cuda.zzzz", "unknown key"),
    ],
)
def test_an_unknown_key_is_told_the_nearest(key: str, hint: str) -> None:
    said = complaint(key, 1)
    assert "unknown key" in said
    assert hint in said


@pytest.mark.parametrize(
    ("written", "archs"),
    [
        ("8.9;12.0", ("8.9", "12.0")),
        ("12.0 8.9,8.9", ("8.9", "12.0")),
        (["10.0", "9.0A", "8.6+ptx"], ("8.6+PTX", "9.0a", "10.0")),
        (["8.6", "8.6+PTX"], ("8.6+PTX",)),
        (["12.0f"], ("12.0f",)),
    ],
)
def test_arch_lists_are_normalised(written: object, archs: tuple[str, ...]) -> None:
    assert Profile.model_validate({"cuda": {"arch_list": written}}).cuda.arch_list == archs


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ([8.6], 'write "8.6" in quotes'),
        (12.0, 'write "12.0" in quotes'),
        ([86], 'write "8.6" in quotes'),
        (["sm_86"], 'write "8.6"'),
        (["compute_90a"], 'write "9.0a"'),
        (["120"], 'write "12.0"'),
        (["Ampere"], '"8.0;8.6"'),
        (["ampre"], 'did you mean "ampere"?'),
        (["8"], 'written like "8.6"'),
        ([], "the list is empty"),
        (" ; ", "the list is empty"),
        ([True], "an architecture is a text"),
    ],
)
def test_a_wrong_architecture_is_told_how_to_write_it(written: object, said: str) -> None:
    assert said in complaint("cuda.arch_list", written)


def test_all_wrong_architectures_are_named() -> None:
    said = complaint("cuda.arch_list", [8.6, "sm_90", "8.9"])
    assert '"8.6"' in said
    assert '"9.0"' in said


@given(
    st.lists(
        st.builds(
            "{}.{}{}".format, st.integers(5, 13), st.integers(0, 9), st.sampled_from(["", "a", "+PTX"])
        ),
        min_size=1,
    )
)
def test_normalising_an_arch_list_again_changes_nothing(written: list[str]) -> None:
    once = parsed(written)
    assert parsed(list(once)) == once
    assert parsed(";".join(reversed(written))) == once
    assert list(once) == sorted(set(once), key=order)


def test_other_normal_forms() -> None:
    profile = Profile.model_validate(
        {
            "build": {"targets": "_C;_moe_C", "memory_per_job": 3},
            "source": {"location": "", "dependencies": {"Triton_Kernels": "/x"}},
        }
    )
    assert profile.build.targets == ("_C", "_moe_C")
    assert profile.build.memory_per_job == 3.0
    assert profile.source.location is None
    assert profile.source.dependencies == {"triton-kernels": "/x"}


def test_a_profile_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Profile(), "tag", "v9.9.9")  # noqa: B010 - mypy would refuse the plain assignment


def test_the_model_survives_its_own_json() -> None:
    profile = Profile.model_validate({"environment": {"A": "b"}, "build": {"max_jobs": 3}})
    assert Profile.model_validate(profile.model_dump(mode="json")) == profile
