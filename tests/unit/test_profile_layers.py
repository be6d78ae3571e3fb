"""The laws of layering, and that no problem hides another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from winvllm_build.errors import ProfileError
from winvllm_build.profile.layers import Checked, Layer, check, merge, nested
from winvllm_build.profile.loader import ProfileRoots, resolve
from winvllm_build.profile.model import Profile, keys
from winvllm_build.profile.problem import InvalidProfileError, KeyPath, LayerKind, Origin, dotted

CHOICES: dict[KeyPath, st.SearchStrategy[Any]] = {
    ("tag",): st.sampled_from(["v0.14.1", "v0.19.0", "v0.33.0rc1"]),
    ("cuda", "arch_list"): st.lists(st.sampled_from(["7.5", "8.6", "12.0"]), min_size=1),
    ("cuda", "nvcc_threads"): st.integers(1, 8),
    ("build", "max_jobs"): st.one_of(st.just("auto"), st.integers(1, 99)),
    ("build", "wheel"): st.booleans(),
    ("build", "targets"): st.lists(st.sampled_from(["_C", "_moe_C"])),
    ("environment", "FOO"): st.text("abc;=", max_size=5),
    ("environment", "BAR"): st.text("abc;=", max_size=5),
}
TABLES = st.fixed_dictionaries({}, optional=CHOICES)


def layer(values: dict[KeyPath, Any], number: int) -> Layer:
    origins = {key: Origin(layer=LayerKind.PROJECT, source=str(number), line=7) for key in values}
    return Layer(
        origin=Origin(layer=LayerKind.PROJECT, source="whole"), table=nested(values), origins=origins
    )


@given(st.lists(TABLES, max_size=5))
def test_the_last_layer_that_has_a_key_wins_and_is_its_origin(tables: list[dict[KeyPath, Any]]) -> None:
    values, origins = merge([check(layer(table, number)) for number, table in enumerate(tables)])
    profile = Profile.model_validate(nested(values))
    for key in CHOICES:
        having = [(number, table[key]) for number, table in enumerate(tables) if key in table]
        if not having:
            assert key not in origins or origins[key].layer is LayerKind.DEFAULT
            continue
        number, written = having[-1]
        assert origins[key] == Origin(layer=LayerKind.PROJECT, source=str(number), line=7)
        expected = Profile.model_validate(nested({key: written})).model_dump()
        actual = profile.model_dump()
        for part in key:
            expected, actual = expected[part], actual[part]
        assert actual == expected


def combined(lower: Checked, upper: Checked) -> Checked:
    return Checked(
        values={**lower.values, **upper.values}, origins={**lower.origins, **upper.origins}, problems=()
    )


@given(st.lists(TABLES, min_size=3, max_size=3))
def test_merging_is_associative(tables: list[dict[KeyPath, Any]]) -> None:
    one, two, three = (check(layer(table, number)) for number, table in enumerate(tables))
    assert (
        merge([one, two, three]) == merge([combined(one, two), three]) == merge([one, combined(two, three)])
    )


@given(TABLES)
def test_an_empty_layer_changes_nothing(table: dict[KeyPath, Any]) -> None:
    one, empty = check(layer(table, 1)), check(layer({}, 2))
    assert merge([one, empty]) == merge([one]) == merge([empty, one])


def test_without_layers_every_value_is_the_default() -> None:
    values, origins = merge([])
    assert Profile.model_validate(nested(values)) == Profile()
    assert {origin.layer for origin in origins.values()} == {LayerKind.DEFAULT}


@pytest.fixture
def roots(tmp_path: Path) -> ProfileRoots:
    found = ProfileRoots(
        shipped=tmp_path / "shipped", user=tmp_path / "user", project=tmp_path / "winvllm-build.toml"
    )
    found.shipped.mkdir()
    found.user_profiles.mkdir(parents=True)
    return found


LAYERS = ("shipped", "config", "user", "project", "well known", "variable", "option")
KINDS = {
    "shipped": LayerKind.SHIPPED,
    "config": LayerKind.USER,
    "user": LayerKind.USER,
    "project": LayerKind.PROJECT,
    "well known": LayerKind.ENVIRONMENT,
    "variable": LayerKind.ENVIRONMENT,
    "option": LayerKind.COMMAND_LINE,
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(present=st.sets(st.sampled_from(LAYERS)))
def test_the_order_of_real_layers(roots: ProfileRoots, present: set[str]) -> None:
    files = {
        "shipped": roots.shipped / "mine.toml",
        "config": roots.user_file,
        "user": roots.user_profiles / "mine.toml",
        "project": roots.project or roots.user_file,
    }
    for number, (name, path) in enumerate(files.items()):
        path.write_text(f"[build]\nmax_jobs = {number + 1}\n" if name in present else "")
    resolved = resolve(
        "mine",
        roots=roots,
        environment={
            "MAX_JOBS": "5" if "well known" in present else "",
            "WINVLLM_BUILD__MAX_JOBS": "6" if "variable" in present else "",
        },
        overrides={"build.max_jobs": "7" if "option" in present else None},
    )
    winners = [name for name in LAYERS if name in present]
    origin = resolved.origins["build.max_jobs"]
    if not winners:
        assert (resolved.profile.build.max_jobs, origin.layer) == ("auto", LayerKind.DEFAULT)
        return
    assert resolved.profile.build.max_jobs == LAYERS.index(winners[-1]) + 1
    assert origin.layer is KINDS[winners[-1]]
    if winners[-1] in files:
        assert (origin.source, origin.line) == (str(files[winners[-1]]), 2)
    noted = "well known" in present and bool(present & set(files))
    assert bool(resolved.notes) is noted


def test_every_key_has_an_origin(roots: ProfileRoots) -> None:
    resolved = resolve(None, roots=roots, environment={}, overrides={})
    assert resolved.name == "default"
    assert {dotted(key) for key in keys()} - {"environment", "source.dependencies"} == set(resolved.origins)


def test_tables_are_merged_entry_by_entry(roots: ProfileRoots) -> None:
    (roots.shipped / "mine.toml").write_text(
        '[environment]\nA = "1"\nB = "1"\n[source.dependencies]\nX_y = "/x"\n'
    )
    assert roots.project is not None
    roots.project.write_text('environment = { B = "2" }\n')
    resolved = resolve("mine", roots=roots, environment={"WINVLLM_ENVIRONMENT__C": "3"}, overrides={})
    assert resolved.profile.environment == {"A": "1", "B": "2", "C": "3"}
    assert str(resolved.origins["environment.A"]) == f"{roots.shipped / 'mine.toml'}:2"
    assert str(resolved.origins["environment.B"]) == f"{roots.project}:1"
    assert str(resolved.origins["source.dependencies.x-y"]) == f"{roots.shipped / 'mine.toml'}:5"


def test_every_problem_of_every_layer_is_told_at_once(roots: ProfileRoots) -> None:
    assert roots.project is not None
    (roots.shipped / "mine.toml").write_text("[cuda]\narch_lst = 1\nnvcc_threads = 'x'\n")
    (roots.user_profiles / "mine.toml").write_text("tag = \n")
    roots.user_file.write_text('[environment]\n"A" = "x\\ny"\nPATH = "z"\n')
    roots.project.write_text('inherit = "nothing"\n[build]\n\nwheel = 1\nmax_jobs = 0\n')
    with pytest.raises(ProfileError) as caught:
        resolve(
            "mine",
            roots=roots,
            environment={"MAX_JOBS": "many", "WINVLLM_CUDA__ARCH_LIST": "sm_86", "WINVLLM_BUILD__WHEL": "1"},
            overrides={"torch.version": "x", "nonsense": "1", "build.wheel": None},
        )
    assert isinstance(caught.value, InvalidProfileError)
    said = str(caught.value)
    assert "the profile has 12 problems" in said
    for place in (
        f"{roots.shipped / 'mine.toml'}:2: cuda.arch_lst: unknown key; did you mean",
        f"{roots.shipped / 'mine.toml'}:3: cuda.nvcc_threads: expected a whole number",
        f"{roots.user_profiles / 'mine.toml'}:1: is not valid TOML",
        f"{roots.user_file}:2: environment.A: holds a newline",
        f"{roots.user_file}:3: environment.PATH: ",
        f"{roots.project}:4: build.wheel: expected true or false, not 1",
        f"{roots.project}:5: build.max_jobs: ",
        "environment variable MAX_JOBS: build.max_jobs: ",
        "environment variable WINVLLM_CUDA__ARCH_LIST: cuda.arch_list: ",
        'WINVLLM_BUILD__WHEL: sets no key of a profile; did you mean "WINVLLM_BUILD__WHEEL"?',
        "command line (torch.version): torch.version: ",
        "command line (nonsense): unknown key",
    ):
        assert place in said


def test_a_wrong_value_that_a_later_layer_hides_is_still_told(roots: ProfileRoots) -> None:
    (roots.shipped / "mine.toml").write_text("[build]\nmax_jobs = 0\n")
    with pytest.raises(ProfileError, match=r"mine\.toml:2: build\.max_jobs"):
        resolve("mine", roots=roots, environment={}, overrides={"build.max_jobs": 4})
