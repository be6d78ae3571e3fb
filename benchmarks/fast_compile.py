"""What the layer fast-compile of v0.14.1 saves, and that device code stays what it was.

    python -m benchmarks.fast_compile BEFORE AFTER [SOURCE ...] [--ptx] [--joined NAME] [--into FILE]

BEFORE and AFTER are configured build folders of one tree, without the layer's variable and with it. Each
source (a part of its name will do; none means all that the layer touches) is compiled with its own command in
both, one pass of nvcc at a time: processor seconds and peak memory of each pass, and the PTX compared
function by function.

    --ptx           the two passes that make PTX, not the object
    --joined NAME   the sources as one unit of this name: torch's headers are read once for all of them
    --unoptimised   cicc -O0: the front end's work is seen, the optimiser's is saved
    --into FILE     add each unit to this file as soon as it is known; what it has is not compiled again
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import narrow, nvcc_steps
from winvllm_build.audit.device import ptx

OBJECT: Final = re.compile(r"(CMakeFiles/(?:_C|_moe_C)\.dir/(csrc/.+\.cu)\.o)$")
OTHERS: Final = re.compile(r"(?:2at|3c10|5torch)\d|^(?:__)?cuda")
LEVEL: Final = re.compile(r"/narrow_torch/(\w+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What is compiled at once: a source, or several joined, with the command of the first."""

    name: str
    sources: tuple[str, ...]
    optimised: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compile:
    """One command of the compilation database."""

    words: tuple[str, ...]
    folder: str
    file: Path
    output: str


def compiles(build: Path) -> dict[str, Compile]:
    """The compile commands of _C and _moe_C by their sources."""
    found: dict[str, Compile] = {}
    for entry in json.loads((build / "compile_commands.json").read_bytes()):
        match = OBJECT.search(entry["output"])
        words = shlex.split(entry["command"])
        nvcc = next((i for i, word in enumerate(words) if word.endswith("nvcc")), None)
        if match is not None and nvcc is not None:
            found[match[2]] = Compile(
                words=tuple(words[nvcc:]),
                folder=entry["directory"],
                file=Path(entry["file"]),
                output=match[1],
            )
    return found


def touched(side: Mapping[str, Compile]) -> list[str]:
    """The sources to which the layer gives one of its folders."""
    return sorted(name for name, one in side.items() if level(one))


def level(one: Compile) -> str:
    """The folder that the layer gives a source; empty if none."""
    return next((match[1] for match in map(LEVEL.search, one.words) if match), "")


def joined(files: Sequence[Path]) -> str:
    """Sources as one. Those that generators write share headers without a guard: once, before all."""
    if not all(narrow.GENERATED.search(file.as_posix()) for file in files):
        return "".join(f'#include "{file.as_posix()}"\n' for file in files)
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    own = [line for line in lines if not line.startswith("#include")]
    shared = dict.fromkeys(line.split('"')[1] for line in lines if line.startswith("#include"))
    heads = [f'#include "{(files[0].parent / name).as_posix()}"' for name in shared]
    return "\n".join([*heads, *own, ""])


def tree_of(one: Compile, source: str) -> Path:
    return Path(one.file.as_posix().removesuffix(source))


def measured(unit: Unit, one: Compile, text: Path, *, only_ptx: bool) -> tuple[dict[str, Any], str]:
    """One side's record, and its PTX."""
    words = [str(text) if word == str(one.file) else word for word in one.words]
    output = one.output if text == one.file else f"CMakeFiles/{text.name}.o"
    words[words.index("-o") + 1] = output
    steps = nvcc_steps.steps_of(words, one.folder)
    if not unit.optimised:
        steps = steps.changed("cicc", '/cicc" ', '/cicc" -O0 ')
    if only_ptx:  # the module's id, otherwise cudafe++'s, is only a part of names
        known = "--module_id_file_name"
        steps = steps.only(nvcc_steps.TO_PTX).changed("cicc", known, f"--gen_module_id_file {known}")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, output).parent.mkdir(parents=True)
        costs = nvcc_steps.run(steps, Path(folder))
        made = Path(folder, f"{output}.ptx").read_text(encoding="utf-8")
        found: dict[str, Any] = {
            "cpu": round(sum(cost.cpu for cost in costs.values()), 1),
            "mib": max(cost.mib for cost in costs.values()),
            "passes": {kind: [cost.cpu, cost.mib] for kind, cost in costs.items()},
            "ptx": hashlib.sha256(made.encode()).hexdigest(),
        }
        if not only_ptx:
            found["undefined"] = undefined(Path(folder, output))
        return found, made


def undefined(made: Path) -> str:
    """Digest of what an object asks of torch and CUDA; what it asks of libstdc++ is up to the inliner."""
    asked = subprocess.run(["nm", "-u", str(made)], check=True, capture_output=True, text=True).stdout
    names = sorted(name for name in asked.split() if OTHERS.search(name))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def compared(unit: Unit, sides: Mapping[str, Mapping[str, Compile]], *, only_ptx: bool) -> dict[str, Any]:
    """Both sides of a unit; a joined one is the same file for both, because its name is in the PTX."""
    with tempfile.TemporaryDirectory() as folder:
        text = sides["after"][unit.sources[0]].file
        if len(unit.sources) > 1:
            content = joined([sides["after"][source].file for source in unit.sources])
            text = Path(folder, f"{unit.name}.cu")
            text.write_text(content, encoding="utf-8")
        before, old = measured(unit, sides["before"][unit.sources[0]], text, only_ptx=only_ptx)
        after, new = measured(unit, sides["after"][unit.sources[0]], text, only_ptx=only_ptx)
    tree = tree_of(sides["after"][unit.sources[0]], unit.sources[0])
    return {
        "sources": {
            source: {"level": level(sides["after"][source]), "inputs": narrow.inputs(tree, source)}
            for source in unit.sources
        },
        "headers": narrow.headers((tree / narrow.LIST).read_text(encoding="utf-8")),
        "optimised": unit.optimised,
        "before": before,
        "after": after,
        "kernels": len(ptx.entries(new)),
        "differing": ptx.differing(old, new),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--ptx", action="store_true")
    parser.add_argument("--joined", metavar="NAME")
    parser.add_argument("--unoptimised", action="store_true")
    parser.add_argument("--into", type=Path)
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    held: dict[str, Any] = {}
    if asked.into is not None and asked.into.is_file():
        held = json.loads(asked.into.read_bytes())
    known = compiles(asked.after)
    if asked.sources:
        named = sorted(name for name in known if any(part in name for part in asked.sources))
    else:
        named = touched(known)
    groups = [(asked.joined, tuple(named))] if asked.joined else [(name, (name,)) for name in named]
    units = [
        Unit(name=name, sources=sources, optimised=not asked.unoptimised)
        for name, sources in groups
        if name not in held
    ]
    sides = {"before": compiles(asked.before), "after": known}
    for unit in units:
        row = compared(unit, sides, only_ptx=asked.ptx)
        held[unit.name] = row
        if asked.into is not None:
            asked.into.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        first, second = row["before"], row["after"]
        told = f"{first['cpu']} s -> {second['cpu']} s, {first['mib']} -> {second['mib']} MiB"
        same = f"{row['kernels']} kernels, {len(row['differing'])} functions differ"
        sys.stdout.write(f"{unit.name}: {told}; {same}\n")


if __name__ == "__main__":
    main()
