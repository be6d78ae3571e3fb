"""Where sccache keeps results, what it is told, and what it is never told, from profile and environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build import process
from winvllm_build.build.cache import backend, variables
from winvllm_build.build.cache.backend import Backend
from winvllm_build.build.cache.variables import Address
from winvllm_build.choices import CacheKind
from winvllm_build.profile.loader import ProfileRoots, resolve
from winvllm_build.profile.model import CacheSection
from winvllm_build.profile.problem import InvalidProfileError
from winvllm_build.profile.validate import ToolkitFacts, check, require

FOLDER = Path("/w/sccache/local")
GHA = {"ACTIONS_RESULTS_URL": "https://results.example/", "ACTIONS_RUNTIME_TOKEN": "runtime-token"}


def chosen(
    section: CacheSection, environment: dict[str, str] | None = None, *, windows: bool = False
) -> Backend | None:
    return backend.chosen(section, environment or {}, folder=FOLDER, windows=windows)


@pytest.mark.parametrize(
    ("section", "environment", "kind"),
    [
        (CacheSection(), {}, None),
        (CacheSection(), GHA, CacheKind.GHA),
        (CacheSection(), {"ACTIONS_RESULTS_URL": "https://results.example/"}, None),
        (CacheSection(endpoint="redis://cache:6379"), GHA, CacheKind.REDIS),
        (CacheSection(bucket="objects"), {}, CacheKind.S3),
        (CacheSection(kind=CacheKind.OFF, bucket="objects"), GHA, None),
        (CacheSection(kind=CacheKind.LOCAL), {}, CacheKind.LOCAL),
    ],
)
def test_auto_takes_what_is_configured(
    section: CacheSection, environment: dict[str, str], kind: CacheKind | None
) -> None:
    found = chosen(section, environment)
    assert (found.kind if found else None) is kind


def test_auto_takes_nothing_on_windows_and_a_named_kind_is_taken() -> None:
    assert chosen(CacheSection(endpoint="redis://cache:6379"), GHA, windows=True) is None
    named = chosen(CacheSection(kind=CacheKind.LOCAL), windows=True)
    assert named is not None
    assert named.kind is CacheKind.LOCAL


def test_the_settings_of_each_kind() -> None:
    local = chosen(CacheSection(kind=CacheKind.LOCAL, size=0.5, read_only=True))
    redis = chosen(CacheSection(endpoint="redis://cache:6379/3", prefix="vllm"))
    store = chosen(CacheSection(bucket="objects", endpoint="https://s3.example", prefix="vllm/w"))
    amazon = chosen(CacheSection(bucket="objects", region="eu-west-1"))
    assert local is not None
    assert redis is not None
    assert store is not None
    assert amazon is not None
    assert local.settings == {
        "SCCACHE_DIR": str(FOLDER),
        "SCCACHE_CACHE_SIZE": "512M",
        "SCCACHE_LOCAL_RW_MODE": "READ_ONLY",
    }
    assert redis.settings["SCCACHE_REDIS_ENDPOINT"] == "redis://cache:6379/3"
    assert redis.settings["SCCACHE_REDIS_KEY_PREFIX"] == "vllm"
    assert store.settings["SCCACHE_S3_USE_SSL"] == "true"
    assert store.settings["SCCACHE_REGION"] == "auto"
    assert amazon.settings["SCCACHE_REGION"] == "eu-west-1"
    assert "SCCACHE_ENDPOINT" not in amazon.settings


def test_credentials_reach_the_server_alone_and_are_not_shown() -> None:
    secret = {"SCCACHE_REDIS_PASSWORD": "sesame", "AWS_SECRET_ACCESS_KEY": "other", "HTTPS_PROXY": "http://p"}
    redis = chosen(CacheSection(endpoint="redis://cache:6379"), secret)
    assert redis is not None
    assert "sesame" not in repr(redis)
    assert redis.secrets == ("sesame",)
    address = Address(socket=Path("/private/s"))
    base = {"PATH": "/bin", "SCCACHE_DIR": "/elsewhere", "SCCACHE_BUCKET": "stray"}
    server = variables.for_server(
        base,
        redis,
        address,
        private=Path("/private"),
        roots=[Path("/t"), Path("/b"), Path("/t")],
        real=secret,
    )
    assert server["SCCACHE_REDIS_PASSWORD"] == secret["SCCACHE_REDIS_PASSWORD"]
    assert server["SCCACHE_SERVER_UDS"] == str(Path("/private/s"))
    assert server["HTTPS_PROXY"] == "http://p"
    assert {"AWS_SECRET_ACCESS_KEY", "SCCACHE_DIR", "SCCACHE_BUCKET"}.isdisjoint(server)
    assert "sesame" not in str(variables.for_client(address, private=Path("/private")))
    assert "sesame" not in process.environment_difference(server)
    assert "SCCACHE_REDIS_PASSWORD=***" in process.environment_difference(server)


def test_base_folders_are_joined_as_the_system_joins_paths() -> None:
    redis = chosen(CacheSection(endpoint="redis://cache:6379"))
    assert redis is not None
    roots = [Path("/t"), Path("/b")]
    server = variables.for_server({}, redis, Address(port=1), private=Path("/p"), roots=roots, real={})
    assert server["SCCACHE_SERVER_PORT"] == "1"
    assert server["SCCACHE_BASEDIRS"].replace("\\", "/") in {"/t:/b", "/t;/b"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cache.endpoint": "redis://user:sesame@cache:6379"}, "user or password"),
        ({"cache.endpoint": "cache:6379"}, "is not an address"),
        ({"cache.kind": "redis"}, "needs the address of its server"),
        ({"cache.kind": "s3"}, "needs a bucket"),
        ({"cache.kind": "s3", "cache.bucket": "b", "cache.endpoint": "redis://c"}, "S3-compatible"),
        ({"cache.bucket": "b", "cache.endpoint": "redis://c"}, "which of them"),
        ({"cache.prefix": "a b"}, "may hold letters"),
        ({"environment": {"AWS_SECRET_ACCESS_KEY": "sesame"}}, "a profile holds none"),
        ({"environment": {"SCCACHE_BUCKET": "b"}}, "set the keys of [cache]"),
    ],
)
def test_what_a_profile_must_not_say(settings: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidProfileError) as refused:
        refuse(settings)
    assert words in str(refused.value)
    assert "sesame" not in str(refused.value)


def refuse(settings: dict[str, object]) -> None:
    nowhere = Path("/nowhere")
    roots = ProfileRoots(shipped=nowhere, user=nowhere, project=nowhere)
    resolved = resolve(None, roots=roots, environment={}, overrides=settings)
    require(check(resolved.profile, ToolkitFacts()), resolved.origins)
