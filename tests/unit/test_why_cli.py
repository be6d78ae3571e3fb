"""`why` on the command line: logs from a file and from standard input, folders, JSON, errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.diagnosis.recorded import LOGS

PROGRAM = Path(sys.executable).parent / "winvllm-build"


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, input=stdin, check=False)


def test_a_log_is_told_with_class_patch_hazard_and_advice() -> None:
    done = run("why", "--log", str(LOGS / "c2065-and.log"))
    said = done.stdout.decode()
    assert done.returncode == 1
    assert "fused_layernorm_dynamic_per_token_quant.cu:61: C2065: 'and'" in said
    assert "source: and, or, not as operators [operator-words]" in said
    assert "fused_layernorm_dynamic_per_token_quant.cu.patch touches this line" in said
    assert "scan --explain D6" in said


def test_a_log_in_a_code_page_comes_in_through_a_pipe() -> None:
    done = run("why", "--log", "-", "--json", stdin=(LOGS / "german-c1083-cp850.log").read_bytes())
    told = json.loads(done.stdout)["failures"]
    assert [(one["rule"], one["code"], one["class"]) for one in told] == [("posix-header", "C1083", "source")]
    assert "geöffnet" in told[0]["error"]
    assert told[0]["patches"][0]["patch"] == "windows/vllm/csrc/fs_io.cpp.patch"


def test_a_log_without_a_failure_is_no_failure() -> None:
    done = run("why", str(LOGS / "gcc-many-warnings.log"))
    assert (done.returncode, done.stdout) == (0, b"nothing failed according to this log\n")


def test_an_unknown_error_is_told_as_unknown() -> None:
    done = run("why", "--log", str(LOGS / "c2672-unknown.log"))
    said = done.stdout.decode()
    assert done.returncode == 1
    assert "unknown: no rule knows this error" in said
    assert "C:/w/vllm/csrc/x.cu:91: C2672" in said


def test_without_a_build_it_says_what_to_do() -> None:
    done = run("why")
    assert done.returncode == 2
    assert b"nothing was built yet" in done.stderr


def test_a_log_that_is_not_there() -> None:
    done = run("why", "--log", "nowhere.log")
    assert done.returncode == 2
    assert b"cannot read" in done.stderr


def test_the_rules_can_be_listed() -> None:
    rules = json.loads(run("why", "--rules", "--json").stdout)
    assert len(rules) > 100
    assert {"id", "class", "codes", "text", "do", "hazards", "threads"} <= set(rules[0])
