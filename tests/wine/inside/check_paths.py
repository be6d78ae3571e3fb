"""Windows' own path functions: short names, drive letters, and no pointer where the file system has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from winvllm_build import short_root
from winvllm_build.build import short_home
from winvllm_build.cuda_home import first_mark
from winvllm_build.short_root import links_for
from winvllm_build.toolchain.cuda import CudaOrigin, CudaToolkit, under_plain_name
from winvllm_build.toolchain.system import short_name


def windows_pointers() -> short_root.Pointers:
    made: short_root.Pointers = vars(short_root)["WindowsPointers"]()  # it is there on Windows alone
    return made


def test_a_folder_with_blanks_has_a_name_without(tmp_path: Path) -> None:
    folder = tmp_path / "NVIDIA GPU Computing Toolkit" / "CUDA"
    folder.mkdir(parents=True)
    (folder / "here").touch()
    short = short_name(folder)
    assert " " not in str(short)
    assert (short / "here").is_file()


def test_a_toolkit_with_blanks_is_taken_by_a_name_without(tmp_path: Path) -> None:
    home = tmp_path / "NVIDIA GPU Computing Toolkit" / "v13.0"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "nvcc.exe").touch()
    found = CudaToolkit(
        home=home, nvcc=home / "bin" / "nvcc.exe", version=Version("13.0.88"), architectures=("8.6",),
        origin=CudaOrigin.INSTALLED, named_by="a test",
    )  # fmt: skip
    plain = under_plain_name(found)
    assert first_mark(str(home)) == " "
    assert first_mark(str(plain.home)) is None
    assert plain.nvcc.is_file()
    assert plain.nvcc.samefile(found.nvcc)


def test_letters_and_what_they_stand_for_are_read() -> None:
    drives = windows_pointers().drives()
    assert drives["C"] == ""
    assert not set(drives) & {"X", "Y"}


def test_nothing_is_at_a_junction_s_place_and_a_folder_there_is_somebody_else_s(tmp_path: Path) -> None:
    pointers = windows_pointers()
    assert all(pointers.junction(link) is None for link in links_for(str(tmp_path)))
    assert pointers.junction(str(tmp_path)) == ""


def test_a_refused_junction_leaves_nothing(tmp_path: Path) -> None:
    link = tmp_path / "link"
    try:
        windows_pointers().make_junction(str(link), str(tmp_path))
    except OSError:
        assert not link.exists()  # Wine 8 has no junctions
    else:
        assert windows_pointers().junction(str(link)) is not None


def test_a_new_drive_that_does_not_open_is_taken_back(tmp_path: Path) -> None:
    pointers = windows_pointers()
    try:
        pointers.make_drive("Y", str(tmp_path))
    except OSError:
        assert "Y" not in pointers.drives()  # Wine 8 notes the letter, and opens no path with it
    else:
        assert pointers.drives()["Y"] == str(tmp_path)


def test_the_registry_says_whether_long_paths_are_on() -> None:
    assert short_home.long_paths() in {True, False}


@pytest.mark.parametrize("name", ["short"])
def test_a_short_workspace_stays(name: str, tmp_path: Path) -> None:
    from winvllm_build.profile.model import Profile  # noqa: PLC0415 - pydantic, which only this check needs
    from winvllm_build.workspace import Workspace  # noqa: PLC0415 - as above

    workspace = Workspace(root=Path(tmp_path.anchor) / name)
    assert short_home.fitting(workspace, Profile(), (), on_event=print) == workspace
