"""Combinations that cannot work, refused before the first compiler runs, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from winvllm_build import arch
from winvllm_build.choices import CacheKind, SourceKind
from winvllm_build.cuda_home import above_bin
from winvllm_build.profile.findings import Finding, Severity, ToolkitFacts, require
from winvllm_build.profile.layers import is_address
from winvllm_build.profile.model import Profile
from winvllm_build.suggest import did_you_mean

__all__ = ["Finding", "Severity", "ToolkitFacts", "check", "require"]

KNOWN_TOOLKITS: Final = (
    *(Version(f"12.{minor}") for minor in (0, 1, 2, 3, 4, 5, 6, 8, 9)),
    *(Version(f"13.{minor}") for minor in range(5)),
)
"""CUDA releases a specifier is tried on; 12.7 was never published."""


def check(profile: Profile, facts: ToolkitFacts) -> list[Finding]:
    """Every impossible combination, and every one worth a note, that the facts known so far show."""
    rooms: tuple[Callable[[Profile, ToolkitFacts], Iterator[Finding]], ...] = (
        _tag,
        _source,
        _cuda_home,
        _cuda_version,
        _arch_list,
        _tag_archs,
        _torch_version,
        _python,
        _build,
        _cache,
    )
    return [finding for room in rooms for finding in room(profile, facts)]


def _tag(profile: Profile, facts: ToolkitFacts) -> Iterator[Finding]:
    if facts.patched_tags and profile.tag not in facts.patched_tags:
        near = did_you_mean(profile.tag, facts.patched_tags)
        known = ", ".join(facts.patched_tags)
        yield Finding(
            key="tag",
            message=f"there is no patch set for {profile.tag}{near}",
            fix=f"set tag to one of {known}",
        )


def _source(profile: Profile, _: ToolkitFacts) -> Iterator[Finding]:
    kind, location = profile.source.kind, profile.source.location
    if location is None:
        if kind is SourceKind.LOCAL:
            message = "a local source has to be named"
            yield Finding(key="source.location", message=message, fix="set source.location to its folder")
    elif kind in {SourceKind.GIT, SourceKind.SDIST}:
        message = f"source.kind {kind.value} takes the pinned address, so {location} would be ignored"
        yield Finding(key="source.location", message=message, fix='set source.kind = "local"')
    elif is_address(location):
        message = f"{location} is an address, not a place on this machine"
        yield Finding(key="source.location", message=message, fix="clone it, and name the folder instead")


def _cuda_home(profile: Profile, facts: ToolkitFacts) -> Iterator[Finding]:
    home = facts.cuda_home or profile.cuda.home
    if home == "auto":
        return
    parent = above_bin(home)
    if parent is not None:
        message = f"{home} is the toolkit's bin folder, not the toolkit"
        yield Finding(key="cuda.home", message=message, fix=f"set cuda.home (or CUDA_HOME) to {parent}")
    elif facts.home_is_toolkit is False:
        yield Finding(
            key="cuda.home",
            message=f"{home} is no CUDA toolkit: it holds no bin/nvcc",
            fix='set cuda.home to the folder that holds bin/nvcc, or to "auto"',
        )


def _cuda_version(profile: Profile, facts: ToolkitFacts) -> Iterator[Finding]:
    cuda, wanted = facts.cuda_version, profile.cuda.version
    if cuda and not SpecifierSet(wanted).contains(cuda):
        yield Finding(
            key="cuda.version",
            message=f"the toolkit is CUDA {cuda}, the profile asks for {wanted}",
            fix=f"set cuda.home to a toolkit that fits {wanted}, or widen cuda.version",
        )


def _arch_list(profile: Profile, facts: ToolkitFacts) -> Iterator[Finding]:
    for name in profile.cuda.arch_list:
        if name.endswith("+PTX"):
            message = f"vLLM ignores the +PTX of {name}: it decides on PTX file by file"
            yield Finding(key="cuda.arch_list", message=message, severity=Severity.NOTE)
        reason = _cannot_compile(name, profile, facts)
        if reason:
            other = ", or set cuda.home to a toolkit that compiles it" if facts.cuda_version else ""
            fix = f"remove {name} from cuda.arch_list{other}"
            yield Finding(key="cuda.arch_list", message=reason, fix=fix)


def _cannot_compile(name: str, profile: Profile, facts: ToolkitFacts) -> str | None:
    cuda = facts.cuda_version
    if cuda is None:
        return _no_release_compiles(name, profile.cuda.version)
    known = arch.refusal(name, cuda)
    if known is None and facts.listed_archs and arch.base(name) not in facts.listed_archs:
        listed = ", ".join(sorted(facts.listed_archs, key=arch.order))
        return f"the nvcc of CUDA {cuda} does not compile architecture {name}; it lists {listed}"
    return known


def _no_release_compiles(name: str, wanted: str) -> str | None:
    """Why none of the releases that a specifier admits compiles an architecture."""
    reasons = [arch.refusal(name, release) for release in SpecifierSet(wanted).filter(KNOWN_TOOLKITS)]
    if not reasons or None in reasons:
        return None
    return f"no toolkit that fits cuda.version {wanted} will do: {reasons[-1]}".replace(
        "this is", "that allows"
    )


def _tag_archs(profile: Profile, facts: ToolkitFacts) -> Iterator[Finding]:
    """Upstream takes for each architecture the nearest supported one below it with the same major number."""
    if not facts.tag_archs:
        return
    supported = sorted(facts.tag_archs, key=arch.order)
    for name in profile.cuda.arch_list:
        number = arch.base(name)
        if number in facts.tag_archs:
            continue
        below = [
            s
            for s in supported
            if arch.order(s)[0] == arch.order(number)[0] and arch.order(s) < arch.order(number)
        ]
        if below:
            message = (
                f"vLLM {profile.tag} has no kernels for {number} of its own; it compiles {below[-1]} instead"
            )
            yield Finding(key="cuda.arch_list", message=message, severity=Severity.NOTE)
        else:
            message = (
                f"vLLM {profile.tag} does not support architecture {name}; it supports {', '.join(supported)}"
            )
            yield Finding(key="cuda.arch_list", message=message, fix=f"remove {name} from cuda.arch_list")


def _torch_version(profile: Profile, facts: ToolkitFacts) -> Iterator[Finding]:
    version = facts.torch_version
    if version and facts.tag_torch and Version(version.public) != Version(facts.tag_torch):
        message = f"torch is {version}, vLLM {profile.tag} pins {facts.tag_torch}"
        yield Finding(key="torch.version", message=message, severity=Severity.NOTE)


def _python(profile: Profile, facts: ToolkitFacts) -> Iterator[Finding]:
    version = facts.python_version
    if version is None:
        return
    if facts.tag_python is not None and not facts.tag_python.contains(version, prereleases=True):
        message = f"Python is {version}, vLLM {profile.tag} needs {facts.tag_python}"
        yield Finding(key="python.executable", message=message, fix="set python.executable to one that fits")
    wanted = profile.python.version
    if wanted != "auto" and not SpecifierSet(wanted).contains(version, prereleases=True):
        message = f"Python is {version}, the profile asks for {wanted}"
        yield Finding(key="python.version", message=message, fix="set python.executable to one that fits")


def _build(profile: Profile, _: ToolkitFacts) -> Iterator[Finding]:
    build = profile.build
    for name in sorted(set(build.targets) & set(build.leave_out)):
        message = f"{name} is both in build.targets and in build.leave_out"
        yield Finding(key="build.leave_out", message=message, fix=f"remove {name} from one of them")
    if build.wheel and build.objects:
        message = "build.objects compiles single files, which make no wheel"
        yield Finding(
            key="build.wheel", message=message, fix="set build.wheel = false, or empty build.objects"
        )


def _cache(profile: Profile, _: ToolkitFacts) -> Iterator[Finding]:
    """What a cache needs to be named, and what it would not look at."""
    cache = profile.cache
    redis = cache.endpoint is not None and cache.endpoint.startswith("redis")
    if cache.kind is CacheKind.REDIS and not redis:
        message = "the kind redis needs the address of its server"
        yield Finding(key="cache.endpoint", message=message, fix='set it like "redis://cache.example:6379"')
    if cache.kind is CacheKind.S3 and redis:
        message = f"{cache.endpoint} is no address of an S3-compatible store"
        yield Finding(key="cache.endpoint", message=message, fix='set it like "https://s3.example"')
    if cache.kind is CacheKind.S3 and cache.bucket is None:
        yield Finding(key="cache.bucket", message="the kind s3 needs a bucket", fix="set cache.bucket")
    if cache.kind is CacheKind.AUTO and redis and cache.bucket is not None:
        message = "an endpoint of Redis and a bucket of S3: which of them?"
        yield Finding(key="cache.kind", message=message, fix="set cache.kind to redis or s3")
