"""What a check of a wheel found: where, what, how bad, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding.

    Attributes:
        subject: what it is about.
        severity: whether the wheel may be delivered with it.
        member: the member of the archive; empty for the whole wheel.
        what: what is wrong.
    """

    subject: Subject
    severity: Severity
    member: str
    what: str

    def as_data(self) -> dict[str, str]:
        return {
            "member": self.member, "severity": self.severity.value, "subject": self.subject.value,
            "what": self.what,
        }  # fmt: skip


def problem(subject: Subject, what: str, member: str = "") -> Finding:
    return Finding(subject=subject, severity=Severity.PROBLEM, member=member, what=what)


def advice(subject: Subject, what: str, member: str = "") -> Finding:
    return Finding(subject=subject, severity=Severity.ADVICE, member=member, what=what)
