"""The scripts that a bare machine starts with, run against a Python that only notes what it is asked."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from winvllm_build import process
from winvllm_build.cli.main import run
from winvllm_build.git import Git

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell script")
TOOLS = "basename cat chmod cksum cp date df dirname find flock git grep mkdir rm sed sh tail touch tr uname"

FAKE_PYTHON = """\
#!/bin/sh
# `-m venv DIR` copies this file there; `-m pip install` adds the command, or fails like pip
echo "$*" >>"$FAKE_LOG"
case "$1 $2" in
    "-c import sys; sys.exit(sys.version_info < (3, "*)
        asked=${2##*, }
        [ 12 -ge "${asked%%)*}" ] ;;
    "-m ensurepip") touch "${0%python}pip-was-added" ;;
    "-c import ensurepip, venv") exit "${FAKE_ENSUREPIP:-0}" ;;
    "-m venv") mkdir -p "$3/bin" && touch "$3/pyvenv.cfg" && cp "$0" "$3/bin/python" ;;
    "-m virtualenv") exit 1 ;;
    "-m pytest") case "$*" in *"${FAKE_PYTEST_FAILS:-nothing}"*) exit 3 ;; esac ;;
    "-m pip")
        if [ "$3" != install ]; then
            [ -z "${FAKE_PIP_LATER:-}" ] || [ -e "${0%python}pip-was-added" ] || exit 1
            exit "${FAKE_HAS_PIP:-0}"
        fi
        echo "pip says hello"
        case "$*" in *--report*) printf '%s\\n' "${FAKE_REQUIRES:-}" >"${0%bin/python}torch.json" ;; esac
        [ -z "${FAKE_PIP_FAILS:-}" ] || { echo "no such index"; exit 1; }
        printf '#!/bin/sh\\nfor x in "$@"; do echo "<$x>"; done\\n' >"${0%python}winvllm-build"
        chmod +x "${0%python}winvllm-build" ;;
esac
"""


class BareMachine:
    """A checkout in a folder with a blank in its name, and a PATH of its own."""

    def __init__(self, folder: Path, checkout: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.log = folder / "asked"
        self.checkout = folder / "my checkout"
        shutil.copytree(
            checkout / "scripts", self.checkout / "scripts", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copy(checkout / "pyproject.toml", self.checkout)
        for name in TOOLS.split():
            found = process.which(name)
            if found is not None:
                (self.bin / name).symlink_to(found)
        self.add("python3", FAKE_PYTHON)
        self.add("c++", "#!/bin/sh\n")
        self.environment = {"PATH": str(self.bin), "FAKE_LOG": str(self.log), "HOME": str(folder)}
        self.commit()

    def add(self, name: str, script: str) -> None:
        (self.bin / name).write_text(script, encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def commit(self) -> None:
        git = Git(self.checkout)
        git.out("init", "--quiet")
        git.out("add", "-A")
        git.out("commit", "--quiet", "--allow-empty", "-m", "state")

    def run(self, *args: str, script: str = "quickstart.sh", **environment: str) -> process.Completed:
        script = str(self.checkout / "scripts" / script)
        self.log.unlink(missing_ok=True)
        return process.capture(["sh", script, *args], env=self.environment | environment)

    def asked(self) -> list[str]:
        """The environments made and the installs done by the last run."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [line.split()[1] for line in lines if re.match(r"-m venv|-m pip install", line)]

    @property
    def state(self) -> Path:
        return self.checkout / ".venv" / "winvllm-build.state"


@pytest.fixture
def machine(tmp_path: Path, checkout: Path) -> BareMachine:
    return BareMachine(tmp_path, checkout)


@posix_only
def test_the_first_run_makes_the_environment_and_builds_the_default(machine: BareMachine) -> None:
    done = machine.run()
    assert (done.code, done.text) == (0, "<build>\n<--profile>\n<quickstart>\n"), done.error_text
    assert machine.asked() == ["venv", "pip"]
    assert re.search(r"\[ +\d+ s\] installing", done.error_text)


@posix_only
def test_arguments_are_passed_on_as_they_are(machine: BareMachine) -> None:
    done = machine.run("--profile", "sm 86", "--set", "a;b $HOME *", "")
    assert done.text == "<build>\n<--profile>\n<sm 86>\n<--set>\n<a;b $HOME *>\n<>\n"


@posix_only
def test_the_bootstrap_gets_torch_asks_the_doctor_and_builds(machine: BareMachine) -> None:
    done = machine.run("--profile", "sm 86", "--offline", script="bootstrap.sh")
    calls = done.text.replace("\n", " ").strip()
    assert calls == (
        "<doctor> <--profile> <sm 86> <toolchain> <torch> <--profile> <sm 86> "
        "<build> <--profile> <sm 86> <--offline>"
    ), done.error_text
    again = machine.run("--no-torch", script="bootstrap.sh")
    assert again.text.replace("\n", " ").strip() == (
        "<doctor> <--profile> <quickstart> <build> <--profile> <quickstart>"
    )
    assert machine.asked() == []


