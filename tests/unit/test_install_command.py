"""The command that installs a wheel: which torch, which index, quoted for which shell."""

from __future__ import annotations

import http.server
import os
import shlex
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from packaging.version import Version

from winvllm_build.build import install_command
from winvllm_build.build.install_command import Built
from winvllm_build.build.result import BuildResult
from winvllm_build.build.wheel import Wheel
from winvllm_build.cli import install
from winvllm_build.errors import ToolchainError, WheelError
from winvllm_build.shells import Shell, command
from winvllm_build.toolchain.torch_index import build_for, index_of


def wheel(folder: Path, name: str, version: str, *requires: str) -> Path:
    """An empty package."""
    info = f"{name}-{version}.dist-info"
    metadata = "".join(f"Requires-Dist: {text}\n" for text in requires)
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return file


@pytest.mark.parametrize(
    ("torch", "cuda", "local"),
    [
        ("2.9.1", "12.6", "cu126"),
        ("2.9.1", "12.9", "cu128"),
        ("2.9.1", "13.2", "cu130"),
        ("2.14.0", "13.2", "cu132"),
        ("2.14.1", "13.1", "cu130"),
        ("2.14.0", "12.8", "cu126"),
        ("2.10.0", "13.2", "cu130"),
        ("2.10.0", "12.1", "cu126"),
    ],
)
def test_the_build_of_torch_follows_the_toolkit(torch: str, cuda: str, local: str) -> None:
    found = build_for(torch, Version(cuda))
    assert found.local == local
    assert found.indexes == (index_of(local),)


def test_of_an_unknown_torch_the_build_of_the_toolkit_is_asked_for() -> None:
    """Without a build named, Windows gets the torch without CUDA of the package index."""
    found = build_for("9.9.0", Version("13.2.1"))
    assert found.local == "cu132"
    assert found.indexes == (index_of("cu132"), index_of("cu130"))
    made = install_command.compose(Built(target="w.whl", torch="9.9.0", cuda=Version("13.2")))
    assert "torch==9.9.0+cu132" in made.pip
    assert "torch==9.9.0+cu132" in made.uv


def test_a_torch_without_a_build_of_the_major_version_is_refused() -> None:
    with pytest.raises(
        ToolchainError, match=r"no build for CUDA 11; it has those for 12\.6, 12\.8, 13\.0"
    ) as caught:
        build_for("2.9.1", Version("11.8"))
    assert "CUDA 12 or 13 toolkit" in str(caught.value.fix)
    own = build_for("2.9.1", Version("11.8"), indexes=["https://mirror.example/cu118"])
    assert (own.local, own.indexes) == ("cu118", ("https://mirror.example/cu118",))


def test_own_indexes_replace_the_known_ones() -> None:
    found = build_for("2.9.1", Version("12.6"), indexes=["https://mirror.example/cu126"])
    assert found.indexes == ("https://mirror.example/cu126",)
    assert found.local == "cu126"


def test_a_wheel_says_which_torch_and_cuda(tmp_path: Path) -> None:
    file = wheel(tmp_path, "vllm", "0.33.0+cu130.sm86", "numpy", "torch==2.14.0", 'torch>=2; extra == "x"')
    found = install_command.read(file)
    assert (found.torch, found.cuda) == ("2.14.0", Version("13.0"))
    made = install_command.compose(found)
    assert made.pip[:4] == ("python", "-m", "pip", "install")
    assert "torch==2.14.0+cu130" in made.pip
    assert made.pip[-1] == str(file)


def test_the_torch_that_was_compiled_against_is_named() -> None:
    built = Built(target="w.whl", torch="2.9.1", cuda=Version("12.8"), torch_local="cu126")
    made = install_command.compose(built)
    assert "torch==2.9.1+cu126" in made.pip
    assert made.indexes == (index_of("cu126"),)


def test_without_cuda_no_index_is_named(tmp_path: Path) -> None:
    made = install_command.compose(install_command.read(wheel(tmp_path, "vllm", "0.33.0")))
    assert made.pip == ("python", "-m", "pip", "install", str(tmp_path / "vllm-0.33.0-py3-none-any.whl"))


@pytest.mark.parametrize("name", ["vllm.whl", "vllm-0.33.0-py3-none-any.whl"])
def test_no_wheel_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(WheelError, match=r"is not named as a wheel|is no readable wheel"):
        install_command.read(tmp_path / name)


def built(file: Path, *, torch: str) -> BuildResult:
    """The end of a build that packed this wheel."""
    return BuildResult(
        tag="v0.33.0",
        source="",
        tree=file.parent,
        build=file.parent,
        toolchain={"torch": torch},
        patches=1,
        layers=("windows",),
        artifacts={},
        left_out=(),
        edges=1,
        total=1,
        failed=(),
        seconds={},
        jobs="",
        wheel=Wheel(path=file, version="0.33.0+cu130.sm86", extensions=(), size=1),
        loadable=True,
        notes=(),
        messages=(),
    )


