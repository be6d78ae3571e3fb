"""Whether two builds hold the same device code: machine code byte by byte, PTX letter by letter.

    python -m benchmarks.device_code BEFORE AFTER [--cuobjdump FILE] [--json]

BEFORE and AFTER are libraries or objects, or folders of which the objects that nvcc made are compared,
each with the one at the same place. Exit status 1 where anything differs. NVIDIA's `cuobjdump`
takes the code out; it comes with the toolkit, and a copy is in the wheel of triton 3.5.1. `readelf`
(binutils) tells which kernels an image has.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

SECTION: Final = re.compile(r"\] \.text\.(\S+)\s+PROGBITS\s+\S+ (\S+) (\S+)")
KERNEL: Final = re.compile(r"\] \.nv\.constant0\.(\S+)\s+PROGBITS")
OBJECTS: Final = "*.cu.o"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Device code of one file.

    Attributes:
        images: the whole images for devices, ELF files.
        ptx: the whole texts of PTX.
        kernels: name and architecture of every kernel, once for each image that has it.
        functions: machine code of each function by its name and architecture.
    """

    images: tuple[bytes, ...]
    ptx: tuple[bytes, ...]
    kernels: tuple[str, ...]
    functions: frozenset[tuple[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Figures of one file, or of all together."""

    images: int = 0
    image_bytes: int = 0
    kernels: int = 0
    ptx: int = 0
    ptx_bytes: int = 0
    differing: tuple[str, ...] = ()

    def __add__(self, other: Compared) -> Compared:
        return Compared(
            images=self.images + other.images,
            image_bytes=self.image_bytes + other.image_bytes,
            kernels=self.kernels + other.kernels,
            ptx=self.ptx + other.ptx,
            ptx_bytes=self.ptx_bytes + other.ptx_bytes,
            differing=self.differing + other.differing,
        )


def code_of(file: Path, cuobjdump: str) -> Code:
    """Take the device code out of a file.

    Raises:
        SystemExit: `cuobjdump` failed, as it does where there is none.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for what in ("-xelf", "-xptx"):
            command = [cuobjdump, what, "all", file.absolute()]
            ended = subprocess.run(command, cwd=scratch, check=False, capture_output=True, text=True)
            if ended.returncode:
                raise SystemExit(f"{cuobjdump} {what}: {(ended.stdout + ended.stderr).strip() or file}")
        images = sorted(Path(scratch).glob("*.cubin"))
        sections = [_sections(image) for image in images]
        return Code(
            images=tuple(image.read_bytes() for image in images),
            ptx=tuple(text.read_bytes() for text in sorted(Path(scratch).glob("*.ptx"))),
            kernels=tuple(
                f"{name} ({_architecture(image)})"
                for image, text in zip(images, sections, strict=True)
                for name in KERNEL.findall(text)
            ),
            functions=frozenset(
                found
                for image, text in zip(images, sections, strict=True)
                for found in _functions(image, text)
            ),
        )


def _sections(image: Path) -> str:
    return subprocess.run(["readelf", "-SW", image], check=True, capture_output=True, text=True).stdout


def _architecture(image: Path) -> str:
    return image.name.split(".")[-2]


def _functions(image: Path, sections: str) -> Iterator[tuple[str, bytes]]:
    content = image.read_bytes()
    for name, offset, size in SECTION.findall(sections):
        begin = int(offset, 16)
        yield f"{name} ({_architecture(image)})", content[begin : begin + int(size, 16)]


def compare(name: str, before: Code, after: Code) -> Compared:
    """What of `after` is not in `before`, and the other way round, by names."""
    functions = {function for function, _ in before.functions ^ after.functions}
    differing = sorted(functions | {*(Counter(before.kernels) - Counter(after.kernels))})
    if not differing and Counter(before.images) != Counter(after.images):
        differing = ["an image, though not in what its functions do"]
    if Counter(before.ptx) != Counter(after.ptx):
        differing = [*differing, "PTX"]
    return Compared(
        images=len(after.images),
        image_bytes=sum(map(len, after.images)),
        kernels=len(after.kernels),
        ptx=len(after.ptx),
        ptx_bytes=sum(map(len, after.ptx)),
        differing=tuple(f"{name}: {one}" for one in differing),
    )


def pairs(before: Path, after: Path) -> Sequence[tuple[str, Path, Path]]:
    """The files to compare, by the place that both have in common.

    Raises:
        SystemExit: a file of one folder is not in the other, or neither has any.
    """
    if not before.is_dir():
        return [(after.name, before, after)]
    places = [{str(file.relative_to(folder)) for file in folder.rglob(OBJECTS)} for folder in (before, after)]
    if places[0] != places[1]:
        raise SystemExit(f"not in both: {', '.join(sorted(places[0] ^ places[1]))}")
    if not places[0]:
        raise SystemExit(f"no {OBJECTS} in {before}")
    return [(place, before / place, after / place) for place in sorted(places[0])]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--cuobjdump", default="cuobjdump")
    parser.add_argument("--json", action="store_true", help="print data")
    given = parser.parse_args()
    if shutil.which(given.cuobjdump) is None:
        parser.error(f"no {given.cuobjdump}: name it with --cuobjdump FILE")
    files = pairs(given.before, given.after)

    def one(pair: tuple[str, Path, Path]) -> Compared:
        name, before, after = pair
        return compare(name, code_of(before, given.cuobjdump), code_of(after, given.cuobjdump))

    with ThreadPoolExecutor(max_workers=2) as pool:
        found = sum(pool.map(one, files), start=Compared())
    if given.json:
        print(json.dumps({"files": len(files), **asdict(found)}, indent=1))
    else:
        print(
            f"{len(files)} files: {found.images} images ({found.image_bytes / 1e6:.1f} MB, "
            f"{found.kernels} kernels) and {found.ptx} texts of PTX ({found.ptx_bytes / 1e6:.1f} MB); "
            f"{len(found.differing)} differ"
        )
        print(*found.differing, sep="\n")
    sys.exit(bool(found.differing))


if __name__ == "__main__":
    main()
