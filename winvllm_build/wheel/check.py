"""Everything that can be told of a wheel without installing it; each member is unpacked once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from winvllm_build import data
from winvllm_build.errors import WheelError
from winvllm_build.wheel import (
    binary,
    contents,
    devicecode,
    folders,
    libraries,
    metadata,
    modules,
    patched,
    provenance,
    python_files,
    record,
)
from winvllm_build.wheel.finding import Finding, Severity, Subject, advice, problem
from winvllm_build.wheel.opened import Content, Member, OpenWheel
from winvllm_build.wheel.provenance import Provenance
from winvllm_build.wheel.report import Library, Report
from winvllm_build.wheel.version import Local, Platform, read_local

LOADABLE: Final = frozenset({".dll", ".exe", ".pyd", ".so"})
MACHINES: Final = {
    "win_amd64": (binary.Format.PE, "AMD64"), "win_arm64": (binary.Format.PE, "ARM64"),
    "win32": (binary.Format.PE, "x86"), "x86_64": (binary.Format.ELF, "x86_64"),
    "aarch64": (binary.Format.ELF, "aarch64"),
}  # fmt: skip
"""Platform tag of Windows, or the end of one of Linux, to what its libraries are."""
LONGEST_PATH: Final = 259
"""Characters of a path for Windows' programs that do not ask for more."""
ROOM: Final = 100
"""Characters that the folder of an environment's packages may well have, below somebody's documents."""
LINUX: Final = re.compile(r"(?:linux|manylinux\w*?)_(x86_64|aarch64)")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """What to check, and what is known beyond the wheel itself.

    Attributes:
        file: the wheel.
        tag: the vLLM tag whose patches it should have; None to ask the wheel.
        layers: the optional layers, with `tag`.
        archs: the architectures it should be for; None to ask the wheel.
        extensions: targets that must be in, besides those that the wheel names.
        folders: folders of the machine that made it.
        patches: the folder of the patch sets.
    """

    file: Path
    tag: str | None = None
    layers: tuple[str, ...] = ()
    archs: tuple[str, ...] | None = None
    extensions: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    patches: Path = field(default_factory=data.patches_root)


def check(request: CheckRequest) -> Report:
    """Check one wheel.

    Raises:
        WheelError: it cannot be read at all.
        PatchError: there is no patch set for the tag that was asked for.
        UsageError: that set has no such layer.
    """
    with OpenWheel(request.file) as wheel:
        return _Check(request, wheel).run()


