"""The facts of this machine; nothing is kept, downloaded or started that takes long."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from winvllm_build.build import equipment, path_budget, trees
from winvllm_build.doctor import windows
from winvllm_build.doctor.facts import BuildFolder, Facts, Folder, Leftover, Memory, Role
from winvllm_build.index import PlatformTag
from winvllm_build.patchset import patchset
from winvllm_build.profile import limits, machine
from winvllm_build.profile.findings import Finding as Contradiction
from winvllm_build.profile.loader import ResolvedProfile
from winvllm_build.profile.model import Profile
from winvllm_build.registry import Registry, machine_registry
from winvllm_build.toolchain import inventory
from winvllm_build.toolchain.cuda import MARKS
from winvllm_build.toolchain.inventory import Inventory, Scope
from winvllm_build.toolchain.system import short_name, this_system
from winvllm_build.workspace import Workspace

CACHE: Final = "CMakeCache.txt"
TEMPORARY: Final = ("tmp*.build-temp", "pip-req-build-*", "pip-install-*", "pip-wheel-*", "pip-build-env-*",
                    "winvllm-pack-*", "winvllm-wheel-*")  # fmt: skip
"""setuptools' and pip's own folders, and ours."""
CHECKOUT: Final = (".deps", "build")
"""Where upstream's setup.py configures in a checkout."""
DAY: Final = 86400
STALE: Final = 1.0 * DAY
"""Seconds; what is younger may be in use."""
ENTRY: Final = re.compile(rb"^(CMAKE_GENERATOR|CMAKE_HOME_DIRECTORY):\w+=(.*?)\r?$", re.MULTILINE)
PATCH_LINE: Final = re.compile(rb"^(?:diff --git|index|@@ |--- |\+\+\+ ).*\r\n", re.MULTILINE)
"""Lines of the patch itself; a file's own lines may well end in CR LF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where to look; a test hands in its own machine."""

    workspace: Workspace
    patches: Path
    here: Path
    system: PlatformTag = field(default_factory=this_system)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    registry: Registry = field(default_factory=machine_registry)


def collect(resolved: ResolvedProfile, ground: Ground) -> Facts:
    """Look once at everything.

    Raises:
        PatchError: the manifest of the profile's tag is malformed.
        SourceError: the tree of the tag does not look like vLLM's.
    """
    resolved = equipment.for_tag(resolved, ground.patches)
    profile = resolved.profile
    tag = equipment.facts_without_source(profile, workspace=ground.workspace, patches=ground.patches)
    request = equipment.request(profile, tag)
    wrong = equipment.early_findings(profile, patched_tags=patchset.tags(ground.patches), tag=tag)
    layers = equipment.layers_of(profile, ground.patches).optional
    tree = trees.tree_name(profile.tag, profile.cuda.arch_list, layers)
    with ThreadPoolExecutor(2) as pool:
        crlf = pool.submit(lambda: tuple(crlf_patches(ground.patches / profile.tag)))
        scope = Scope(
            workspace=ground.workspace,
            system=ground.system,
            environment=ground.environment,
            registry=ground.registry,
        )
        found = inventory.take(request, scope)
    limit = limits.slots(profile, machine.read())
    return Facts(
        system=ground.system,
        tag=profile.tag,
        profile=resolved.name,
        request=request,
        inventory=found,
        environment=ground.environment,
        memory=_memory(),
        slots=limit.jobs,
        slots_reason=limit.reason,
        folders=tuple(_folders(ground, found)),
        needs=path_budget.needs(profile.tag, tree=tree),
        contradictions=tuple(one for one in wrong if not _told_otherwise(one, profile, ground)),
        builds=tuple(build_folders(ground.workspace, ground.here)),
        leftovers=tuple(leftovers(Path(tempfile.gettempdir()), now=time.time())),
        crlf=crlf.result(),
        windows=windows.read(ground.registry) if ground.system is PlatformTag.WINDOWS_AMD64 else None,
        toolkit_short=_short(found),
    )


def _short(found: Inventory) -> str | None:
    home = None if found.toolkit is None else found.toolkit.home
    short = None if home is None else short_name(home, marks=MARKS)
    return None if short == home else str(short)


