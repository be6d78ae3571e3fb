"""What a build is asked to be: the keys of a profile, their types, defaults and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from winvllm_build.choices import CacheKind, KvCacheType, ModelType, SourceKind, TorchSource
from winvllm_build.profile.values import (
    ArchList,
    AutoOrCount,
    AutoOrShare,
    AutoOrSize,
    AutoOrSpecifier,
    AutoOrSwitch,
    CMakeText,
    DependencyFolders,
    IndexAddresses,
    LayerNames,
    OptionalCacheName,
    OptionalCMakeText,
    OptionalEndpoint,
    SourcePatterns,
    Specifier,
    Tag,
    TargetNames,
    Text,
    Variables,
    choice_of,
)

DEFAULT_TAG: Final = "v0.14.1"


class BuildType(Enum):
    """CMake's build types that vLLM supports."""

    RELEASE = "Release"
    RELWITHDEBINFO = "RelWithDebInfo"
    DEBUG = "Debug"


class Section(BaseModel):
    """Every table of a profile: immutable, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)


class SourceSection(Section):
    """Where vLLM and what it vendors come from."""

    kind: Annotated[SourceKind, BeforeValidator(choice_of(SourceKind))] = Field(
        default=SourceKind.AUTO,
        description="Where vLLM's source comes from: a clone of the pinned commit (git), a repository or "
        "folder on this machine (local; on Windows a plain folder has no executable bits and is refused), "
        "the package index (sdist), or the first that works (auto).",
    )
    location: OptionalCMakeText = Field(
        default=None,
        description="Repository, folder or archive on this machine that holds the source, for the kinds "
        "local and auto. A relative one starts at the file that names it.",
    )
    dependencies: DependencyFolders = Field(
        default_factory=dict,
        description="Local folders of vendored dependencies by name, such as cutlass. One that is not "
        "named is fetched at the revision the tag pins.",
    )
    layers: LayerNames = Field(
        default=(),
        description="Optional layers of the tag's patch set to apply on top of the required one, with those "
        "that they require. Empty: the required layer alone.",
    )


class CudaSection(Section):
    """The CUDA toolkit and what it compiles for."""

    home: CMakeText = Field(
        default="auto",
        description="Folder of the CUDA toolkit, the one that holds bin/nvcc. auto: the first that fits of "
        "those that CUDA_HOME, CUDA_PATH and CUDA_PATH_V* name, those on PATH, those in the usual folders "
        "(newest first) and NVIDIA's wheels beside the interpreter. One fits when cuda.version and the "
        "architectures allow it and an installed torch is built for the same major version.",
        min_length=1,
    )
    version: Specifier = Field(
        default=">=12.6,<14", description="Specifier of the toolkit releases that fit."
    )
    arch_list: ArchList = Field(
        default=("8.6",),
        description='Compute capabilities to compile for, such as ["8.6", "12.0"]. +PTX is accepted as '
        "torch writes it, though vLLM ignores it.",
    )
    nvcc_threads: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Architectures of one file that one nvcc compiles at a time. Of no use with one "
        "architecture; each takes the memory of a job.",
    )
    allow_laydown: bool = Field(
        default=True,
        description="Lay CUDA 13.0 down from NVIDIA's compiler and header wheels when no installed "
        "toolkit fits. No CUDA 12 can be laid down: its wheels have no nvcc.",
    )


class BuildSection(Section):
    """What is compiled and how hard."""

    type: Annotated[BuildType, BeforeValidator(choice_of(BuildType))] = Field(
        default=BuildType.RELEASE, description="CMake's build type."
    )
    max_jobs: AutoOrCount = Field(
        default="auto",
        description="Compile jobs at a time, as far as memory allows, which is looked at file by file. auto: "
        "the cores. Unlike in vLLM's setup.py the number is not divided by the nvcc threads.",
    )
    memory_per_job: AutoOrSize = Field(
        default="auto",
        description="GiB of memory to reckon with for every job. auto: what each was measured to need.",
    )
    targets: TargetNames = Field(
        default=(),
        description="Extension targets to build, such as cumem_allocator. Empty: all of them, unless "
        "build.objects names single files.",
    )
    leave_out: TargetNames = Field(default=(), description="Extension targets not to build.")
    objects: SourcePatterns = Field(
        default=(),
        description="Shell patterns of source files to compile without linking, such as csrc/attention/*.cu.",
    )
    keep_going: bool = Field(
        default=False, description="Compile what can be compiled after a file has failed."
    )
    wheel: bool = Field(default=True, description="Pack a wheel when everything is linked.")
    store_size: AutoOrSize = Field(
        default="auto",
        description="GiB that finished objects of all builds may take in the workspace; when a build ends, "
        "what was not used for longest goes. auto: 20.",
    )

    @property
    def selects(self) -> dict[str, tuple[str, ...]]:
        """What decides which edges there are, by key."""
        return {"leave_out": self.leave_out, "objects": self.objects, "targets": self.targets}


class CacheSection(Section):
    """A compiler cache (sccache) beside the tool's own store. Credentials come from the environment alone."""

    kind: Annotated[CacheKind, BeforeValidator(choice_of(CacheKind))] = Field(
        default=CacheKind.AUTO,
        description="Where results are shared: a folder of the workspace (local), Redis, an S3-compatible "
        "store, the cache of GitHub Actions (gha), nowhere (off). auto: s3 with a bucket, redis with a "
        "redis:// endpoint, gha where its tokens are in the environment, else off; always off on Windows.",
    )
    size: AutoOrSize = Field(
        default="auto", description="GiB that the kind local may take; the oldest goes first. auto: 10."
    )
    endpoint: OptionalEndpoint = Field(
        default=None,
        description="Address of the server, without user or password: redis://host:6379, or https://host of "
        "an S3-compatible store other than Amazon's.",
    )
    bucket: OptionalCacheName = Field(default=None, description="Bucket of the kind s3.")
    region: OptionalCacheName = Field(
        default=None, description="Region of the bucket; auto with an endpoint of one's own."
    )
    prefix: OptionalCacheName = Field(
        default=None, description="Put before every key, so that projects can share a server."
    )
    read_only: bool = Field(
        default=False, description="Take results, never give any; for builds of strangers' changes."
    )


