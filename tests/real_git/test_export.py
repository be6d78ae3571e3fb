"""`export`: one file that plain git, `git am` and `patch` turn into exactly the patched tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.layered import SELECTIONS, expected, layered
from tests.patch_upstream import BASE, TAG, Upstream, after
from winvllm_build.cli.main import run
from winvllm_build.git import Oid

TRAPS = (
    "Subject: Quotes a diff \u00e9\nDescription: An example of\n"
    " diff --git a/a.py b/a.py\n @@ -1,2 +1,2 @@\n --- a/a.py\n From: someone\n ---\n [tag] in front\n"
    "Upstream-Status: Pending\n"
)
AT_ONCE = ["apply", "--whitespace=nowarn"]


def users_git(folder: Path, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[bytes]:
    """Git as a user calls it: with whatever configuration there is."""
    environment = {name: value for name, value in os.environ.items() if name != "GIT_ATTR_SOURCE"}
    done = subprocess.run(
        ["git", "-C", folder, *arguments], capture_output=True, check=False, env=environment
    )
    assert not ok or done.returncode == 0, done.stderr.decode()
    return done


def exported(upstream: Upstream, *options: str, name: str = "one.patch") -> Path:
    file = upstream.folder.parent / name
    assert run(["export", TAG, "-o", str(file), "--patches", str(upstream.patches), *options]) == 0
    return file


def expected_tree(upstream: Upstream) -> Oid:
    pair = upstream.load().target("vllm").pair_of(upstream.git.tree_of(upstream.commit))
    assert pair is not None
    assert pair.patched is not None
    return pair.patched


def plain(folder: Path, upstream: Upstream) -> Path:
    """The unpacked archive: the same files, no repository, and none around it."""
    shutil.copytree(upstream.folder, folder, ignore=shutil.ignore_patterns(".git"))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    found = (file for file in sorted(folder.rglob("*")) if file.is_file() and ".git" not in file.parts)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


@pytest.fixture
def described(upstream: Upstream) -> Upstream:
    """A header that quotes everything a parser of patches might fall for."""
    file = upstream.patch_file("a.py")
    file.write_bytes(TRAPS.encode() + b"\n" + file.read_bytes().partition(b"\n\n")[2])
    return upstream


def test_git_apply_gives_exactly_the_patched_tree(described: Upstream) -> None:
    file = exported(described)
    for step in (["apply", "--check"], AT_ONCE, ["apply", "--check", "--reverse"]):
        users_git(described.folder, *step, str(file))
    users_git(described.folder, "add", "-A")
    assert described.index_tree() == expected_tree(described)
    assert described.content() == after()
    users_git(described.folder, *AT_ONCE, "--reverse", str(file))
    assert described.content() == dict(BASE)


def test_the_commands_of_the_preamble_work(upstream: Upstream, tmp_path: Path) -> None:
    file = exported(upstream)
    commands = [line[4:].partition("  ")[0] for line in file.read_text().splitlines() if line[:4] == "#   "]
    assert len(commands) == 3
    for command in commands:
        words = command.replace("FILE", str(file)).split()
        assert words[0] == "git"
        users_git(upstream.folder, *words[1:])
    assert upstream.content() == after()
    text = upstream.patches / TAG / "patchset.toml"
    sdist = '\nsdist = { project = "u", version = "1.2.3", sha256 = "' + "0" * 64 + '" }\n'
    text.write_text(text.read_text() + sdist)
    upstream.unapply()
    folder = plain(tmp_path / "unpacked", upstream)
    file = exported(upstream, "--sdist")
    assert "u 1.2.3, sha256 000" in file.read_text()
    commands = [line[4:].partition("  ")[0] for line in file.read_text().splitlines() if line[:4] == "#   "]
    if shutil.which("patch") is None:
        pytest.skip("patch is not installed")
    for command in commands:
        subprocess.run(
            command.replace("FILE", str(file)).split(), cwd=folder, check=True, capture_output=True
        )
    assert contents(folder) == after()


@pytest.mark.skipif(shutil.which("patch") is None, reason="patch is not installed")
def test_patch_takes_the_preamble_for_no_patch(described: Upstream, tmp_path: Path) -> None:
    folder = plain(tmp_path / "unpacked", described)
    file = exported(described)
    done = subprocess.run(
        ["patch", "-p1", "--binary", "-i", file], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[0] == b"patching file a.py"
    assert contents(folder) == after()


def test_git_apply_works_without_a_repository(upstream: Upstream, tmp_path: Path) -> None:
    folder = plain(tmp_path / "unpacked", upstream)
    users_git(folder, *AT_ONCE, str(exported(upstream)))
    assert contents(folder) == after()


def test_the_file_is_the_same_whoever_exports_it(
    upstream: Upstream, hostile_git: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert hostile_git.is_file()
    file = exported(upstream)
    assert run(["export", TAG, "--patches", str(upstream.patches)]) == 0
    assert capfdbinary.readouterr().out == file.read_bytes()
    texts = [patch.content.diff.text for patch in upstream.load().patches]
    assert file.read_bytes().endswith(b"\n\n" + b"".join(texts))
    preamble = file.read_bytes().partition(b"\n\n")[0].splitlines()
    assert all(line.startswith(b"#") for line in preamble)


def checkout(upstream: Upstream, folder: Path, *options: str) -> Path:
    users_git(upstream.folder, "clone", "-q", "--no-local", *options, ".", str(folder))
    users_git(folder, "checkout", "-q", "--detach", str(upstream.commit))
    return folder


def test_line_ends_of_a_windows_checkout(upstream: Upstream, tmp_path: Path) -> None:
    """What the manual says: with autocrlf the worktree gets CRLF, and the commit is right all the same."""
    upstream.git.out("update-ref", "refs/heads/main", upstream.commit)
    file = exported(upstream)
    exact = checkout(upstream, tmp_path / "exact", "-c", "core.autocrlf=false")
    users_git(exact, *AT_ONCE, str(file))
    assert contents(exact) == after()
    converted = checkout(upstream, tmp_path / "converted", "-c", "core.autocrlf=true")
    assert b"\r\n" in (converted / "a.py").read_bytes()
    users_git(converted, *AT_ONCE, "--index", str(file))
    assert Oid(users_git(converted, "write-tree").stdout.decode().strip()) == expected_tree(upstream)


def test_whitespace_fix_is_disarmed_by_the_named_option(upstream: Upstream, tmp_path: Path) -> None:
    upstream.apply()
    upstream.write({"a.py": BASE["a.py"].replace(b"line 3\n", b"trailing \t\n")})
    upstream.regen()
    upstream.unapply()
    file = exported(upstream)
    folder = plain(tmp_path / "unpacked", upstream)
    users_git(folder, "-c", "apply.whitespace=fix", *AT_ONCE, str(file))
    assert b"trailing \t\n" in (folder / "a.py").read_bytes()


def test_git_am_makes_one_commit_of_each_patch(described: Upstream) -> None:
    described.relock()
    file = exported(described, "--format", "mbox", name="series.mbox")
    users_git(described.folder, "am", "-q", "--keep-cr", "--no-gpg-sign", str(file))
    assert described.git.tree_of("HEAD") == expected_tree(described)
    log = users_git(described.folder, "log", "--reverse", "--format=%an %s", "HEAD").stdout.decode()
    _, first, *others = log.splitlines()
    assert first == "winvllm-build Quotes a diff \u00e9"
    assert len(others) == 4
    oldest = users_git(described.folder, "rev-list", "--reverse", "HEAD").stdout.split()[1].decode()
    message = users_git(described.folder, "log", "-1", "--format=%B", oldest).stdout.decode()
    assert " diff --git a/a.py b/a.py\n" in message
    assert "\n[tag] in front\n" in message.replace("\n [", "\n[")
    assert "Upstream-Status: Pending" in message


def test_a_binary_patch_and_a_mode_survive(upstream: Upstream) -> None:
    upstream.apply()
    upstream.write({"b.bin": b"\0\1\2" * 50})
    (upstream.folder / "csrc/k.cu").chmod(0o755)
    upstream.regen(new=("b.bin",))
    upstream.unapply()
    assert upstream.content() == dict(BASE)
    users_git(upstream.folder, *AT_ONCE, "--index", str(exported(upstream)))
    assert upstream.index_tree() == expected_tree(upstream)
    users_git(upstream.folder, "reset", "-q", "--hard")
    users_git(upstream.folder, "am", "-q", "--keep-cr", str(exported(upstream, "--format", "mbox")))
    assert upstream.git.tree_of("HEAD") == expected_tree(upstream)


def test_a_topic_alone(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    file = upstream.patch_file("csrc/k.cu")
    file.write_bytes(b"Subject: x\nTopic: kernels\n\n" + file.read_bytes().partition(b"\n\n")[2])
    made = exported(upstream, "--topic", "kernels")
    assert made.read_bytes().count(b"diff --git ") == 1
    assert "# topics   kernels" in made.read_text()
    users_git(upstream.folder, "apply", "--check", str(made))
    capsys.readouterr()
    assert run(["export", "--topic", "none", "--patches", str(upstream.patches)]) == 2
    assert run(["export", "--layer", "none", "--patches", str(upstream.patches)]) == 2
    assert run(["export", "--format", "zip", "--patches", str(upstream.patches)]) == 2
    assert run(["export", "--sdist", "--patches", str(upstream.patches)]) == 2


def test_a_set_that_is_not_proven_is_not_exported(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    file = upstream.patch_file("csrc/k.cu")
    file.write_bytes(file.read_bytes().replace(b"+long b;", b"+short b;"))
    assert run(["export", "--patches", str(upstream.patches)]) == 9
    assert "does not fit the patch files" in capsys.readouterr().err


@pytest.fixture(scope="module")
def layered_template(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return layered(tmp_path_factory.mktemp("layered"))


@pytest.mark.parametrize("layers", SELECTIONS, ids="+".join)
def test_layers_are_exported_as_one_difference(
    layered_template: Upstream, tmp_path: Path, layers: tuple[str, ...]
) -> None:
    """Where layers change one file the source is had and their diff composed."""
    upstream = layered_template.copied(tmp_path / "mine")
    upstream.git.out("update-ref", f"refs/tags/{TAG}", upstream.commit)
    manifest = upstream.patches / TAG / "patchset.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace("https://example.invalid/u", upstream.folder.as_uri()), encoding="utf-8")
    options = [word for name in layers for word in ("--layer", name)]
    file = exported(upstream, *options)
    users_git(upstream.folder, *AT_ONCE, str(file))
    assert upstream.content() == expected(*layers)
    assert f"# layers   {', '.join(('windows', *layers))}\n" in file.read_text()
    users_git(upstream.folder, "checkout", "-q", "-f", "--detach", str(upstream.commit))
    users_git(upstream.folder, "clean", "-q", "-f", "-d")
    users_git(upstream.folder, "am", "-q", "--keep-cr", str(exported(upstream, *options, "--format", "mbox")))
    assert upstream.content() == expected(*layers)


def test_topics_do_not_take_layers_apart(
    layered_template: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", "--patches", str(layered_template.patches), "--layer", "fast"]
    for layer in ("windows", "fast"):
        file = layered_template.patch_file("a.py", layer)
        file.write_bytes(b"Subject: x\nTopic: t\n\n" + file.read_bytes().partition(b"\n\n")[2])
    capsys.readouterr()
    assert run([*words, "--topic", "t"]) == 2
    assert "cannot take them apart" in capsys.readouterr().err
