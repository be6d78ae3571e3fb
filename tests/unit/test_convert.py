"""Patch files as PowerShell, editors and autocrlf leave them."""

from __future__ import annotations

import codecs

import pytest

from winvllm_build.errors import PatchError
from winvllm_build.git import Oid
from winvllm_build.patchset.blob import blob_id
from winvllm_build.patchset.convert import Converted, read

LF_BEFORE, LF_AFTER = b"one\ntwo\nthree\n", b"one\n2\nthree\n"
CRLF_BEFORE, CRLF_AFTER = b"one\r\ntwo\r\nthree\r\n", b"one\r\n2\r\nthree\r\n"
HEAD = b"Subject: T\xc3\xa9st\nDescription: d\nUpstream-Status: Pending\n\n"


def diff(before: bytes, after: bytes, end: bytes) -> bytes:
    body = b"".join(line + end + b"\n" for line in (b" one", b"-two", b"+2", b" three"))
    return (
        b"diff --git a/f b/f\nindex " + blob_id(before).encode() + b".." + blob_id(after).encode()
        + b" 100644\n--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n" + body
    )  # fmt: skip


LF = HEAD + diff(LF_BEFORE, LF_AFTER, b"")
CRLF = HEAD + diff(CRLF_BEFORE, CRLF_AFTER, b"\r")


def with_crlf(content: bytes) -> bytes:
    """What a checkout that forces CRLF makes of it: a line that has it already keeps it."""
    return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def taken(raw: bytes, **known: object) -> Converted:
    store = {blob_id(content): content for content in (LF_BEFORE, CRLF_BEFORE)}

    def blobs(oid: Oid) -> bytes | None:
        return store.get(oid)

    sha256 = known.get("sha256")
    assert sha256 is None or isinstance(sha256, str)
    return read(
        raw, path="f", where="f.patch", sha256=sha256, blobs=blobs if known.get("blobs", True) else None
    )


@pytest.mark.parametrize("content", [LF, CRLF])
def test_canonical_bytes_stay_without_a_notice(content: bytes) -> None:
    made = taken(content)
    assert made.content == content
    assert made.notices == ()


@pytest.mark.parametrize("content", [LF, CRLF])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_forced_crlf_is_decided_by_the_blobs(content: bytes, mark: bytes) -> None:
    raw = with_crlf(content)
    encoding = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}.get(mark)
    made = taken(mark + (raw.decode().encode(encoding) if encoding else raw))
    assert made.content == content
    assert any("CRLF" in notice for notice in made.notices)
    assert len(made.notices) == 1 + bool(mark)


@pytest.mark.parametrize("content", [LF, CRLF])
def test_forced_crlf_is_decided_by_the_lock(content: bytes) -> None:
    made = taken(with_crlf(content), sha256=taken(content).patch.diff.sha256, blobs=False)
    assert made.content == content


def test_without_proof_the_doubt_is_said() -> None:
    made = taken(with_crlf(CRLF), blobs=False)
    assert any("not proven" in notice for notice in made.notices)


def test_a_mark_alone_is_removed() -> None:
    made = taken(codecs.BOM_UTF8 + LF)
    assert made.content == LF
    assert made.notices == ("f.patch: converted from a UTF-8 byte order mark",)


@pytest.mark.parametrize(
    "raw",
    [
        codecs.BOM_UTF16_LE + LF.decode().encode("utf-16-le")[:-1],
        LF.decode().encode("utf-16-le"),
        codecs.BOM_UTF16_LE + b"\x00\xd8\x00",
        with_crlf(LF)[:-9],
        b"",
    ],
)
def test_damage_is_refused(raw: bytes) -> None:
    with pytest.raises(PatchError, match=r"f\.patch"):
        taken(raw)
