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
    devicecode,
    folders,
    libraries,
    metadata,
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
MODULE: Final = frozenset({".pyd", ".so"})
MACHINES: Final = {
    "win_amd64": (binary.Format.PE, "AMD64"), "win_arm64": (binary.Format.PE, "ARM64"),
    "win32": (binary.Format.PE, "x86"), "x86_64": (binary.Format.ELF, "x86_64"),
    "aarch64": (binary.Format.ELF, "aarch64"),
}  # fmt: skip
"""Platform tag of Windows, or the end of one of Linux, to what its libraries are."""

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
        local = self.local
        if local is None or local.platform is not Platform.CUDA:
            return None
        return int(local.release[:-1] or local.release)

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
            return provenance.read(content)
        except WheelError as error:
            self.findings.append(problem(Subject.DESCRIPTION, error.message, name))
            return None

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
        yield from self._extensions()
        if self.made is not None and self.said is not None:
            yield from self._agrees(self.made)

    def _extensions(self) -> Iterator[Finding]:
        made = self.made
        for name in made.extensions if made else ():
            if name not in self.wheel.names:
                yield problem(Subject.EXTENSIONS, "is not there; it was compiled for this wheel", name)
        for name in made.copied if made else ():
            if name not in self.wheel.names:
                yield problem(Subject.EXTENSIONS, "is not there; upstream's install step put it in", name)
        stems = {_stem(name) for name in self.wheel.names if PurePosixPath(name).suffix in MODULE}
        for target in self.request.extensions:
            if target not in stems:
                yield problem(Subject.EXTENSIONS, f"no extension {target} is in the wheel")
        lost = sorted(target for target, intended in made.left_out.items() if not intended) if made else []
        if lost:
            yield advice(Subject.EXTENSIONS, f"the wheel is partial: it lacks {', '.join(lost)}")
        for name in sorted(self.wheel.names):
            extra = PurePosixPath(name).suffix in MODULE and made is not None and name not in made.extensions
            if extra:
                yield problem(Subject.EXTENSIONS, f"is there; {provenance.FILE} does not know it", name)

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
        inside = {PurePosixPath(one).name for one in self.wheel.names}
        if read.format is binary.Format.PE:
            inside = {one.lower() for one in inside}
        self.libraries.append(Library.of(name, len(content), read, inside))
        yield from self._machine(read, name)
        abi = self.said.abi if self.said else ""
        yield from libraries.findings(read, name, abi=abi, cuda=self.cuda, inside=inside)
        yield from folders.in_loader(read, name)
        mapped = self.made is not None and self.made.mapped
        severity = Severity.PROBLEM if mapped else Severity.ADVICE
        yield from folders.in_library(content, read, name, self.request.folders, severity)
        if PurePosixPath(name).suffix in MODULE and _stem(name) not in read.modules:
            yield problem(
                Subject.EXTENSIONS, f"has no PyInit_{_stem(name)}: Python cannot import it by its name", name
            )
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


def _stem(name: str) -> str:
    return PurePosixPath(name).name.split(".")[0]


def _machine_of(tag: str) -> str:
    """`x86_64` of `manylinux_2_28_x86_64`."""
    found = LINUX.fullmatch(tag)
    return found[1] if found else tag
