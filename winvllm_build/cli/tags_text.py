"""Tags in words: the list, and what was written for a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from winvllm_build.cli import render
from winvllm_build.cli.rows import Row, Section, show_sections

if TYPE_CHECKING:
    from winvllm_build.intake.add import AddResult
    from winvllm_build.intake.listing import KnownTag

SHORT: Final = 12


def show_list(tags: Sequence[KnownTag], *, hidden: int) -> None:
    rows = [Row("", "tag", "patch set", "source here", "archive on the index", style="bold")]
    rows += [
        Row("", tag.tag, _patches(tag), ", ".join(tag.cached) or "-", _archive(tag),
            style="green" if tag.locked else "")
        for tag in tags
    ]  # fmt: skip
    show_sections([Section("", tuple(rows))])
    if hidden:
        render.out(f"and {hidden} older releases: winvllm-build tags list --all")


def _patches(tag: KnownTag) -> str:
    if not tag.has_set:
        return "-"
    if not tag.layers:
        return "manifest only"
    layers = ", ".join(f"{name} {number}" for name, number in tag.layers.items())
    state = "" if tag.locked else ", not locked"
    return f"{tag.patches} patches ({layers}{state})"


def _archive(tag: KnownTag) -> str:
    if tag.sdist is None:
        return "-"
    return "yes" if tag.sdist else "wheels only"


def show_added(made: AddResult, *, dry_run: bool, update: bool) -> None:
    if dry_run:
        render.out(made.text.rstrip("\n"))
    elif update:
        _show_update(made)
    else:
        _show_new(made)
    if made.todos and not dry_run:
        render.out(f"{len(made.todos)} to fill in by hand:")
        for todo in made.todos:
            render.out(f"  {todo}")
    if dry_run:
        render.note(f"{made.manifest}: nothing was written ({render.duration(made.seconds)})")
    elif not update:
        origin = f" --from {made.previous}" if made.previous else ""
        render.out(f"next: winvllm-build port {made.tag}{origin}")


def _show_update(made: AddResult) -> None:
    took = render.duration(made.seconds)
    if not made.added:
        render.out(f"{made.manifest}: nothing to add ({took})")
        return
    render.out(f"{made.manifest}: {len(made.added)} added ({took})")
    for name in made.added:
        render.out(f"  {name}")


def _show_new(made: AddResult) -> None:
    origin = f", carried from {made.previous}" if made.previous else ""
    render.out(f"{made.manifest} written{origin} ({render.duration(made.seconds)})")
    pin = made.pin
    commit = pin.commit or (f"{pin.abbreviated}..., not pinned" if pin.abbreviated else "not known")
    archive = f"; archive {pin.sdist.sha256[:SHORT]}..." if pin.sdist else "; no archive"
    render.out(f"  {made.tag}: commit {commit}{archive}")
    rows = [
        Row(one.state.value, one.name, revisions(one.before.revision if one.before else "", one.pin.revision),
            style=one.state.value)
        for one in made.dependencies
    ]  # fmt: skip
    rows += [Row("gone", pin.name, _short(pin.revision), style="gone") for pin in made.gone]
    show_sections([Section("", tuple(rows))])


def revisions(old: str, new: str) -> str:
    return _short(new) if old in ("", new) else f"{_short(old)} -> {_short(new)}"


def _short(revision: str) -> str:
    """A commit by its first digits; a tag as it is."""
    return revision[:SHORT] if len(revision) == 40 else revision  # noqa: PLR2004 - digits of a commit