class _Check:
    """One run over one wheel."""

    def __init__(self, request: CheckRequest, wheel: OpenWheel) -> None:
        self.request = request
        self.wheel = wheel
        self.said = metadata.read_name(request.file)
        self.described = metadata.read(wheel, self.said)
        self.findings = [*wheel.structure(), *self.described.findings]
        self.made = self._provenance()
        self.local: Local | None = read_local(self.said.version) if self.said else None
        self.record = self._record()
        self.expected = self._expected()
        self.libraries: list[Library] = []
        self.compiled = 0
        self.note = python_files.not_for_this(self.described.python)

    def run(self) -> Report:
        self.findings += self._whole()
        for member in self.wheel.members():
            if isinstance(member, Finding):
                self.findings.append(member)
            else:
                self.findings += self._member(member)
        self.findings += self._code()
        said = self.said
        return Report(
            file=self.request.file,
            version=str(said.version) if said else "",
            tags=tuple(sorted(str(tag) for tag in said.tags)) if said else (),
            archs=self.archs,
            size=self.request.file.stat().st_size,
            unpacked=self.wheel.unpacked,
            members=len(self.wheel.infos),
            longest=max(self.wheel.names, key=len, default=""),
            compiled=self.compiled,
            libraries=tuple(self.libraries),
            provenance=self.made is not None,
            patches=len(self.expected.files) if self.expected else 0,
            findings=tuple(dict.fromkeys(self.findings)),
        )

    @property
    def archs(self) -> tuple[str, ...]:
        """The architectures it should have code for: as asked, as it says itself, as its version says."""
        if self.request.archs is not None:
            return self.request.archs
        if self.made is not None:
            return self.made.archs
        local = self.local
        return local.archs if local is not None and local.platform is Platform.CUDA else ()

    @property
    def cuda(self) -> int | None:
        """The major release of CUDA that its version names."""
        release = self.local.cuda if self.local is not None else None
        return release.major if release is not None else None

    def _provenance(self) -> Provenance | None:
        name = f"{self.described.folder}/{provenance.FILE}"
        content = self.wheel.read(name)
        if content is None:
            if name in self.wheel.names:
                return None  # damaged: the archive's findings say so
            self.findings.append(
                advice(Subject.DESCRIPTION, f"has no {provenance.FILE}: what it should hold is known in part")
            )
            return None
        try:
            made = provenance.read(content)
        except WheelError as error:
            self.findings.append(problem(Subject.DESCRIPTION, error.message, name))
            return None
        if made is None:
            what = "was written by a newer winvllm-build: what the wheel should hold is known in part"
            fix = "check it with that version"
            self.findings.append(advice(Subject.DESCRIPTION, what, name, fix=fix))
        return made

    def _record(self) -> record.Record | None:
        name = f"{self.described.folder}/RECORD"
        content = self.wheel.read(name)
        if content is None:
            self.findings.append(problem(Subject.RECORD, "is not there", name))
            return None
        return record.read(name, content)

    def _expected(self) -> patched.Expected | None:
        asked, made = self.request.tag, self.made
        if asked is not None:
            return patched.expected(self.request.patches, asked, self.request.layers)
        if made is None:
            return None
        tag, own = made.source.tag, made.patches
        if patched.lock_sha256(self.request.patches, tag) != own.lock_sha256:
            what = f"files not compared: made with another state of the patch set of {tag} than the one here"
            self.findings.append(advice(Subject.PATCHES, what))
            return None
        return patched.expected(self.request.patches, tag, own.layers[1:], edited=frozenset(own.edited))

    def _whole(self) -> Iterator[Finding]:
        if self.record is not None:
            yield from self.record.findings
            yield from record.presence(self.record, self.wheel.names)
        if self.expected is not None:
            yield from patched.absent(self.expected, self.wheel.names)
        if self.note is not None:
            yield self.note
        yield from self._contents()
        if self.said is not None and self.said.for_windows:
            yield from _long_name(max(self.wheel.names, key=len, default=""))
        if self.made is not None and self.said is not None:
            yield from self._agrees(self.made)

    def _contents(self) -> Iterator[Finding]:
        names, wanted = self.wheel.names, None
        if self.said is not None and self.said.name == contents.PACKAGE:
            yield from contents.of_package(names)
            wanted = contents.PACKAGE
        if self.made is not None:
            yield from contents.of_build(self.made, names)
        yield from contents.of_request(self.request.extensions, names)
        member = f"{self.described.folder}/{contents.ENTRY_POINTS}"
        yield from contents.of_commands(self.wheel.read(member), member, names, wanted=wanted)

    def _agrees(self, made: Provenance) -> Iterator[Finding]:
        """Whether the version says what the description says."""
        local = self.local
        if local is None or self.said is None:
            return
        if self.said.version.public != made.source.tag.removeprefix("v"):
            yield problem(Subject.METADATA, f"version {self.said.version} is not of {made.source.tag}")
        short = tuple(arch.replace(".", "").replace("+PTX", "ptx") for arch in made.archs)
        if local.platform is Platform.CUDA and local.archs != short:
            yield problem(Subject.METADATA, f"version {self.said.version} is not for {', '.join(made.archs)}")

    def _member(self, member: Member) -> Iterator[Finding]:
        if self.record is not None:
            yield from record.content(self.record, member.name, sha256=member.sha256, size=member.size)
        info = f"{self.described.folder}/"
        upstreams = member.name.startswith((f"{info}METADATA", f"{info}licenses/"))  # it holds the README
        described = member.name.startswith(info) and not upstreams
        yield from folders.in_text(member, self.request.folders, described=described)
        if self.expected is not None:
            yield from patched.differing(self.expected, member)
        if member.suffix == python_files.SUFFIX and self.note is None:
            self.compiled += 1
            yield from python_files.uncompiled(member)
        if member.suffix in LOADABLE:
            yield from self._library(member.name, member.content)

    def _library(self, name: str, content: Content) -> Iterator[Finding]:
        try:
            read = binary.read(content)
        except binary.UnreadableError as error:
            yield problem(Subject.MACHINE, str(error), name)
            return
        near = libraries.found_by(read, name, self.wheel.names)
        self.libraries.append(Library.of(name, len(content), read, near))
        yield from self._machine(read, name)
        yield from libraries.findings(read, name, said=self.said, cuda=self.cuda, names=self.wheel.names)
        yield from folders.in_loader(read, name)
        mapped = self.made is not None and self.made.mapped
        severity = Severity.PROBLEM if mapped else Severity.ADVICE
        yield from folders.in_library(content, read, name, self.request.folders, severity)
        if modules.is_module(name):
            yield from modules.findings(name, read, self.said)
        made = self.made.extensions.get(name) if self.made else None
        if made is not None:
            yield from devicecode.of_extension(read.code, made.code, name)

    def _machine(self, read: binary.Binary, name: str) -> Iterator[Finding]:
        for tag in self.said.platforms if self.said else ():
            form, machine = MACHINES.get(tag, MACHINES.get(_machine_of(tag), (None, "")))
            if form is None:
                yield problem(Subject.TAGS, f"the platform {tag} is not known")
            elif (read.format, read.machine) != (form, machine):
                yield problem(
                    Subject.MACHINE,
                    f"is {read.format.value} for {read.machine}; {tag} loads {form.value} for {machine}",
                    name,
                )
            wrong = {binary.Format.PE: ".so", binary.Format.ELF: ".pyd"}[read.format]
            if PurePosixPath(name).suffix == wrong:
                yield problem(Subject.MACHINE, f"is {read.format.value} and is called {wrong}", name)

    def _code(self) -> Iterator[Finding]:
        codes = {one.name: one.code for one in self.libraries if one.code}
        partial = self.local is not None and self.local.partial
        yield from devicecode.of_wheel(codes, self.archs)
        if self.archs and not codes and not partial:
            yield problem(Subject.DEVICE_CODE, "no extension has device code")


def _long_name(name: str) -> Iterator[Finding]:
    """That a wheel for Windows cannot be installed everywhere where long paths are off."""
    room = LONGEST_PATH - 1 - len(name)
    if room < ROOM:
        what = f"has {len(name)} characters: without long paths the folder of the packages may have {room}"
        fix = "switch long paths on (winvllm-build doctor says how), or install into a shorter folder"
        yield advice(Subject.NAMES, what, name, fix=fix)


def _machine_of(tag: str) -> str:
    """`x86_64` of `manylinux_2_28_x86_64`."""
    found = LINUX.fullmatch(tag)
    return found[1] if found else tag
