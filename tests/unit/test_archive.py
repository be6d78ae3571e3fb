"""Every refusal of the archive reader: the member is named, nothing is left, nothing is written outside."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winvllm_build.errors import SourceError
from winvllm_build.member_names import MemberNames, name_fault
from winvllm_build.sources.archive import Limits, extract, members

BAD_NAMES = [
    "/etc/passwd",
    "//server/share",
    "../outside",
    "a/../../outside",
    "a/..",
    "C:/x",
    "C:x",
    "a\\b",
    "..\\x",
    "file:stream",
    "a/file.txt:x:$DATA",
    "CON",
    "a/nul",
    "aux.txt",
    "COM1",
    "lpt9.tar.gz",
    "com\u00b9",
    "CONIN$",
    "a./b",
    "a/b ",
    "a/b.",
    "a\tb",
    "a\nb",
    "a\x7fb",
    "what?",
    "a*",
    'a"b',
    "a|b",
    "a<b",
    "x" * 256,
    "/".join(["y" * 100] * 11),
]
COLLISIONS = [
    ("a/File.txt", "a/file.txt"),
    ("Dir/a", "dir/b"),
    ("stra\u00dfe", "STRASSE"),
    ("caf\u00e9", "cafe\u0301"),
    ("same", "same"),
    ("a", "a/b"),
    ("a/b", "a"),
]
Making = Callable[[Path, list[tuple[str, bytes]]], Path]


def make_tar(folder: Path, files: list[tuple[str, bytes]]) -> Path:
    path = folder / "made.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def make_zip(folder: Path, files: list[tuple[str, bytes]]) -> Path:
    path = folder / "made.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def refused(archive: Path, tmp_path: Path, limits: Limits | None = None) -> str:
    """Extraction fails and leaves the folder as it was; the message."""
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(SourceError) as caught:
        extract(archive, tmp_path / "out", limits=limits)
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert caught.value.exit_code == 7
    return caught.value.message


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", BAD_NAMES)
def test_unsafe_names(tmp_path: Path, make: Making, name: str) -> None:
    archive = make(tmp_path, [("good.txt", b"1"), (name, b"2")])
    assert repr(name) in refused(archive, tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize(("first", "second"), COLLISIONS)
def test_collisions(tmp_path: Path, make: Making, first: str, second: str) -> None:
    assert repr(second) in refused(make(tmp_path, [(first, b"1"), (second, b"2")]), tmp_path)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (b"Z", "neither a regular file"),
    ],
)
def test_only_files_and_folders_in_a_tar(tmp_path: Path, kind: bytes, said: str) -> None:
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("odd")
        info.type = kind
        info.linkname = "/etc/passwd"
        tar.addfile(info)
    message = refused(path, tmp_path)
    assert "'odd'" in message
    assert said in message


def test_no_link_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("odd")
        info.create_system = 3
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert "'odd' is a link" in refused(path, tmp_path)


def test_a_nul_in_a_zip_name_is_seen(tmp_path: Path) -> None:
    """The zipfile module cuts the name at NUL; the raw name counts."""
    path = make_zip(tmp_path, [("harmless.txtZ.exe", b"x")])
    path.write_bytes(path.read_bytes().replace(b"harmless.txtZ.exe", b"harmless.txt\0.exe"))
    assert "\\x00" in refused(path, tmp_path)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(members=2), "more than 2 members"),
        (Limits(member_bytes=10), "larger than 10 bytes"),
        (Limits(total_bytes=150_000), "over 150000 unpacked bytes"),
        (Limits(ratio=5, ratio_from=1000), "more than 5 times"),
    ],
)
@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_bombs(tmp_path: Path, make: Making, limits: Limits, said: str) -> None:
    archive = make(tmp_path, [(f"f{i}", b"\0" * 100_000) for i in range(3)])
    assert said in refused(archive, tmp_path, limits)


def test_a_tar_truncated_anywhere(tmp_path: Path) -> None:
    whole = make_tar(tmp_path, [(f"f{i}", os.urandom(3000)) for i in range(3)]).read_bytes()
    cut = tmp_path / "cut.tar.gz"
    for length in range(0, len(whole) - 1, 97):
        cut.write_bytes(whole[:length])
        assert "cut.tar.gz" in refused(cut, tmp_path)


PACK: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("packing", PACK)
def test_a_tar_whose_packed_stream_lacks_its_end(tmp_path: Path, packing: str) -> None:
    """Every member can be read, yet the checksum of what was read is gone or wrong."""
    plain = gzip.decompress(make_tar(tmp_path, [("f", os.urandom(3000))]).read_bytes())
    packed = PACK[packing](plain)
    cut = tmp_path / f"cut.tar.{packing}"
    for length in range(len(packed) - 12, len(packed)):
        cut.write_bytes(packed[:length])
        assert cut.name in refused(cut, tmp_path)


def test_a_wrong_checksum(tmp_path: Path) -> None:
    archive = make_tar(tmp_path, [("f", os.urandom(3000))])
    content = bytearray(archive.read_bytes())
    content[-6] ^= 0xFF
    archive.write_bytes(content)
    assert "damaged" in refused(archive, tmp_path)


def test_bytes_without_end_behind_the_last_member(tmp_path: Path) -> None:
    plain = gzip.decompress(make_tar(tmp_path, [("f", b"1")]).read_bytes())
    archive = tmp_path / "long.tar.gz"
    archive.write_bytes(gzip.compress(plain + bytes(4 << 20)))
    assert "follow its last member" in refused(archive, tmp_path, Limits(total_bytes=2 << 20))


def test_damaged_bytes(tmp_path: Path) -> None:
    archive = make_zip(tmp_path, [("f", os.urandom(5000))])
    content = bytearray(archive.read_bytes())
    content[2000] ^= 0xFF
    archive.write_bytes(content)
    assert "damaged" in refused(archive, tmp_path)


def test_no_archive_at_all(tmp_path: Path) -> None:
    text = tmp_path / "page.html"
    text.write_text("<html>not found</html>")
    assert "no archive" in refused(text, tmp_path)
    empty = tmp_path / "empty.tar.gz"
    empty.write_bytes(gzip.compress(b"\0" * 10240))
    assert "is empty" in refused(empty, tmp_path)


def test_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no archive"):
        extract(tmp_path / "none.zip", tmp_path / "out")


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_good_archive(tmp_path: Path, make: Making) -> None:
    files = [("pkg/a.txt", b"line\r\n"), ("pkg/sub/\u00fcml.bin", bytes(range(256))), ("pkg/.github/x", b"")]
    out = extract(make(tmp_path, files), tmp_path / "out", strip_root=True)
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert found == {name.removeprefix("pkg/"): content for name, content in files}


def test_one_top_folder_is_required_to_strip_it(tmp_path: Path) -> None:
    archive = make_tar(tmp_path, [("pkg/a", b""), ("other/b", b"")])
    with pytest.raises(SourceError, match="one top folder"):
        extract(archive, tmp_path / "out", strip_root=True)
    assert not (tmp_path / "out").exists()


def test_executable_bits_come_from_the_tar(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, mode in (("run.sh", 0o775), ("data", 0o664)):
            info = tarfile.TarInfo(name)
            info.mode = mode
            tar.addfile(info)
    assert {m.path: m.executable for m in members(path)} == {"run.sh": True, "data": False}


@given(st.text(min_size=1, max_size=40))
def test_an_accepted_name_stays_inside(name: str) -> None:
    if name_fault(name) is not None:
        return
    path = MemberNames("x").check(name)
    base = os.path.realpath("base")
    joined = os.path.realpath(os.path.join(base, path))  # noqa: PTH118 - the oracle is os.path
    assert joined == base or joined.startswith(base + os.sep)
