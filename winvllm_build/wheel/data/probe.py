"""Runs inside the environment that a wheel was installed into, and prints what it sees as JSON.

Nothing of winvllm-build is there: this file is started alone and isolated, outside any source folder.

    python -I probe.py installed             version, place, interpreter, torch
    python -I probe.py load FILE [DLL...]    import one extension by its file, after torch where that is there
    python -I probe.py import                `import vllm`
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import sys


def installed() -> dict[str, object]:
    spec = importlib.util.find_spec("vllm")
    origin = spec.origin if spec else None
    written = pathlib.Path(origin).parent / "_version.py" if origin else None
    inside: dict[str, object] = {}
    if written is not None and written.is_file():
        exec(written.read_bytes(), inside)  # noqa: S102 - the installed package's own, it is imported next
    environment = {
        "implementation_name": sys.implementation.name,
        "implementation_version": platform.python_version(),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }
    found = {}
    for one in importlib.metadata.distributions():
        name = one.metadata["Name"]
        if name and name not in found:  # the first on the path is what is imported
            found[name] = one.version
    return {
        "distribution": importlib.metadata.version("vllm"),
        "environment": environment,
        "installed": found,
        "origin": origin,
        "runtime": inside.get("__version__"),
        "torch": torch_version(),
        "torch_cuda": torch_cuda(),
    }


def torch_version() -> str | None:
    if importlib.util.find_spec("torch") is None:
        return None
    return importlib.metadata.version("torch")


def torch_cuda() -> object:
    """The CUDA that torch was built for, from its own text: importing it takes seconds, and may fail."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    written = pathlib.Path(spec.origin).parent / "version.py"
    inside: dict[str, object] = {}
    if written.is_file():
        exec(written.read_bytes(), inside)  # noqa: S102 - the installed package's own, it is imported next
    return inside.get("cuda")


def load(file: str, libraries: list[str]) -> dict[str, object]:
    if importlib.util.find_spec("torch") is not None:
        import torch  # noqa: F401, PLC0415 - it loads the libraries that the extension asks for
    lacking = [name for name in libraries if not can_load(name)]
    if lacking:
        return {"lacking": lacking}
    name = pathlib.Path(file).name.split(".")[0]
    loader = importlib.machinery.ExtensionFileLoader(name, file)
    spec = importlib.machinery.ModuleSpec(name, loader, origin=file)
    loader.exec_module(importlib.util.module_from_spec(spec))
    return {"loaded": name}


def can_load(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def whole() -> dict[str, object]:
    import vllm  # noqa: PLC0415 - what this step is about

    return {"loaded": vllm.__file__}


def main(words: list[str]) -> None:
    try:
        if words[0] == "installed":
            answer = installed()
        elif words[0] == "load":
            answer = load(words[1], words[2:])
        else:
            answer = whole()
    except BaseException as error:  # noqa: BLE001 - whatever an extension raises is the answer
        answer = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write("\x1e" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