def test_a_build_ends_with_the_command_for_its_torch(tmp_path: Path) -> None:
    file = wheel(tmp_path, "vllm", "0.33.0+cu130.sm86", "torch==2.14.0")
    found = install.after_build(built(file, torch="2.14.0+cu132 at torch (installed)"), ())
    assert len(found) == 4
    assert all(index_of("cu132") in line and "torch==2.14.0+cu132" in line for line in found[1::2])
    headers = install.after_build(built(file, torch="2.14.0 (headers only)"), ["https://mirror.example/t"])
    assert "torch==2.14.0+cu130" in headers[1]
    assert "https://mirror.example/t" in headers[1]


def test_a_wheel_that_no_torch_is_for_is_told_after_the_build(tmp_path: Path) -> None:
    file = wheel(tmp_path, "vllm", "0.33.0+cu118.sm86", "torch==2.14.0")
    found = install.after_build(built(file, torch="2.14.0 (headers only)"), ())
    assert found[0] == "# torch 2.14.0 has no build for CUDA 11; it has those for 12.6, 13.0, 13.2"
    assert all(line.startswith("# ") for line in found)


HARD = [
    "plain", "C:\\a b\\", "", "it's", 'say "x"', "100%", "%PATH%", "a&b|c", "$HOME", "`x`", "a^b", "\u2019",
]  # fmt: skip


def test_sh_reads_the_words_back() -> None:
    assert shlex.split(command(HARD, Shell.SH)) == HARD
    done = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {command(HARD, Shell.SH)}"], capture_output=True, check=True
    )
    assert done.stdout.decode().split("\n")[:-1] == HARD


@pytest.mark.parametrize(
    ("word", "cmd", "powershell"),
    [
        ("torch==2.14.0+cu130", "torch==2.14.0+cu130", "torch==2.14.0+cu130"),
        (r"C:\x\y.whl", r"C:\x\y.whl", r"C:\x\y.whl"),
        (r"C:\a b\y.whl", r'"C:\a b\y.whl"', r"'C:\a b\y.whl'"),
        ("a b\\", '"a b\\\\"', "'a b\\'"),
        ("it's", '"it\'s"', "'it''s'"),
        ("\u2019", '"\u2019"', "'\u2019\u2019'"),
        ('a"b', '"a\\"b"', "'a\"b'"),
        ("%PATH%", '""^%"PATH"^%""', "'%PATH%'"),
        ("a&b", '"a&b"', "'a&b'"),
        ("$HOME", '"$HOME"', "'$HOME'"),
        ("", '""', "''"),
    ],
)
def test_words_for_windows_shells(word: str, cmd: str, powershell: str) -> None:
    assert command(["x", word], Shell.CMD) == f"x {cmd}"
    assert command(["x", word], Shell.POWERSHELL) == f"x {powershell}"


def test_powershell_calls_a_quoted_program() -> None:
    assert command([r"C:\a b\python.exe", "-V"], Shell.POWERSHELL) == r"& 'C:\a b\python.exe' -V"


@pytest.fixture
def indexes(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A package index with torch for the CPU, as Windows' is, and one with torch for CUDA."""
    for index, version in (("plain", "2.14.0"), ("cu130", "2.14.0+cu130")):
        file = wheel(tmp_path / "web" / index / "torch", "torch", version)
        link = f'<a href="{file.name.replace("+", "%2B")}">{file.name}</a>'
        (file.parent / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web"))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = f"http://127.0.0.1:{server.server_port}"
    yield f"{root}/plain", f"{root}/cu130"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_the_command_installs_torch_with_cuda(
    installer: str, indexes: tuple[str, str], tmp_path: Path
) -> None:
    """Really run; without its index and pin the same wheel gets the torch without CUDA."""
    plain, cuda = indexes
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    python = tmp_path / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    file = wheel(tmp_path, "vllm", "0.33.0+cu130.sm86", "torch==2.14.0")
    made = install_command.compose(install_command.read(file), indexes=[cuda], python=str(python))
    words = list(made.uv if installer == "uv" else made.pip)
    if installer == "pip":
        words[:3] = [sys.executable, "-m", "pip", "--python", str(python)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    environment |= {"PIP_INDEX_URL": plain, "UV_DEFAULT_INDEX": plain, "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        words, env={**environment, "UV_NO_CONFIG": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(m.version('torch'), m.version('vllm'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["2.14.0+cu130", "0.33.0+cu130.sm86"]
