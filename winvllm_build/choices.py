"""The choices that more than one room speaks of."""

from __future__ import annotations

from enum import Enum


class SourceKind(Enum):
    """Where vLLM's source comes from; AUTO takes the first that works."""

    AUTO = "auto"
    GIT = "git"
    LOCAL = "local"
    SDIST = "sdist"


class CacheKind(Enum):
    """Where compiled results are shared through sccache; AUTO takes what is configured, never on Windows."""

    OFF = "off"
    AUTO = "auto"
    LOCAL = "local"
    REDIS = "redis"
    S3 = "s3"
    GHA = "gha"


class TorchSource(Enum):
    """Which torch the extensions are compiled against; AUTO takes the environment's CUDA torch if it fits."""

    AUTO = "auto"
    INSTALLED = "installed"
    HEADERS = "headers"


class TorchOrigin(Enum):
    """INSTALLED links what the extensions will run with. HEADERS proves compiling and linking only."""

    INSTALLED = "installed"
    HEADERS = "headers"
