"""Write docs/patches/ from the patch sets: `python scripts/patch_pages.py`; with `TAG` one set's page alone.

With `TAG WAY BY FILE...` it first notes in patches/TAG/evidence.json how these patched files were seen:

    python scripts/patch_pages.py v0.33.0 compiled "nvcc 13.0.88 for 8.6" csrc/cumem_allocator.cpp
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from winvllm_build.audit.device import record
from winvllm_build.audit.device.record import Records
from winvllm_build.audit.explanation import escaped
from winvllm_build.audit.guard import check, pair
from winvllm_build.audit.guard.judgement import Judgement
from winvllm_build.choices import SourceKind
from winvllm_build.git import Oid, RepoPath
from winvllm_build.patchset.patchset import Patch, PatchSet, load, tags
from winvllm_build.review import evidence
from winvllm_build.review.evidence import Evidence, Seen, Way
from winvllm_build.sources.source import acquire
from winvllm_build.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
PATCHES = ROOT / "patches"
FOLDER = ROOT / "docs" / "patches"
INDEX = "README.md"
NOTE = "<!-- written by scripts/patch_pages.py -->\n"
HEAD = f"""\
{NOTE}
# The patch sets, file by file

Each page has every patch of one vLLM tag: why it is there, what Linux and ROCm see of it, how it was
verified, and when it may go. None was ever compiled by cl.exe, linked or run on Windows;
[verified.md](../verified.md) says what the words mean.

| tag | patches | Linux and ROCm: identical, neutral | kernels compared | compiled | front end | executed |
|---|---|---|---|---|---|---|
"""
WORDS = {
    Way.COMPILED: "compiled on Linux",
    Way.FRONT_END: "read by a front end for Windows",
    Way.EXECUTED: "Windows branches executed on Linux",
}
NONE_LISTED = "-"
"""What a header says that meets no hazard of the catalogue."""
FIELDS = ("Hazards", "Upstream-Status", "Remove-When", "Since")


class Facts:
    """Everything that is known of one set's patches."""

    def __init__(self, tag: str, workspace: Workspace) -> None:
        self.patches: PatchSet = load(PATCHES, tag)
        self.records: Records = record.read(self.patches.folder)
        self.evidence: Evidence = evidence.read(self.patches.folder)
        source = acquire(
            self.patches.pin, kind=SourceKind.AUTO, location=None, workspace=workspace, offline=False,
            on_event=lambda text: print(text, file=sys.stderr),
        )  # fmt: skip
        with pair.opened(self.patches, source) as pairs:
            found = check.check(pairs, self.records)
        self.judged: Mapping[tuple[str, str], Judgement] = {(one.layer, one.path): one for one in found}

    def ways(self, patch: Patch) -> tuple[Seen, ...]:
        return self.evidence.of(patch.path, patch.post)

    def compared(self, patch: Patch) -> bool:
        return self.records.confirms(patch.path, patch.pre, patch.post) is not None


def pages(workspace: Workspace, only: str | None = None) -> dict[str, str]:
    """The text of every page by its name in the folder.

    Args:
        workspace: where the sources are.
        only: the tag whose set changed; the rows of the others are taken from the index as it is.
    """
    known = {tag: Facts(tag, workspace) for tag in tags(PATCHES) if only in (None, tag)}
    rows = _rows_there() | {tag: _row(facts) for tag, facts in known.items()}
    index = HEAD + "".join(rows[tag] for tag in tags(PATCHES) if tag in rows)
    return {INDEX: index, **{f"{tag}.md": _page(facts) for tag, facts in known.items()}}


def _rows_there() -> dict[str, str]:
    """The rows of the index as it was written last, by tag."""
    file = FOLDER / INDEX
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return {line[3:].partition("]")[0]: f"{line}\n" for line in lines if line.startswith("| [")}


def posts(patches: PatchSet) -> dict[RepoPath, Oid]:
    """What the required layer makes of each file."""
    return {patch.path: patch.post for patch in patches.patches if patch.layer == patches.layers[0].name}


