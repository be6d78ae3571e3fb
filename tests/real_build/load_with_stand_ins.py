"""Runs in the environment that a wheel was installed into: imports its extensions, with stand-ins for CUDA.

    python -I load_with_stand_ins.py TORCH_SITE CUDART SCRATCH EXTENSION...

torch is one for the CPU, from TORCH_SITE. What only a torch for CUDA, or the driver, would bring is a library
of empty functions here, under the name that the extensions ask for. It shows that they load and register.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path


def wanted(extensions: Iterable[Path]) -> set[str]:
    """Symbols that extensions cannot be loaded without, by `nm`."""
    found = set()
    for file in extensions:
        done = subprocess.run(
            ["nm", "-D", "--undefined-only", file], capture_output=True, text=True, check=True
        )
        words = (line.split() for line in done.stdout.splitlines())
        found |= {name.split("@")[0] for kind, name in words if kind == "U"}
    return found


def stand_ins(names: Iterable[str], libraries: Iterable[Path], scratch: Path) -> list[str]:
    """Load a `libtorch_cuda.so` with those that neither the libraries have nor this process; its names."""
    known = [ctypes.CDLL(None), *(ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL) for file in libraries)]
    lacking = sorted(name for name in names if not any(hasattr(one, name) for one in known))
    source, made = scratch / "stand_ins.c", scratch / "libtorch_cuda.so"
    source.write_text("".join(f"void {name}(void) {{}}\n" for name in lacking), encoding="utf-8")
    compiler = ["gcc", "-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{made.name}"]
    subprocess.run([*compiler, "-o", made, source], check=True)
    ctypes.CDLL(str(made), mode=ctypes.RTLD_GLOBAL)
    return lacking


def load(file: Path) -> None:
    """Import one extension by its file: `import vllm` needs all that vLLM requires."""
    name = file.name.split(".")[0]
    loader = importlib.machinery.ExtensionFileLoader(name, str(file))
    spec = importlib.machinery.ModuleSpec(name, loader, origin=str(file))
    loader.exec_module(importlib.util.module_from_spec(spec))


def main(site: Path, cudart: Path, scratch: Path, extensions: list[Path]) -> None:
    sys.path.append(str(site))
    import torch  # noqa: PLC0415 - it is found only now

    brought = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    lacking = stand_ins(wanted(extensions), [cudart, brought], scratch)
    before = set(torch._C._dispatch_get_all_op_names())
    for file in extensions:
        load(file)
    new = set(torch._C._dispatch_get_all_op_names()) - before
    spec = importlib.util.find_spec("vllm")
    answer = {
        "operators": Counter(name.split("::")[0] for name in new), "stand_ins": lacking,
        "vllm": spec.origin if spec else None,
    }  # fmt: skip
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    site, cudart, scratch, *files = map(Path, sys.argv[1:])
    main(site, cudart, scratch, files)
