"""What `winvllm-build port NEW --explain [PATH]` prints: which change of upstream broke a patch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from winvllm_build.cli import render
from winvllm_build.cli.meter import Meter
from winvllm_build.cli.port_report import open_sources, words_of

if TYPE_CHECKING:
    from winvllm_build.patchset.patchset import Patch
    from winvllm_build.port.columns import Sources
    from winvllm_build.port.explanation import Explanation, Turn
    from winvllm_build.port.matrix import Block

SHORT: Final = 12
STYLES: Final = {"+": "green", "-": "red", "~": "dim"}


def run_explain(
    *, new: str, paths: Sequence[str] = (), old: str | None = None, patches: Path | None = None,
    history: Path | None = None, offline: bool = False, as_json: bool = False, jobs: int | None = None,
) -> int:  # fmt: skip
    """Say which change broke patches.

    Args:
        new: the tag they are carried to.
        paths: which ones: a path, its end, or a glob; none is all that are open on `new`.
        old: the set; None is the newest that is older than `new`.
        patches: the folder of patch sets; None is the default one.
        history: a clone of upstream; then the commit is named, else the release.
        offline: only releases whose files are cached.
        as_json: print data instead.
        jobs: how many releases at a time.
    """
    with Meter() as meter:
        sources = open_sources(old, patches, offline=offline, meter=meter, new=new)
        asked = _asked(sources, paths)
        if history is None:
            found = _by_release(sources, new, asked, meter, jobs=jobs)
        else:
            found = _by_history(sources, new, asked, history, meter)
    if as_json:
        from winvllm_build.port.explanation import data

        render.data(data(found, old=sources.old.tag, new=new, url=sources.old.pin.url))
    else:
        _show(found, sources, new)
    return 0


def _asked(sources: Sources, paths: Sequence[str]) -> tuple[Patch, ...] | None:
    """The patches that are meant; None for those that are open."""
    from winvllm_build.patchset.patchset import MAIN_TARGET
    from winvllm_build.review.find import matching

    among = sources.old.of(MAIN_TARGET)
    found = [patch for word in paths for patch in matching(among, word, folder=sources.old.folder)]
    return tuple(dict.fromkeys(found)) if paths else None


def _by_release(
    sources: Sources, new: str, asked: tuple[Patch, ...] | None, meter: Meter, *, jobs: int | None
) -> tuple[Explanation, ...]:
    from winvllm_build.port.explain import by_release
    from winvllm_build.port.tagrange import until

    tags = until(new, sources.known(), old=sources.old.tag)
    return by_release(sources, tags, asked, on_progress=lambda far: meter.show(words_of(far)), jobs=jobs)


def _by_history(
    sources: Sources, new: str, asked: tuple[Patch, ...] | None, folder: Path, meter: Meter
) -> tuple[Explanation, ...]:
    from winvllm_build.patchset.patchset import MAIN_TARGET
    from winvllm_build.port.explain import by_history
    from winvllm_build.port.history import open_history

    with open_history(folder, old=sources.old.pin, new=new) as history:
        if history.branched:
            meter.note(
                f"note: {sources.old.tag} lies on a branch of its own; the commits looked at are the "
                f"{len(history.commits)} of {new}'s line after {history.start[:SHORT]}, where the two part"
            )
        patches = sources.old.of(MAIN_TARGET)
        return by_history(history, patches, asked, on_patch=lambda path: meter.show(f"explain: {path}"))


def _show(found: Sequence[Explanation], sources: Sources, new: str) -> None:
    if not found:
        render.out(f"no patch of {sources.old.tag} is open on {new}")
    for number, one in enumerate(found):
        if number:
            render.out("")
        _show_one(one, sources.old.tag, new, sources.old.pin.url)


def _show_one(one: Explanation, old: str, new: str, url: str) -> None:
    from winvllm_build.review.text import harmless

    state = one.now.kind.value
    why = f" ({harmless('; '.join(one.now.evidence))})" if one.now.evidence else ""
    render.console().print(harmless(f"{one.path}: {state} on {new}"), style="bold", end="")
    render.out(why)
    if not one.turns:
        render.out(f"  never broken from {old} to {new}")
    for turn in one.turns:
        _show_turn(turn, url)
    if not one.is_monotone:
        render.out(f"  not monotone: it changed {len(one.turns)} times; the last one above counts")
    for place in one.locations:
        render.out(f"  look here: {harmless(place.words)}")
    if one.likeness is not None:
        render.out(
            f"  most like the old file: {harmless(one.likeness.new)} ({one.likeness.similarity}% similar)"
        )


def _show_turn(turn: Turn, url: str) -> None:
    from winvllm_build.review.text import harmless

    verb = "broken by" if turn.verdict.kind.is_open else "carried again from"
    if turn.before is None:
        verb = "open already at"
    if turn.commit is None:
        last = f" (last carried on {turn.before})" if turn.verdict.kind.is_open else ""
        unseen = f", or by {' or '.join(turn.unseen)}, of which there are no files" if turn.unseen else ""
        render.out(f"  {verb} {turn.at}{unseen}{last}")
    else:
        said = turn.commit
        render.out(f"  {verb} {said.oid[:SHORT]} {harmless(said.subject)}")
        link = f", {url.removesuffix('.git')}/pull/{said.request}" if said.request else ""
        render.out(f"    {said.day}, {harmless(said.author)}{link}")
    if turn.halved:
        render.out("    found by halving: not every commit in between was looked at")
    if turn.verdict.kind.is_open:
        for block in turn.change:
            _show_block(block)


def _show_block(block: Block) -> None:
    from winvllm_build.review.text import harmless

    render.out(f"    {harmless(block.title)}")
    for line in block.lines:
        text = f"... {line.text}" if line.mark == "~" else f"{line.mark}{line.text}"
        render.console().print(f"      {harmless(text)}", style=STYLES.get(line.mark, ""))
