"""What the registry says, from recorded values; and what a folder says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.recorded_registry import RecordedRegistry
from winvllm_build.doctor import collect, windows
from winvllm_build.doctor.windows import PageFile, Scanner
from winvllm_build.registry import NoRegistry
from winvllm_build.workspace import Workspace

# written as `reg query` prints: a page file of the user's own on D:, Defender as an ordinary user sees it
DUMP = r"""
HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\FileSystem
    LongPathsEnabled    REG_DWORD    0x1
    NtfsDisable8dot3NameCreation    REG_DWORD    0x2

HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management
    PagingFiles    REG_MULTI_SZ    C:\pagefile.sys 0 0\0D:\my pagefile.sys 4096 8192
    ExistingPageFiles    REG_MULTI_SZ    \??\C:\pagefile.sys

HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\GraphicsDrivers
    HwSchMode    REG_DWORD    0x2
    TdrDelay    REG_DWORD    0xa

HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows Defender
    ProductStatus    REG_DWORD    0x0

HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows Defender\Real-Time Protection
    DisableRealtimeMonitoring    REG_DWORD    0x0
"""
EXCLUDED = r"""
HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows Defender\Exclusions\Paths
    C:\w    REG_DWORD    0x0
    D:\src\*    REG_DWORD    0x0
"""
POLICY = r"""
HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows Defender\Real-Time Protection
    DisableRealtimeMonitoring    REG_DWORD    0x1
"""
PATHS = windows.DEFENDER + r"\Exclusions\Paths"


def test_a_windows_as_it_was_recorded() -> None:
    found = windows.read(RecordedRegistry(DUMP))
    assert found.long_paths
    assert found.tdr_delay == 10
    assert found.page_files == (
        PageFile(path="C:\\pagefile.sys", largest=None),
        PageFile(path="D:\\my pagefile.sys", largest=8192 << 20),
    )
    assert found.defender.scanner is Scanner.SCANS
    assert found.defender.exclusions == ()


def test_a_registry_that_says_nothing() -> None:
    found = windows.read(NoRegistry())
    assert not found.long_paths
    assert found.page_files == ()
    assert found.tdr_delay == 2
    assert found.defender.scanner is Scanner.ABSENT


@pytest.mark.parametrize(
    ("value", "largest"),
    [("?:\\pagefile.sys", None), ("C:\\pagefile.sys", None), ("D:\\p.sys 16 64", 64 << 20)],
)
def test_page_files_as_windows_writes_them(value: str, largest: int | None) -> None:
    key = windows.MEMORY.replace("HKLM", "HKEY_LOCAL_MACHINE", 1)
    recorded = RecordedRegistry(f"{key}\n    PagingFiles    REG_MULTI_SZ    {value}\n")
    (found,) = windows.page_files(recorded)
    assert found.largest == largest


def test_exclusions_count_for_what_is_below_them() -> None:
    found = windows.defender(RecordedRegistry(DUMP + EXCLUDED))
    assert found.leaves_out("c:\\W\\builds")
    assert found.leaves_out("D:\\src\\vllm")
    assert not found.leaves_out("C:\\work")


def test_exclusions_that_this_user_may_not_see() -> None:
    found = windows.defender(RecordedRegistry(DUMP, denied=[PATHS]))
    assert found.exclusions is None
    assert not found.leaves_out("C:\\w")


def test_scanning_that_a_policy_switched_off() -> None:
    assert windows.defender(RecordedRegistry(DUMP + POLICY)).scanner is Scanner.OFF


@pytest.mark.parametrize(
    ("name", "scanner"),
    [
        ("DisableAntiVirus", Scanner.OFF),
        ("PassiveMode", Scanner.PASSIVE),
        ("IsServiceRunning", Scanner.SCANS),
    ],
)
def test_scanning_that_another_scanner_took_over(name: str, scanner: Scanner) -> None:
    key = windows.DEFENDER.replace("HKLM", "HKEY_LOCAL_MACHINE", 1)
    found = windows.defender(RecordedRegistry(f"{DUMP}\n{key}\n    {name}    REG_DWORD    0x1\n"))
    assert found.scanner is scanner


def test_no_commit_limit_off_windows() -> None:
    assert windows.commit() is None


def test_a_folder_that_takes_a_file_keeps_none(tmp_path: Path) -> None:
    flags = getattr(os, "O_TEMPORARY", 0)  # Windows' own: the file vanishes when it is closed
    file = tmp_path / "asked"
    assert collect.makes_file(file, flags=flags)
    assert file.exists() is (flags == 0)
    file.touch()
    assert not collect.makes_file(file, flags=flags)
    assert not collect.makes_file(file / "below", flags=flags)
    assert not collect.makes_file(tmp_path / "gone" / "asked", flags=flags)
    assert collect.is_writable(tmp_path)


def test_build_folders_by_their_cache(tmp_path: Path) -> None:
    ours, upstream = (
        tmp_path / "w" / "builds" / "v0.14.1-sm86",
        tmp_path / "vllm" / ".deps" / "cutlass-subbuild",
    )
    for folder, generator in ((ours, "Ninja"), (upstream, "Visual Studio 17 2022")):
        folder.mkdir(parents=True)
        text = (
            f"# a comment\r\nCMAKE_GENERATOR:INTERNAL={generator}\r\nCMAKE_HOME_DIRECTORY:INTERNAL=C:/v\r\n"
        )
        (folder / collect.CACHE).write_bytes(text.encode())
    found = collect.build_folders(Workspace(root=tmp_path / "w"), tmp_path / "vllm")
    assert {one.path: (one.generator, one.source) for one in found} == {
        ours: ("Ninja", "C:/v"),
        upstream: ("Visual Studio 17 2022", "C:/v"),
    }


def test_only_old_temporary_builds_count(tmp_path: Path) -> None:
    now = 10 * 86400.0
    for name, age in (
        ("tmpx1.build-temp", 3),
        ("pip-req-build-2", 5),
        ("tmpnew.build-temp", 0),
        ("other", 9),
    ):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (now - age * 86400 - 60, now - age * 86400 - 60))
    found = list(collect.leftovers(tmp_path, now=now))
    assert [(one.path.name, one.days) for one in found] == [("pip-req-build-2", 5), ("tmpx1.build-temp", 3)]


def test_patches_with_cr_lf_are_told_but_not_files_that_have_it(tmp_path: Path) -> None:
    head = b"diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n"
    for name, content in {
        "good.patch": head + b"-a\n+b\n",
        "carries.patch": head + b"-a\r\n+b\r\n",
        "bad.patch": (head + b"-a\n+b\n").replace(b"\n", b"\r\n"),
    }.items():
        file = tmp_path / "v0.14.1" / "windows" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    assert list(collect.crlf_patches(tmp_path / "v0.14.1")) == ["v0.14.1/windows/bad.patch"]
