"""What a tag needs to build its Rust parts: workspace, toolchain, locked crates, protoc."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from winvllm_build.errors import SourceError
from winvllm_build.intake.checkout import Checkout

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MANIFEST: Final = "Cargo.toml"
LOCK: Final = "Cargo.lock"
TOOLCHAINS: Final = ("rust-toolchain.toml", "rust-toolchain")
PROTOBUF_COMPILERS: Final = frozenset({"prost-build", "tonic-build", "protobuf-codegen"})
"""Crates that run the program `protoc`, unless `protox` parses the files for them."""
OWN_OPENSSL: Final = "openssl-src"


@dataclass(frozen=True, slots=True, kw_only=True)
class RustFacts:
    """The Rust workspace of a tag.

    Attributes:
        workspace: its folder.
        members: how many crates it has of its own.
        channel: the toolchain that `rust-toolchain.toml` asks for; empty where it asks for none.
        crates: how many packages the lock file has.
        from_git: the repositories that crates come from, past the registry.
        needs_protoc: the program has to be there.
        builds_openssl: OpenSSL is compiled, which takes perl.
    """

    workspace: str
    members: int
    channel: str
    crates: int
    from_git: tuple[str, ...]
    needs_protoc: bool
    builds_openssl: bool


def read(checkout: Checkout) -> RustFacts | None:
    """The facts of the topmost workspace; None where a tag has no Rust.

    Raises:
        SourceError: a file is not TOML.
    """
    manifests = [path for path in checkout.entries if posixpath.basename(path) == MANIFEST]
    for path in sorted(manifests, key=lambda path: (path.count("/"), path)):
        workspace = _toml(checkout, path).get("workspace")
        if isinstance(workspace, dict):
            return _facts(checkout, posixpath.dirname(path), workspace)
    return None


def _facts(checkout: Checkout, folder: str, workspace: Mapping[str, Any]) -> RustFacts:
    lock = posixpath.join(folder, LOCK)
    packages = _toml(checkout, lock).get("package", []) if lock in checkout.entries else []
    names = {str(package.get("name")) for package in packages}
    sources = {str(package.get("source", "")) for package in packages}
    git = sorted({
        source.removeprefix("git+").partition("?")[0].partition("#")[0]
        for source in sources
        if source.startswith("git+")
    })  # fmt: skip
    members = workspace.get("members", [])
    return RustFacts(
        workspace=folder or ".", members=len(members), channel=_channel(checkout, folder),
        crates=len(packages), from_git=tuple(git),
        needs_protoc=bool(names & PROTOBUF_COMPILERS) and "protox" not in names,
        builds_openssl=OWN_OPENSSL in names,
    )  # fmt: skip


def _channel(checkout: Checkout, folder: str) -> str:
    """The toolchain file nearest to the workspace, as rustup looks for it."""
    while True:
        for name in TOOLCHAINS:
            path = posixpath.join(folder, name)
            if path in checkout.entries:
                text = checkout.text(path)
                if "[toolchain]" not in text:
                    return text.strip()
                return str(_toml(checkout, path)["toolchain"].get("channel", ""))
        if not folder:
            return ""
        folder = posixpath.dirname(folder)


def _toml(checkout: Checkout, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(checkout.text(path))
    except tomllib.TOMLDecodeError as error:
        raise SourceError(f"{path} of {checkout.name} is not TOML: {error}") from error
