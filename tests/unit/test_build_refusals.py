"""What a build refuses before anything is fetched or written for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build import process
from winvllm_build.build import equipment
from winvllm_build.choices import SourceKind
from winvllm_build.cli.main import run
from winvllm_build.errors import ProfileError, ToolchainError
from winvllm_build.git import Git, Oid
from winvllm_build.profile.files import ProfileRoots
from winvllm_build.profile.loader import ResolvedProfile, resolve
from winvllm_build.profile.problem import InvalidProfileError
from winvllm_build.sources.source import Source

LISTS = b"""cmake_minimum_required(VERSION 3.26)
set(CUDA_SUPPORTED_ARCHS "7.5;8.0;8.6")
"""


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("build", "--python", "GONE"), ToolchainError.exit_code, "the Python GONE does not exist"),
        (("plan", "--set", "python.executable=GONE"), ToolchainError.exit_code, "GONE does not exist"),
        (("develop", "--into", "GONE"), ToolchainError.exit_code, "the Python GONE does not exist"),
        (("build", "--python", "FOLDER"), ToolchainError.exit_code, "the Python FOLDER is a folder"),
        (("build", "--arch", "3.0"), ProfileError.exit_code, "architecture 3.0 was dropped by CUDA 11.0"),
    ],
)
def test_nothing_is_made_for_what_cannot_be(
    hermetic_seal: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, told: str
) -> None:
    def placed(text: str) -> str:
        return text.replace("GONE", str(hermetic_seal / "no" / "python")).replace(
            "FOLDER", str(hermetic_seal)
        )

    assert run([*map(placed, words), "--profile", "quickstart"]) == code
    said = capsys.readouterr().err
    assert placed(told) in said
    assert "put it on PATH" not in said
    assert not (hermetic_seal / "workspace").exists()


def source(folder: Path, files: dict[str, bytes]) -> Source:
    """A commit with these files in a repository of its own."""
    folder.mkdir()
    git = Git(folder)
    git.out("init", "-q", "--bare", "--template=")
    entries = b"".join(
        b"100644 blob %s\t%s\n" % (git.out("hash-object", "-w", "--stdin", stdin=text).strip(), name.encode())
        for name, text in files.items()
    )
    tree = Oid(git.line("mktree", stdin=entries))
    commit = git.commit_tree(tree, "upstream")
    return Source(
        kind=SourceKind.GIT, tag="v1", commit=commit, tree=tree, repository=folder, description="made here"
    )


def asking(arch: str, folder: Path) -> ResolvedProfile:
    roots = ProfileRoots(shipped=folder, user=folder, project=None)
    return resolve(None, roots=roots, environment={}, overrides={"cuda.arch_list": arch})


def test_an_architecture_that_the_tag_lacks_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    upstream = source(tmp_path / "a.git", {"CMakeLists.txt": LISTS})
    with pytest.raises(
        InvalidProfileError, match=r"not support architecture 5\.0; it supports 7\.5, 8\.0, 8\.6"
    ):
        equipment.refuse_architectures(asking("5.0", tmp_path), upstream)
    equipment.refuse_architectures(asking("8.6;8.9", tmp_path), upstream)
    equipment.refuse_architectures(asking("5.0", tmp_path), source(tmp_path / "b.git", {"README": b""}))


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("no-such-program", "install no-such-program and put it on PATH"),
        ("/no/such/program", "check the path"),
    ],
)
def test_a_program_that_is_not_there_is_installed_or_its_path_is_checked(name: str, fix: str) -> None:
    with pytest.raises(ToolchainError, match="cannot start") as caught:
        process.capture([name])
    assert str(caught.value.fix).startswith(fix)