class PythonSection(Section):
    """The interpreter the extensions are built for."""

    executable: CMakeText = Field(
        default="auto",
        min_length=1,
        description="The interpreter: a path, or a name searched on PATH. auto: the active environment's.",
    )
    version: AutoOrSpecifier = Field(
        default="auto",
        description="Specifier of the Python releases that fit. auto: what the tag supports.",
    )


class TorchSection(Section):
    """The torch the extensions are compiled against."""

    version: AutoOrSpecifier = Field(
        default="auto",
        description="Specifier of the torch releases that fit; of the wheels pinned for their headers the "
        "newest that fits is taken. auto: the release the tag pins.",
    )
    source: Annotated[TorchSource, BeforeValidator(choice_of(TorchSource))] = Field(
        default=TorchSource.AUTO,
        description="The torch installed beside the interpreter (installed), only the headers and CMake "
        "files of a wheel (headers: compiles, cannot run), or the former when it has CUDA (auto).",
    )
    indexes: IndexAddresses = Field(
        default=(),
        description="Addresses of the package indexes that the install command names beside pip's own, for "
        "torch with CUDA. Empty: those that the tool knows for the tag's torch and the toolkit's CUDA.",
    )


class RuntimeSection(Section):
    """How vLLM is started, one key for each option of `vllm serve`. Nothing here changes a build."""

    model: Text = Field(
        default="",
        description="The model that the other values were computed for: a folder, or a name in Hugging "
        "Face's cache. Empty: for no model in particular.",
    )
    gpu_memory_utilization: AutoOrShare = Field(
        default="auto", description="Share of the GPU's memory that vLLM takes. auto: vLLM's own default."
    )
    max_model_len: AutoOrCount = Field(
        default="auto", description="Tokens of the longest request. auto: what the model allows."
    )
    max_num_seqs: AutoOrCount = Field(
        default="auto", description="Requests computed at a time. auto: vLLM's own default."
    )
    dtype: Annotated[ModelType, BeforeValidator(choice_of(ModelType))] = Field(
        default=ModelType.AUTO,
        description="Type that is computed with. auto: the model's own. bfloat16 needs 8.0 or newer.",
    )
    enforce_eager: AutoOrSwitch = Field(
        default="auto",
        description="Compute without torch.compile and CUDA graphs, which takes less memory and needs no "
        "Triton. auto: vLLM's own default, off.",
    )
    kv_cache_dtype: Annotated[KvCacheType, BeforeValidator(choice_of(KvCacheType))] = Field(
        default=KvCacheType.AUTO,
        description="Type that keys and values are kept in. auto: dtype. fp8 takes half of it.",
    )


class Profile(Section):
    """A complete build profile."""

    description: Text = Field(default="", description="One line on what the profile is for.")
    inherit: Text | None = Field(
        default=None,
        min_length=1,
        description="Profile whose values apply where this file says nothing. In winvllm-build.toml and "
        "config.toml: the profile taken when none is named.",
    )
    tag: Tag = Field(
        default=DEFAULT_TAG,
        description="vLLM tag to build; it needs a patch set. The shipped profiles of cards name none and so "
        "build the default; `--tag` names another, `profile detect` writes the newest.",
    )
    source: SourceSection = Field(default_factory=SourceSection)
    cuda: CudaSection = Field(default_factory=CudaSection)
    build: BuildSection = Field(default_factory=BuildSection)
    cache: CacheSection = Field(default_factory=CacheSection)
    python: PythonSection = Field(default_factory=PythonSection)
    torch: TorchSection = Field(default_factory=TorchSection)
    runtime: RuntimeSection = Field(default_factory=RuntimeSection)
    environment: Variables = Field(
        default_factory=dict,
        description="Further variables for CMake and the compilers. Those that the tool sets itself are "
        "refused with the key that does it.",
    )


SECTIONS: Final[Mapping[str, type[Section]]] = MappingProxyType(
    {
        "source": SourceSection,
        "cuda": CudaSection,
        "build": BuildSection,
        "cache": CacheSection,
        "python": PythonSection,
        "torch": TorchSection,
        "runtime": RuntimeSection,
    }
)
TABLES: Final = frozenset({("source", "dependencies"), ("environment",)})
"""Keys that hold names of the user's choice; each entry has its own origin."""
FILE_ONLY: Final = frozenset({("description",), ("inherit",)})
"""Keys that say something about a file, which no variable or option sets."""
FOLDERS: Final = frozenset(
    {("source", "location"), ("source", "dependencies"), ("cuda", "home"), ("python", "executable")}
)
"""Keys whose relative paths start at the file that names them."""


def keys() -> tuple[tuple[str, ...], ...]:
    """Every key of a profile, in the order of the model."""
    return tuple(fields())


def fields() -> dict[tuple[str, ...], FieldInfo]:
    """Every key with its type, default and description."""
    found: dict[tuple[str, ...], FieldInfo] = {}
    for name, info in Profile.model_fields.items():
        section = SECTIONS.get(name)
        if section is None:
            found[(name,)] = info
        else:
            found |= {(name, key): inner for key, inner in section.model_fields.items()}
    return found
