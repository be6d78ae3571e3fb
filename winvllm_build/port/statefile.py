"""The state of a port as a file in the tool's repository: JSON, whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from winvllm_build.errors import TreeStateError
from winvllm_build.git import Oid, RepoPath
from winvllm_build.patchset import record
from winvllm_build.patchset.worktree import PRIVATE
from winvllm_build.port.carry import Unit
from winvllm_build.port.state import Done, HandOff, Phase, State
from winvllm_build.workspace import Workspace, write_atomic

SCHEMA: Final = 1


def save(state: State) -> State:
    """Write it, whole or not at all; it is handed back.

    Raises:
        StorageError: the disk refused.
    """
    content = json.dumps(_data(state), indent=1).encode("ascii") + b"\n"
    write_atomic(_place(state.repository, state.new), content)
    return state


def forget(state: State) -> None:
    """The port is no longer under way."""
    _place(state.repository, state.new).unlink(missing_ok=True)


def lock_of(repository: Path, new: str) -> Path:
    """What every run that changes the port to `new` holds."""
    return _place(repository, new).with_suffix(".lock")


def find(workspace: Workspace, new: str) -> State | None:
    """The port to `new` that is under way, if there is one.

    Raises:
        TreeStateError: its state cannot be read.
    """
    found = sorted(workspace.sources.glob(f"*/repo.git/{PRIVATE}/{_name(new)}"))
    return read(found[0]) if found else None


def read(file: Path) -> State | None:
    """The state in `file`; None if there is none.

    Raises:
        TreeStateError: damaged, or of another version of this tool.
    """
    fix = f"move {file} away, then port again with --replace"
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise TreeStateError(f"{file} is damaged: {error}", fix=fix) from error
    try:
        if data["schema"] != SCHEMA:
            raise TreeStateError(f"{file} has schema {data['schema']!r}, this tool reads {SCHEMA}", fix=fix)
        return _state(data, file)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TreeStateError(f"{file} is damaged: {error!r}", fix=fix) from error


def _place(repository: Path, new: str) -> Path:
    return repository / PRIVATE / _name(new)


def _name(new: str) -> str:
    return f"port-{new}.json"


def _data(state: State) -> dict[str, Any]:
    return {
        "schema": SCHEMA, "root": str(state.root), "from": state.old, "to": state.new,
        "phase": state.phase.value, "resolve": state.resolve, "basis": state.basis,
        "before": state.before, "written": state.written,
        "done": [_done_data(made) for made in state.done],
        "stranded": list(state.stranded),
        "dropped": [[*key, why] for key, why in state.dropped.items()],
        "handoff": None if state.handoff is None else _handoff_data(state.handoff),
    }  # fmt: skip


def _done_data(made: Done) -> dict[str, Any]:
    return {
        "target": made.target, "layer": made.layer, "repository": str(made.repository),
        "base": made.base, "patched": made.patched,
        "entries": [record.entry_data(entry) for entry in made.entries],
    }  # fmt: skip


def _handoff_data(made: HandOff) -> dict[str, Any]:
    unit = made.unit
    return {
        "target": made.target, "layer": made.layer, "repository": str(made.repository),
        "worktree": str(made.worktree), "unit": [unit.old_base, unit.old_patched, unit.new_base],
        "onto": made.onto, "picked": made.picked, "laid": made.laid, "remembered": list(made.remembered),
        "skipped": dict(made.skipped), "accepted": dict(made.accepted),
    }  # fmt: skip


def _state(data: Mapping[str, Any], file: Path) -> State:
    handoff = data["handoff"]
    return State(
        root=Path(data["root"]), old=str(data["from"]), new=str(data["to"]), repository=file.parent.parent,
        phase=Phase(data["phase"]), resolve=bool(data["resolve"]), basis=str(data["basis"]),
        before=_oid(data["before"]), written=_oid(data["written"]),
        done=tuple(_done(made) for made in data["done"]),
        stranded=tuple(str(name) for name in data["stranded"]),
        dropped={(str(t), str(layer), RepoPath(path)): str(why) for t, layer, path, why in data["dropped"]},
        handoff=None if handoff is None else _handoff(handoff),
    )  # fmt: skip


def _done(data: Mapping[str, Any]) -> Done:
    return Done(
        target=str(data["target"]), layer=str(data["layer"]), repository=Path(data["repository"]),
        base=Oid(data["base"]), patched=Oid(data["patched"]),
        entries=tuple(record.entry_of(found) for found in data["entries"]),
    )  # fmt: skip


def _handoff(data: Mapping[str, Any]) -> HandOff:
    old_base, old_patched, new_base = (Oid(oid) for oid in data["unit"])
    return HandOff(
        target=str(data["target"]), layer=str(data["layer"]), repository=Path(data["repository"]),
        worktree=Path(data["worktree"]),
        unit=Unit(old_base=old_base, old_patched=old_patched, new_base=new_base),
        onto=Oid(data["onto"]), picked=Oid(data["picked"]), laid=Oid(data["laid"]),
        remembered=tuple(RepoPath(path) for path in data["remembered"]),
        skipped={RepoPath(path): str(why) for path, why in data["skipped"].items()},
        accepted={RepoPath(path): str(side) for path, side in data["accepted"].items()},
    )  # fmt: skip


def _oid(value: Any) -> Oid | None:  # noqa: ANN401 - what JSON holds
    return None if value is None else Oid(value)
