"""A shell in the patched tree, and what is written from it when it ends well."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from winvllm_build import data, process
from winvllm_build.choices import SourceKind
from winvllm_build.errors import TreeStateError, UsageError
from winvllm_build.patchset import advice, patchset
from winvllm_build.patchset import apply as room
from winvllm_build.patchset.layers import Selection, select
from winvllm_build.patchset.manifest import DEFAULT_LAYER
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft
from winvllm_build.patchset.regen import regen
from winvllm_build.patchset.rewrite import RegenResult
from winvllm_build.patchset.status import TreeState, TreeStatus, status
from winvllm_build.sources.source import acquire, worktree
from winvllm_build.workspace import Workspace

VARIABLE: Final = "WINVLLM_BUILD_SHELL"
"""Names the tag inside the shell."""
COMMAND_VARIABLE: Final = "WINVLLM_BUILD_COMMAND"
POWERSHELLS: Final = ("pwsh", "powershell")
BASH_PROMPT: Final = 'case $PS1 in "({tag}) "*) ;; *) PS1="({tag}) $PS1" ;; esac'
POSIX_SHELL: Final = "/bin/sh"
PROMPT: Final = (
    "$global:WinvllmPrompt = $function:prompt; "
    'function global:prompt {{ "({tag}) " + (& $global:WinvllmPrompt) }}'
)
"""What PowerShell is told at the start; it has no variable for its prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is edited.

    Attributes:
        root: the folder of patch sets.
        tag: the set.
        layer: where the edits go; None for the required layer.
        target: the source tree.
        tree: its worktree; None for the tool's own, which is made.
        new: globs of files to take in that are new.
        offline: make that tree only of what is cached.
    """

    root: Path
    tag: str
    layer: str | None = None
    target: str = MAIN_TARGET
    tree: Path | None = None
    new: tuple[str, ...] = ()
    offline: bool = False

    def command(self, verb: str, *options: str, tree: Path | None = None) -> str:
        layer = ("--layer", self.layer) if self.layer else ()
        return advice.command(verb, self.tag, *layer, *options, root=self.root, tree=tree, target=self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A shell to start: its command line, and what its environment has beyond ours."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


def open_tree(work: Work, *, environment: Mapping[str, str], on_event: Callable[[str], None]) -> Path:
    """The tree with the set applied, edits that are there already kept.

    Args:
        work: what is edited.
        environment: ours, which tells whether we are in such a shell.
        on_event: told what happens.

    Raises:
        UsageError: we are in such a shell, the patch sets are the installed package's, or nothing says which
            of several layers the edits go to.
        TreeStateError: the tree is foreign, half patched, or edited without the set being applied.
        SourceError: the tool's own tree cannot be made.
    """
    if environment.get(VARIABLE):
        raise UsageError(
            f"this is the shell of {environment[VARIABLE]} already", fix="leave it with `exit` first"
        )
    if data.is_installed(work.root):
        raise UsageError(
            f"{work.root} belongs to the installed package; patches are not written there",
            fix=f"copy that folder, then: {work.command('shell')} --patches FOLDER",
        )
    draft = patchset.read(work.root, work.tag)
    folder = work.tree.absolute() if work.tree else _own_tree(work, draft, on_event)
    if any(patch.target == work.target for patch in draft.patches):
        _apply(work, draft, folder, on_event)
    return folder


def launch(
    environment: Mapping[str, str],
    tag: str,
    command: str | None,
    *,
    windows: bool,
    parents: Sequence[PurePath],
) -> Launch:
    """The shell the user works in, or one that runs a command.

    Args:
        environment: ours.
        tag: of the set, for the prompt.
        command: what the shell runs instead of waiting for input.
        windows: whether this is Windows, which has no $SHELL.
        parents: the programs that started us, the nearest first.
    """
    mine = {VARIABLE: tag}
    if windows:
        return _of_windows(environment, mine, tag, command, parents)
    shell = environment.get("SHELL") or POSIX_SHELL
    if command is not None:
        return Launch(argv=(shell, "-c", command), environment=mine)
    prompt = {"PS1": f"({tag}) {environment.get('PS1', '$ ')}"}
    if PurePath(shell).stem == "bash":  # its start files set PS1 anew
        prompt["PROMPT_COMMAND"] = BASH_PROMPT.format(tag=tag)
    return Launch(argv=(shell,), environment=mine | prompt)


def run(launched: Launch, folder: Path) -> int:
    """Start it in `folder`, on our terminal; its exit code.

    Raises:
        ToolchainError: there is no such shell.
    """
    return process.interactive(launched.argv, cwd=folder, env={**os.environ, **launched.environment})


def write(work: Work, folder: Path, *, on_event: Callable[[str], None]) -> RegenResult:
    """The patches anew from the edited tree; errors as in `regen`, which leaves the tree as it is."""
    return regen(
        work.root, work.tag, folder, on_event=on_event, layer=work.layer, target=work.target, new=work.new
    )


def ways_on(work: Work, folder: Path) -> tuple[tuple[str, str], ...]:
    """What can be done with edits that were not written: words and the whole command."""
    new = [word for glob in work.new for word in ("--new", glob)]
    return (
        ("write them", work.command("regen", *new, tree=folder)),
        ("go on", work.command("shell", *new, tree=folder)),
        ("take them back (they are kept as a commit)", work.command("apply", "--restore", tree=folder)),
    )


def _own_tree(work: Work, draft: Draft, on_event: Callable[[str], None]) -> Path:
    if work.target != MAIN_TARGET:
        raise UsageError(f"the tree of {work.target} is not named", fix="name it with --tree")
    workspace = Workspace.default()
    source = acquire(
        draft.pin, kind=SourceKind.AUTO, location=None, workspace=workspace, offline=work.offline,
        on_event=on_event,
    )  # fmt: skip
    return worktree(source, workspace.trees / f"{work.tag}-edit", on_event=on_event)


def _apply(work: Work, draft: Draft, folder: Path, on_event: Callable[[str], None]) -> None:
    patch_set = patchset.load(work.root, work.tag)
    found = status(patch_set, folder, target=work.target)
    selection = _selection(work, draft, found, folder)
    found = status(patch_set, folder, target=work.target, selection=selection)
    if found.state in (TreeState.FOREIGN, TreeState.WRONG_BASE):
        raise TreeStateError(f"{folder}: {found.detail}", fix="name another tree, or none, with --tree")
    edited = found.state is TreeState.DIRTY and set(selection.layers) <= set(found.applied)
    if edited and found.interrupted is None:
        on_event(f"{folder} has edits already; they are kept")
        return
    done = room.apply(patch_set, folder, on_event=on_event, target=work.target, selection=selection)
    if not done.already:
        on_event(f"{work.tag}: {selection.words} applied to {folder}")


def _selection(work: Work, draft: Draft, found: TreeStatus, folder: Path) -> Selection:
    """The layers that are there, if the edits can go to one of them; else those that are needed."""
    there = [name for name in found.applied if name != DEFAULT_LAYER.name]
    if work.layer is None and there:
        ways = [
            advice.command("shell", work.tag, "--layer", name, root=work.root, tree=folder)
            for name in found.applied
        ]
        raise UsageError(
            f"{folder} has the layers {', '.join(found.applied)}; the edits could belong to each of them",
            fix="\n".join(["say which:", *(f"  {way}" for way in ways)]),
        )
    if work.layer in found.applied:
        return select(draft.manifest, there)
    return select(draft.manifest, [work.layer] if work.layer else [])


def _of_windows(
    environment: Mapping[str, str], mine: dict[str, str], tag: str, command: str | None,
    parents: Sequence[PurePath],
) -> Launch:  # fmt: skip
    """PowerShell or a Unix shell where we were started from one, else what %COMSPEC% names."""
    shell = next((parent for parent in parents if _is_shell(parent)), None)
    if shell is not None and shell.stem.lower() in POWERSHELLS:
        tell = (
            ("-Command", command) if command is not None else ("-NoExit", "-Command", PROMPT.format(tag=tag))
        )
        return Launch(argv=(str(shell), "-NoLogo", *tell), environment=mine)
    if shell is not None and shell.stem.lower() != "cmd":
        return Launch(argv=(str(shell), *(("-c", command) if command is not None else ())), environment=mine)
    program = environment.get("COMSPEC") or "cmd.exe"
    if command is None:
        prompt = environment.get("PROMPT", "$P$G")
        return Launch(argv=(program, "/d", "/k"), environment=mine | {"PROMPT": f"({tag}) {prompt}"})
    # cmd replaces the variable before it reads the line, so quotes and & in it count as they are written
    argv = (program, "/d", "/c", f"%{COMMAND_VARIABLE}%")
    return Launch(argv=argv, environment=mine | {COMMAND_VARIABLE: command})


def _is_shell(program: PurePath) -> bool:
    return program.stem.lower() in (*POWERSHELLS, "cmd", "bash", "zsh", "sh")
