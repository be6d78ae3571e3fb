"""Install the built components and let upstream's setup.py do the one thing it is good for: pack."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from winvllm_build import process
from winvllm_build.build.codemodel import CodeModel
from winvllm_build.build.facts import TagFacts
from winvllm_build.build.selection import Selection
from winvllm_build.build.steps import StepRunner
from winvllm_build.errors import PackError
from winvllm_build.git import Git
from winvllm_build.workspace import replace, storage_errors, write_atomic

LIMITED_API: Final = "cp38"
"""Upstream's own wheels are tagged so; its extensions use the stable ABI."""
SHORT: Final = "w"
"""What bdist_wheel copies into. Below its own folder v0.33.0's longest names pass Windows' 260 characters."""
NOT_PACKED: Final = shutil.ignore_patterns(
    ".git", ".deps", "*.egg-info", "__pycache__", "*.pyc", "csrc", "tests", "docs", "examples"
)
FROM_ELSEWHERE: Final = frozenset({"torch", "cmake", "ninja"})
"""Build requirements that packing takes from the toolchain or does not need."""
SETUP: Final = (
    "import os, runpy, sys; os.umask(0o022); sys.argv[0] = 'setup.py'; sys.path.insert(0, os.getcwd());"
    " runpy.run_path('setup.py', run_name='__main__')"
)
"""`setup.py` with nobody's own umask: a wheel holds the permissions of the files it is made of."""
EGG_INFO: Final = "vllm.egg-info"
"""What setuptools writes into the tree, and bdist_wheel copies."""
PACKAGE: Final = "vllm"
COMPILED: Final = (".so", ".pyd")
EPOCH: Final = "315532800"
"""The first second that a zip archive can name; every file of a wheel is dated so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A packed wheel; `extensions` are the compiled files inside, wheel-relative; `size` in bytes."""

    path: Path
    version: str
    extensions: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What `cmake --install` left, by its place in the wheel: compiled files, and all others."""

    extensions: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackRequest:
    """What packing needs.

    Attributes:
        tree: the patched tree, read only.
        build: the build folder whose components are installed.
        components: CMake install components to take.
        targets: those of them that have to leave an extension.
        version: the wheel's whole version, local part included.
        python: the interpreter the wheel is for.
        shim: folder for PYTHONPATH where `torch` can be imported, None when `python` has its own torch.
        environments: where environments with the build requirements are kept.
        describe: files for the wheel's dist-info folder, from what was installed and what the tree has.
        placed: files that `develop` put into the tree; the wheel has those of its own build.
        out: folder the wheel goes to.
    """

    tree: Path
    build: Path
    cmake: Path
    components: Sequence[str]
    targets: Sequence[str]
    version: str
    python: Path
    shim: Path | None
    environments: Path
    describe: Callable[[Installed, tuple[str, ...]], Mapping[str, bytes]]
    out: Path
    placed: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What goes into a wheel: install components, and the targets that should be in and are not."""

    components: tuple[str, ...]
    missing: tuple[str, ...]


def contents(model: CodeModel, selection: Selection) -> Contents:
    """The components of a selection: its extensions, and those that only copy Python files."""
    left_out = {target.name for target in selection.left_out}
    compiled = {target.name for target in model.extensions()}
    chosen = [name for name in model.components if name in selection.targets]
    copied = [
        name
        for name in model.components
        if name not in compiled and name not in left_out and name in model.targets
    ]
    missing = [target.name for target in selection.left_out if not target.intended]
    return Contents(components=tuple(sorted([*chosen, *copied])), missing=tuple(sorted(missing)))


def pack(request: PackRequest, facts: TagFacts, runner: StepRunner) -> Wheel:
    """Install, copy, pack; the wheel appears in `out` whole or not at all.

    Raises:
        PackError: a step failed; names it and the log.
        StorageError: the disk is full or read-only.
    """
    python = packing_python(request, facts, runner)
    with storage_errors(str(request.out)), tempfile.TemporaryDirectory(prefix="winvllm-pack-") as temporary:
        stage, tree = Path(temporary, "stage"), Path(temporary, "tree")
        installed = install(request, stage, runner)
        files = copy_tree(request.tree, tree, request.placed)
        _describe(tree, request.describe(installed, files))
        made = _bdist(request, python, tree=tree, stage=stage, runner=runner)
        request.out.mkdir(parents=True, exist_ok=True)
        part = request.out / f".{made.name}.part"
        shutil.copyfile(made, part)
        replace(part, request.out / made.name)
        path = request.out / made.name
    return Wheel(
        path=path, version=request.version, extensions=installed.extensions, size=path.stat().st_size
    )


