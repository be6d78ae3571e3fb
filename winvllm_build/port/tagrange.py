"""Which releases a report is about: `v0.15.0..v0.33.0`, `v0.14.1..`, `..v0.20.0`, a list, `all`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from packaging.version import Version

from winvllm_build.errors import UsageError
from winvllm_build.intake.unpinned import ReleasedTag, version_of
from winvllm_build.suggest import did_you_mean

ALL: Final = "all"
TO: Final = ".."
GRAMMAR: Final = "write v0.15.0..v0.33.0, v0.14.1.., ..v0.20.0, a list with commas, or all"


def tags_in(span: str, known: Sequence[ReleasedTag], *, old: str) -> tuple[ReleasedTag, ...]:
    """The releases that `span` names, oldest first.

    Both ends of a range belong to it; without a first end it begins after `old`. Release candidates are in it
    only as its ends, and `old` itself never is; in a list each tag is taken as named.

    Args:
        span: what was asked for.
        known: the releases there are, oldest first.
        old: the set's own tag.

    Raises:
        UsageError: not of this form, an unknown tag, or no release.
    """
    items = [item.strip() for item in span.split(",")]
    wanted: set[str] = set()
    for item in items:
        wanted |= {tag.tag for tag in _item(item, known, old)}
    return tuple(tag for tag in known if tag.tag in wanted)


def first_of(span: str) -> str | None:
    """The release that a range is about first, as far as it says; None for `all`."""
    item = span.split(",", maxsplit=1)[0]
    first, _, last = (part.strip() for part in item.partition(TO))
    return None if item.strip() == ALL else first or last or None


def until(new: str, known: Sequence[ReleasedTag], *, old: str) -> tuple[ReleasedTag, ...]:
    """The releases after `old`, up to `new` and with it.

    Raises:
        UsageError: `new` is no release, or not newer.
    """
    list(_named(new, known))
    if Version(_version(new)) <= Version(_version(old)):
        raise UsageError(
            f"{new} is not newer than {old}", fix="name a newer tag, or an older set with --from"
        )
    return tags_in(f"{TO}{new}", known, old=old)


def _item(item: str, known: Sequence[ReleasedTag], old: str) -> Iterator[ReleasedTag]:
    if not item:
        raise UsageError("the range of tags has an empty part", fix=GRAMMAR)
    if item == ALL:
        return _between(TO, known, old)
    if TO in item:
        return _between(item, known, old)
    return _named(item, known)


def _named(name: str, known: Sequence[ReleasedTag]) -> Iterator[ReleasedTag]:
    version = Version(_version(name))
    found = [tag for tag in known if Version(tag.version) == version]
    if not found:
        raise UsageError(
            f"there is no release {name}{did_you_mean(name, [tag.tag for tag in known])}", fix=GRAMMAR
        )
    return iter(found)


def _between(item: str, known: Sequence[ReleasedTag], old: str) -> Iterator[ReleasedTag]:
    first, _, last = (part.strip() for part in item.partition(TO))
    start, after = (_version(first), False) if first else (_version(old), True)
    low, high = Version(start), Version(_version(last)) if last else None
    if high is not None and high < low:
        raise UsageError(f"{item}: the range ends before it begins", fix="name the older tag first")
    ends = {low, high}
    found = [
        tag
        for tag in known
        if low <= (version := Version(tag.version))
        and (high is None or version <= high)
        and not (after and version == low)
        and tag.tag != old
        and (not version.is_prerelease or version in ends)
    ]
    if not found:
        raise UsageError(f"{item}: there is no release in this range", fix="winvllm-build tags list")
    return iter(found)


def _version(tag: str) -> str:
    try:
        return version_of(tag)
    except UsageError as error:
        raise UsageError(error.message, fix=GRAMMAR) from error
