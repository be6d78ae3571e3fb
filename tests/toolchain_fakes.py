"""Small programs that pose as compilers, and an index that serves wheels from a table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from winvllm_build.errors import OfflineError, SourceError
from winvllm_build.index import Index, PlatformTag
from winvllm_build.workspace import Workspace, staged_folder

NVCC_VERSION = """\
nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-2025 NVIDIA Corporation
Built on Wed_Aug_20_01:58:59_PM_PDT_2025
Cuda compilation tools, release {short}, V{version}
Build cuda_{short}.r{short}/compiler.36424714_0
"""
ARCHITECTURES = (
    "compute_75\ncompute_80\ncompute_86\ncompute_87\ncompute_88\ncompute_89\ncompute_90\n"
    "compute_100\ncompute_110\ncompute_103\ncompute_120\ncompute_121\n"
)
HOST_CONFIG = """\
#if defined(__GNUC__)
#if __GNUC__ > 15
#error -- unsupported GNU version!
#endif
#if (__clang_major__ >= 21) || (__clang_major__ < 3)
#error -- unsupported clang version!
#endif
#endif
#if _MSC_VER < 1920 || _MSC_VER >= 1950
#error -- unsupported Microsoft Visual Studio version!
#endif
"""


def script(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def nvcc(home: Path, *, version: str = "13.0.88", architectures: str = ARCHITECTURES) -> Path:
    """A toolkit folder whose nvcc answers like the real one."""
    short = version.rpartition(".")[0]
    for name in ("include/cuda_runtime.h", "lib64/libcudart.so"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    (home / "include" / "crt").mkdir(exist_ok=True)
    (home / "include" / "crt" / "host_config.h").write_text(HOST_CONFIG, encoding="utf-8")
    return script(
        home / "bin" / "nvcc",
        f'case "$1" in\n'
        f"--version) cat <<'END'\n{NVCC_VERSION.format(short=short, version=version)}END\n;;\n"
        f"--list-gpu-arch) printf '{architectures.encode('unicode_escape').decode()}';;\n"
        f"--dryrun) echo '#$ _HERE_={home}/bin' >&2; echo '#$ TOP={home}/bin/..' >&2;;\n"
        "*) exit 3;;\nesac",
    )


def python_with_torch(folder: Path, *, version: str, cuda: str | None) -> Path:
    """An interpreter that answers like the running one but has a torch of its own."""
    package = folder / "site" / "torch"
    (package / "share/cmake/Torch").mkdir(parents=True)
    (package / "share/cmake/Torch/TorchConfig.cmake").touch()
    (package / "version.py").write_text(f"__version__ = {version!r}\ncuda = {cuda!r}\n", encoding="utf-8")
    answer = {
        "version": "3.11.9",
        "implementation": "cpython",
        "bits": 64,
        "prefix": str(folder),
        "base": str(folder),
        "include": str(folder / "include"),
        "sites": [str(folder / "site")],
        "torch": str(package / "__init__.py"),
        "jinja2": "there",
    }
    (folder / "include").mkdir()
    (folder / "include" / "Python.h").touch()
    return script(folder / "bin" / "python", f"cat <<'END'\n{json.dumps(answer)}\nEND")


@dataclass
class FakeIndex(Index):
    """An index that makes the members it is asked for, and may break down at one project.

    Attributes:
        held: content of members by project.
        breaks_at: a project at which the network is gone.
        asked: every project that was fetched, in order.
    """

    workspace: Workspace
    held: Mapping[str, Mapping[str, str]]
    breaks_at: str | None = None
    asked: list[str] = field(default_factory=list)

    def members(
        self,
        project: str,
        version: str,
        *,
        wanted: Callable[[str], bool],
        record_sha256: str,
        into: Path,
        platform: PlatformTag | None = None,
        python: str | None = None,
    ) -> Path:
        del version, record_sha256, platform, python
        if into.is_dir():
            return into
        if project == self.breaks_at:
            raise OfflineError(f"{project}: the index does not answer", fix="connect")
        if project not in self.held:
            raise SourceError(f"no {project}", fix="check the index")
        self.asked.append(project)
        with staged_folder(into) as part:
            for name, content in self.held[project].items():
                if wanted(name):
                    (part / name).parent.mkdir(parents=True, exist_ok=True)
                    (part / name).write_text(content, encoding="utf-8")
        return into


def real_compiler(name: str) -> Path:
    found = shutil.which(name)
    assert found is not None
    return Path(found)
