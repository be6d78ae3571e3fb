"""`shell`: a sub-shell in the patched tree; exit 0 writes the patches, nothing else loses an edit."""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path, PureWindowsPath

import pytest
from typing_extensions import Self

from tests.patch_upstream import BASE, TAG, Upstream, after, digest
from winvllm_build.cli.main import run
from winvllm_build.errors import ToolchainError
from winvllm_build.patchset.status import TreeState
from winvllm_build.process import interactive
from winvllm_build.review.subshell import launch
from winvllm_build.workspace import Workspace

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the shells of these tests are POSIX ones")
PROGRAM = Path(sys.executable).parent / "winvllm-build"
ON_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.fixture(autouse=True)
def plain_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")


def shell(upstream: Upstream, command: str, *options: str) -> int:
    place = ["--patches", str(upstream.patches), "--tree", str(upstream.folder)]
    return run(["shell", TAG, "--command", command, *place, *options])


def test_exit_0_writes_the_patches(upstream: Upstream, capfd: pytest.CaptureFixture[str]) -> None:
    assert shell(upstream, "sed -i 's/^line 20$/line twenty/' a.py && pwd && echo $WINVLLM_BUILD_SHELL") == 0
    out = capfd.readouterr().out
    assert str(upstream.folder) in out.splitlines()
    assert TAG in out.splitlines()
    assert "written  v1.2.3/windows/vllm/a.py.patch" in out
    assert "1 written, 0 removed, 4 unchanged, lock written" in out
    assert b"+line twenty" in upstream.patch_file("a.py").read_bytes()
    assert upstream.status().state is TreeState.APPLIED
    upstream.regen(check=True)


def test_without_an_edit_nothing_is_written(upstream: Upstream, capfd: pytest.CaptureFixture[str]) -> None:
    before = digest(upstream.patches)
    assert shell(upstream, "true") == 0
    assert "0 written" in capfd.readouterr().out
    assert digest(upstream.patches) == before
    assert upstream.content() == after()