@posix_only
def test_doctor_and_torch_are_asked_of_the_very_build(machine: BareMachine) -> None:
    chosen = ["--tag=v0.33.0", "-psm86", "--arch", "8.6", "--set", "a b=$HOME *", "--python", "p q"]
    others = ["--jobs", "2", "--targets", "_C", "--keep-going", "--out", "x y", "--tag"]
    done = machine.run(*chosen[:4], *others[:2], *chosen[4:], *others[2:], script="bootstrap.sh")
    calls = [call.split("\n") for call in done.text.split("<build>")[0].split("<toolchain>\n<torch>")]
    words = ["", *(f"<{word}>" for word in chosen), ""]
    assert [call[1:] for call in calls] == [words[1:], words[1:]], done.error_text
    assert done.text.split("<build>\n")[1].count("<") == len(chosen) + len(others)


@posix_only
def test_the_bootstrap_stops_where_torch_cannot_be_had_and_goes_on_after_the_doctor(
    machine: BareMachine,
) -> None:
    machine.run()
    tool = machine.checkout / ".venv" / "bin" / "winvllm-build"
    tool.write_text('#!/bin/sh\necho "$1"\n[ "$1" = build ] || exit "${FAKE_CODE:-0}"\n', encoding="utf-8")
    no_torch = machine.run(script="bootstrap.sh", FAKE_CODE="4")
    assert (no_torch.code, no_torch.text) == (4, "doctor\ntoolchain\n")
    problems = machine.run("--no-torch", script="bootstrap.sh", FAKE_CODE="4")
    assert (problems.code, problems.text) == (0, "doctor\nbuild\n")
    assert "the doctor found problems" in problems.error_text


@posix_only
def test_uv_gets_a_python_where_there_is_none(machine: BareMachine) -> None:
    (machine.bin / "python3").rename(machine.bin.parent / "its python")
    machine.add("uv", f'#!/bin/sh\n[ "$2" != find ] || echo "{machine.bin.parent}/its python"\n')
    done = machine.run("--no-torch", script="bootstrap.sh")
    assert (done.code, machine.asked()) == (0, ["venv", "pip"]), done.error_text


@posix_only
def test_a_newer_python_is_taken_before_an_older_one(machine: BareMachine) -> None:
    machine.add("python3", FAKE_PYTHON.replace("[ 12 -ge", "[ 10 -ge"))
    machine.add("python3.12", FAKE_PYTHON)
    done = machine.run()
    assert (done.code, machine.asked()) == (0, ["venv", "pip"])
    assert "bin/python3.12)" in done.error_text
    (machine.bin / "python3.12").unlink()
    (machine.state.parent / "bin" / "python").unlink()
    older = machine.run()
    assert (older.code, machine.asked()) == (0, ["venv", "pip"]), older.error_text
    assert "bin/python3)" in older.error_text


@posix_only
def test_an_environment_without_pip_gets_it_from_its_own_python(machine: BareMachine) -> None:
    environment = machine.state.parent / "bin"
    environment.mkdir(parents=True)
    shutil.copy(machine.bin / "python3", environment / "python")
    done = machine.run(FAKE_PIP_LATER="1")
    assert (done.code, machine.asked()) == (0, ["pip"]), done.error_text
    assert (environment / "pip-was-added").exists()


@posix_only
def test_the_second_run_installs_nothing_and_a_new_commit_installs_again(machine: BareMachine) -> None:
    machine.run()
    assert machine.run().code == 0
    assert machine.asked() == []
    machine.commit()
    assert machine.run().code == 0
    assert machine.asked() == ["pip"]


@posix_only
def test_a_run_killed_while_installing_is_done_again_from_nothing(machine: BareMachine) -> None:
    machine.run()
    machine.state.write_text("creating\ninstalling\n", encoding="utf-8")
    half_installed = machine.checkout / ".venv" / "half"
    half_installed.touch()
    done = machine.run()
    assert (done.code, machine.asked()) == (0, ["venv", "pip"]), done.error_text
    assert not half_installed.exists()


@posix_only
def test_a_run_killed_while_updating_keeps_what_the_user_added(machine: BareMachine) -> None:
    machine.run()
    machine.state.write_text("creating\ninstalling\nready old\ninstalling\n", encoding="utf-8")
    added = machine.checkout / ".venv" / "torch"
    added.touch()
    assert machine.run().code == 0
    assert machine.asked() == ["pip"]
    assert added.exists()


