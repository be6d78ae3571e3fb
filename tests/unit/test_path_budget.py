"""The path budget: which paths of a build pass Windows' limits, below which roots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winvllm_build.build import path_budget as budget
from winvllm_build.build.path_budget import Opener, Place, excesses, longest_root, needs
from winvllm_build.short_root import units

HOME = r"C:\Users\someone\AppData\Local\winvllm-build\Cache"


def worst(root: str, tag: str = "v0.33.0", tree: str = "v0.33.0-sm86", *, long_paths: bool = False) -> str:
    found = excesses(needs(tag, tree=tree), {Place.WORKSPACE: root}, long_paths=long_paths)
    return found[0].need.kind if found else ""


def test_the_default_home_of_a_usual_name_is_short_enough() -> None:
    assert worst(HOME) == ""


def test_what_python_opens_passes_the_limit_first() -> None:
    root = "C:\\" + "x" * 69
    assert worst(root) == "a file of vLLM's source"
    assert worst(root, long_paths=True) == ""


def test_compilers_have_no_long_paths() -> None:
    assert worst("C:\\" + "x" * 100, long_paths=True) == "CMake's notes on a dependency"


@pytest.mark.parametrize("long_paths", [False, True])
@pytest.mark.parametrize("place", list(Place))
def test_the_longest_root_is_the_last_that_fits(place: Place, *, long_paths: bool) -> None:
    wanted = needs("v0.33.0", tree="v0.33.0-sm86+gcc12")
    room = longest_root(wanted, place, long_paths=long_paths)
    assert not excesses(wanted, {place: "x" * room}, long_paths=long_paths)
    over = excesses(wanted, {place: "x" * (room + 1)}, long_paths=long_paths)
    assert [one.over for one in over[:1]] == ([1] if room < budget.MAX_FILE else [])


def test_the_issue_s_file_of_the_installed_wheel() -> None:
    venv = r"C:\Users\someone\Documents\projects\language-models\windows\.venv-vllm"
    over = excesses(needs("v0.33.0", tree="t"), {Place.ENVIRONMENT: venv}, long_paths=False)
    assert [one.need.kind for one in over] == ["a file of the installed wheel"]
    assert over[0].need.path.endswith(".json")
    assert over[0].length == len(venv) + 1 + len(over[0].need.path) > budget.MAX_FILE


def test_objects_are_counted_as_cmake_shortens_them() -> None:
    name = "CMakeFiles/_C.dir/csrc/quantization/fused_kernels/one.cu.obj"
    assert budget.shortened(name) == name
    deep = f"CMakeFiles/_C.dir/{'folder/' * 9}one.cu.obj"
    assert budget.shortened(deep) == f"CMakeFiles/_C.dir/{budget.DIGEST}/one.cu.obj"
    assert {one.limit for one in needs("v0.14.1", tree="t") if one.kind == "an object file"} == {249}


def test_a_new_tag_gets_the_longest_names_of_all() -> None:
    known, unknown = needs("v0.14.1", tree="t"), needs("v9.9.9", tree="t")
    for place in Place:
        assert longest_root(unknown, place, long_paths=False) <= longest_root(known, place, long_paths=False)


def test_length_is_counted_as_windows_counts() -> None:
    assert units("a\N{GRINNING FACE}") == 3
    need = budget.Need(kind="", place=Place.WORKSPACE, opener=Opener.COMPILERS, path="a/b")
    assert need.length("C:\\w\\") == need.length("C:\\w") == len(r"C:\w\a\b")


@given(st.text(max_size=80), st.booleans())
def test_a_longer_root_never_has_fewer_excesses(root: str, long_paths: bool) -> None:  # noqa: FBT001 - hypothesis draws it
    wanted = needs("v0.33.0", tree="v0.33.0-sm86")
    shorter = excesses(wanted, {Place.WORKSPACE: root}, long_paths=long_paths)
    longer = excesses(wanted, {Place.WORKSPACE: root + "xx"}, long_paths=long_paths)
    assert {one.need.kind for one in shorter} <= {one.need.kind for one in longer}


def test_every_recorded_name_is_one_that_any_machine_has() -> None:
    for names in budget.recorded().values():
        for name in (names.tree, names.compiled, *names.objects, names.header, names.vendored, names.notes):
            assert not name.startswith("/")
            assert "home" not in name.split("/")