def test_any_other_code_writes_nothing_and_says_how_to_go_on(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    before = upstream.patch_bytes()
    assert shell(upstream, "echo mine >> a.py; exit 7") == 1
    said = capsys.readouterr().err
    assert "exit code 7: no patch was written" in said
    assert upstream.patch_bytes() == before
    assert upstream.content()["a.py"].endswith(b"mine\n")
    ways = dict(line.strip().rpartition(": ")[::2] for line in said.splitlines() if ": winvllm-build" in line)
    assert set(ways) == {"write them", "go on", "take them back (they are kept as a commit)"}
    more = "grep -q mine a.py && echo more >> a.py; exit 1"
    assert run([*shlex.split(ways["go on"])[1:], "--command", more]) == 1
    assert "they are kept" in capsys.readouterr().err
    assert run(shlex.split(ways["write them"])[1:]) == 0
    assert upstream.patch_file("a.py").read_bytes().endswith(b"+mine\n+more\n")


def test_edits_can_be_taken_back(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(upstream, "echo mine >> a.py; exit 1") == 1
    said = capsys.readouterr().err
    back = next(line for line in said.splitlines() if "take them back" in line).rpartition(": ")[2]
    assert run(shlex.split(back)[1:]) == 0
    assert upstream.content() == after()
    assert "refs/winvllm/saved/" in capsys.readouterr().err


def test_new_files_are_named(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(upstream, "echo 'int n;' > csrc/n.cu") == 10
    said = capsys.readouterr().err
    assert f"the edits are in {upstream.folder}" in said
    assert "--new" in said
    assert shell(upstream, "true", "--new", "csrc/*.cu") == 0
    assert upstream.patch_file("csrc/n.cu").is_file()


def test_no_shell_in_a_shell(upstream: Upstream, capfd: pytest.CaptureFixture[str]) -> None:
    words = [str(PROGRAM), "shell", "--patches", str(upstream.patches), "--tree", str(upstream.folder)]
    assert shell(upstream, f"{shlex.join(words)}; test $? = 2") == 0
    assert f"this is the shell of {TAG} already" in capfd.readouterr().err
    assert shell(upstream, f"{PROGRAM} status --patches {upstream.patches} --tree .") == 0


def test_the_tree_the_tool_makes(
    upstream: Upstream, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    upstream.git.out("update-ref", f"refs/tags/{TAG}", upstream.commit)
    manifest = upstream.patches / TAG / "patchset.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace("https://example.invalid/u", upstream.folder.as_uri()), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = ["shell", "--patches", str(upstream.patches), "--json", "--command"]
    assert run([*words, "echo mine >> a.py"]) == 0
    out = capfd.readouterr().out
    found = json.loads(out)
    folder = Workspace.default().trees / f"{TAG}-edit"
    assert found["worktree"] == str(folder)
    assert [Path(file).name for file in found["written"]] == ["a.py.patch"]
    assert run([*words, "grep -q mine a.py"]) == 0
    assert Path.cwd() == tmp_path


def test_a_first_patch(upstream: Upstream, tmp_path: Path) -> None:
    made = Upstream.make(tmp_path / "first")
    assert shell(made, "echo '// first' >> csrc/k.cu") == 0
    assert made.patch_file("csrc/k.cu").is_file()
    made.unapply()
    assert made.content() == dict(BASE)
    assert upstream.content() == dict(BASE)


def test_trees_that_are_not_ready(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.write({"a.py": b"mine\n"})
    assert shell(upstream, "touch started") == 10
    assert "dirty" in capsys.readouterr().err
    assert not (upstream.folder / "started").exists()
    upstream.folder = tmp_path
    assert shell(upstream, "touch started") == 10
    assert not (tmp_path / "started").exists()


LAYERED = '\n[layer.turbo]\ntitle = "More"\n'


def test_a_layer(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = upstream.patches / TAG / "patchset.toml"
    manifest.write_text(manifest.read_text(encoding="utf-8") + LAYERED, encoding="utf-8")
    assert shell(upstream, "echo turbo >> notes/readme", "--layer", "turbo") == 0
    assert upstream.patch_file("notes/readme", "turbo").is_file()
    assert shell(upstream, "touch started") == 2
    assert "--layer turbo" in capsys.readouterr().err
    assert shell(upstream, "echo more >> notes/readme", "--layer", "turbo") == 0
    assert upstream.patch_file("notes/readme", "turbo").read_bytes().endswith(b"+turbo\n+more\n")
    assert shell(upstream, "echo port >> csrc/k.cu", "--layer", "windows") == 0
    assert b"+port" in upstream.patch_file("csrc/k.cu").read_bytes()


class Terminal:
    """`winvllm-build shell` with a terminal of its own, and our end of it."""

    def __init__(self, upstream: Upstream, *options: str) -> None:
        self.ours, theirs = os.openpty()
        place = ["--patches", str(upstream.patches), "--tree", str(upstream.folder)]
        self.child = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, str(PROGRAM), "shell", TAG, *place, *options],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.heard = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        os.close(self.ours)  # hangs up
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def interrupt(self, words: bytes) -> None:
        """Ctrl-C until it works: shells lose one that comes just as they start a program."""
        for _ in range(4):
            time.sleep(0.5)
            self.type(b"\x03")
            if self.shows(words, seconds=10):
                while self.shows(b"unheard of", seconds=1) or self.heard:
                    pass
                return
        pytest.fail(f"Ctrl-C does not lead to {words!r}")

    def shows(self, words: bytes, *, seconds: float = 30) -> bool:
        found = b""
        begun = time.monotonic()
        while words not in found and time.monotonic() - begun < seconds:
            if select.select([self.ours], [], [], 0.5)[0]:
                try:
                    found += os.read(self.ours, 4096)
                except OSError:  # the other end is closed
                    break
        self.heard = found
        return words in found


@pytest.mark.parametrize("program", ["/bin/sh", "/bin/bash"])
def test_an_interactive_shell_on_a_terminal(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    if not Path(program).exists():
        pytest.skip(f"there is no {program}")  # both are tested where both are; a minimal system has sh alone
    monkeypatch.setenv("SHELL", program)
    with Terminal(upstream) as terminal:
        assert terminal.shows(b"(v1.2.3) ")
        terminal.type(b"echo x$((6 * 7))x; sleep 60\n")
        assert terminal.shows(b"x42x")
        terminal.interrupt(b"(v1.2.3) ")
        terminal.type(b"echo y$((6 * 7))y\n")
        assert terminal.shows(b"y42y")
        terminal.type(b"echo '// typed' >> csrc/k.cu; exit 0\n")
        assert terminal.shows(b"lock written")
        assert terminal.child.wait(timeout=30) == 0
    assert b"+// typed" in upstream.patch_file("csrc/k.cu").read_bytes()


def test_ctrl_c_ends_a_command_and_writes_nothing(upstream: Upstream) -> None:
    command = "echo mine >> a.py; echo begun; sleep 60"
    with Terminal(upstream, "--command", command) as terminal:
        assert terminal.shows(b"begun")
        terminal.interrupt(b"no patch was written")
        assert terminal.child.wait(timeout=30) == 1
    assert upstream.content()["a.py"].endswith(b"mine\n")


def test_what_ends_us_ends_the_shell(upstream: Upstream) -> None:
    place = ["--patches", str(upstream.patches), "--tree", str(upstream.folder)]
    command = "echo $$ > ../pid; sleep 60; echo late > ../late"
    with subprocess.Popen([PROGRAM, "shell", TAG, *place, "--command", command]) as child:
        note = upstream.folder.parent / "pid"
        begun = time.monotonic()
        while not (note.exists() and note.read_text().strip()) and time.monotonic() - begun < 30:
            time.sleep(0.05)
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=30) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
    assert not (upstream.folder.parent / "late").exists()


def test_codes_of_interactive_programs(tmp_path: Path) -> None:
    assert interactive(["/bin/sh", "-c", "exit 3"]) == 3
    assert interactive(["/bin/sh", "-c", "kill -TERM $$"]) == 143
    assert interactive(["/bin/sh", "-c", "test $PWD = $0", str(tmp_path)], cwd=tmp_path) == 0
    with pytest.raises(ToolchainError, match="cannot start"):
        interactive([str(tmp_path / "none")])


COMSPEC = "C:\\Windows\\System32\\cmd.exe"
PWSH = PureWindowsPath("C:\\Program Files\\PowerShell\\7\\pwsh.exe")
BASH = PureWindowsPath("C:\\Program Files\\Git\\usr\\bin\\bash.exe")
OTHER = PureWindowsPath("C:\\Python\\python.exe")


def test_shells_of_windows() -> None:
    """%COMSPEC% and PROMPT are cmd's own (`help prompt`); PowerShell's prompt is a function."""
    plain = {"COMSPEC": COMSPEC}
    made = launch(plain, TAG, None, windows=True, parents=[OTHER])
    assert made.argv == (COMSPEC, "/d", "/k")
    assert made.environment == {"WINVLLM_BUILD_SHELL": TAG, "PROMPT": f"({TAG}) $P$G"}
    made = launch(plain, TAG, 'echo "a & b"', windows=True, parents=[OTHER, PureWindowsPath(COMSPEC)])
    assert made.argv == (COMSPEC, "/d", "/c", "%WINVLLM_BUILD_COMMAND%")
    assert made.environment["WINVLLM_BUILD_COMMAND"] == 'echo "a & b"'
    made = launch(plain, TAG, None, windows=True, parents=[OTHER, PWSH])
    assert made.argv[:4] == (str(PWSH), "-NoLogo", "-NoExit", "-Command")
    assert f'"({TAG}) "' in made.argv[4]
    made = launch(plain, TAG, "Get-Item .", windows=True, parents=[PWSH])
    assert made.argv == (str(PWSH), "-NoLogo", "-Command", "Get-Item .")
    assert launch(plain, TAG, "ls", windows=True, parents=[BASH]).argv == (str(BASH), "-c", "ls")
    assert launch({}, TAG, None, windows=True, parents=[]).argv[0] == "cmd.exe"


def test_shells_elsewhere() -> None:
    made = launch({"SHELL": "/bin/zsh", "PS1": "% "}, TAG, None, windows=False, parents=[])
    assert (made.argv, made.environment["PS1"]) == (("/bin/zsh",), f"({TAG}) % ")
    assert launch({}, TAG, "ls", windows=False, parents=[]).argv == ("/bin/sh", "-c", "ls")


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["shell", "--help"]) == 0
    assert "--command" in capsys.readouterr().out
