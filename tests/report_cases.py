"""A report with every verdict there is, and with names that try to become markup."""

from __future__ import annotations

import html.parser
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winvllm_build.choices import SourceKind
from winvllm_build.git import Oid, RepoPath
from winvllm_build.port.columns import Column
from winvllm_build.port.matrix import Block, Line, Report, Row
from winvllm_build.port.verdict import Kind, Verdict
from winvllm_build.sources.source import Source

TAGS = ("v1.0.0", "v1.1.0", "v1.2.0", "v1.2.1", "v1.3.0")
GONE = "v1.1.0"
HOSTILE = (
    '</script><script>document.title="owned"</script>',
    "<img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "\"'`&amp;&lt;!--]]>",
    "right\u202eto left\u2028next\x1b[31m",
)


def column(tag: str) -> Column:
    if tag == GONE:
        return Column(tag=tag, source=None, missing=f"no archive {HOSTILE[0]}")
    zero = Oid("0" * 40)
    source = Source(
        kind=SourceKind.SDIST, tag=tag, commit=zero, tree=zero, repository=Path("repo.git"), description=tag
    )
    return Column(tag=tag, source=source, sha256=tag.encode().hex().ljust(64, "0"))


def verdict(
    path: str, kind: Kind, *, to: str | None = None, evidence: Sequence[str] = ("why it is so",)
) -> Verdict:
    place = RepoPath(to) if to else RepoPath(path)
    return Verdict(
        path=RepoPath(path), kind=kind, to=None if kind is Kind.DELETED else place, evidence=tuple(evidence),
        conflicts=("contents",) if kind is Kind.CONFLICT else (),
    )  # fmt: skip


def row(
    path: str, kinds: Sequence[Kind], *, layer: str = "windows", subject: str = "A patch",
    topics: Sequence[str] = ("msvc",), to: str | None = None, evidence: Sequence[str] = ("why it is so",),
    details: bool = False,
) -> Row:  # fmt: skip
    there = [tag for tag in TAGS if tag != GONE]
    block = Block(
        title=f"the region {HOSTILE[0]}",
        lines=(
            Line(mark="-", text="old"),
            Line(mark="+", text=HOSTILE[1]),
            Line(mark="~", text="3 more lines"),
        ),
    )
    return Row(
        layer=layer, path=RepoPath(path), subject=subject, topics=tuple(topics),
        verdicts={
            tag: verdict(path, kind, to=to if kind is Kind.MOVED else None, evidence=evidence)
            for tag, kind in zip(there, kinds, strict=True)
        },
        details=dict.fromkeys(there, (block,)) if details else {},
    )  # fmt: skip


def sample() -> Report:
    """Every kind; a patch that broke twice; hostile names in every place that takes a name."""
    rows = [
        row(
            f"src/{kind.value.replace(' ', '_')}.py",
            [Kind.IDENTICAL, kind, kind, kind],
            to="lib/elsewhere.py",
        )
        for kind in Kind
    ]
    rows.append(
        row("src/twice.py", [Kind.CONFLICT, Kind.OFFSET, Kind.OFFSET, Kind.CONFLICT], topics=("runtime",))
    )
    rows += [
        row(name, [Kind.IDENTICAL, Kind.OFFSET, Kind.OFFSET, Kind.CONFLICT], subject=name, topics=(name,),
            layer=f"layer {name}", evidence=(name, "and more"), details=True)
        for name in HOSTILE
    ]  # fmt: skip
    rows.append(row("odd/\udcff\udcfe.py", [Kind.OFFSET] * 4))
    return Report(
        old="v0.9.0", columns=tuple(column(tag) for tag in TAGS), rows=tuple(rows), seconds=12.3,
        column_seconds=dict.fromkeys(TAGS, 1.0), notes=(f"a note {HOSTILE[0]}",),
    )  # fmt: skip


@dataclass
class Page(html.parser.HTMLParser):
    """What a browser makes of a page, as far as tests ask."""

    cells: list[list[tuple[str, str]]] = field(default_factory=list)
    """Of each row of the table: label and text."""
    names: list[str] = field(default_factory=list)
    """The text of each row's head."""
    blocks: dict[str, Any] = field(default_factory=dict)
    """The JSON blocks by id."""
    outside: list[str] = field(default_factory=list)
    """Attributes that load something."""
    tags: list[str] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    """The text of the page's own style and script."""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._stack: list[tuple[str, dict[str, str]]] = []
        self._text = ""

    @classmethod
    def read(cls, content: str) -> Page:
        made = cls()
        made.feed(content)
        made.close()
        return made

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.outside += [
            f"{tag} {name}={value}"
            for name, value in found.items()
            if name in ("src", "href", "srcset", "data", "action", "poster", "style") or name.startswith("on")
        ]
        if tag == "meta" and "http-equiv" in found:
            self.meta[found["http-equiv"]] = found["content"]
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "script", "style") or (tag == "th" and found.get("scope") == "row"):
            self._stack.append((tag, found))
            self._text = ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if not self._stack or self._stack[-1][0] != tag:
            return
        _, found = self._stack.pop()
        if tag == "td":
            self.cells[-1].append((found.get("aria-label", ""), self._text))
        elif tag == "th":
            self.names.append(self._text)
        elif found.get("type") == "application/json":
            self.blocks[found["id"]] = json.loads(self._text)
        else:
            self.sources[tag] = self._text
