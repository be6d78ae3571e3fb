"""Wheels made of real libraries and a little Python, and what can be done to a wheel to damage it."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from winvllm_build.wheel import provenance
from winvllm_build.wheel.provenance import ExtensionMade, PatchesMade, Provenance, SourceMade
from winvllm_build.wheel.record import encoded

RECORDED = Path(__file__).parent / "recorded" / "wheel"
VERSION = "0.33.0+cu130.sm86"
INFO = f"vllm-{VERSION}.dist-info"
LINUX, WINDOWS = "cp38-abi3-linux_x86_64", "cp38-abi3-win_amd64"
METADATA = f"""\
Metadata-Version: 2.4
Name: vllm
Version: {VERSION}
Requires-Python: >=3.10
Requires-Dist: torch==2.14.0
Requires-Dist: xgrammar==0.2.8; platform_machine == "x86_64" or platform_machine == "AMD64"
Requires-Dist: flashinfer-python==0.7.2; sys_platform != "win32"
"""
PACKED = ("vllm/__init__.py", "vllm/cli.py", "vllm/configs/E=8,N=14336.json")
Files = dict[str, bytes]


def recorded(name: str) -> bytes:
    return (RECORDED / name).read_bytes()


def made(extensions: Mapping[str, tuple[str, ...]], *, mapped: bool = True) -> Provenance:
    """A description of a wheel with these extensions and the device code that they were compiled for."""
    return Provenance(
        tool="1.0", cuda="13.0.88", archs=("8.6",), build_type="Release", mapped=mapped,
        source=SourceMade(tag="v0.33.0", url="https://example.org/vllm", commit="c" * 40, tree="d" * 40),
        patches=PatchesMade(layers=("windows",), count=1, lock_sha256="a" * 64),
        toolchain={"CUDA": "13.0.88"},
        extensions={
            name: ExtensionMade(target=Path(name).name.split(".")[0], code=code)
            for name, code in extensions.items()
        },
        packed=PACKED,
    )  # fmt: skip


def files(tag: str = LINUX) -> Files:
    """The members of a good wheel but for RECORD."""
    suffix = "pyd" if tag == WINDOWS else "abi3.so"
    libraries = {f"vllm/_C.{suffix}": recorded(f"_C.{suffix}")}
    if tag == LINUX:
        libraries["vllm/spinloop.abi3.so"] = recorded("spinloop.abi3.so")
    described = made({name: ("sm_86",) if "_C" in name else () for name in libraries})
    return {
        "vllm/__init__.py": b"from vllm._version import __version__\n",
        "vllm/_version.py": f"__version__ = version = {VERSION!r}\n".encode(),
        "vllm/cli.py": b"def main() -> None: ...\n",
        "vllm/configs/E=8,N=14336.json": b"{}\n",
        **libraries,
        f"{INFO}/METADATA": METADATA.encode(),
        f"{INFO}/entry_points.txt": b"[console_scripts]\nvllm = vllm.cli:main\n",
        f"{INFO}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
        f"{INFO}/{provenance.FILE}": described.serialise(),
    }


def record(content: Mapping[str, bytes], info: str = INFO) -> bytes:
    """RECORD by the rules of csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for name, data in content.items():
        writer.writerow((name, f"sha256={encoded(hashlib.sha256(data).digest())}", len(data)))
    writer.writerow((f"{info}/RECORD", "", ""))
    return text.getvalue().encode()


def write(
    folder: Path, content: Mapping[str, bytes], *, tag: str = LINUX, listed: bytes | None = None
) -> Path:
    """A wheel of these members; RECORD fits them unless another is given."""
    file = folder / f"vllm-{VERSION}-{tag}.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**content, f"{INFO}/RECORD": listed or record(content)}.items():
            archive.writestr(name, data)
    return file
