"""What a check of a wheel found: where, what, how bad, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Subject(Enum):
    """What a finding is about; a page of the manual has a row for each."""

    ARCHIVE = "archive"
    NAMES = "names"
    RECORD = "record"
    METADATA = "metadata"
    TAGS = "tags"
    EXTENSIONS = "extensions"
    MACHINE = "machine"
    DEVICE_CODE = "device code"
    LIBRARIES = "libraries"
    PYTHON = "python"
    PATCHES = "patches"
    FOLDERS = "folders"
    DESCRIPTION = "description"


class Severity(Enum):
    """A problem keeps a wheel from being delivered; an advice does not."""

    PROBLEM = "problem"
    ADVICE = "advice"


AGAIN: Final = "winvllm-build build --profile PROFILE"
ANEW: Final = f"{AGAIN} --fresh"
FIXES: Final = {
    Subject.ARCHIVE: f"copy or download the file again; if it was packed so: {AGAIN}",
    Subject.NAMES: "do not unpack it; who packed it has to rename that file",
    Subject.RECORD: f"copy or download the file again; if it was packed so: {AGAIN}",
    Subject.METADATA: f"mend the requirements or the version in the tree, then {AGAIN}",
    Subject.TAGS: f"call the file as it was called when it was packed, or {AGAIN}",
    Subject.EXTENSIONS: ANEW,
    Subject.MACHINE: f"on the system that it is for: {ANEW}",
    Subject.DEVICE_CODE: f"name the GPUs in cuda.arch_list of the profile, then {ANEW}",
    Subject.LIBRARIES: f"winvllm-build doctor --profile PROFILE says what does not fit; then {ANEW}",
    Subject.PYTHON: f"mend that line in the tree, then {AGAIN}",
    Subject.PATCHES: f"winvllm-build apply TAG --tree TREE, then {AGAIN}",
    Subject.FOLDERS: ANEW,
    Subject.DESCRIPTION: "--tag and --arch, or --profile, say what the wheel should be",
}
"""What to do about a subject where a finding knows nothing better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding.

    Attributes:
        subject: what it is about.
        severity: whether the wheel may be delivered with it.
        member: the member of the archive; empty for the whole wheel.
        what: what is wrong.
        fix: what to do.
    """

    subject: Subject
    severity: Severity
    member: str
    what: str
    fix: str

    def as_data(self) -> dict[str, str]:
        return {
            "fix": self.fix, "member": self.member, "severity": self.severity.value,
            "subject": self.subject.value, "what": self.what,
        }  # fmt: skip


def problem(subject: Subject, what: str, member: str = "", *, fix: str = "") -> Finding:
    return found(Severity.PROBLEM, subject, what, member, fix=fix)


def advice(subject: Subject, what: str, member: str = "", *, fix: str = "") -> Finding:
    return found(Severity.ADVICE, subject, what, member, fix=fix)


def found(severity: Severity, subject: Subject, what: str, member: str = "", *, fix: str = "") -> Finding:
    """A finding; without a fix of its own it has the one of its subject."""
    return Finding(subject=subject, severity=severity, member=member, what=what, fix=fix or FIXES[subject])
