"""What the layer fast-compile of v0.14.1 saves, and that device code stays what it was.

    python -m benchmarks.fast_compile BEFORE AFTER [SOURCE ...] [--ptx] [OPTIONS]

BEFORE and AFTER are configured build folders of one tree, without the layer's variable and with it. Each
source (a part of its name will do; none means all that the layer touches) is compiled with its own command in
both, one pass of nvcc at a time: processor seconds and peak memory of each pass, and the PTX compared
function by function. A source whose command is the same in both is compiled once.

    --ptx           the two passes that make PTX, not the object
    --unoptimised   PTX of cicc -O0
    --front-end     not PTX but what cicc's front end hands to its optimiser; cicc is ended there
    --joined NAME   the sources as one unit of this name: torch's headers are read once for all of them
    --into FILE     add each unit to this file as soon as it is known; what it has is not compiled again
    --jobs N        units at a time; the ratio holds as both sides see the same load
"""

from __future__ import annotations

import argparse
import enum
import hashlib
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from typing_extensions import assert_never

from benchmarks import device_text, narrow, nvcc_steps
from winvllm_build.audit.device import ptx

OBJECT: Final = re.compile(r"(CMakeFiles/(?:_C|_moe_C)\.dir/(csrc/.+\.cu)\.o)$")
OTHERS: Final = re.compile(r"(?:2at|3c10|5torch)\d|^(?:__)?cuda")
LOCAL: Final = re.compile(r"(?<=\w)\$\d+\b")
LEVEL: Final = re.compile(r"/narrow_torch/(\w+)$")


class How(enum.Enum):
    """How far a unit is compiled."""

    OBJECT = "object"
    PTX = "ptx"
    UNOPTIMISED = "ptx, not optimised"
    FRONT_END = "front end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What is compiled at once: a source, or several joined, with the command of the first."""

    name: str
    sources: tuple[str, ...]
    how: How


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


def measured(how: How, one: Compile, text: Path, folder: Path) -> tuple[dict[str, Any], Path]:
    """One side's record, and the file with its device code."""
    words = [str(text) if word == str(one.file) else word for word in one.words]
    output = one.output if text == one.file else f"CMakeFiles/{text.name}.o"
    words[words.index("-o") + 1] = output
    (folder / output).parent.mkdir(parents=True)
    steps = nvcc_steps.steps_of(words, one.folder)
    if how is not How.OBJECT:  # the module's id, otherwise cudafe++'s, is only a part of names
        known = "--module_id_file_name"
        steps = steps.only(nvcc_steps.TO_PTX).changed("cicc", known, f"--gen_module_id_file {known}")
    if how is How.UNOPTIMISED:
        steps = steps.changed("cicc", '/cicc" ', '/cicc" -O0 ')
    match how:
        case How.FRONT_END:
            made = folder / f"{output}.cudafe1.gpu"
            first = nvcc_steps.run(steps.only(nvcc_steps.TO_PTX[:1]), folder)
            costs = {**first, "cicc": nvcc_steps.run_until_written(steps, folder, made)}
        case How.PTX | How.UNOPTIMISED | How.OBJECT:
            made = folder / f"{output}.ptx"
            costs = dict(nvcc_steps.run(steps, folder))
        case _:
            assert_never(how)
    found: dict[str, Any] = {
        "cpu": round(sum(cost.cpu for cost in costs.values()), 1),
        "mib": max(cost.mib for cost in costs.values()),
        "passes": {kind: [cost.cpu, cost.mib] for kind, cost in costs.items()},
    }
    if how is How.OBJECT:
        found["undefined"] = undefined(folder / output)
        found["size"] = (folder / output).stat().st_size
    return found, made


