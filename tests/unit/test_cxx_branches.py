"""Conditions in three values, what is left of a text in a world, and what MSVC sees."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winvllm_build.audit.cxx.branches import states, view
from winvllm_build.audit.cxx.conditions import LINUX_CUDA, LINUX_ROCM, MSVC_CUDA, World, evaluate, simplify
from winvllm_build.audit.cxx.text import logical_lines
from winvllm_build.audit.hit import State

SMALL = World({"ONE": 1, "TEN": 10, "SOME": None}, frozenset({"NO"}))


def condition(text: str, world: World = SMALL) -> bool | None:
    return evaluate([token.text for line in logical_lines(text) for token in line.tokens], world)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ONE", True), ("NO", False), ("OTHER", None), ("SOME", None), ("0", False), ("0x10u", True),
        ("defined ONE", True), ("defined(SOME)", True), ("defined(NO)", False), ("defined OTHER", None),
        ("defined(OTHER) || defined(ONE)", True), ("defined(NO) && OTHER(1, (2))", False),
        ("OTHER || NO", None), ("!OTHER", None), ("!NO", True), ("not NO and ONE", True),
        ("TEN >= 9 && TEN < 11", True), ("TEN * 2 - 5 == 15", True), ("010 == 8", True),
        ("7 / 2 == 3 && -7 / 2 == -3 && -7 % 2 == -1", True),
        ("TEN / NO", None), ("1 << 3 == 8", True), ("~0 == -1", True), ("(1 ? OTHER : 0) || 1", True),
        ("OTHER ? 1 : 0", None), ("NO ? OTHER : 1", True), ("__has_include(<x.h>)", None),
        ("true && !false", True),
        ("1 +", None), ("", None), ("(1", None), ("1 2", None), ("defined", None), ("'a' == 97", None),
        ("1'000 == 1000", True), ("(ONE + ONE) || NO", True), ("-ONE && ONE", True), ("5 & 3 ^ 1", False),
    ],
)  # fmt: skip
def test_conditions(text: str, expected: bool | None) -> None:  # noqa: FBT001 - three values
    assert condition(text) is expected


def test_depth_is_no_crash() -> None:
    assert condition("(" * 5000 + "1" + ")" * 5000) is None
    assert condition("!" * 5000 + "1") is None
    assert condition("1" + " + 1" * 199) is True


NAMES = st.sampled_from(["A", "B", "C"])
EXPRESSIONS = st.recursive(
    NAMES | NAMES.map("defined({})".format) | st.integers(0, 9).map(str),
    lambda inner: (
        inner.map("!({})".format)
        | st.builds(
            "({}) {} ({})".format, inner, st.sampled_from(["&&", "||", "==", "<", "+", "*", "-", "|"]), inner
        )
        | st.builds("({}) ? ({}) : ({})".format, inner, inner, inner)
    ),
    max_leaves=8,
)


@given(text=EXPRESSIONS, values=st.dictionaries(NAMES, st.integers(0, 3)), known=st.sets(NAMES))
def test_what_is_left_means_the_same(text: str, values: Mapping[str, int], known: set[str]) -> None:
    """Deciding a part first and the rest later gives what deciding all at once gives."""
    names = {"A", "B", "C"}
    whole = World(values, frozenset(names - set(values)))
    part = World({n: v for n, v in values.items() if n in known}, frozenset(known - set(values)))
    tokens = [token.text for line in logical_lines(text) for token in line.tokens]
    decided, rest = simplify(tokens, part)
    expected = evaluate(tokens, whole)
    assert expected is not None
    assert (evaluate(rest, whole) if decided is None else decided) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#ifdef _MSC_VER\nb;\n#endif\na;", "a ;"),
        ("#if !defined(USE_ROCM) && !defined(_WIN32)\na;\n#endif", "a ;"),
        ("#if !defined(X) && !defined(_WIN32)\na;\n#endif", "# if ! defined ( X ) \n a ; # endif \n"),
        ("#ifndef X\na;\n#endif", "# if ! defined ( X ) \n a ; # endif \n"),
        ("#ifdef _WIN32\nb;\n#elif defined X\nc;\n#else\na;\n#endif",
         "# if defined ( X ) \n c ; # else \n a ; # endif \n"),
        ("#ifdef X\nc;\n#elif !defined(_WIN32)\na;\n#elif Y\nd;\n#else\ne;\n#endif",
         "# if defined ( X ) \n c ; # else \n a ; # endif \n"),
        ("#ifdef X\n#ifdef _WIN32\nb;\n#endif\n#endif\na;", "a ;"),
        ("#ifdef X\n#else\n#endif\na;", "a ;"),
        ("#define A 1\nb;", "# define A 1 \n b ;"),
        ("#if (X + 1) * 2 > 4 || _WIN32\na;\n#endif", "# if ( X + 1 ) * 2 > 4 \n a ; # endif \n"),
    ],
)  # fmt: skip
def test_view_on_linux(text: str, expected: str) -> None:
    assert " ".join(token for line in view(logical_lines(text), LINUX_CUDA) for token in line) == expected


def test_rocm_differs() -> None:
    lines = logical_lines("#ifndef USE_ROCM\na;\n#else\nb;\n#endif")
    assert view(lines, LINUX_CUDA) == [("a", ";")]
    assert view(lines, LINUX_ROCM) == [("b", ";")]


@pytest.mark.parametrize("text", ["#ifdef X\n", "#endif\n", "#else\n"])
def test_view_wants_balance(text: str) -> None:
    with pytest.raises(ValueError, match="conditional is"):
        view(logical_lines(text), LINUX_CUDA)
    assert states(logical_lines(text), MSVC_CUDA) == [State.LIVE]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;", State.LIVE),
        ("#ifdef USE_ROCM\na;\n#endif", State.DEAD),
        ("#ifndef USE_ROCM\na;\n#endif", State.LIVE),
        ("#ifdef __GNUC__\nb;\n#else\na;\n#endif", State.LIVE),
        ("#ifdef _WIN32\nb;\n#else\na;\n#endif", State.GUARDED),
        ("#ifdef _WIN32\na;\n#endif", State.GUARDED),
        ("#if !defined(USE_ROCM) && !defined(_WIN32)\na;\n#endif", State.GUARDED),
        ("#if defined(__linux__) || defined(_MSC_VER)\na;\n#endif", State.GUARDED),
        ("#if defined(USE_ROCM)\nb;\n#elif defined(_MSC_VER)\nb;\n#else\na;\n#endif", State.GUARDED),
        ("#if defined(USE_ROCM)\nb;\n#else\na;\n#endif", State.LIVE),
        ("#ifdef UNKNOWN\na;\n#endif", State.LIVE),
        ("#ifdef UNKNOWN\nb;\n#else\na;\n#endif", State.LIVE),
        ("#if _MSC_VER && UNKNOWN\na;\n#endif", State.GUARDED),
        ("#ifdef _WIN32\n#ifdef __clang__\na;\n#endif\n#endif", State.DEAD),
        ("#if __CUDA_ARCH__ >= 800\na;\n#endif", State.LIVE),
    ],
)
def test_states(text: str, expected: State) -> None:
    lines = logical_lines(text)
    found = [
        state for line, state in zip(lines, states(lines, MSVC_CUDA), strict=True) if line.words[:1] == ("a",)
    ]
    assert found == [expected]
