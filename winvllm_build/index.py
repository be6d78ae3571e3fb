"""The one door to the package index pip is configured with: find, download, or take a part of a wheel."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace as replace_fields
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from typing_extensions import assert_never

from winvllm_build.artifact import Artifact, artifact_of, is_local, same_version, sha256_in, wrong_hash
from winvllm_build.errors import OfflineError, RefusedError
from winvllm_build.pip_settings import PipSettings, read_pip_settings
from winvllm_build.workspace import Workspace, locked, replace, sha256_of, staged_folder, storage_errors

if TYPE_CHECKING:
    from unearth import PackageFinder
    from unearth.evaluator import Package
    from unearth.fetchers import Fetcher

    from winvllm_build.web import Client, Progress
    from winvllm_build.wheel_members import WheelReader

LOCK_SECONDS: Final = 900.0
"""How long to wait while another run downloads the same file."""
NEWEST_GLIBC: Final = 60
ONLINE_FIX: Final = "connect to the network (or correct pip's index, proxy or cert settings), then run again"


class PlatformTag(Enum):
    """A platform whose wheels can be asked for on any machine."""

    LINUX_X86_64 = "manylinux_x86_64"
    WINDOWS_AMD64 = "win_amd64"

    def platforms(self) -> list[str]:
        """The wheel platform tags, most preferred first."""
        match self:
            case PlatformTag.LINUX_X86_64:
                modern = [f"manylinux_2_{minor}_x86_64" for minor in range(NEWEST_GLIBC, 4, -1)]
                return [*modern, "manylinux2014_x86_64", "linux_x86_64"]
            case PlatformTag.WINDOWS_AMD64:
                return ["win_amd64"]
            case _:
                assert_never(self)


class Index:
    """Packages by name and version; `offline` leaves only what is cached or lies in local folders."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        offline: bool = False,
        on_event: Callable[[str], None],
        settings: PipSettings | None = None,
    ) -> None:
        self._workspace = workspace
        self._offline = offline
        self._tell = on_event
        self._given = settings

    def find(
        self,
        project: str,
        version: str,
        *,
        sdist: bool = False,
        platform: PlatformTag | None = None,
        python: str | None = None,
        sha256: str | None = None,
    ) -> Artifact:
        """The best file of exactly this version.

        Args:
            project: its name on the index.
            version: exact, a local part (`+cpu`) included.
            sdist: the source archive instead of a wheel.
            platform: whose wheel; None is this machine's.
            python: for which CPython, like "3.12"; None is this interpreter's.
            sha256: prefer the file with this hash.

        Raises:
            OfflineError: the index does not answer.
            RefusedError: it has no such file; the versions it has are listed.
        """
        wanted = f"{project} {version} ({'sdist' if sdist else 'wheel'})"
        finder = self._finder(platform, python)
        with _network_errors(wanted):
            packages = list(finder.find_all_packages(project, allow_yanked=True))
        fitting = [p for p in packages if p.link.is_wheel != sdist and same_version(p.version, version)]
        if not fitting:
            raise self._not_found(wanted, packages)
        best = next((p for p in fitting if sha256 is not None and sha256_in(p) == sha256), fitting[0])
        return artifact_of(best, project, version)

    def files(self, project: str) -> tuple[Artifact, ...]:
        """Every file of a project, for whatever platform and Python; the newest version first.

        Raises:
            OfflineError: the index does not answer.
            RefusedError: it does not give the project's list out.
        """
        finder = self._finder(None, None, everything=True)
        with _network_errors(f"the list of {project}"):
            packages = list(finder.find_all_packages(project, allow_yanked=True))
        if not packages and self._client.refused:
            raise self._not_found(project, [])
        return tuple(artifact_of(p, project, p.version) for p in packages if p.version is not None)

    def hashed(self, artifact: Artifact) -> Artifact:
        """The file with its hash; where the index says none it is downloaded, and its content believed.

        Raises:
            OfflineError: the index does not answer.
            RefusedError: it does not give the file out.
            StorageError: it cannot be written.
        """
        if artifact.sha256 is not None:
            return artifact
        local = artifact.local_path
        if local is not None:
            return replace_fields(artifact, sha256=sha256_of(local))
        folder = self._workspace.downloads
        with self._locked(folder / f"{artifact.filename}.lock", f"the download of {artifact.filename}"):
            part = folder / f".{artifact.filename}.part"
            with storage_errors(str(part)):
                part.unlink(missing_ok=True)  # without a hash nothing tells whether a part is of this file
                self._transfer(artifact, part)
                found = sha256_of(part)
                (folder / found).mkdir(exist_ok=True)
                replace(part, folder / found / artifact.filename)
        return replace_fields(artifact, sha256=found)

    def download(
        self,
        project: str,
        version: str,
        *,
        sha256: str,
        sdist: bool = False,
        platform: PlatformTag | None = None,
        python: str | None = None,
    ) -> Path:
        """The file with this hash, from the cache or the index; an interrupted download goes on.

        Raises:
            OfflineError: it is not cached and the index does not answer.
            RefusedError: the index does not have it or does not give it out.
            SourceError: the index has another file under that name; both hashes are printed.
            BusyError: another run is downloading it for longer than a quarter of an hour.
            StorageError: it cannot be written.
        """
        folder = self._workspace.downloads / sha256
        with self._locked(folder.with_name(f"{sha256}.lock"), f"the download of {project} {version}"):
            cached = self._cached(folder, sha256)
            if cached is not None:
                return cached
            artifact = self.find(
                project, version, sdist=sdist, platform=platform, python=python, sha256=sha256
            )
            if artifact.sha256 is not None and artifact.sha256 != sha256:
                raise wrong_hash(artifact, sha256, artifact.sha256)
            return self._fetch(artifact, folder, sha256)

    def members(
        self,
        project: str,
        version: str,
        *,
        wanted: Callable[[str], bool],
        record_sha256: str,
        into: Path,
        platform: PlatformTag | None = None,
        python: str | None = None,
    ) -> Path:
        """Some members of a wheel, each proven by its RECORD; of a big wheel only their bytes are fetched.

        Args:
            project: its name on the index.
            version: exact.
            wanted: takes a member's name.
            record_sha256: the pinned hash of the wheel's own RECORD.
            into: the folder to make; if it exists it is complete and is returned at once.
            platform: whose wheel; None is this machine's.
            python: for which CPython.

        Raises:
            OfflineError: the index does not answer.
            RefusedError: the index does not have it or does not give it out.
            SourceError: RECORD or a member has another hash, or an unsafe name.
            StorageError: it cannot be written.
        """
        with self._locked(into.with_name(f".{into.name}.lock"), str(into)):
            if into.is_dir():
                return into
            artifact = self.find(project, version, platform=platform, python=python)
            with (
                storage_errors(str(into)),
                tempfile.TemporaryDirectory(prefix="winvllm-wheel-") as scratch,
                self._reader(artifact, Path(scratch)) as reader,
                staged_folder(into) as part,
            ):
                self._take(reader, artifact, record_sha256, wanted, part)
        return into

    def record_sha256(
        self, project: str, version: str, *, platform: PlatformTag | None = None, python: str | None = None
    ) -> str:
        """The hash of a wheel's RECORD, to pin it; fetches a few hundred kilobytes."""
        artifact = self.find(project, version, platform=platform, python=python)
        with (
            tempfile.TemporaryDirectory(prefix="winvllm-wheel-") as scratch,
            self._reader(artifact, Path(scratch)) as reader,
            _network_errors(artifact.filename),
        ):
            return reader.record_sha256()

    @cached_property
    def settings(self) -> PipSettings:
        return self._given if self._given is not None else read_pip_settings()

    @cached_property
    def _sources(self) -> tuple[list[str], list[str]]:
        """Index addresses and find-links; unearth knows pip's default index."""
        from unearth import PackageFinder  # noqa: PLC0415 - see `Artifact.local_path`

        settings = self.settings
        first = settings.index_url or PackageFinder().sources[0]["url"]
        indexes = [] if settings.no_index else [first, *settings.extra_index_urls]
        links = [link for link in settings.find_links if "://" in link or Path(link).exists()]
        if self._offline:
            indexes, links = [u for u in indexes if is_local(u)], [u for u in links if is_local(u)]
        return indexes, links

    @cached_property
    def _client(self) -> Client:
        from winvllm_build.web import client  # noqa: PLC0415 - see `Artifact.local_path`

        made = client(self.settings, self._sources[0])
        weakref.finalize(self, made.close)
        return made

    def _locked(self, path: Path, what: str) -> AbstractContextManager[None]:
        return locked(path, what, wait=LOCK_SECONDS, on_wait=self._tell)

    def _finder(
        self, platform: PlatformTag | None, python: str | None, *, everything: bool = False
    ) -> PackageFinder:
        from unearth import PackageFinder, TargetPython  # noqa: PLC0415 - see `Artifact.local_path`

        indexes, links = self._sources
        version = None if python is None else tuple(int(part) for part in python.split(".")[:2])
        target = TargetPython(
            py_ver=version, impl="cp", platforms=None if platform is None else platform.platforms()
        )
        finder = PackageFinder(
            session=cast("Fetcher", self._client), target_python=target, index_urls=indexes,
            find_links=links, ignore_compatibility=everything,
        )  # fmt: skip
        if not indexes and not links:
            finder.sources.clear()
        return finder

    def _not_found(self, wanted: str, packages: list[Package]) -> OfflineError | RefusedError:
        if self._offline:
            return OfflineError(
                f"{wanted} is not cached and this run is offline",
                fix="run the same command once without --offline",
            )
        known = list(dict.fromkeys(str(p.version) for p in packages))[:8]
        has = f"; it has {', '.join(known)}" if known else ""
        has += "".join(f"; {host} answers {status}" for host, status in self._client.refused.items())
        return RefusedError(
            f"the package index has no {wanted} for this platform{has}",
            fix="check pip's index-url and extra-index-url: `pip config list`",
        )

    def _cached(self, folder: Path, sha256: str) -> Path | None:
        found = [path for path in folder.glob("*") if not path.name.startswith(".")]
        for path in found:
            if sha256_of(path) == sha256:
                return path
            self._tell(f"the cached {path.name} is damaged; getting it again")
            with storage_errors(str(path)):
                path.unlink()
        return None

    def _fetch(self, artifact: Artifact, folder: Path, sha256: str) -> Path:
        part, final = folder / f".{artifact.filename}.part", folder / artifact.filename
        with storage_errors(str(final)):
            folder.mkdir(parents=True, exist_ok=True)
            resumed = part.exists()
            self._transfer(artifact, part)
            found = sha256_of(part)
            if found != sha256:
                part.unlink()
                if not resumed:
                    raise wrong_hash(artifact, sha256, found)
                return self._fetch(artifact, folder, sha256)
            replace(part, final)
        return final

    def _transfer(self, artifact: Artifact, target: Path) -> None:
        from winvllm_build.web import Progress, transfer  # noqa: PLC0415 - see `Artifact.local_path`

        def progress(total: int | None) -> Progress:
            return Progress(f"downloading {artifact.filename}", total, self._tell)

        with _network_errors(artifact.filename):
            transfer(self._client, artifact.url, target, progress=progress)

    def _reader(self, artifact: Artifact, scratch: Path) -> WheelReader:
        from winvllm_build.web import RangedFile, ranged_size  # noqa: PLC0415 - see `Artifact.local_path`
        from winvllm_build.wheel_members import WheelReader  # noqa: PLC0415 - the same

        local = artifact.local_path
        if local is not None:
            return WheelReader(artifact.filename, local.open("rb"))
        copy = scratch / "wheel"
        with _network_errors(artifact.filename):
            total = ranged_size(self._client, artifact.url)
            if total is not None:
                ranged = RangedFile(self._client, artifact.url, total, copy.open("w+b"))
                return WheelReader(artifact.filename, ranged)
        self._tell(f"{artifact.filename}: the server does not hand out parts; getting all of it")
        self._transfer(artifact, copy)
        return WheelReader(artifact.filename, copy.open("rb"))

    def _take(
        self,
        reader: WheelReader,
        artifact: Artifact,
        record_sha256: str,
        wanted: Callable[[str], bool],
        into: Path,
    ) -> None:
        from winvllm_build.web import Progress  # noqa: PLC0415 - see `Artifact.local_path`

        with _network_errors(artifact.filename):
            reader.prove(record_sha256)
            told = Progress(f"fetching parts of {artifact.filename}", None, self._tell)
            reader.extract(wanted, into, on_bytes=told.add)
            told.finish()


def _network_errors(what: str) -> AbstractContextManager[None]:
    from winvllm_build.web import network_errors  # noqa: PLC0415 - see `Artifact.local_path`

    return network_errors(what, ONLINE_FIX)
