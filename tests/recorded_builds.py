"""Configured builds as edges, from commands that `scripts/recorded_commands.py` recorded."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from winvllm_build.build.engine.edge import Edge, Roots
from winvllm_build.build.plan import edges
from winvllm_build.build.plan.setting import Setting

FOLDER = Path(__file__).parent / "recorded" / "plan"
NAMES = (
    "cuda", "cutlass", "deepgemm", "deepselect", "flash-attn", "flash-kda", "flash-mla", "fmha-sm100",
    "python", "qutlass", "tml-fa4", "torch", "triton-kernels", "workspace",
)  # fmt: skip


def setting_of(
    name: str, *, root: str = "/w", launchers: Iterable[tuple[str, ...]] = (), windows: bool = False
) -> Setting:
    """The setting of a build called `name` whose folders are all below `root`."""
    folders = {f"<{one}>": f"{root}/{one}" for one in NAMES}
    folders |= {"<tree>": f"{root}/trees/{name}", "<build>": f"{root}/builds/{name}"}
    return Setting(
        folder=Path(folders["<build>"]), tree=Path(folders["<tree>"]), ninja=Path("ninja"),
        roots=Roots(folders=folders), launchers=tuple(launchers), compiler="NVIDIA 13.0.88, GNU 12.2.0",
        build_type="Release", cuda_compiler=f"{folders['<cuda>']}/bin/nvcc", windows=windows,
    )  # fmt: skip


def recorded(tag: str) -> dict[str, tuple[Edge, ...]]:
    """The edges of every recorded build of a tag, by its list of architectures."""
    whole: dict[str, Any] = json.loads(gzip.decompress((FOLDER / f"{tag}-commands.json.gz").read_bytes()))
    found = {}
    for archs, rows in whole["lists"].items():
        here = setting_of(f"{tag}-sm{PurePosixPath(archs).name.replace('.', '')}")
        entries = [
            {
                "output": here.roots.spelt(output),
                "file": here.roots.spelt(file),
                "command": here.roots.spelt(whole["commands"][number]),
            }
            for output, file, number in rows
        ]
        found[archs] = tuple(edges.of(entries, here))
    return found
