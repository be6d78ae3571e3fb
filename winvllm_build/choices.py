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


class ModelType(Enum):
    """What a model computes with; AUTO takes what its config.json says, or half of it for float32."""

    AUTO = "auto"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"


class KvCacheType(Enum):
    """What keys and values are kept in; AUTO takes the type that is computed with."""

    AUTO = "auto"
    FP8 = "fp8"
    FP8_E4M3 = "fp8_e4m3"
    FP8_E5M2 = "fp8_e5m2"
