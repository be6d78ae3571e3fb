"""The stand-in headers and the edits of Wine's; that they parse is tested where clang and Wine are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from winvllm_build.audit.frontend import crt
from winvllm_build.errors import ToolchainError
from winvllm_build.workspace import Workspace


def _wine(folder: Path, wchar: str = "typedef int mbstate_t;\n") -> Path:
    """What of Wine's headers the edits are about."""
    (folder / "msvcrt" / "sys").mkdir(parents=True)
    strings = "\n".join(e["find"] for e in crt.rules()["edit"] if e["file"] == "string.h")
    for name, text in {
        "wchar.h": wchar, "string.h": f"{strings}\nint kept;\n", "unistd.h": "", "sys/unistd.h": "",
        "dirent.h": "", "intrin.h": "", "corecrt.h": "",
    }.items():  # fmt: skip
        (folder / "msvcrt" / name).write_text(text, encoding="utf-8")
    return folder


def test_headers_that_windows_lacks_are_left_out_and_types_are_windows(tmp_path: Path) -> None:
    made = crt.lay_down(_wine(tmp_path / "wine"), Workspace(root=tmp_path / "home"))
    names = {file.relative_to(made.wine).as_posix() for file in made.wine.rglob("*") if file.is_file()}
    assert names == {"wchar.h", "string.h", "corecrt.h"}
    assert "struct _Mbstatet" in (made.wine / "wchar.h").read_text("utf-8")
    assert (made.wine / "string.h").read_text("utf-8").split() == ["int", "kept;"]


def test_python_s_configuration_is_no_header_of_the_c_runtime(tmp_path: Path) -> None:
    made = crt.lay_down(_wine(tmp_path / "wine"), Workspace(root=tmp_path / "home"))
    stand_ins = {file.name for file in made.stand_ins.iterdir()}
    assert {"vcruntime.h", "not_clang.h", "sys"} <= stand_ins
    assert not {"pyconfig.h", "README.md"} & stand_ins


def test_other_headers_of_wine_are_refused_by_name(tmp_path: Path) -> None:
    wine = _wine(tmp_path / "wine", wchar="typedef struct mbstate mbstate_t;\n")
    with pytest.raises(ToolchainError, match=re.escape(f"the headers in {wine}")) as caught:
        crt.lay_down(wine, Workspace(root=tmp_path / "home"))
    assert caught.value.fix is not None
    assert "libwine-dev" in caught.value.fix
    assert not list((tmp_path / "home" / "toolchains").glob("crt-*"))


def test_python_s_headers_get_windows_configuration(tmp_path: Path) -> None:
    include = tmp_path / "include"
    include.mkdir()
    for name in ("Python.h", "patchlevel.h", "pyconfig.h"):
        (include / name).write_text(f"/* {name} of Linux */\n", encoding="utf-8")
    made = crt.lay_down_python(include, Workspace(root=tmp_path / "home"))
    assert "MS_WINDOWS" in (made / "pyconfig.h").read_text("utf-8")
    assert (made / "Python.h").read_text("utf-8") == "/* Python.h of Linux */\n"


def test_no_stand_in_declares_what_windows_does_not_have() -> None:
    """Else the hazards D11 and D12 would not show."""
    for file in crt.STAND_INS.rglob("*.h"):
        code = re.sub(r"/\*.*?\*/", "", file.read_text("utf-8"), flags=re.DOTALL)
        assert not re.search(r"\b(ssize_t|uint|u_int|__int128\w*|strcasecmp|usleep)\b", code), file.name
