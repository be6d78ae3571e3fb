"""Which releases a range names."""

from __future__ import annotations

import pytest

from winvllm_build.errors import UsageError
from winvllm_build.intake.unpinned import ReleasedTag
from winvllm_build.port.tagrange import first_of, tags_in, until

NAMES = (
    "0.9.0", "0.14.0", "0.14.1", "0.15.0rc1", "0.15.0", "0.15.0.post1", "0.15.1", "0.16.0rc2", "0.16.0",
    "0.20.0",
)  # fmt: skip
KNOWN = tuple(ReleasedTag(tag=f"v{name}", version=name, has_sdist=name != "0.15.1") for name in NAMES)
OLD = "v0.14.1"


@pytest.mark.parametrize(
    ("span", "named"),
    [
        ("v0.15.0..v0.16.0", "0.15.0 0.15.0.post1 0.15.1 0.16.0"),
        ("v0.14.1..", "0.15.0 0.15.0.post1 0.15.1 0.16.0 0.20.0"),
        ("v0.14.0..v0.15.0", "0.14.0 0.15.0"),
        ("..v0.15.0", "0.15.0"),
        ("all", "0.15.0 0.15.0.post1 0.15.1 0.16.0 0.20.0"),
        (" v0.16.0 , v0.15.0 ", "0.15.0 0.16.0"),
        ("v0.14.1,v0.9.0", "0.9.0 0.14.1"),
        ("v0.15.0rc1", "0.15.0rc1"),
        ("v0.15.0rc1..v0.15.0", "0.15.0rc1 0.15.0"),
        ("v0.15.1..v0.16.0rc2", "0.15.1 0.16.0rc2"),
        ("v0.15.5..", "0.16.0 0.20.0"),
        ("v0.20.0..v0.20.0", "0.20.0"),
        ("v0.9.0,v0.16.0..", "0.9.0 0.16.0 0.20.0"),
    ],
)
def test_a_range_names_releases_oldest_first(span: str, named: str) -> None:
    assert [tag.version for tag in tags_in(span, KNOWN, old=OLD)] == named.split()


@pytest.mark.parametrize(
    ("span", "words"),
    [
        ("v0.16.1", 'did you mean "v0.16.0"'),
        ("", "empty part"),
        ("v0.15.0,,v0.16.0", "empty part"),
        ("v0.16.0..v0.15.0", "ends before it begins"),
        ("v0.21.0..", "no release in this range"),
        ("main..v0.20.0", "not the tag of a release"),
        ("0.15.0", "not the tag of a release"),
        ("v0.15.0...v0.16.0", "not the tag of a release"),
    ],
)
def test_what_is_no_range_is_refused_with_what_to_write(span: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        tags_in(span, KNOWN, old=OLD)
    assert words in caught.value.message
    assert caught.value.fix


def test_a_release_that_is_known_only_by_its_wheels_stays_in_the_range() -> None:
    assert [tag.tag for tag in tags_in("v0.15.1", KNOWN, old=OLD) if not tag.has_sdist] == ["v0.15.1"]


def test_up_to_a_release() -> None:
    assert [tag.version for tag in until("v0.15.1", KNOWN, old=OLD)] == ["0.15.0", "0.15.0.post1", "0.15.1"]
    assert [tag.version for tag in until("v0.16.0rc2", KNOWN, old="v0.15.1")] == ["0.16.0rc2"]
    with pytest.raises(UsageError, match="not newer"):
        until("v0.14.0", KNOWN, old=OLD)
    with pytest.raises(UsageError, match="no release"):
        until("v0.14.5", KNOWN, old=OLD)


@pytest.mark.parametrize(
    ("span", "first"),
    [
        ("v1..v2", "v1"),
        (" v1.. ", "v1"),
        ("..v2", "v2"),
        ("v3, v1", "v3"),
        ("all", None),
        ("", None),
        ("..", None),
    ],
)
def test_what_a_range_is_about_first(span: str, first: str | None) -> None:
    assert first_of(span) == first
