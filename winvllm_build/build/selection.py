"""Which parts of the graph a build makes, which it leaves out, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from winvllm_build.build.codemodel import CodeModel
from winvllm_build.errors import UsageError
from winvllm_build.suggest import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A target that is not built, with the reason a reader can act on; `intended` if the profile says so."""

    name: str
    reason: str
    intended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What ninja is asked for.

    Attributes:
        targets: extension targets, built and linked.
        objects: single object files, build-relative, of targets that are not built whole.
        left_out: what is not built.
    """

    targets: tuple[str, ...]
    objects: tuple[str, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def ninja_targets(self) -> tuple[str, ...]:
        return (*self.targets, *self.objects)

    def only(self, objects: Sequence[str] | None) -> Selection:
        """These objects and no target; the selection itself for None."""
        return self if objects is None else replace(self, targets=(), objects=tuple(objects))


def select(
    model: CodeModel,
    *,
    commands: Sequence[Mapping[str, str]],
    source: Path,
    wanted: Sequence[str],
    leave_out: Sequence[str],
    objects: Sequence[str],
    unavailable: Mapping[str, str],
) -> Selection:
    """Resolve the profile's wishes against the real graph.

    Args:
        model: the configured targets.
        commands: CMake's compilation database.
        source: the patched tree; object patterns are relative to it.
        wanted: target names, empty for all (unless `objects` names single ones).
        leave_out: target names not to build.
        objects: shell patterns of source files to compile on their own.
        unavailable: target name to the reason it cannot be built (a dependency that could not be had).

    Raises:
        UsageError: a name or pattern matches nothing; all such are listed with the nearest names.
    """
    extensions = [t.name for t in model.extensions()]
    known = sorted({*extensions, *unavailable, *model.targets})
    complaints = [_unknown("target", name, known) for name in [*wanted, *leave_out] if name not in known]
    found, unmatched = _objects(commands, source, objects)
    complaints += [_unknown("source file", pattern, sorted(found.values())) for pattern in unmatched]
    if complaints:
        raise UsageError("\n".join(complaints), fix=f"targets here: {', '.join(extensions)}")
    chosen = list(wanted) or ([] if objects else extensions)
    out: dict[str, str] = dict.fromkeys(leave_out, "left out by the profile")
    out |= {name: why for name, why in unavailable.items() if name not in out}
    targets = tuple(name for name in chosen if name not in out)
    for name in extensions:
        if name not in targets and name not in out:
            out[name] = "not asked for"
    return Selection(
        targets=targets,
        objects=tuple(o for o, name in sorted(found.items()) if _matches_any(name, objects)),
        left_out=tuple(
            LeftOut(name=name, reason=why, intended=name in leave_out) for name, why in sorted(out.items())
        ),
    )


def _objects(
    commands: Sequence[Mapping[str, str]], source: Path, patterns: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Object to source for every edge compiled from the tree, and the patterns that match none of them."""
    names: dict[str, str] = {}
    for entry in commands:
        file = Path(entry["file"])
        if file.is_relative_to(source) and "output" in entry:
            names[entry["output"]] = file.relative_to(source).as_posix()
    unmatched = [p for p in patterns if not any(fnmatchcase(name, p) for name in names.values())]
    return names, unmatched


def _matches_any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    return f"no {kind} named {name!r} in this configuration{did_you_mean(name, known, most=3)}"
