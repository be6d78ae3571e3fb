"""What a comparison of device code sees; ELF files of the host's compiler stand in for nvcc's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks import device_code
from tests.bare_machine import posix_only

pytestmark = posix_only
KERNEL = """\
__attribute__((section(".nv.constant0.{name}"))) int of_{name} = 1;
int {name}(int n) {{ return n + {add}; }}"""
TAKE_OUT = """\
#!/bin/sh
grep -q PTX "$3" || { echo "File '$3' does not contain device code"; exit 255; }
case $1 in
-xelf) cp "$3" image.1.sm_86.cubin ;;
-xptx) strings -n 3 "$3" | grep PTX >text.1.sm_86.ptx ;;
esac
"""


@pytest.fixture
def cuobjdump(tmp_path: Path) -> str:
    """Takes the whole file for an image, and its strings with PTX in them for that."""
    script = tmp_path / "cuobjdump"
    script.write_text(TAKE_OUT, encoding="utf-8")
    script.chmod(0o755)
    return str(script)


def made(folder: Path, *kernels: tuple[str, int], ptx: str = "PTX 1") -> Path:
    lines = [KERNEL.format(name=name, add=add) for name, add in kernels]
    source = folder / "kernels.c"
    source.write_text("\n".join([*lines, f'const char *ptx = "{ptx}";']), encoding="utf-8")
    folder.joinpath("a").mkdir(exist_ok=True)
    output = folder / "a" / "kernels.cu.o"
    subprocess.run(["gcc", "-c", "-ffunction-sections", source.name, "-o", output], cwd=folder, check=True)
    return output


def compared(cuobjdump: str, before: Path, after: Path) -> device_code.Compared:
    codes = [device_code.code_of(file, cuobjdump) for file in (before, after)]
    return device_code.compare("k", *codes)


def folders(root: Path) -> tuple[Path, Path]:
    for name in ("before", "after"):
        (root / name).mkdir()
    return root / "before", root / "after"


def test_the_same_code_is_the_same(tmp_path: Path, cuobjdump: str) -> None:
    old, new = (made(folder, ("one", 1), ("two", 2)) for folder in folders(tmp_path))
    found = compared(cuobjdump, old, new)
    assert (found.images, found.kernels, found.ptx, found.differing) == (1, 2, 1, ())
    assert found.image_bytes == old.stat().st_size


@pytest.mark.parametrize(
    ("kernels", "ptx", "differing"),
    [
        ((("one", 1), ("two", 3)), "PTX 1", ("k: two (sm_86)",)),
        ((("one", 1),), "PTX 1", ("k: two (sm_86)",)),
        ((("one", 1), ("two", 2), ("three", 2)), "PTX 1", ("k: three (sm_86)",)),
        ((("one", 1), ("two", 2)), "PTX 2", ("k: an image, though not in what its functions do", "k: PTX")),
    ],
)
def test_what_differs_is_named(
    tmp_path: Path,
    cuobjdump: str,
    kernels: tuple[tuple[str, int], ...],
    ptx: str,
    differing: tuple[str, ...],
) -> None:
    before, after = folders(tmp_path)
    old, new = made(before, ("one", 1), ("two", 2)), made(after, *kernels, ptx=ptx)
    assert compared(cuobjdump, old, new).differing == differing


def test_folders_hold_the_same_files(tmp_path: Path) -> None:
    before, after = folders(tmp_path)
    old, new = made(before, ("one", 1)), made(after, ("one", 1))
    assert device_code.pairs(before, after) == [("a/kernels.cu.o", old, new)]
    old.unlink()
    with pytest.raises(SystemExit, match=r"not in both: a/kernels\.cu\.o"):
        device_code.pairs(before, after)
    new.unlink()
    with pytest.raises(SystemExit, match=r"no \*\.cu\.o in"):
        device_code.pairs(before, after)


def test_a_file_of_which_nothing_can_be_taken_is_never_the_same(tmp_path: Path, cuobjdump: str) -> None:
    file = tmp_path / "kernels.cu.o"
    file.write_bytes(b"torn")
    with pytest.raises(SystemExit, match=r"-xelf: File '.*kernels\.cu\.o' does not contain device code"):
        compared(cuobjdump, file, file)
