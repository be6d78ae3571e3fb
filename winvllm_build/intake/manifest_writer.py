"""The text of a new `patchset.toml`: what was read, what was carried, and what a person still has to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from winvllm_build.intake.dependencies import Planned, State
from winvllm_build.intake.facts import TagFacts
from winvllm_build.intake.manifest_text import GOES_ON, HEADER, Block, comment, key, line, listed, value
from winvllm_build.patchset.advice import quoted
from winvllm_build.patchset.manifest import DEFAULT_LAYER, Manifest
from winvllm_build.sources.pins import DependencyPin, PackagePin, SourcePin

TODO: Final = "TODO"
COPIED: Final = ("topic.", "layer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    """The manifest that is carried from."""

    tag: str
    url: str
    manifest: Manifest
    dependencies: tuple[DependencyPin, ...]
    blocks: Mapping[str, Block]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Everything that goes into the file."""

    pin: SourcePin
    facts: TagFacts
    planned: tuple[Planned, ...]
    gone: tuple[DependencyPin, ...]
    older: Older | None

    @property
    def before(self) -> str:
        """The older tag."""
        return self.older.tag if self.older else ""


def text(draft: Draft) -> str:
    """The whole file; the same input gives the same bytes."""
    parts = [
        _head(draft), _upstream(draft.pin), _expect(draft), *_copied(draft.older),
        *(_dependency(draft, planned) for planned in draft.planned), _left_out(draft),
    ]  # fmt: skip
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def update_command(tag: str) -> str:
    return f"winvllm-build tags add {quoted(tag)} --update"


def commit_hint(tag: str) -> str:
    """The comment that stands for a commit that is not known yet."""
    return f"# {TODO} commit: `{update_command(tag)}` finds it where git can be reached."


def _head(draft: Draft) -> list[str]:
    lines = comment(
        f"vLLM {draft.pin.tag}: where its source comes from, what it expects, "
        "and the projects its CMake would fetch."
    )
    origin = f" and carried from {draft.older.tag}" if draft.older else ""
    lines += comment(f"Read from the tag's own files{origin}; {TODO} marks what no file says.")
    return [*lines, "schema = 1"]


def _upstream(pin: SourcePin) -> list[str]:
    lines = ["[upstream]", line("url", pin.url), line("tag", pin.tag)]
    if pin.commit is not None:
        lines.append(line("commit", pin.commit))
    elif pin.abbreviated is not None:
        lines += comment(
            "The commit's first digits, as the source archive names them; the archive is what is pinned."
        )
        lines += [commit_hint(pin.tag), line("abbreviated", pin.abbreviated)]
    else:
        lines.append(commit_hint(pin.tag))
    if pin.sdist is not None:
        sdist = {"project": pin.sdist.project, "version": pin.sdist.version, "sha256": pin.sdist.sha256}
        lines.append(line("sdist", sdist))
    return lines


def _expect(draft: Draft) -> list[str]:
    expect = draft.facts.expect
    lines = ["[expect]", line("python", expect.python), line("torch", expect.torch)]
    made_with = f"upstream's own wheels are built with CUDA {expect.main_cuda}" if expect.main_cuda else ""
    carried = draft.older.manifest.expect.get("cuda") if draft.older else None
    if draft.older and carried:
        return [*lines, *comment(f"Carried from {draft.older.tag}; {made_with}."), line("cuda", carried)]
    if not made_with:
        return [*lines, *comment(f"{TODO} cuda: no file of the tag names a CUDA release.")]
    lines += comment(f"{TODO} cuda: no file of the tag says which releases work; {made_with}.")
    return [*lines, line("cuda", f">={expect.main_cuda}")]


def _copied(older: Older | None) -> list[list[str]]:
    """Topics and layers, as the older manifest has them."""
    if older is None:
        return []
    found: list[list[str]] = []
    for name in [f"topic.{topic.name}" for topic in older.manifest.topics] + [
        f"layer.{layer.name}" for layer in older.manifest.layers
    ]:
        if name in older.blocks:
            found.append(older.blocks[name].text.split("\n"))
        elif name != f"layer.{DEFAULT_LAYER.name}":
            found.append(_table(name, _written(older.manifest, name)))
    return found


def _written(manifest: Manifest, name: str) -> Mapping[str, Any]:
    """A topic or layer whose own text is not a table of its own in the older file."""
    kind, _, own = name.partition(".")
    if kind == "topic":
        topic = next(topic for topic in manifest.topics if topic.name == own)
        return {"title": topic.title, "description": topic.description}
    layer = manifest.layer(own)
    return {
        "title": layer.title, "description": layer.description, "requires": layer.requires,
        "conflicts": layer.conflicts,
    }  # fmt: skip


def _table(name: str, content: Mapping[str, Any]) -> list[str]:
    head = ".".join(key(part) for part in name.split("."))
    return [f"[{head}]", *(line(word, inner) for word, inner in content.items() if inner)]


def _dependency(draft: Draft, planned: Planned) -> list[str]:
    where = f"{planned.pin.file}, line {planned.pin.line}"
    if planned.faults:
        reason = "; ".join(planned.faults)
        return comment(
            f"{TODO} [dependency.{planned.name}] of {where} cannot be written: {reason}. "
            f"url {planned.url}, revision {planned.pin.revision}."
        )
    name = f"dependency.{planned.name}"
    older = draft.older.blocks.get(name) if draft.older else None
    lines = list(older.comments) if older else []
    if planned.state is State.NEW:
        since = f"new since {draft.older.tag}: " if draft.older else ""
        lines += comment(f"{TODO} {since}check targets and archs, which were read from {where}.")
    return [*lines, f"[{name}]", *_keys(draft, planned), *_package(draft, planned)]


