"""Objects and libraries without this machine's folders and this run's chance: equal inputs, equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from packaging.version import Version

from winvllm_build import process
from winvllm_build.toolchain.host import HostCompiler, HostKind
from winvllm_build.toolchain.toolchain import Toolchain
from winvllm_build.workspace import Workspace, write_atomic

RULES: Final = Path(__file__).parent / "data" / "reproducible.cmake"
SOURCES: Final = "_SRC_DIR"
"""How the variables end by which upstream's CMake is given dependencies."""
MAPS_FROM: Final = {HostKind.GCC: Version("8"), HostKind.CLANG: Version("10")}
"""The releases that brought `-ffile-prefix-map`."""
SEED: Final = "--frandom-seed=<OBJECT> -objtemp -Xcudafe --orig_src_path_name,<OBJECT>"
"""nvcc's random numbers, the names of intermediate files, the path whose hash is in internal names.

With a comma: a word of its own after `-Xcudafe` is a second source to sccache, which then does not cache."""
PATH_NAME: Final = "--orig_src_path_name"
PROBE: Final = "winvllm-probe.cu"
SECONDS: Final = 30.0


def definitions(
    toolchain: Toolchain, workspace: Workspace, *, tree: Path, build: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """CMake's cache entries for objects that are the same in any folder; none where the compiler has no way.

    Raises:
        StorageError: the workspace cannot be written.
    """
    folders = named(toolchain, workspace, tree=tree, build=build, environment=environment)
    return options(
        toolchain.host, toolchain.cuda.nvcc, folders,
        rules=workspace.root / "gate" / RULES.name, environment=toolchain.environment,
    )  # fmt: skip


def options(
    host: HostCompiler, nvcc: Path, folders: Mapping[str, str], *, rules: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """The entries for these compilers.

    With cl.exe none: that `/Brepro` and `/pathmap` do it there is documented, and was not tried.

    Args:
        host: the C++ compiler, also nvcc's.
        nvcc: the CUDA compiler.
        folders: what is to stand for each folder, those inside another one after it.
        rules: where the file that CMake reads is put.
        environment: of the compilers.

    Raises:
        StorageError: `rules` cannot be written.
    """
    if host.kind is HostKind.MSVC or host.version < MAPS_FROM[host.kind]:
        return {}
    content = RULES.read_bytes()
    if not rules.is_file() or rules.read_bytes() != content:
        write_atomic(rules, content)
    maps = prefix_maps(folders)
    found = {
        "CMAKE_SKIP_BUILD_RPATH": "ON",  # its length would stay in the file when install takes it out
        "CMAKE_USER_MAKE_RULES_OVERRIDE_CXX": rules.as_posix(),
        "WINVLLM_CXX_MAPS": " ".join(maps),
    }
    if takes_seed(nvcc, host, environment):
        found |= {
            "CMAKE_USER_MAKE_RULES_OVERRIDE_CUDA": rules.as_posix(),
            "WINVLLM_CUDA_MAPS": " ".join(f"-Xcompiler={one}" for one in maps),
            "WINVLLM_SEED": SEED,
        }
    return found


def named(
    toolchain: Toolchain, workspace: Workspace, *, tree: Path, build: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """Folders and what stands for them in objects; of those inside one another the inner one last.

    Behind a link both names: torch's CMake files spell their own folder without links.
    """
    found = {
        toolchain.python.include: "/python",
        toolchain.cuda.home: "/cuda",
        workspace.root: "/winvllm",
        toolchain.torch.package: "/torch",
        **dict.fromkeys(toolchain.cuda.include_dirs, "/cuda-overlay"),
        **{
            Path(folder): f"/{name.removesuffix(SOURCES).lower()}"
            for name, folder in sorted(environment.items())
            if name.endswith(SOURCES)
        },
        tree: "/vllm",
        build: "/build",
    }
    ways = [(way, name) for folder, name in found.items() for way in (folder.resolve(), folder)]
    return {way.as_posix(): name for way, name in ways}


def prefix_maps(folders: Mapping[str, str]) -> list[str]:
    """Options of GCC and Clang, which take the last that fits; nvcc cuts at commas: such a folder stays."""
    return [
        f"-ffile-prefix-map={folder}={name}"
        for folder, name in folders.items()
        if not set(folder) & set(", =\"'$\\;<>")
    ]


def takes_seed(nvcc: Path, host: HostCompiler, environment: Mapping[str, str]) -> bool:
    """Whether this nvcc has the options of `SEED`; a dry run prints its steps and reads no file."""
    words = SEED.replace("<OBJECT>", "probe.o").split()
    done = process.capture(
        [nvcc, "--dryrun", f"-ccbin={host.cxx}", *words, "-c", PROBE, "-o", "probe.o"],
        env=environment, timeout=SECONDS,
    )  # fmt: skip
    fronts = [line for line in done.error_text.splitlines() if "cudafe++" in line]
    return done.code == 0 and any(line.count(PATH_NAME) > 1 for line in fronts)
