"""The fix of a rule as whole commands about one place of one set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from winvllm_build import data
from winvllm_build.patchset import advice, lock, manifest
from winvllm_build.patchset.manifest import DEFAULT_LAYER
from winvllm_build.patchset.patchfile import SUFFIX
from winvllm_build.patchset.patchset import MAIN_TARGET
from winvllm_build.review.facts import Facts
from winvllm_build.review.rules import Finding, Rule

DEPTH: Final = 3
"""Layer, target and at least one more name: a patch file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A file of a set, and what its place says it is of."""

    folder: Path
    file: Path

    @property
    def parts(self) -> tuple[str, ...]:
        parts = self.file.relative_to(self.folder).parts
        return parts if len(parts) >= DEPTH else (DEFAULT_LAYER.name, MAIN_TARGET, "PATH")

    @property
    def path(self) -> str:
        return "/".join(self.parts[2:]).removesuffix(SUFFIX)

    def command(self, verb: str, *options: str) -> str:
        """A command line about this place."""
        layer, target = self.parts[:2]
        chosen = ["--layer", layer] if layer != DEFAULT_LAYER.name else []
        return advice.command(
            verb, self.folder.name, *options, *chosen, root=self.folder.parent, target=target
        )

    def drop(self) -> str:
        layer, target = self.parts[:2]
        chosen = ["--layer", layer] if layer != DEFAULT_LAYER.name else []
        return advice.command(
            "drop", self.path, "--tag", self.folder.name, *chosen, "--reason", "WHY",
            root=self.folder.parent, target=target,
        )  # fmt: skip

    def checkout(self) -> str:
        """The command that gets the file back, or what to do instead of one."""
        root = self.folder.parent
        if data.is_installed(root):
            return self.restore()
        name = advice.quoted(self.file.relative_to(root).as_posix())
        return f"git -C {advice.quoted(str(root))} checkout -- {name}"

    def restore(self) -> str:
        """The way back for a file whose present state could be meant."""
        root, target = self.folder.parent, self.parts[1]
        files = dict.fromkeys([self.file, self.folder / lock.FILE])
        return advice.restore(list(files), root=root, tag=self.folder.name, target=target)

    def source(self) -> str:
        """What brings the tag's source here."""
        return advice.command("source", self.folder.name, "--tree", "FOLDER", root=self.folder.parent)

    def regain(self) -> str:
        """The way back for a patch file that cannot be read."""
        anew = f"or delete it and write it from a patched tree: {self.command('regen')}"
        return self.restore() if data.is_installed(self.folder.parent) else f"{self.checkout()}; {anew}"


def with_fix(facts: Facts, finding: Finding) -> Finding:
    """`finding` with the fix of its rule, every placeholder filled."""
    spot = Spot(folder=facts.folder, file=finding.file)
    words = {
        "{file}": str(finding.file),
        "{manifest}": str(facts.folder / manifest.FILE),
        "{regen}": spot.command("regen"),
        "{restore}": spot.regain() if finding.rule is Rule.DIFF else spot.restore(),
        "{drop}": spot.drop(),
        "{account}": advice.command("port", facts.folder.name, "--account", root=facts.folder.parent)
        + "; for one that is gone: get it back with git",
        "{port}": advice.command("port", facts.folder.name, "--status", root=facts.folder.parent),
    }
    fix = finding.rule.fix
    for name, text in words.items():
        fix = fix.replace(name, text)
    return replace(finding, fix=fix)