def _row(facts: Facts) -> str:
    patches = facts.patches
    verdicts = [one.verdict.value for one in facts.judged.values()]
    same = f"{verdicts.count('identical')}, {verdicts.count('neutral')}"
    ways = [sum(1 for p in patches.patches if way in {one.way for one in facts.ways(p)}) for way in Way]
    compared = sum(1 for patch in patches.patches if facts.compared(patch))
    cells = [f"[{patches.tag}]({patches.tag}.md)", len(patches.patches), same, compared, *ways]
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def _page(facts: Facts) -> str:
    patches = facts.patches
    parts = [f"{NOTE}\n# {patches.tag}\n\n{len(patches.patches)} patches.\n"]
    for layer in patches.layers:
        mine = [patch for patch in patches.patches if patch.layer == layer.name]
        if layer is not patches.layers[0] and mine:
            parts.append(f"\n# The optional layer {layer.name}\n\n{escaped(layer.description)}\n")
        parts += [_topic(name, title, mine, facts) for name, title in _topics(patches)]
    return "".join(parts)


def _topics(patches: PatchSet) -> list[tuple[str | None, str]]:
    named: list[tuple[str | None, str]] = [(one.name, one.title) for one in patches.manifest.topics]
    return [*named, (None, "Other")]


def _topic(name: str | None, title: str, patches: Sequence[Patch], facts: Facts) -> str:
    mine = [patch for patch in patches if patch.content.header.get("Topic") == name]
    return f"\n## {escaped(title)}\n" + "".join(_patch(one, facts) for one in mine) if mine else ""


def _patch(patch: Patch, facts: Facts) -> str:
    header = patch.content.header
    target = "" if patch.target == "vllm" else f"{patch.target}: "
    link = patch.file.relative_to(PATCHES).as_posix()
    parts = [f"\n### {target}[{escaped(patch.path)}](../../patches/{link})\n\n"]
    why = " ".join((header.get("Description") or "").split())
    parts.append(f"**{escaped(header.subject)}.** {escaped(why)}\n\n")
    parts += [f"- {name}: {_text(name, header.get(name))}\n" for name in FIELDS if header.get(name)]
    parts.append(f"- Linux and ROCm: {_linux(patch, facts)}\n")
    told = [f"{WORDS[one.way]} ({escaped(one.by)})" for one in facts.ways(patch)]
    parts.append(f"- Verified: {'; '.join(told) if told else 'applied and compared alone'}\n")
    notes = header.notes if len(header.notes) > 1 else ()
    parts += [
        f"- Hunk {note.hunk}: {escaped(' '.join(note.why.split()))}\n" for note in notes if len(notes) > 1
    ]
    return "".join(parts)


def _text(name: str, value: str | None) -> str:
    text = " ".join((value or "").split())
    if name != "Hazards" or text == NONE_LISTED:
        return escaped(text)
    return ", ".join(f"[{one.strip()}](../hazards/{one.strip()}.md)" for one in text.split(","))


def _linux(patch: Patch, facts: Facts) -> str:
    found = facts.judged.get((patch.layer, patch.path))
    if found is None:
        return "not judged: the source of a dependency"
    grounds = dict.fromkeys(one.words for one in found.grounds)
    return escaped(": ".join([found.verdict.value, *(["; ".join(grounds)] if grounds else [])]))


def note(tag: str, way: str, by: str, files: Sequence[str]) -> None:
    """Write down that these patched files were seen, and drop what is out of date."""
    patches = load(PATCHES, tag)
    now = posts(patches)
    seen = Seen(way=Way(way), by=by, files={RepoPath(name): now[RepoPath(name)] for name in files})
    evidence.write(patches.folder, evidence.read(patches.folder).current(now).with_seen(seen))


def write(only: str | None = None) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = pages(Workspace.default(), only)
    wanted = {INDEX, *(f"{tag}.md" for tag in tags(PATCHES))}
    for left in {file.name for file in FOLDER.glob("*.md")} - wanted:
        (FOLDER / left).unlink()
    for name, text in made.items():
        (FOLDER / name).write_bytes(text.encode())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tag", nargs="?", metavar="TAG", help="only its page")
    parser.add_argument("way", nargs="?", metavar="WAY", choices=[way.value for way in Way])
    parser.add_argument("by", nargs="?", metavar="BY", help="with what the files were seen")
    parser.add_argument("files", nargs="*", metavar="FILE", help="patched files of the tag")
    given = parser.parse_args()
    if given.way is not None:
        if not given.files:
            parser.error("WAY wants BY and FILE, too")
        note(given.tag, given.way, given.by, given.files)
    write(given.tag)
    print(f"wrote {FOLDER}")


if __name__ == "__main__":
    main()
