"""`audit scripts`: for each rule a script that breaks it and one that almost does; ours have no finding."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from winvllm_build import data, process
from winvllm_build.audit.scripts import batch, linters, powershell, shell
from winvllm_build.audit.scripts.check import check
from winvllm_build.audit.scripts.rules import Kind, Rule
from winvllm_build.cli.main import run
from winvllm_build.errors import UsageError

needs_blinter = pytest.mark.skipif(
    importlib.util.find_spec("blinter") is None, reason="Blinter needs Python 3.11 and the extra audit"
)
needs_sh = pytest.mark.skipif(process.which("sh") is None, reason="no POSIX shell")


def in_batch(text: str) -> list[tuple[str, int]]:
    """Rule and line of what is found in a batch file with the line ends of Windows."""
    found = batch.check("a.bat", text.replace("\n", "\r\n").encode())
    return [(one.rule.value.id, one.line) for one in found]


CLEAN = {
    "blocks": 'if exist "a b" (\n  echo hi\n) else (\n  echo no ^(x^) "y)"\n)\nexit /b 0\n',
    "one line": "if exist a (echo hi) else echo no\nif errorlevel 1 (exit /b 1)\n",
    "for": 'for %%i in (a b "c d") do (\n  echo %%i\n)\n',
    "for /f": 'for /f "usebackq delims==" %%a in (`set`) do (\n  if /i not "%%a"=="x" (echo %%b)\n)\n',
    "comparisons": 'if %x% == y (\n a\n)\nif %x% EQU 3 (\n a\n)\nif "%x%"=="y z" (\n a\n)\n',
    "conditions": "if not defined x (\n a\n)\nif /i not errorlevel 1 (\n a\n)\n",
    "text with parentheses": "echo (hello)\nfoo > out.txt 2>&1 (\n",
    "remarks": "rem it is ) fine\nif exist a (\n rem so ) is this\n echo a\n)\n",
    "redirected blocks": 'if exist a (\n  b > "c d" 2>nul\n) >nul\n(\n echo a\n) > out.txt\n',
    "chains": "if not exist a (\n  b\n) else if exist c (\n  d\n) else (\n e\n)\n",
    "carets": "foo ^\n  bar (x) ^\n  baz\nif exist a (\n foo ^\n bar\n)\n",
    "empty line": "if exist a (\n echo(\n)\n",
    "quoted set": 'if defined X (set "P=a(b)") else (set P=c)\n',
    "or before and": "a || b && c\nd && e\nf || g\n",
    "quoted folder": 'cd /d "%~dp0"\nset "X=%~dp0"\nfor %%i in (*.txt) do call :one "%%~fi"\n',
    "exit": "foo\nexit /b %ERRORLEVEL%\n",
    "labels": "goto :end\n:unused )\n:end\n",
}
DIRTY = {
    "text after a )": ("if exist a (\n  echo hi 12.8 ) is the text\n)\n", [("paren", 2), ("paren", 3)]),
    "text in parentheses": ("if exist a (\n  echo hi (12.8)\n)\n", [("paren", 2), ("paren", 3)]),
    "x86": ("if exist a (\n  set P=Program Files (x86)\n)\n", [("paren", 2), ("paren", 3)]),
    "no end": ("if exist a (\n  echo hi\n", [("paren", 1)]),
    "no block": (") foo\n", [("paren", 1)]),
    "and-or": ("a && b || c\n", [("and-or", 1)]),
    "folder": ("cd /d %~dp0\ncopy %~f1 b\n", [("quoting", 1), ("quoting", 2)]),
    "folder in a loop": ("for %%i in (*) do call :one %%~fi\n", [("quoting", 1)]),
    "exit": ("exit\nif errorlevel 1 exit 1\n", [("exit-window", 1), ("exit-window", 2)]),
    "stale level": ("if exist a (\n  foo\n  exit /b %ErrorLevel%\n)\n", [("stale-level", 3)]),
    "letters": ("echo gr\u00fcn\n", [("encoding", 1)]),
    "long": ("echo " + "x" * 8190 + "\n", [("long-line", 1)]),
    "long by carets": ("echo ^\n" * 2000, [("long-line", 1)]),
}


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_is_found_in_batch_that_cmd_takes(name: str) -> None:
    assert in_batch(CLEAN[name]) == []


@pytest.mark.parametrize("name", DIRTY)
def test_what_cmd_takes_otherwise_is_found(name: str) -> None:
    text, expected = DIRTY[name]
    assert in_batch(text) == expected


def test_line_ends_and_marks_of_a_batch_file_are_its_bytes() -> None:
    found = batch.check("a.bat", b"\xef\xbb\xbf@echo off\r\ngoto end\n:end\r\n")
    assert [(one.rule, one.line) for one in found] == [(Rule.BOM, 1), (Rule.LINE_ENDS, 2)]
    assert Rule.BOM in {one.rule for one in batch.check("a.bat", "echo a\r\n".encode("utf-16"))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if ($a) { b }\n", []),
        ("$x = @'\na && b\n'@\nWrite-Host \"$x\" # a || b\n", []),
        ("if ($a) {\n  b\n", [("syntax", 2)]),
        ("Write-Host 'abc\n", [("syntax", 1)]),
        ("$x = $a ? 1 : 2\n", [("syntax", 1)]),
        ("a && b\nc || d\n", [("powershell-7", 1), ("powershell-7", 2)]),
        ("Write-Host 'gr\u00fcn'\n", [("encoding", 1)]),
        ("\ufeffWrite-Host 'gr\u00fcn'\n", []),
    ],
)
def test_powershell_is_parsed_as_5_1_reads_it(text: str, expected: list[tuple[str, int]]) -> None:
    found = powershell.check("a.ps1", text.encode())
    assert [(one.rule.value.id, one.line) for one in found][:2] == expected


@needs_sh
@pytest.mark.parametrize(
    ("content", "rules"),
    [
        (b"#!/bin/sh\nif true; then\n  echo a\nfi\n", []),
        (b"#!/bin/sh\nif true; then\n  echo a\n", [Rule.SYNTAX]),
        (b"#!/bin/sh\necho a\r\n", [Rule.LINE_ENDS]),
        (b"\xef\xbb\xbfecho a\n", [Rule.BOM]),
    ],
)
def test_a_shell_parses_what_it_would_run(content: bytes, rules: list[Rule], tmp_path: Path) -> None:
    script = tmp_path / "a.sh"
    script.write_bytes(content)
    found, not_run = shell.check("a.sh", script, content)
    assert ([one.rule for one in found], not_run) == (rules, ())


@pytest.mark.skipif(process.which("dash") is None, reason="bash as sh takes arrays")
def test_what_bash_alone_takes_is_an_error_in_a_script_for_sh(tmp_path: Path) -> None:
    script = tmp_path / "a.sh"
    for head, count in ((b"#!/bin/sh\n", 1), (b"#!/usr/bin/env bash\n", 0)):
        script.write_bytes(head + b"names=(a b)\n")
        found, _ = shell.check("a.sh", script, script.read_bytes())
        assert [one.line for one in found] == [2] * count


@needs_blinter
def test_what_blinter_calls_an_error_is_a_finding_and_its_taste_is_not(tmp_path: Path) -> None:
    script = tmp_path / "a b.bat"
    script.write_bytes(b"@echo off\r\nset X=1\r\ngoto nowhere\r\n")
    found, not_run = linters.blinter({"a b.bat": script})
    assert not_run == ()
    assert [(one.rule, one.path, one.line) for one in found] == [(Rule.BLINTER, "a b.bat", 3)]
    assert "E002" in found[0].detail


def test_what_shellcheck_calls_a_warning_is_a_finding(tmp_path: Path) -> None:
    script = tmp_path / "a.sh"
    script.write_bytes(b"#!/bin/sh\ncd /nowhere && ls $1\nfor x in $(ls); do unused=1; done\n")
    found, not_run = linters.shellcheck({"a.sh": script})
    if not_run:
        pytest.skip(not_run[0].why)  # ShellCheck's package has no program for every machine
    assert {one.rule for one in found} == {Rule.SHELLCHECK}
    assert any("SC2034" in one.detail for one in found)
    assert not any("SC2086" in one.detail for one in found)


def test_the_manual_has_every_rule(checkout: Path) -> None:
    page = (checkout / "docs" / "audit.md").read_text(encoding="utf-8")
    for rule in Rule:
        cells = (f"`{rule.value.id}`", rule.value.what, rule.value.why or "it says why itself")
        assert "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n" in page


def test_our_own_scripts_have_no_finding(checkout: Path) -> None:
    report = check()
    assert report.findings == ()
    looked_at = dict(report.scripts)
    assert looked_at["scripts/quickstart.bat"] is Kind.BATCH
    assert looked_at["scripts/quickstart.ps1"] is Kind.POWERSHELL
    assert looked_at[".ci/run"] is Kind.SHELL
    assert {f"scripts/{file.name}" for file in (checkout / "scripts").glob("*.sh")} < set(looked_at)


def test_a_path_that_is_no_script_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    for path in (tmp_path, tmp_path / "a.txt", tmp_path / "gone.bat"):
        with pytest.raises(UsageError):
            check([path])


def test_findings_as_text_and_as_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "start.cmd"
    script.write_bytes(b"@echo off\r\ncd /d %~dp0\r\nexit /b 0\r\n")
    assert run(["audit", "scripts", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert f"{script.as_posix()}:2" in shown
    assert "1 script (1 for cmd.exe): 1 finding\n" in shown
    assert run(["audit", "scripts", str(script), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [(one["rule"], one["line"], one["detail"]) for one in found] == [("quoting", 2, "%~dp0")]


def test_what_is_not_installed_is_said_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    found, not_run = linters.shellcheck({"a.sh": Path("a.sh")})
    assert found == ()
    assert [(one.check, one.fix) for one in not_run] == [("shellcheck", data.installing(extra="audit"))]
