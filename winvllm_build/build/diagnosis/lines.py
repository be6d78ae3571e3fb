"""A log as clean lines: decoded whatever its code page, without colours, time stamps and prefixes of a CI."""

from __future__ import annotations

import re
import unicodedata
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

CODE_PAGES: Final = ("cp1252", "cp850", "cp936", "cp932", "cp949", "cp1251", "cp866", "cp1250")
"""What cl.exe, link.exe and MSBuild write in the languages that Visual Studio has."""
MARKS: Final = re.compile(
    "Fehler|Warnung|erreur|avertissement|错误|警告|致命|无法|未声明|エラー|致命的|開く|識別子|"
    "오류|경고|ошибка|предупреждение|chyba|błąd|advertencia|errore|avviso"
)
"""Words that tell a right decoding from one that merely succeeds."""
OWN: Final = {"cp949": re.compile("[\uac00-\ud7a3]"), "cp932": re.compile("[\u3040-\u30ff]")}
"""Letters that a reading in another page yields only now and then."""
MOSTLY: Final = 0.3
SEVERAL: Final = 3
ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
PREFIXES: Final = (
    re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z(?: |$)"),  # GitHub, GitLab
    re.compile(r"^#\d+(?: \d+\.\d+)?(?: |$)"),  # docker build
    re.compile(r"^##\[(?:error|warning|group|command|debug)\]"),
    re.compile(r"^::(?:error|warning|group)(?: [^:]*)?::"),
    re.compile(r"^\s*\((?:EngineCore|Worker|APIServer)[^)]*\)\s*(?=ERROR|WARNING|INFO)"),  # vLLM's processes
    re.compile(r"^\s*ERROR \d\d-\d\d \d\d:\d\d:\d\d \[[^\]]+\](?: |$)"),
    re.compile(r"^\s*\d+(?::\d+)?>(?!\s*(?:---|===))"),  # nodes of MSBuild
)
PROJECT: Final = re.compile(r"\s\[[^\[\]]+\.(?:vc|cs)xproj(?:::[^\]]*)?\]$")
INDENT: Final = re.compile(r"^ {2,}(?:╰─> |│ )?")
SHOW_INCLUDES: Final = re.compile(
    r"^(?!.*\b[A-Z]{1,4}\d{4}\b)(?!CMake|error|fatal|ERROR|ninja|LINK)"
    r"[^:\uff1a()\d]{2,40}[:\uff1a][^:\uff1a()\d]{2,40}[:\uff1a]\s+(?:[A-Za-z]:\\|/)\S.*\.[\w+]+$"
)
"""`Note: including file:` and what it is in other languages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a log: its number there from 1, its text without prefixes, and how deep it is indented."""

    at: int
    text: str
    indent: int


def decode(content: bytes) -> str:
    """Text of a log that may be UTF-8, UTF-16, or UTF-8 with lines in a code page in between."""
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    rows = content.removeprefix(BOM_UTF8).splitlines(keepends=True)
    foreign = [row for row in rows if not _is_utf8(row)]
    if not foreign:
        return b"".join(rows).decode("utf-8")
    page = _code_page(b"".join(foreign))
    return "".join(row.decode("utf-8" if _is_utf8(row) else page, "replace") for row in rows)


def clean(text: str) -> list[Line]:
    """The lines that may mean something; numbers are those of the log."""
    found = []
    for at, row in enumerate(text.split("\n"), 1):
        bare = _bare(row)
        if bare.strip() and not SHOW_INCLUDES.match(bare):
            stripped = bare.strip()
            found.append(Line(at=at, text=stripped, indent=len(bare) - len(bare.lstrip())))
    return found


def outdented(lines: Sequence[Line]) -> list[Line]:
    """The same lines, moved left together: pip prints the output of a build indented."""
    least = min((line.indent for line in lines), default=0)
    return [Line(at=line.at, text=line.text, indent=line.indent - least) for line in lines]


def _bare(row: str) -> str:
    bare = ESCAPES.sub("", row).rstrip()
    bare = bare[bare.rfind("\r") + 1 :]
    for prefix in PREFIXES:
        bare = prefix.sub("", bare)
    return PROJECT.sub("", bare).replace("│ ", "  ").replace("╰─> ", "    ")


def _is_utf8(row: bytes) -> bool:
    try:
        row.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _code_page(content: bytes) -> str:
    """The page whose reading has words of a compiler, else the most letters."""
    return max(CODE_PAGES, key=lambda page: _plausible(content, page))


def _plausible(content: bytes, page: str) -> tuple[int, float, float, int]:
    try:
        text = content.decode(page)
    except UnicodeDecodeError:
        return 0, 0.0, -1.0, 0
    foreign = [letter for letter in text if ord(letter) > 0x7F] or ["-"]  # noqa: PLR2004 - beyond ASCII
    letters = sum(unicodedata.category(letter)[0] in "LM" for letter in foreign)
    own = sum(bool(OWN[page].match(letter)) for letter in foreign) if page in OWN else 0
    share = own / len(foreign)
    return (
        len(MARKS.findall(text)),
        share if share >= MOSTLY and own >= SEVERAL else 0.0,
        letters / len(foreign),
        -CODE_PAGES.index(page),
    )
