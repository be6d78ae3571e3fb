"""The rules for scripts: one member each, with what it finds and why that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Who reads a script."""

    BATCH = "cmd.exe"
    POWERSHELL = "PowerShell 5.1"
    SHELL = "sh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a rule finds, why that is wrong, what repairs it; a linter says the last two itself."""

    id: str
    what: str
    why: str = ""
    fix: str = ""


class Rule(Enum):
    """Every rule; each finding of any of them fails the check."""

    LINE_ENDS = Meaning(
        id="line-ends",
        what="a line that ends in LF in a batch file, or in CRLF in a shell script",
        why="cmd.exe reads in blocks and loses labels and lines that end in LF; to sh, CR is a letter",
        fix="`*.bat text eol=crlf` and `*.sh text eol=lf` in .gitattributes, then check the file out anew",
    )
    BOM = Meaning(
        id="bom",
        what="a byte order mark, or UTF-16, in a batch file or shell script",
        why="cmd.exe and sh take the mark for the beginning of the first command",
        fix="save the file as ASCII",
    )
    ENCODING = Meaning(
        id="encoding",
        what="a character outside ASCII, unless in a PowerShell script with a byte order mark",
        why="cmd.exe reads it in the console's code page, PowerShell 5.1 without a mark in the machine's",
        fix="write it in ASCII",
    )
    PAREN = Meaning(
        id="paren",
        what="a `)` that ends a block where text was meant, a block without end, an end without block",
        why="in a block, cmd.exe ends it at the next `)` that is neither quoted nor behind a caret",
        fix="write `^)`, or quote the text",
    )
    AND_OR = Meaning(
        id="and-or",
        what="`A && B || C`",
        why="C also runs where A did its work and B failed: it is no else",
        fix="write `if errorlevel 1 (...) else (...)`",
    )
    QUOTING = Meaning(
        id="quoting",
        what="`%~dp0` and other path expansions outside quotes",
        why="a folder with a blank, `&` or `)` in its name ends the argument, the command or the block",
        fix='write `"%~dp0name"`, or `set "NAME=%~dp0"`',
    )
    EXIT_WINDOW = Meaning(
        id="exit-window",
        what="`exit` without `/b`",
        why="it ends the cmd.exe that called the script, with its window",
        fix="write `exit /b CODE`",
    )
    STALE_LEVEL = Meaning(
        id="stale-level",
        what="`%ERRORLEVEL%` inside a block",
        why="cmd.exe fills in the whole block before its first command has run",
        fix="ask `if errorlevel 1`, or take the line out of the block",
    )
    LONG_LINE = Meaning(
        id="long-line",
        what="a command of more than 8191 characters",
        why="cmd.exe refuses it",
        fix="split the command",
    )
    BLINTER = Meaning(
        id="blinter",
        what="what Blinter calls an error in a batch file",
    )
    SYNTAX = Meaning(
        id="syntax",
        what="a place that the PowerShell grammar, or `sh -n`, cannot follow",
        why="the script does not start",
        fix="repair the line",
    )
    POWERSHELL_7 = Meaning(
        id="powershell-7",
        what="`&&` or `||` between PowerShell commands",
        why="Windows has PowerShell 5.1, which does not know them",
        fix="ask for $LASTEXITCODE in an `if`",
    )
    SHELLCHECK = Meaning(
        id="shellcheck",
        what="what ShellCheck calls an error or a warning",
    )
    WINE = Meaning(
        id="wine",
        what="a trial run under wine's cmd.exe that ends otherwise than it should",
        why="the same commands do so on Windows: only what wine's cmd.exe does right is run",
        fix="repair the script",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place; `line` is 0 for the whole file."""

    rule: Rule
    path: str
    line: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """A check that was left out, why, and what makes it possible."""

    check: str
    why: str
    fix: str = ""
