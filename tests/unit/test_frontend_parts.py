"""What lacks on a machine is told at once; an STL is taken at the tag that fits."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from winvllm_build.audit.frontend import parts
from winvllm_build.errors import ToolchainError
from winvllm_build.workspace import Workspace


def _stl(folder: Path, update: str = parts.STL_UPDATE) -> Path:
    (folder / "stl" / "inc").mkdir(parents=True)
    core = folder / "stl" / "inc" / "yvals_core.h"
    core.write_text(f"#define _MSVC_STL_UPDATE  {update}L\n", encoding="utf-8")
    return folder


def test_everything_that_lacks_is_told_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "WINE_FOLDERS", ())
    monkeypatch.setattr(parts, "HEADER_FOLDERS", (tmp_path / "none",))
    with pytest.raises(ToolchainError) as caught:
        parts.find(None, Workspace(root=tmp_path), {"PATH": str(tmp_path)})
    for word in ("wine64", "libwine-dev", "clang-19", parts.STL_TAG, "--stl"):
        assert word in caught.value.message
    assert caught.value.fix is not None


def test_an_stl_is_a_checkout_or_its_include_folder(tmp_path: Path) -> None:
    made = _stl(tmp_path / "STL")
    for given in (made, made / "stl", made / "stl" / "inc"):
        assert parts.read_stl(given) == (made / "stl" / "inc", parts.STL_UPDATE)


def test_an_stl_of_another_update_is_refused_by_it(tmp_path: Path) -> None:
    found = parts.read_stl(_stl(tmp_path / "STL", "202604"))
    assert isinstance(found, str)
    assert "202604" in found
    assert "has no" in str(parts.read_stl(tmp_path))


def test_an_archive_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _stl(tmp_path / "STL")
    archive = tmp_path / "STL.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(made / "stl/inc/yvals_core.h", "STL-vs-2022-17.13/stl/inc/yvals_core.h")
    monkeypatch.setattr(parts, "WINE_FOLDERS", ())
    monkeypatch.setattr(parts, "HEADER_FOLDERS", ())
    workspace = Workspace(root=tmp_path / "home")
    for _ in range(2):
        with pytest.raises(ToolchainError) as caught:
            parts.find(archive, workspace, {"PATH": ""})
        assert parts.STL_TAG not in caught.value.message
    (folder,) = workspace.toolchains.glob("stl-*")
    assert (folder / "STL-vs-2022-17.13").is_dir()