@posix_only
def test_an_environment_whose_python_is_gone_is_made_anew(machine: BareMachine) -> None:
    machine.run()
    (machine.checkout / ".venv" / "bin" / "python").unlink()
    assert machine.run().code == 0
    assert machine.asked() == ["venv", "pip"]


@posix_only
def test_a_foreign_folder_is_never_removed(machine: BareMachine) -> None:
    precious = machine.checkout / ".venv" / "precious"
    precious.parent.mkdir()
    precious.touch()
    done = machine.run()
    assert done.code == 4
    assert "was not made by this script" in done.error_text
    assert precious.exists()


@posix_only
def test_a_failing_pip_is_one_error_and_the_next_run_repairs(machine: BareMachine) -> None:
    failed = machine.run(FAKE_PIP_FAILS="1")
    assert failed.code == 8
    assert failed.out == b""
    assert "no such index" in failed.error_text
    assert failed.error_text.count("error:") == 1
    assert "fix: " in failed.error_text
    assert "ready" not in machine.state.read_text(encoding="utf-8")
    assert machine.run().code == 0


@posix_only
@pytest.mark.parametrize("missing", ["git", "c++"])
def test_a_missing_program_is_named_before_anything_is_made(machine: BareMachine, missing: str) -> None:
    (machine.bin / missing).unlink()
    done = machine.run()
    assert done.code == 4
    assert f"not on PATH: {'g++' if missing == 'c++' else missing}\nfix: " in done.error_text
    assert not machine.state.parent.exists()


@posix_only
def test_no_python_and_an_unfit_chosen_one_are_told_apart(machine: BareMachine) -> None:
    machine.add("python3", "#!/bin/sh\nexit 1\n")
    none = machine.run()
    chosen = machine.run(PYTHON="python3")
    assert (none.code, chosen.code) == (4, 4)
    assert "no Python 3.10 or newer on PATH, and no uv that gets one" in none.error_text
    assert "PYTHON=python3 does not run or is older than 3.10" in chosen.error_text


@posix_only
def test_a_python_without_venv_and_pip_is_told_with_the_package_to_install(machine: BareMachine) -> None:
    done = machine.run(FAKE_ENSUREPIP="1", FAKE_HAS_PIP="1")
    assert done.code == 4
    assert "cannot make environments" in done.error_text
    assert "python3-venv" in done.error_text


class Checked(BareMachine):
    """With linters that are content, and the folders of the tests that need PyTorch."""

    def __init__(self, folder: Path, checkout: Path) -> None:
        super().__init__(folder, checkout)
        for name in ("fallback", "winsim"):
            path = self.checkout / "tests" / name / "requirements.txt"
            path.parent.mkdir(parents=True)
            path.write_text("torch==2.13.0\n", encoding="utf-8")
        self.add("python3.11", FAKE_PYTHON)
        self.commit()
        self.run("--version", script="test.sh")
        for name in ("ruff", "mypy"):
            (self.checkout / ".venv-test" / "bin" / name).symlink_to(self.bin / "c++")

    def runs(self) -> list[str]:
        """The arguments of each pytest, behind those that all have."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [line.partition(" loadfile ")[2] for line in lines if line.startswith("-m pytest ")]

    def made(self) -> list[str]:
        """The environments that are there beside the checkout's own."""
        return sorted(path.stem for path in self.checkout.glob("build/test-cache/*/*.state"))

    def told(self, name: str) -> str:
        return (self.checkout / "build" / "test-cache" / f"{name}.log").read_text(encoding="utf-8")


@pytest.fixture
def checked(tmp_path: Path, checkout: Path) -> Checked:
    return Checked(tmp_path, checkout)


@posix_only
def test_the_check_has_a_step_of_its_own_for_engines(checked: Checked) -> None:
    done = checked.run(script="test.sh")
    assert (done.code, checked.runs()) == (0, ["--ignore=tests/winsim", "-m not long tests/winsim"])
    assert checked.made() == []  # only on CI
    given = checked.run("tests/unit", "-k", "profile", script="test.sh")
    assert (given.code, checked.runs()) == (0, ["tests/unit -k profile"])


@posix_only
@pytest.mark.parametrize(
    ("failing", "told"),
    [
        ("--ignore", "3 for the fast tests, with 0 for tests/winsim"),
        ("not long", "0 for the fast tests, with 3 for tests/winsim"),
    ],
)
def test_either_step_fails_the_check_and_both_run(checked: Checked, failing: str, told: str) -> None:
    done = checked.run(script="test.sh", FAKE_PYTEST_FAILS=failing)
    assert (done.code, len(checked.runs())) == (3, 2)
    assert told in done.error_text


