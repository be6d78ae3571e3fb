"""A patch file taken apart into patches with what their mails say: plain, one mail, a mailbox, our own."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.errors import PatchError
from winvllm_build.git import Git
from winvllm_build.patchset import convert, patchfile
from winvllm_build.patchset import header as headers
from winvllm_build.patchset.diff import START
from winvllm_build.patchset.header import Field, Header

MAILBOX: Final = re.compile(rb"From \S+ .*\d\d:\d\d.* \d{4}\r?\n")
MAIL: Final = re.compile(
    rb"(?:(?:From|To|Cc|Date|Subject|Message-ID|Return-Path|Received|Delivered-To|MIME-Version|"
    rb"Content-[\w-]+|List-[\w-]+|X-[\w-]+): [^\n]*\n(?:[ \t][^\n]*\n)*)+\r?\n",
    re.IGNORECASE,
)
MARKED: Final = re.compile(rb"^Subject:", re.MULTILINE | re.IGNORECASE)
SUFFIXES: Final = (".patch", ".diff", ".eml", ".mbox")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One patch: its bytes, and what its mail or header says of it."""

    where: str
    content: bytes
    header: Header | None


def files_of(source: Path) -> list[Path]:
    """The patch files a path names: itself, or those of a folder in the order of their names.

    Raises:
        PatchError: there is none.
    """
    if not source.is_dir():
        return [source]
    found = [file for file in sorted(source.iterdir()) if file.suffix in SUFFIXES and file.is_file()]
    if not found:
        raise PatchError(f"{source} has no patch files", fix=f"they end in {', '.join(SUFFIXES)}")
    return found


def steps(git: Git, raw: bytes, where: str) -> Iterator[Step]:
    """The patches in a file, in their order.

    Args:
        git: any repository; it reads the mails.
        raw: the file, in UTF-8 or, as PowerShell writes, UTF-16.
        where: its name.

    Raises:
        PatchError: it cannot be read.
    """
    content, _ = convert.decoded(raw, where)
    own = _own(content, where)
    if own is not None:
        yield own
    elif MAILBOX.match(content) or _is_mail(content):
        yield from _mails(git, content, where)
    else:
        yield Step(where=where, content=content, header=None)


def described(subject: str, body: str) -> Header:
    """A header of what a commit or mail says; fields of ours at its end are taken as such."""
    text = body.replace("\r", "").strip("\n")
    head, _, tail = text.rpartition("\n\n")
    fields = _fields(tail)
    description = head if fields else text
    made = [Field(name="Subject", value=" ".join(subject.split()))] if subject.strip() else []
    if description.strip():
        made.append(Field(name="Description", value=description.strip("\n")))
    return Header(fields=(*made, *fields))


def _fields(text: str) -> tuple[Field, ...]:
    """The fields of a patch header that `text` consists of; none if it is anything else."""
    try:
        found = headers.parse(f"{text}\n".encode("utf-8", "replace"), where="message").fields
    except PatchError:
        return ()
    return found if not {"Subject", "Description"} & {field.name for field in found} else ()


def _own(content: bytes, where: str) -> Step | None:
    """A patch file of a set, whose header says more than a mail does."""
    try:
        head, diff = patchfile.split(content, where=where)
        header = headers.parse(head, where=where)
    except PatchError:
        return None
    return Step(where=where, content=diff, header=header) if head else None


def _is_mail(content: bytes) -> bool:
    head = MAIL.match(content)
    return head is not None and MARKED.search(head[0]) is not None


def _mails(git: Git, content: bytes, where: str) -> Iterator[Step]:
    with tempfile.TemporaryDirectory(prefix="winvllm-mails-") as name:
        folder = Path(name)
        box = folder / "box"
        box.write_bytes(content)
        (folder / "split").mkdir()
        git.out("mailsplit", "-b", "--keep-cr", f"-o{folder / 'split'}", str(box))
        found = sorted((folder / "split").iterdir())
        for number, mail in enumerate(found, 1):
            told = f"{where}, mail {number}" if len(found) > 1 else where
            made = _mail(git, mail.read_bytes(), folder, told)
            if made is not None:
                yield made


def _mail(git: Git, mail: bytes, folder: Path, where: str) -> Step | None:
    """What `git am` would read; None for a mail without a patch, such as a cover letter."""
    message, patch = folder / "message", folder / "patch"
    options = ("-b", "--encoding=UTF-8", "--quoted-cr=nowarn", "--no-scissors")
    info = git.out("mailinfo", *options, str(message), str(patch), stdin=mail).decode("utf-8", "replace")
    subject = next((line[9:] for line in info.splitlines() if line.startswith("Subject: ")), "")
    content = patch.read_bytes()
    if START not in content and b"\n@@ -" not in content:
        return None
    body = message.read_bytes().decode("utf-8", "replace")
    return Step(where=where, content=content, header=described(subject, body))


def told_once(messages: Sequence[Header | None]) -> Header | None:
    """The message of a file that exactly one patch changes."""
    return messages[0] if len(messages) == 1 else None
