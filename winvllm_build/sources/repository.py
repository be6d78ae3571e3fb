"""The tool's own bare repositories: created whole, filled by fetch or by files, commits kept by refs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.git import Git, GitError, Oid
from winvllm_build.sources.archive import Member
from winvllm_build.workspace import staged_folder, write_atomic

LOCAL_CONFIGURATION: Final = """\
[core]
\trepositoryformatversion = 0
\tfilemode = false
\tbare = true
\tautocrlf = false
\teol = lf
\tlongpaths = true
\tsymlinks = false
\tfsmonitor = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""
"""Written into each repository, because the maintainer's own git works in its worktrees too."""
EXCLUDED: Final = """\
# what upstream's configure and build steps write into the source tree
/.deps/
/build/
/vllm/_version.py
*.egg-info/
*.pyd
*.so
__pycache__/
csrc/**/generated/
csrc/**/*marlin*/kernel_selector.h
csrc/**/*marlin*/sm[0-9]*_kernel_*.cu
"""
IMPORT: Final = ("--quiet", "--force", "--depth=0", "--date-format=raw")
"""Without deltas: git would make them between files that have nothing to do with each other, which saves no
space and makes a merge of two tags six times as slow."""
COMMITTER: Final = "winvllm-build <winvllm-build@localhost> 0 +0000"


def open_repository(folder: Path) -> Git:
    """The bare repository at `folder`, made if it does not exist; the caller holds its lock.

    Raises:
        StorageError: it cannot be written.
    """
    if not folder.is_dir():
        with staged_folder(folder) as part:
            Git(part).run("init", "--quiet", "--bare", "--template=", ".")
            write_atomic(part / "config", LOCAL_CONFIGURATION.encode())
            write_atomic(part / "info" / "exclude", EXCLUDED.encode())
    _remove_leftovers(folder)
    return Git(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A commit that a ref keeps, its tree and its message."""

    commit: Oid
    tree: Oid
    message: str


def kept(git: Git, *refs: str) -> dict[str, Kept]:
    """What these refs keep, as far as the objects are really there; one git process for all."""
    asked = "".join(f"{ref}^{{commit}}\n{ref}^{{tree}}\n" for ref in refs)
    done = git.run("cat-file", "--batch", stdin=asked.encode(), ok=(0, 128))
    if done.code != 0:
        return {}
    found = _objects(done.out)
    there: dict[str, Kept] = {}
    for ref, commit, tree in zip(refs, found, found, strict=True):
        if commit is not None and tree is not None:
            _, _, message = commit[1].partition(b"\n\n")
            there[ref] = Kept(commit=commit[0], tree=tree[0], message=message.decode("utf-8", "replace"))
    return there


def _objects(out: bytes) -> Iterator[tuple[Oid, bytes] | None]:
    """The answers of `git cat-file --batch`, in order; None for what is missing."""
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        head = out[at:end].split()
        at = end + 1
        if head[-1] == b"missing":
            yield None
            continue
        size = int(head[2])
        yield Oid(head[0].decode("ascii")), out[at : at + size]
        at += size + 1


def commit_at(git: Git, ref: str) -> Oid | None:
    """The commit a ref keeps, if its objects are really there."""
    found = kept(git, ref).get(ref)
    return None if found is None else found.commit


def import_files(git: Git, files: Iterable[Member], *, ref: str, message: str) -> Oid:
    """One parentless commit of exactly these bytes and modes, kept by `ref`.

    The objects are written by `git fast-import`, past every filter, attribute and line-end setting, and
    past the file system, so the tree is the same on a system without executable bits.
    """
    stream = bytearray(b"feature done\n")
    text = message.encode()
    stream += f"commit {ref}\ncommitter {COMMITTER}\ndata {len(text)}\n".encode() + text + b"\n"
    for file in files:
        mode = "100755" if file.executable else "100644"
        stream += f'M {mode} inline "{file.path}"\ndata {len(file.content)}\n'.encode()
        stream += file.content + b"\n"
    stream += b"done\n"
    options = ("-c", "core.ignorecase=false", "-c", "fastimport.unpackLimit=0")
    git.run(*options, "fast-import", *IMPORT, stdin=bytes(stream))
    return Oid(git.line("rev-parse", "--verify", f"{ref}^{{commit}}"))


def fetch_commit(
    git: Git,
    url: str,
    commit: Oid,
    *,
    ref: str,
    tag: str | None = None,
    on_event: Callable[[str], None] | None = None,
) -> None:
    """Fetch one commit without its history and keep it by `ref`; by its tag where ids are not served.

    `on_event` is told every few seconds how far the transfer is.

    Raises:
        ToolchainError: the remote does not have it or the transfer failed.
    """
    from winvllm_build.sources.fetch_progress import handler  # noqa: PLC0415 - GitPython runs git when imported

    options = ("fetch", "--progress", "--depth=1", "--no-tags", "--force", "--no-write-fetch-head",
               "--no-recurse-submodules", "--no-auto-maintenance")  # fmt: skip
    heard = handler(url, on_event or (lambda _: None))
    try:
        git.transfer(*options, url, f"{commit}:{ref}", on_line=heard)
    except GitError:
        if tag is None:
            raise
        git.transfer(*options, url, f"refs/tags/{tag}:{ref}", on_line=heard)
    git.run("update-ref", ref, commit)


def is_repository(folder: Path) -> bool:
    """Whether this very folder is a repository (not one inside a repository)."""
    bare = all((folder / name).exists() for name in ("HEAD", "objects", "refs"))
    return (folder / ".git").exists() or bare


def has_commit(folder: Path, commit: Oid) -> bool:
    return Git(folder).run("cat-file", "-e", f"{commit}^{{tree}}", ok=(0, 1, 128)).code == 0


def _remove_leftovers(folder: Path) -> None:
    """What a killed git left: locks and keep files that would block the next one, and half-written packs."""
    names = [folder / name for name in ("shallow.lock", "config.lock", "packed-refs.lock", "HEAD.lock")]
    names += folder.glob("refs/winvllm/**/*.lock")
    names += folder.glob("objects/pack/tmp_*")
    names += folder.glob("objects/pack/*.keep")  # the same objects again make a pack of the same name
    names += folder.glob("fast_import_crash_*")
    leftovers = [name for name in names if name.exists()]
    if leftovers:
        Git(folder).end_orphans()
    for leftover in leftovers:
        with contextlib.suppress(OSError):
            leftover.unlink(missing_ok=True)