def _told_otherwise(one: Contradiction, profile: Profile, ground: Ground) -> bool:
    """A variable that names a wrong toolkit is told under its own name."""
    return one.key == "cuda.home" and ground.environment.get("CUDA_HOME") == profile.cuda.home


def crlf_patches(folder: Path) -> Iterator[str]:
    """The patch files whose own lines end in CR LF."""
    for file in sorted(folder.rglob("*.patch")):
        if PATCH_LINE.search(file.read_bytes()):
            yield file.relative_to(folder.parent).as_posix()


def build_folders(workspace: Workspace, here: Path) -> Iterator[BuildFolder]:
    """Those of the workspace, and of upstream's setup.py below the current folder."""
    places = [*workspace.builds.glob(f"*/{CACHE}")]
    for name in CHECKOUT:
        places += [*(here / name).glob(CACHE), *(here / name).glob(f"*/{CACHE}")]
    for cache in sorted(places):
        try:
            entries = dict(ENTRY.findall(cache.read_bytes()))
        except OSError:
            continue
        generator = entries.get(b"CMAKE_GENERATOR", b"").decode("utf-8", "replace")
        source = entries.get(b"CMAKE_HOME_DIRECTORY", b"").decode("utf-8", "replace")
        if generator:
            yield BuildFolder(path=cache.parent, generator=generator, source=source)


def leftovers(temporary: Path, *, now: float) -> Iterator[Leftover]:
    """Temporary builds that nothing has touched for a day, the oldest first."""
    found = []
    try:
        listed = list(os.scandir(temporary))  # once: it may hold tens of thousands of names
    except OSError:
        return
    for entry in listed:
        if any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in TEMPORARY):
            try:
                age = now - entry.stat().st_mtime
            except OSError:
                continue
            if entry.is_dir() and age > STALE:
                found.append(Leftover(path=Path(entry.path), days=int(age // DAY)))
    yield from sorted(found, key=lambda one: -one.days)


def _memory() -> Memory:
    found, whole, commit = machine.read(), psutil.virtual_memory(), windows.commit()
    return Memory(
        total=whole.total,
        free=found.memory,
        limited_by=found.limited_by,
        commit_left=None if commit is None else commit.left,
        swap=psutil.swap_memory().total if commit is None else commit.page_files,
    )


def _folders(ground: Ground, found: Inventory) -> Iterator[Folder]:
    yield _folder(Role.WORKSPACE, ground.workspace.root)
    yield _folder(Role.TEMPORARY, Path(tempfile.gettempdir()))
    if found.python is not None and found.python.sites:
        yield _folder(Role.ENVIRONMENT, _prefix(found.python.sites[0]))
    yield _folder(Role.HERE, ground.here)


def _prefix(site: Path) -> Path:
    """The environment of its site-packages: `Lib/site-packages`, `lib/python3.12/site-packages`."""
    above = site.parent
    return above.parent if above.name.lower() == "lib" else above.parent.parent


def _folder(role: Role, path: Path) -> Folder:
    there = next((one for one in (path, *path.parents) if os.path.lexists(one)), None)
    if there is None:  # a drive that Windows does not have
        return Folder(role=role, path=path, free=None, writable=False, there=False)
    if not os.path.isdir(there):  # noqa: PTH112 - is_dir() raises for what may not be looked at
        return Folder(role=role, path=path, free=None, writable=False, there=False, blocked_by=there)
    try:
        free: int | None = shutil.disk_usage(there).free
    except OSError:
        free = None
    return Folder(role=role, path=path, free=free, writable=is_writable(there), there=there == path)


def is_writable(folder: Path) -> bool:
    """Whether this user can make a file in it.

    Windows is asked by making one, which vanishes when it is closed: `os.access` looks at an attribute there
    that says nothing of folders. (The standard library's temporary files try ten thousand names in a folder
    that refuses.)
    """
    if sys.platform != "win32":
        return os.access(folder, os.W_OK)
    return makes_file(folder / f".winvllm-{uuid.uuid4().hex}", flags=os.O_TEMPORARY)


def makes_file(file: Path, *, flags: int = 0) -> bool:
    """Make a file that is not there and close it at once."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR | flags))
    except OSError:
        return False
    return True
