"""Where sccache keeps results: decided from the profile and, for credentials alone, the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from typing_extensions import assert_never

from winvllm_build.choices import CacheKind
from winvllm_build.profile.model import CacheSection

DEFAULT_SIZE: Final = 10.0
"""GiB; sccache's own default."""
CREDENTIALS: Final[Mapping[CacheKind, tuple[str, ...]]] = MappingProxyType(
    {
        CacheKind.REDIS: ("SCCACHE_REDIS_USERNAME", "SCCACHE_REDIS_PASSWORD"),
        CacheKind.S3: (
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_PROFILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_CONFIG_FILE",
            "AWS_ROLE_ARN",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "SCCACHE_S3_NO_CREDENTIALS",
        ),
        CacheKind.GHA: (
            "ACTIONS_RESULTS_URL",
            "ACTIONS_CACHE_URL",
            "ACTIONS_RUNTIME_TOKEN",
            "GITHUB_SERVER_URL",
        ),
    }
)
"""Variables that the cache's server gets from the real environment; no compiler sees them."""
PUBLIC: Final = frozenset(
    {"AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_ROLE_ARN", "SCCACHE_S3_NO_CREDENTIALS", "GITHUB_SERVER_URL"}
)
"""Those of `CREDENTIALS` that give nothing away."""
GHA_NEEDS: Final = ("ACTIONS_RESULTS_URL", "ACTIONS_RUNTIME_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A place for results.

    Attributes:
        kind: LOCAL, REDIS, S3 or GHA.
        place: it in words, without anything secret.
        settings: sccache's variables for it.
        credentials: variables from the real environment that open it.
    """

    kind: CacheKind
    place: str
    settings: Mapping[str, str]
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must appear in no output."""
        return tuple(value for name, value in self.credentials.items() if value and name not in PUBLIC)


def chosen(
    section: CacheSection, environment: Mapping[str, str], *, folder: Path, windows: bool
) -> Backend | None:
    """The place that a profile asks for; None: compile without sccache.

    Args:
        section: the profile's `[cache]`.
        environment: the real environment, for credentials.
        folder: for the kind local.
        windows: `auto` takes nothing there until it is proven.
    """
    kind = section.kind
    if kind is CacheKind.AUTO:
        kind = CacheKind.OFF if windows else automatic(section, environment)
    settings = _settings(kind, section, folder)
    if settings is None:
        return None
    return Backend(
        kind=kind,
        place=_place(kind, section, folder),
        settings=settings,
        credentials={n: environment[n] for n in CREDENTIALS.get(kind, ()) if environment.get(n)},
    )


def automatic(section: CacheSection, environment: Mapping[str, str]) -> CacheKind:
    """What `auto` means off Windows: what is configured. The folder of one machine is the store's job."""
    if section.bucket is not None:
        return CacheKind.S3
    if section.endpoint is not None and section.endpoint.startswith("redis"):
        return CacheKind.REDIS
    if all(environment.get(name) for name in GHA_NEEDS):
        return CacheKind.GHA
    return CacheKind.OFF


def _settings(kind: CacheKind, section: CacheSection, folder: Path) -> dict[str, str] | None:
    """The variables of sccache for a kind, None for none."""
    mode = "READ_ONLY" if section.read_only else "READ_WRITE"
    match kind:
        case CacheKind.OFF | CacheKind.AUTO:
            return None
        case CacheKind.LOCAL:
            size = DEFAULT_SIZE if section.size == "auto" else section.size
            return {
                "SCCACHE_DIR": str(folder),
                "SCCACHE_CACHE_SIZE": f"{max(int(size * 1024), 1)}M",
                "SCCACHE_LOCAL_RW_MODE": mode,
            }
        case CacheKind.REDIS:
            return {
                "SCCACHE_REDIS_ENDPOINT": section.endpoint or "",
                "SCCACHE_REDIS_RW_MODE": mode,
                **_given(SCCACHE_REDIS_KEY_PREFIX=section.prefix),
            }
        case CacheKind.S3:
            return {
                "SCCACHE_BUCKET": section.bucket or "",
                "SCCACHE_S3_RW_MODE": mode,
                "SCCACHE_REGION": section.region or "auto",
                **_given(SCCACHE_ENDPOINT=section.endpoint, SCCACHE_S3_KEY_PREFIX=section.prefix),
                **_given(SCCACHE_S3_USE_SSL=_ssl(section.endpoint)),
            }
        case CacheKind.GHA:
            return {
                "SCCACHE_GHA_ENABLED": "on",
                "SCCACHE_GHA_RW_MODE": mode,
                # else it asks version 1, which GitHub has shut down; an Enterprise Server, which
                # sccache tells by GITHUB_SERVER_URL, has no other
                "ACTIONS_CACHE_SERVICE_V2": "on",
                **_given(SCCACHE_GHA_VERSION=section.prefix),
            }
        case _:
            assert_never(kind)


def _given(**settings: str | None) -> dict[str, str]:
    return {name: value for name, value in settings.items() if value is not None}


def _ssl(endpoint: str | None) -> str | None:
    return None if endpoint is None else str(urlsplit(endpoint).scheme == "https").lower()


def _place(kind: CacheKind, section: CacheSection, folder: Path) -> str:
    at = f" of {section.endpoint}" if section.endpoint else ""
    words = {
        CacheKind.LOCAL: f"the folder {folder}",
        CacheKind.REDIS: f"Redis at {section.endpoint}",
        CacheKind.S3: f"the bucket {section.bucket}{at}",
        CacheKind.GHA: "the cache of GitHub Actions",
    }
    return words[kind] + (", read only" if section.read_only else "")
