"""When the work of two builds is the same: equal commands that read equal files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.plan.edges import PREFIX_MAP
from winvllm_build.build.plan.setting import Setting
from winvllm_build.git import Git

INCLUDE: Final = re.compile(rb'^\s*#\s*include\s*"(?:[^"\n]*/)?([^"/\n]+)"', re.MULTILINE)
HEADERS: Final = ("*.h", "*.hpp", "*.cuh", "*.inc")
OWN: Final = frozenset({"<build>", "<tree>", "<workspace>"})
"""Folders whose files are told apart otherwise: by their content, or by the tag and its layers."""


@dataclass(slots=True)
class Identities:
    """Names equal work of builds of one machine alike, before anything is compiled.

    What configure generates differs between lists of architectures: such a source counts by its content, and
    such a header in the sources that include it by name. All else in a tree is the tag's and its layers'.

    Attributes:
        setting: the configured build.
        edition: the tag and its layers, in words.
    """

    setting: Setting
    edition: str
    generated: Mapping[str, bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.generated = _generated_headers(self.setting.tree)

    def of(self, edge: Edge) -> str:
        """A digest of the command and of what it reads, as far as that is known now."""
        parts = [self.edition.encode(), edge.key.encode(), *self._folders(edge)]
        if edge.language is not Language.LINK:
            content = self._source(edge)
            parts.append(hashlib.sha256(content).digest())
            names = {name.decode("utf-8", "replace") for name in INCLUDE.findall(content)}
            parts += [self.generated[name] for name in sorted(names & self.generated.keys())]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    def _folders(self, edge: Edge) -> list[bytes]:
        """The folders of dependencies that the command names: another folder may be another revision."""
        command = "\0".join(word for word in edge.arguments if PREFIX_MAP not in word)
        folders = self.setting.roots.folders
        return [
            f"{name}={folder}".encode()
            for name, folder in sorted(folders.items())
            if name not in OWN and folder in command
        ]

    def _source(self, edge: Edge) -> bytes:
        file = Path(self.setting.roots.spelt(edge.source))
        return file.read_bytes() if file.is_file() else b""


def _generated_headers(tree: Path) -> dict[str, bytes]:
    """Digests of the headers in a tree that git does not track, by name; files of one name count together."""
    if not (tree / ".git").exists():
        return {}
    listed = Git(tree).out("ls-files", "--others", "-z", "--", *HEADERS)
    found: dict[str, list[bytes]] = {}
    for name in sorted(listed.decode("utf-8", "surrogateescape").split("\0")):
        if name:
            found.setdefault(Path(name).name, []).append(hashlib.sha256((tree / name).read_bytes()).digest())
    return {name: b"".join(digests) for name, digests in found.items()}
