"""A patch set as mails that `git am` takes: one commit for each patch, its header as the message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.header import Header as MailHeader
from typing import Final

from winvllm_build.git import IDENTITY, Oid
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.header import Field, Header
from winvllm_build.patchset.patchset import Patch

FROM: Final = f"{IDENTITY['GIT_AUTHOR_NAME']} <{IDENTITY['GIT_AUTHOR_EMAIL']}>"
DATE: Final = "Thu, 1 Jan 1970 00:00:00 +0000"
SEPARATOR: Final = "From {commit} Mon Sep 17 00:00:00 2001\n"
"""The line between mails as `git format-patch` writes it; the date marks it as one of git's."""
SIGNATURE: Final = b"-- \nwinvllm-build\n\n"
MISREAD: Final = re.compile(
    r"(?=>?From[ :]|Subject:|Date:|diff -|Index: |---|@@ -|\S.*>8|\S.*8<|\[)", re.MULTILINE
)
"""Where a line of a message would be taken for a mail's header, a patch or a cut; one blank prevents it."""
IN_MESSAGE: Final = ("Subject", "Description")


def mbox(pairs: Sequence[tuple[Diff, Sequence[Patch]]], commit: Oid) -> bytes:
    """The series.

    Args:
        pairs: each file's diff with the patches it is made of, in order.
        commit: what it is made for.
    """
    mails = [
        _mail(diff, _header(patches), f"[PATCH {number:0{len(str(len(pairs)))}}/{len(pairs)}]", commit)
        for number, (diff, patches) in enumerate(pairs, 1)
    ]
    return b"".join(mails)


def _mail(diff: Diff, header: Header, number: str, commit: Oid) -> bytes:
    subject = header.subject or f"Change {diff.path}"
    head = SEPARATOR.format(commit=commit) + f"From: {FROM}\nDate: {DATE}\n"
    head += f"Subject: {number} {_encoded(subject)}\n"
    head += "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n"
    return (head + _message(header) + "---\n\n").encode() + diff.text + SIGNATURE


def _encoded(subject: str) -> str:
    return subject if subject.isascii() else MailHeader(subject, "utf-8", maxlinelen=10_000).encode()


def _message(header: Header) -> str:
    """The description, a blank line, and the other fields as they stand in the patch file."""
    description = MISREAD.sub(" ", header.get("Description") or "").strip("\n")
    others = Header(fields=tuple(field for field in header.fields if field.name not in IN_MESSAGE))
    parts = [f"{description}\n" if description else "", others.serialise().decode()]
    return "\n".join(part for part in parts if part)


def _header(patches: Sequence[Patch]) -> Header:
    """Of several layers' patches of one file: the first's, and the others told below its description."""
    first, *others = (patch.content.header for patch in patches)
    if not others:
        return first
    told = [f"{patch.layer}: {patch.content.header.subject}" for patch in patches[1:]]
    text = "\n".join([first.get("Description") or "", *told])
    fields = [field for field in first.fields if field.name != "Description"]
    return Header(fields=(*fields[:1], Field(name="Description", value=text), *fields[1:]))