@posix_only
def test_the_check_of_ci_makes_one_environment_for_all_engines_and_keeps_it(checked: Checked) -> None:
    done = checked.run(script="test.sh", CI="true")
    assert (done.code, checked.made()) == (0, ["winsim"]), done.error_text
    assert "test-cache/winsim is ready" in done.error_text
    again = checked.run(script="test.sh", CI="true")
    assert (again.code, checked.asked()) == (0, []), again.error_text
    (checked.checkout / "build" / "test-cache" / "winsim" / "bin" / "python").unlink()
    assert checked.run(script="test.sh", CI="true").code == 0
    assert checked.asked() == ["venv", "pip", "pip"]  # the first asks which PyTorch there is
    chosen = checked.run(script="test.sh", CI="true", WINVLLM_TEST_WINSIM_PYTHON="python3")
    assert (chosen.code, checked.asked()) == (0, [])


@posix_only
def test_without_disk_or_fitting_packages_the_check_says_what_tests_will_skip_with(checked: Checked) -> None:
    failing = checked.run(script="test.sh", CI="true", FAKE_PIP_FAILS="1")
    assert (failing.code, checked.made()) == (0, []), failing.error_text
    for name in ("winsim", "runtime"):
        assert f"pip could not install tests/{name}".replace("runtime", "fallback") in checked.told(name)
    assert failing.error_text.count("pip could not install") == 2
    cuda = checked.run(script="test.sh", CI="true", FAKE_REQUIRES='"nvidia-cublas"')
    assert (cuda.code, checked.made()) == (0, []), cuda.error_text
    assert cuda.error_text.count("settings lead to a PyTorch for CUDA") == 2
    (checked.bin / "df").unlink()
    checked.add("df", "#!/bin/sh\necho head\necho disk 90 80 5000000 90% /\n")
    full = checked.run(script="test.sh", CI="true")
    assert (full.code, checked.made()) == (0, ["runtime"]), full.error_text
    assert "error: less than 6 GB are free" in checked.told("winsim")


@posix_only
@pytest.mark.parametrize(
    "script",
    [
        "bootstrap.sh",
        "environment.sh",
        "quickstart.sh",
        "requirements_environment.sh",
        "runtime_environment.sh",
        "test.sh",
        "wine_environment.sh",
        "winsim_environment.sh",
    ],
)
def test_shell_scripts_parse(checkout: Path, script: str) -> None:
    assert process.capture(["sh", "-n", checkout / "scripts" / script]).error_text == ""


def test_windows_scripts_are_plain_ascii_without_drive_letters(checkout: Path) -> None:
    for name in ("bootstrap.bat", "bootstrap.ps1", "environment.ps1", "quickstart.bat", "quickstart.ps1"):
        text = (checkout / "scripts" / name).read_bytes().decode("ascii")
        assert re.findall(r"(?<![A-Za-z$])[A-Za-z]:[\\/]", text) == []


@pytest.mark.parametrize("name", ["bootstrap", "quickstart"])
def test_the_batch_front_has_windows_line_ends_and_quotes_its_folder(checkout: Path, name: str) -> None:
    content = (checkout / "scripts" / f"{name}.bat").read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n") > 0
    assert f'"%~dp0{name}.ps1" %*'.encode() in content
    assert b'\r\nset "PSModulePath="\r\npowershell.exe ' in content  # PowerShell 7 hands its own folders on
    assert content.endswith(b"exit /b %ERRORLEVEL%\r\n")


def test_the_continuous_check_runs_the_test_command_of_the_readme(checkout: Path) -> None:
    command = (checkout / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1].removeprefix("exec ")
    assert command == "sh scripts/test.sh"
    assert command in (checkout / "README.md").read_text(encoding="utf-8")
    assert sys.platform == "win32" or os.access(checkout / ".ci" / "run", os.X_OK)


def test_every_script_is_named_to_contributors(checkout: Path) -> None:
    told = (checkout / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"scripts/(\w+)\.py", told)) | set(re.findall(r"-m scripts\.(\w+)", told))
    assert {one.stem for one in (checkout / "scripts").glob("*.py")} <= named


@pytest.mark.parametrize("command", [("build",), ("doctor",), ("toolchain", "torch")])
def test_what_the_bootstrap_hands_on_is_known_to_all_three(
    checkout: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    def options(script: str, mark: str) -> list[str]:
        lines = (checkout / "scripts" / script).read_text(encoding="ascii").splitlines()
        return re.findall(r"--?[a-z][a-z-]*", next(line for line in lines if mark in line))

    named = options("bootstrap.sh", "--profile | -p |")
    assert options("bootstrap.ps1", "$named =") == named
    assert run([*command, "--help"]) == 0
    told = capsys.readouterr().out
    assert [name for name in named if not re.search(rf"{name}\b", told)] == []
