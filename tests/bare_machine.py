"""A machine with next to nothing on it, for the scripts that one starts with."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from winvllm_build import process
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