def install(request: PackRequest, stage: Path, runner: StepRunner) -> Installed:
    """`cmake --install` each component into `stage`.

    Raises:
        PackError: a component failed, or one that was compiled left nothing.
    """
    for component in request.components:
        runner.run(
            f"cmake --install --component {component}",
            [request.cmake, "--install", request.build, "--prefix", stage, "--component", component],
        )
    files = sorted(f.relative_to(stage).as_posix() for f in stage.rglob("*") if f.is_file())
    found = Installed(
        extensions=tuple(name for name in files if name.endswith(COMPILED)),
        others=tuple(name for name in files if not name.endswith(COMPILED)),
    )
    lacking = set(request.targets) - {target_of(name) for name in found.extensions}
    if lacking:
        raise PackError(
            f"cmake --install left no file of {', '.join(sorted(lacking))}\nlog: {runner.log}",
            fix="run the build again with --fresh",
        )
    return found


def target_of(extension: str) -> str:
    """The CMake target of a compiled file: `_C` of `vllm/_C.abi3.so`."""
    return PurePosixPath(extension).name.split(".")[0]


def _describe(tree: Path, files: Mapping[str, bytes]) -> None:
    """Put files where bdist_wheel takes them into the dist-info folder and RECORD."""
    for name, content in files.items():
        file = tree / EGG_INFO / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o644)


def packing_python(request: PackRequest, facts: TagFacts, runner: StepRunner) -> Path:
    """An environment with the tag's own build requirements, kept from wheel to wheel."""
    wanted = sorted(str(r) for r in facts.build_requires if r.name not in FROM_ELSEWHERE)
    listed = ("\n".join([str(request.python), *wanted]) + "\n").encode()
    folder = request.environments / f"pack-{request.version.partition('+')[0]}-{_python_tag(request.python)}"
    stamp = folder / "winvllm-requirements.txt"
    if not stamp.is_file() or stamp.read_bytes() != listed:
        shutil.rmtree(folder, ignore_errors=True)
        create: list[str | Path] = [request.python, "-m", "venv", "--system-site-packages", folder]
        runner.run("creating the packing environment", create)
        fill: list[str | Path] = [_interpreter(folder), "-m", "pip", "install", "--quiet", *wanted]
        runner.run("installing the tag's build requirements", fill, extra=installer_variables())
        write_atomic(stamp, listed)
    return _interpreter(folder)


def installer_variables() -> dict[str, str]:
    """The variables by which pip and uv are configured; upstream's own code never sees them."""
    kept = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CONFIG_HOME")
    return {k: v for k, v in os.environ.items() if k.upper().startswith(("PIP_", "UV_")) or k.upper() in kept}


def _interpreter(environment: Path) -> Path:
    windows = environment / "Scripts" / "python.exe"
    return windows if windows.is_file() else environment / "bin" / "python"


def _python_tag(python: Path) -> str:
    done = process.capture([python, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"])
    return done.text.strip()


def copy_tree(source: Path, target: Path, leave: AbstractSet[str]) -> tuple[str, ...]:
    """A copy with a repository of its own: setuptools-scm packs the files that git tracks.

    Args:
        source: the tree.
        target: where the copy goes.
        leave: files that are not copied.

    Returns:
        the files of the package.
    """
    left = {source / name for name in leave}

    def ignored(folder: str, names: list[str]) -> set[str]:
        return {*NOT_PACKED(folder, names), *(name for name in names if Path(folder, name) in left)}

    shutil.copytree(source, target, symlinks=True, ignore=ignored)
    for file in target.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)
    git = Git(target)
    git.out("init", "--quiet")
    git.out("add", "--all", "--force")
    git.out("commit", "--quiet", "--message", "tree to pack")
    listed = git.out("ls-files", "-z", "--", PACKAGE).split(b"\0")
    return tuple(sorted(os.fsdecode(name) for name in listed if name))


def _bdist(request: PackRequest, python: Path, *, tree: Path, stage: Path, runner: StepRunner) -> Path:
    extra = {
        "SOURCE_DATE_EPOCH": EPOCH,
        "VLLM_VERSION_OVERRIDE": request.version,
        "VLLM_TARGET_DEVICE": "cuda",
    }
    if request.shim is not None:
        extra["PYTHONPATH"] = str(request.shim)
    library, dist = tree / "build" / "lib", tree / "dist"
    (tree / "setup.cfg").write_text(f"[build]\nbuild_lib = {library.as_posix()}\n", encoding="utf-8")
    runner.run("setup.py build_py", [python, "-c", SETUP, "build_py"], cwd=tree, extra=extra)
    shutil.copytree(stage, library, dirs_exist_ok=True)
    command = [
        "-c",
        SETUP,
        "bdist_wheel",
        "--skip-build",
        f"--py-limited-api={LIMITED_API}",
        "--bdist-dir",
        str(tree.parent / SHORT),
        "--dist-dir",
        str(dist),
    ]
    runner.run("setup.py bdist_wheel", [python, *command], cwd=tree, extra=extra)
    found = sorted(dist.glob("*.whl"))
    if not found:
        raise PackError(f"setup.py bdist_wheel made no wheel\nlog: {runner.log}", fix=f"read {runner.log}")
    return found[0]
