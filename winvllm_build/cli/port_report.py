"""What `winvllm-build port --report RANGE` does; its options are the command's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from winvllm_build.cli import outfile, render
from winvllm_build.cli.meter import Meter
from winvllm_build.cli.patches import chosen_set

if TYPE_CHECKING:
    from winvllm_build.port.columns import Sources
    from winvllm_build.port.matrix import Report
    from winvllm_build.port.report import Progress

EXPECTED: Final = "source: "
"""Said of every release that is opened; only what takes time is worth a line."""


def run_report(
    *, span: str, old: str | None = None, patches: Path | None = None, html: Path | None = None,
    offline: bool = False, jobs: int | None = None, as_json: bool = False,
) -> int:  # fmt: skip
    """Carry a set to many releases and print the matrix.

    Args:
        span: `v0.15.0..v0.33.0`, `v0.14.1..`, `..v0.20.0`, a list with commas, or `all`.
        old: the set; None is the one of the range's first release, the newest before it, or for `all` the
            newest.
        patches: the folder of patch sets; None is the default one.
        html: write the page there, too.
        offline: only releases whose files are cached.
        jobs: how many releases at a time; None is one for each processor.
        as_json: print data instead.
    """
    from winvllm_build.port import matrix
    from winvllm_build.port.report import report
    from winvllm_build.port.tagrange import tags_in

    outfile.require_folder(html)

    with Meter() as meter:
        sources = open_sources(old or _set_at(span, patches), patches, offline=offline, meter=meter)
        known = sources.known()
        tags = tags_in(span, known, old=sources.old.tag)
        made = report(
            sources, tags, on_progress=lambda far: meter.show(words_of(far)), known=known, jobs=jobs,
            detailed=html is not None,
        )  # fmt: skip
    if html is not None:
        _write(html, made)
    if as_json:
        render.data(matrix.data(made))
    else:
        from winvllm_build.cli.port_matrix import show

        show(made)
    return 0


def _set_at(span: str, patches: Path | None) -> str | None:
    from winvllm_build import data
    from winvllm_build.patchset.patchset import tags
    from winvllm_build.port.job import previous
    from winvllm_build.port.tagrange import first_of

    root, first = patches.absolute() if patches else data.patches_root(), first_of(span)
    if first is None or first in tags(root):
        return first
    return previous(root, first)


def run_explain(
    *, new: str, paths: Sequence[str] = (), old: str | None = None, patches: Path | None = None,
    history: Path | None = None, offline: bool = False, as_json: bool = False, jobs: int | None = None,
) -> int:  # fmt: skip
    """See `port_explain.run_explain`."""
    from winvllm_build.cli.port_explain import run_explain as explain

    return explain(
        new=new, paths=paths, old=old, patches=patches, history=history, offline=offline, as_json=as_json,
        jobs=jobs,
    )  # fmt: skip


def open_sources(
    old: str | None, patches: Path | None, *, offline: bool, meter: Meter, new: str | None = None
) -> Sources:
    """The set to carry, and where its releases come from.

    Args:
        old: the set; None is the newest, or the newest that is older than `new`.
        patches: the folder of patch sets; None is the default one.
        offline: nothing is fetched.
        meter: what is fetched is said between its lines.
        new: the tag to carry to, where it is one.
    """
    from winvllm_build import data
    from winvllm_build.index import Index
    from winvllm_build.patchset.patchset import load
    from winvllm_build.port.columns import Sources
    from winvllm_build.port.job import Doors, previous
    from winvllm_build.sources.remote import Remotes
    from winvllm_build.workspace import Workspace

    def tell(words: str) -> None:
        if not words.startswith(EXPECTED):
            meter.note(words)

    root = patches.absolute() if patches else data.patches_root()
    tag = previous(root, new) if old is None and new is not None else chosen_set(patches, old, None)[1]
    workspace = Workspace.default()
    doors = Doors(
        workspace=workspace, index=Index(workspace, offline=offline, on_event=tell),
        remotes=Remotes(offline=offline), offline=offline, tell=tell,
    )  # fmt: skip
    return Sources(load(root, tag), root, doors)


def words_of(far: Progress) -> str:
    if far.left is None:
        return f"report: files of {far.tag} ({far.done + 1} of {far.total})"
    left = f", about {render.duration(far.left)} left" if far.done < far.total else ""
    return f"report: {far.done} of {far.total} releases{left}"


def _write(file: Path, made: Report) -> None:
    from winvllm_build.port.page import render as page
    from winvllm_build.workspace import write_atomic

    content = page(made).encode()
    write_atomic(file.absolute(), content)
    render.note(f"{file}: {render.size(len(content))}, opens in any browser")
