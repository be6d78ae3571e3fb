"""`scripts/test.sh` on a bare machine whose Python only notes what it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bare_machine import FAKE_PYTHON, BareMachine, posix_only


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
