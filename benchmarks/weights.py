"""How much memory it takes to read a safetensors file: mapped, and as the sets read it on Windows.

    python benchmarks/weights.py TREE [--gib 2] [--tensors 32] [--rounds 3] [--json]

TREE is vLLM's source with a set applied. The Python that runs this needs torch, numpy and safetensors. Each
way gets a process of its own, which reads tensor after tensor, copies each into one buffer, as a loader
copies it into a parameter, and lets it go. Linux only. Told are the seconds with a warm page cache, the most
memory that was resident, and the most that was private and writable, mapped or not: Windows would charge that
to the page file.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

MODULE = "vllm/utils/win32_safetensors.py"
WAYS = ("mapped", "read")
KIB = 1024
MIB = 1024 * KIB


def main() -> None:
    given = arguments()
    if given.way:
        print(json.dumps(measure(given.tree, given.way, given.file)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        file = Path(folder, "model.safetensors")
        make(file, int(given.gib * KIB * MIB), given.tensors)
        runs = {way: [child(given.tree, way, file) for _ in range(given.rounds)] for way in WAYS}
    found = {
        way: {name: statistics.median(run[name] for run in some) for name in some[0]}
        for way, some in runs.items()
    }
    print(json.dumps(found, indent=1) if given.json else table(found, given))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tree", type=Path)
    parser.add_argument("--gib", type=float, default=2)
    parser.add_argument("--tensors", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the file is made; default: the system's")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def make(file: Path, size: int, count: int) -> None:
    """`count` tensors of F32 and one size, with bytes that no file system leaves out."""
    each = size // count // 4
    header = json.dumps(
        {
            f"layers.{number:03}": {
                "dtype": "F32",
                "shape": [each],
                "data_offsets": [number * each * 4, (number + 1) * each * 4],
            }
            for number in range(count)
        }
    ).encode()
    block = os.urandom(MIB)
    with file.open("wb") as out:
        out.write(len(header).to_bytes(8, "little") + header)
        left = count * each * 4
        while left:
            left -= out.write(block[: min(left, MIB)])


def child(tree: Path, way: str, file: Path) -> dict[str, float]:
    command = [sys.executable, __file__, str(tree), "--way", way, "--file", str(file)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(out)
    return found


def measure(tree: Path, way: str, file: Path) -> dict[str, float]:
    """In a process of its own: what it has before the file is opened is taken off."""
    module = reader(tree, read=way == "read")
    torch: Any = importlib.import_module("torch")
    with file.open("rb") as head:
        header = json.loads(head.read(int.from_bytes(head.read(8), "little")))
    buffer = torch.ones(max(one["shape"][0] for one in header.values()))
    private = before = status("VmData")
    resident = status("VmRSS")
    began = time.perf_counter()
    with module.safe_open(file, framework="pt") as opened:
        for name in opened.keys():  # noqa: SIM118 - no dictionary
            tensor = opened.get_tensor(name)
            buffer[: len(tensor)].copy_(tensor)
            private = max(private, status("VmData"))
            del tensor
    return {
        "seconds": time.perf_counter() - began,
        "resident": (status("VmHWM") - resident) / MIB,
        "private": (private - before) / MIB,
    }


def reader(tree: Path, *, read: bool) -> types.ModuleType:
    """The module of the patched tree, without the rest of vLLM."""

    class Logger:
        def warning_once(self, *_: object) -> None:
            raise AssertionError("it took the other way")

    package, logger = types.ModuleType("vllm"), types.ModuleType("vllm.logger")
    vars(package)["envs"] = types.SimpleNamespace(VLLM_WIN32_READ_SAFETENSORS=read)
    vars(logger)["init_logger"] = lambda _: Logger()
    sys.modules |= {"vllm": package, "vllm.logger": logger}
    spec = importlib.util.spec_from_file_location("win32_safetensors", tree / MODULE)
    if spec is None or spec.loader is None:
        raise SystemExit(f"no {MODULE} in {tree}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def status(name: str) -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * KIB
    raise SystemExit(f"/proc/self/status has no {name}")


def table(found: dict[str, dict[str, float]], given: argparse.Namespace) -> str:
    lines = [
        f"{given.gib} GiB in {given.tensors} tensors, median of {given.rounds} runs",
        "way      seconds  resident, at most  private and writable, at most",
    ]
    for way, one in found.items():
        lines.append(
            f"{way:<8} {one['seconds']:7.2f}  {one['resident']:13.0f} MiB  {one['private']:25.0f} MiB"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
