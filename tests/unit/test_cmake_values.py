"""Variables and conditions of CMake files that are read without being run."""

from __future__ import annotations

import pytest

from winvllm_build.intake.cmake_conditions import decide, names, words
from winvllm_build.intake.cmake_text import Argument, commands
from winvllm_build.intake.cmake_values import Condition, Item, Variables, both


def arguments(text: str) -> tuple[Argument, ...]:
    (found,) = commands(f"f({text})", "f")
    return found.arguments


A = Condition(text="A", clause=1)
NOT_A = Condition(text="A", clause=1, holds=False)
B = Condition(text="B", clause=2)


def made() -> Variables:
    """`lang` is CUDA, `srcs` grew in two branches, `env` only the environment can set."""
    variables = Variables({"lang": "CUDA", "empty": ""})
    variables.set("srcs", [Item(text="a.cu"), Item(text="b.cu")], ())
    variables.append("srcs", [Item(text="c.cu")], (A,))
    variables.append("srcs", [Item(text="d.cu")], (NOT_A,))
    variables.unset_names.add("env")
    return variables


def test_branches_exclude_each_other() -> None:
    assert both((A,), (NOT_A,)) is None
    assert both((A,), (A, B)) == (A, B)


def test_a_list_keeps_what_each_branch_added() -> None:
    items = made().items("srcs")
    assert items is not None
    assert [(item.text, item.conditions) for item in items] == [
        ("a.cu", ()), ("b.cu", ()), ("c.cu", (A,)), ("d.cu", (NOT_A,)),
    ]  # fmt: skip


def test_inside_a_branch_the_other_one_is_not_seen() -> None:
    found = made().elements(arguments("x ${srcs} y"), (A,))
    assert [item.text for item in found] == ["x", "a.cu", "b.cu", "c.cu", "y"]
    assert {item.conditions for item in found} == {(A,)}


def test_set_in_a_branch_hides_only_there() -> None:
    variables = made()
    variables.set("lang", [Item(text="HIP")], (A,))
    assert variables.text("lang") is None
    assert variables.texts(arguments("${lang}")[0], (NOT_A,)) == ("CUDA",)
    assert set(variables.texts(arguments("${lang}")[0], (A,))) == {"CUDA", "HIP"}
    variables.set("lang", [Item(text="SYCL")], ())
    assert variables.text("lang") == "SYCL"


def test_removed_and_prepended() -> None:
    variables = made()
    variables.remove("srcs", ["a.cu", "c.cu"], ())
    variables.append("srcs", [Item(text="z.cu")], (), first=True)
    assert [item.text for item in variables.items("srcs") or ()] == ["z.cu", "b.cu", "d.cu"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"${lang}_FLAGS"', ["CUDA_FLAGS"]),
        ("${${lang}_ARCHS}", ["${CUDA_ARCHS}"]),
        ("${dep_SOURCE_DIR}/x.cu", ["${dep_SOURCE_DIR}/x.cu"]),
        ("$ENV{HOME}/x", ["/x"]),
        ("${env}/x", ["/x"]),
        ("a\\;b;c", ["a;b", "c"]),
        ('"a;b"', ["a", "b"]),
        ("[[${lang}]]", ["${lang}"]),
        ('"\\${lang}"', ["${lang}"]),
    ],
)
def test_expansion(text: str, expected: list[str]) -> None:
    assert [item.text for item in made().elements(arguments(text))] == expected


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('lang STREQUAL "CUDA"', True),
        ('"${lang}" STREQUAL "HIP"', False),
        ('NOT lang STREQUAL "HIP" AND lang STREQUAL "CUDA"', True),
        ('lang STREQUAL "HIP" OR lang STREQUAL "CUDA"', True),
        ('NOT (lang STREQUAL "HIP" OR lang STREQUAL "CUDA")', False),
        ("env", False),
        ("DEFINED ENV{X}", False),
        ("NOT DEFINED ENV{X} AND lang", True),
        ("empty", False),
        ("ON", True),
        ("OFF OR 0 OR x-NOTFOUND", False),
        ('"$ENV{X}" STREQUAL "1"', False),
        ("${VERSION} VERSION_GREATER_EQUAL 12.8", None),
        ('unknown AND lang STREQUAL "HIP"', False),
        ('unknown OR lang STREQUAL "CUDA"', True),
        ("unknown AND lang", None),
        ("EXISTS x", None),
        ("TARGET t OR NOT TARGET t", None),
        ("srcs", None),
        ('lang MATCHES "CU.*"', None),
        ("A B C", None),
    ],
)
def test_conditions(text: str, answer: bool | None) -> None:  # noqa: FBT001 - a case
    variables = made()
    if text == "srcs":
        variables.set("srcs", [Item(text="x")], (A,))
    assert decide(arguments(text), variables) is answer


def test_a_condition_in_words() -> None:
    text = '${V} VERSION_LESS "12.8" AND (X OR NOT Y_ARCHS)'
    assert words(arguments(text)) == 'V VERSION_LESS "12.8" AND (X OR NOT Y_ARCHS)'
    assert {"V", "X", "Y_ARCHS"} <= set(names(arguments(text)))


def test_architectures_follow_a_variable_into_the_else() -> None:
    variables = made()
    variables.set_archs("ARCHS", ["9.0a", "10.0f"], (A,))
    variables.set_archs("ARCHS", ["10.0a", "10.3a"], (NOT_A,))
    assert variables.archs(["ARCHS", "lang"]) == ("9.0a", "10.0f", "10.0a", "10.3a")
    variables.set("ARCHS", [], (NOT_A,))
    assert variables.text("ARCHS") is None
    variables.set_archs("ARCHS", ["7.5"], ())
    assert variables.archs(["ARCHS"]) == ("7.5",)