def _keys(draft: Draft, planned: Planned) -> list[str]:
    pin, old = planned.pin, planned.before
    lines: list[str] = []
    if old is not None and old.url != planned.url:
        lines += _had(draft, old.url)
    lines.append(line("url", planned.url))
    if old is not None and old.revision != pin.revision:
        lines += _had(draft, old.revision)
    lines.append(line("revision", pin.revision))
    lines.append(line("commit", planned.commit) if planned.commit else commit_hint(draft.pin.tag))
    lines.append(line("variable", planned.variable))
    if pin.content != planned.name:
        lines.append(line("content", pin.content))
    lines += _targets(draft, planned)
    lines += _archs(draft, planned)
    if pin.folder:
        lines.append(line("folder", pin.folder))
    return lines + _submodules(draft, planned)


def _had(draft: Draft, content: object) -> list[str]:
    """What the older manifest says, where the new one says something else."""
    return comment(f"{draft.before} had {value(content)}.")


def _targets(draft: Draft, planned: Planned) -> list[str]:
    old = planned.before
    lines: list[str] = []
    if not planned.targets:
        return comment(f"{TODO} targets: no target of the CMake files uses it by name.")
    if not planned.pin.targets:
        lines += comment(f"{TODO} carried from {draft.before}: no target names it now.")
    elif old is not None and set(old.targets) != set(planned.targets):
        lines += _had(draft, old.targets)
    ordered = old.targets if old is not None and set(old.targets) == set(planned.targets) else planned.targets
    return [*lines, line("targets", ordered)]


def _archs(draft: Draft, planned: Planned) -> list[str]:
    old = planned.before
    lines: list[str] = []
    if old is not None and set(old.archs) != set(planned.archs):
        lines += _had(draft, old.archs) if old.archs else comment(
            f"{draft.before} needed it for every architecture."
        )  # fmt: skip
    if planned.archs:
        lines.append(line("archs", planned.archs))
    return lines


def _submodules(draft: Draft, planned: Planned) -> list[str]:
    lines: list[str] = []
    if planned.submodules:
        lines += listed("submodules", (
            {"path": module.path, "url": module.url, "commit": module.commit} for module in planned.submodules
        ))  # fmt: skip
    before = {module.path: module for module in planned.before.submodules} if planned.before else {}
    for path in planned.wanted_submodules:
        module = before.get(path)
        had = f" {draft.older.tag} had {module.commit} of {module.url}." if module and draft.older else ""
        lines += comment(
            f"{TODO} submodule {path}: the commit that the revision records; no file of vLLM names it.{had}"
        )
    if planned.state is State.NEW and planned.pin.submodules is None:
        lines += comment(f"{TODO} submodules: CMake fetches all it has; name those that the build needs.")
    return lines


def _package(draft: Draft, planned: Planned) -> list[str]:
    old = planned.before.package if planned.before else None
    if old is None or draft.older is None:
        return []
    if planned.package is None:
        had = planned.before.revision if planned.before else ""
        return comment(
            f"{TODO} package: {draft.older.tag} could take {had} from {old.project} {old.version}; "
            f"name a wheel that has {planned.pin.revision}, or leave it out."
        )
    block = draft.older.blocks.get(f"dependency.{planned.name}.package")
    lines = block.text.split("\n") if block else _package_table(planned.name, old)
    lost = [target for target in old.not_targets if target not in planned.targets]
    unfit = comment(f"{TODO} not_targets names {', '.join(lost)}, which does not use it now.") if lost else []
    return ["", *unfit, *lines]


def _package_table(name: str, package: PackagePin) -> list[str]:
    return _table(f"dependency.{name}.package", {
        "project": package.project, "version": package.version, "record_sha256": package.record_sha256,
        "root": package.root, "folders": package.folders, "not_for": package.not_for,
        "not_targets": package.not_targets,
    })  # fmt: skip


def _left_out(draft: Draft) -> list[str]:
    lines: list[str] = []
    for pin in draft.gone:
        lines += comment(f"Gone since {draft.before}: [dependency.{pin.name}], {pin.url}.")
    for words in draft.facts.cmake.unread:
        lines += comment(f"{TODO} {words}.")
    return lines


def todos(written: str) -> tuple[str, ...]:
    """What the file asks a person to do, with the table it is about; one text for each comment."""
    found: list[str] = []
    table, above = "", 0
    inside = False
    for row in written.splitlines():
        header = HEADER.fullmatch(row)
        if header is not None:  # the comments right above it are about it
            table = header[2]
            found[above:] = [f"[{table}] {text}" for text in found[above:]]
            above = len(found)
        elif row.startswith(f"# {TODO} "):
            found.append(row.removeprefix(f"# {TODO} "))
            inside = True
            continue
        elif inside and row.startswith(GOES_ON):
            found[-1] += f" {row.removeprefix(GOES_ON)}"
            continue
        elif not row.startswith("#") and row.strip() and table:
            found[above:] = [f"[{table}] {text}" for text in found[above:]]
            above = len(found)
        elif not row.strip():
            found[above:] = [f"[{table}] {text}" if table else text for text in found[above:]]
            above, table = len(found), ""
        inside = False
    return (*found[:above], *(f"[{table}] {text}" if table else text for text in found[above:]))