def undefined(made: Path) -> str:
    """Digest of what an object asks of torch and CUDA; what it asks of libstdc++ is up to the inliner."""
    asked = subprocess.run(["nm", "-u", str(made)], check=True, capture_output=True, text=True).stdout
    names = sorted(name for name in asked.split() if OTHERS.search(name))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def compared(unit: Unit, sides: Mapping[str, Mapping[str, Compile]]) -> dict[str, Any]:
    """Both sides of a unit; a joined one is the same file for both, because its name is in the PTX."""
    first = unit.sources[0]
    with tempfile.TemporaryDirectory() as folder:
        text = sides["after"][first].file
        if len(unit.sources) > 1:
            text = Path(folder, f"{unit.name}.cu")
            content = joined([sides["after"][source].file for source in unit.sources])
            text.write_text(content, encoding="utf-8")
        before, old = measured(unit.how, sides["before"][first], text, Path(folder, "before"))
        after, new = before, old
        if sides["before"][first].words != sides["after"][first].words:
            after, new = measured(unit.how, sides["after"][first], text, Path(folder, "after"))
        told = front_ends(old, new) if unit.how is How.FRONT_END else texts(old, new)
    tree = tree_of(sides["after"][first], first)
    return {
        "sources": {
            source: {"level": level(sides["after"][source]), "inputs": narrow.inputs(tree, source)}
            for source in unit.sources
        },
        "headers": narrow.headers((tree / narrow.LIST).read_text(encoding="utf-8")),
        "way": unit.how.value,
        "before": before,
        "after": after,
        **told,
    }


def renumbered(text: str) -> str:
    """PTX with the numbers that cicc -O0 gives to local names (`name$9908`) counted from the first."""
    seen: dict[str, str] = {}
    return LOCAL.sub(lambda match: seen.setdefault(match[0], f"$#{len(seen)}"), text)


def texts(old: Path, new: Path) -> dict[str, Any]:
    """PTX against PTX."""
    before, after = (renumbered(file.read_text(encoding="utf-8")) for file in (old, new))
    return {
        "kernels": len(ptx.entries(after)),
        "differing": ptx.differing(before, after),
        "digests": [hashlib.sha256(text.encode()).hexdigest() for text in (before, after)],
    }


def front_ends(old: Path, new: Path) -> dict[str, Any]:
    """Kernels word by word; of other functions those that the narrow headers leave."""
    before, after = device_text.read(old), device_text.read(new)
    return {
        "kernels": len(after.kernels),
        "differing": after.differing(before),
        "digests": [before.digest, after.digest],
        "functions": len(after.others),
        "functions differing": after.others_differing(before),
    }


def written(rows: Mapping[str, Any]) -> str:
    """JSON with a line for each unit."""
    lines = (f" {json.dumps(name)}: {json.dumps(rows[name], sort_keys=True)}" for name in sorted(rows))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--ptx", dest="how", action="store_const", const=How.PTX, default=How.OBJECT)
    parser.add_argument("--unoptimised", dest="how", action="store_const", const=How.UNOPTIMISED)
    parser.add_argument("--front-end", dest="how", action="store_const", const=How.FRONT_END)
    parser.add_argument("--joined", metavar="NAME")
    parser.add_argument("--into", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
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
    units = [Unit(name=name, sources=sources, how=asked.how) for name, sources in groups if name not in held]
    sides = {"before": compiles(asked.before), "after": known}
    with ThreadPoolExecutor(asked.jobs) as pool:
        running = {pool.submit(compared, unit, sides): unit.name for unit in units}
        for done in as_completed(running):
            if done.exception() is not None:
                pool.shutdown(wait=False, cancel_futures=True)
            name, row = running[done], done.result()
            held[name] = row
            if asked.into is not None:
                asked.into.write_text(written(held), encoding="utf-8")
            first, second = row["before"], row["after"]
            told = f"{first['cpu']} s -> {second['cpu']} s, {first['mib']} -> {second['mib']} MiB"
            same = f"{row['kernels']} kernels, {len(row['differing'])} differ"
            sys.stdout.write(f"{name}: {told}; {same}\n")


if __name__ == "__main__":
    main()
