"""What the layer fast-compile of v0.14.1 saves, and that device code stays what it was.

    python benchmarks/fast_compile.py BEFORE AFTER [SOURCE ...] [--ptx] [--into FILE]

BEFORE and AFTER are configured build folders of one tree, without the layer's variable and with it. Each
source (a part of its name will do; none means all) is compiled with its own command in both, one at a time.
Processor seconds and peak memory of the whole command; the device code that is in the object (with --ptx its
text alone, which is cheaper), and the symbols that the object asks for. What FILE has is not compiled again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

GENCODE = re.compile(r"arch=(compute_\w+),")
OBJECT = re.compile(r"CMakeFiles/(?:_C|_moe_C)\.dir/(csrc/.+\.cu)\.o$")
DROPPED = re.compile(r"-g|--compress-mode=\w+|--threads=\d+")


def commands(build: Path) -> dict[str, Mapping[str, str]]:
    """The compile commands of _C and _moe_C by their sources."""
    entries = json.loads((build / "compile_commands.json").read_bytes())
    found = ((OBJECT.search(entry["output"]), entry) for entry in entries)
    return {match[1]: entry for match, entry in found if match is not None}


def to_ptx(words: Sequence[str]) -> list[str]:
    """The command for the device code's text alone, of the first architecture."""
    kept: list[str] = []
    codes: list[str] = []
    left = iter(words)
    for word in left:
        if word == "-gencode":
            codes.append(next(left))
        elif word != "-c" and not DROPPED.fullmatch(word):
            kept.append(word)
    match = GENCODE.match(codes[0]) if codes else None
    return [*kept, "--ptx", f"-arch={match[1] if match else 'compute_86'}"]


def measured(entry: Mapping[str, str], *, ptx: bool) -> dict[str, Any]:
    """One compile: processor seconds, peak memory in MiB, digests of what came out."""
    words = shlex.split(entry["command"])
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "made")
        words[words.index("-o") + 1] = str(made)
        line = to_ptx(words) if ptx else words
        child = subprocess.Popen(line, cwd=entry["directory"], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        if status != 0:
            raise SystemExit(f"{entry['file']} does not compile")
        found = {"cpu": round(used.ru_utime + used.ru_stime, 1), "mib": used.ru_maxrss // 1024}
        if ptx:
            return {**found, "ptx": digest(made.read_bytes())}
        return {**found, "bytes": made.stat().st_size, **object_digests(made)}


def object_digests(made: Path) -> dict[str, str]:
    fat = made.with_suffix(".fat")
    section = ["--only-section=.nv_fatbin", "--set-section-flags", ".nv_fatbin=alloc"]
    subprocess.run(["objcopy", "-O", "binary", *section, str(made), str(fat)], check=True)
    asked = subprocess.run(["nm", "-u", str(made)], check=True, capture_output=True).stdout
    return {"device": digest(fat.read_bytes()), "undefined": digest(b"\n".join(sorted(asked.splitlines())))}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def rows(
    sides: Mapping[str, Path], names: Sequence[str], held: Mapping[str, Any], *, ptx: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    known = {side: commands(build) for side, build in sides.items()}
    for source in sorted(known["after"]):
        if source not in held and (not names or any(name in source for name in names)):
            yield source, {side: measured(known[side][source], ptx=ptx) for side in sides}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--ptx", action="store_true")
    parser.add_argument("--into", type=Path, help="add each source to this file as soon as it is known")
    asked = parser.parse_args()
    held: dict[str, Any] = {}
    if asked.into is not None and asked.into.is_file():
        held = json.loads(asked.into.read_bytes())
    sides = {"before": asked.before, "after": asked.after}
    for source, row in rows(sides, asked.sources, dict(held), ptx=asked.ptx):
        held[source] = row
        if asked.into is not None:
            asked.into.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        first, second = row["before"], row["after"]
        same = {key: first[key] == second[key] for key in ("ptx", "device", "undefined") if key in first}
        told = f"{first['cpu']} s -> {second['cpu']} s, {first['mib']} -> {second['mib']} MiB"
        sys.stdout.write(f"{source}: {told} {same}\n")


if __name__ == "__main__":
    main()
