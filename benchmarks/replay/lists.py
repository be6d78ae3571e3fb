"""The recorded commands of a tag's architecture lists, laid down as configured build folders."""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.replay.compiler import Toolkit
from benchmarks.replay.project import COMMON
from winvllm_build.build.configure import STAMP

RECORDED: Final = Path(__file__).resolve().parents[2] / "tests" / "recorded" / "plan"
HOST: Final = "/usr/bin/g++"
"""The host compiler of the recording."""
VENDORED: Final = ("cutlass", "flash-attn", "flash-kda", "qutlass")
SELECTOR: Final = "kernel_selector.h"
SELECTING: Final = frozenset(
    {
        "<tree>/csrc/quantization/marlin/marlin.cu",
        "<tree>/csrc/quantization/gptq_marlin/gptq_marlin.cu",
        "<tree>/csrc/moe/marlin_moe_wna16/ops.cu",
    }
)
"""The sources that include it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One recorded edge, its folders named.

    Attributes:
        output: what it makes, relative to the build folder.
        source: what it compiles; empty for a link.
        text: the command line.
    """

    output: str
    source: str
    text: str

    @property
    def cuda(self) -> bool:
        return self.text.startswith("<cuda>/bin/nvcc ")


def load(tag: str) -> dict[str, tuple[Command, ...]]:
    """The edges of each list of architectures, in ninja's order."""
    whole: dict[str, Any] = json.loads(gzip.decompress((RECORDED / f"{tag}-commands.json.gz").read_bytes()))
    return {
        archs: tuple(
            Command(
                output=output,
                source=source if source.startswith("<") else "",
                text=whole["commands"][number],
            )
            for output, source, number in rows
        )
        for archs, rows in whole["lists"].items()
    }


def selector(archs: str) -> str:
    """Which kernels vLLM's generate_kernels.py puts into the header for a list."""
    if archs == "7.5":
        return "sm75"
    return "sm80, sm89" if archs == "8.9" or archs.startswith("12.") else "sm80"


def content(command: Command, archs: str) -> str:
    """Of its source; with what the header says for this list, where it is included."""
    return f"{command.source}: {selector(archs)}" if command.source in SELECTING else command.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A list's tree and build folder in a workspace.

    Attributes:
        archs: the list.
        commands: its edges.
        home: the workspace.
    """

    tag: str
    archs: str
    commands: Sequence[Command]
    home: Path
    toolkit: Toolkit

    @property
    def name(self) -> str:
        return f"{self.tag}-sm{self.archs.replace('.', '')}"

    @property
    def build(self) -> Path:
        return self.home / "builds" / self.name

    @property
    def tree(self) -> Path:
        return self.home / "trees" / self.name

    def spelt(self, text: str) -> str:
        """With this machine's folders and compilers."""
        folders = {
            "<tree>": self.tree, "<build>": self.build, "<cuda>": self.toolkit.folder,
            "<torch>": self.home / "torch", "<python>": self.home / "python", "<workspace>": self.home,
            **{f"<{name}>": self._vendored(name) for name in VENDORED},
        }  # fmt: skip
        for name, folder in folders.items():
            text = text.replace(name, folder.as_posix())
        return text.replace(HOST, self.toolkit.host.as_posix())

    def _vendored(self, name: str) -> Path:
        return self.home / "sources" / name

    def outputs(self) -> dict[str, Command]:
        """The edges by their outputs as ninja names them."""
        return {self.spelt(command.output): command for command in self.commands}

    def write_sources(self) -> None:
        """Every source, the header of all in the first folder that is searched, and the generated header."""
        for command in self.commands:
            if not command.source:
                continue
            file = Path(self.spelt(command.source))
            included = [COMMON, *([SELECTOR] if command.source in SELECTING else [])]
            lines = "".join(f'#include "{name}"\n' for name in included)
            _write(file, f"{lines}// {command.source}\n")
            if command.source in SELECTING:
                _write(file.parent / SELECTOR, f"// {selector(self.archs)}\n")
            searched = next(word[2:] for word in command.text.split() if word.startswith("-I"))
            _write(Path(self.spelt(searched)) / COMMON, "// what every kernel includes\n")

    def configure(self, launcher: Sequence[str] = ()) -> None:
        """Write the build folder anew, as CMake and the tool leave it."""
        shutil.rmtree(self.build, ignore_errors=True)
        (self.build / "CMakeFiles").mkdir(parents=True)
        _write(self.build / "build.ninja", "".join(self._graph(shlex.join(launcher))))
        _write(self.build / "CMakeCache.txt", "".join(self._cache(";".join(launcher))))
        folders = {
            f"{name.upper().replace('-', '_')}_SRC_DIR": str(self._vendored(name)) for name in VENDORED
        }
        _write(self.build / STAMP, json.dumps({"environment": folders}))
        for output in self.outputs():
            (self.build / output).parent.mkdir(parents=True, exist_ok=True)

    def _graph(self, launcher: str) -> Iterator[str]:
        before = f"{launcher} " if launcher else ""
        yield f"rule compile\n  command = {before}$words\n  depfile = $out.d\n  deps = gcc\n"
        yield f"rule link\n  command = {before}$words\n"
        for output, command in self.outputs().items():
            text = self.spelt(command.text)
            inputs = [self.spelt(command.source)] if command.source else objects(text)
            rule = "compile" if command.source else "link"
            yield f"build {output}: {rule} {' '.join(inputs)}\n  words = {text.replace('$', '$$')}\n"
        yield f"build all: phony {' '.join(self.outputs())}\ndefault all\n"

    def _cache(self, launcher: str) -> Iterator[str]:
        entries = {
            "CMAKE_BUILD_TYPE:STRING": "Release",
            "CMAKE_CUDA_COMPILER:FILEPATH": self.toolkit.nvcc,
            "CMAKE_CXX_COMPILER:FILEPATH": self.toolkit.host,
            "CMAKE_HOME_DIRECTORY:INTERNAL": self.tree,
            "CMAKE_MAKE_PROGRAM:FILEPATH": shutil.which("ninja") or "ninja",
            "CUDA_TOOLKIT_ROOT_DIR:PATH": self.toolkit.folder,
            "Torch_DIR:PATH": f"{self.home}/torch/share/cmake/Torch",
            "_Python_INCLUDE_DIR:INTERNAL": f"{self.home}/python/include/python3.11",
            "CMAKE_CUDA_COMPILER_LAUNCHER:STRING": launcher,
            "CMAKE_CXX_COMPILER_LAUNCHER:STRING": launcher,
            "CMAKE_CXX_LINKER_LAUNCHER:STRING": launcher,
        }
        yield from (f"{name}={value}\n" for name, value in entries.items())


def objects(text: str) -> list[str]:
    """What a link command links."""
    words = shlex.split(text)
    return [word for before, word in pairwise(words) if word.endswith(".o") and before != "-o"]


def _write(file: Path, text: str) -> None:
    """Once: what is there and the same keeps its time."""
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
