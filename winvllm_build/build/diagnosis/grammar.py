"""What compilers, linkers and MSBuild write, known by its form and code and not by its words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from winvllm_build.build.diagnosis.message import Message, Spot, Weight

ERRORS: Final = re.compile(r"(?i)error|erreur|fehler|fatal|错误|エラー|오류|ошибка|błąd|chyba|hata|错誤|錯誤")
WARNINGS: Final = re.compile(
    r"(?i)warn|avert|警告|advert|aviso|avviso|предупр|경고|ostrze|upozorn|uyar|info|message|remarq|note|hinweis|注"
)
CL: Final = re.compile(
    r"^(?P<file>.+?)\s?\((?P<line>\d+)(?:,\d+)*\)\s*[:\uff1a]\s*(?P<word>[^\d:\uff1a]*?)\s*"
    r"(?P<code>[A-Z]{1,4}\d{4})\s*[:\uff1a]\s*(?P<text>.*)$"
)
BARE: Final = re.compile(
    r"^(?P<file>(?:[A-Za-z]:)?[^:\uff1a]*?)\s*[:\uff1a]\s*(?P<word>[^\d:\uff1a]*?)\s*"
    r"(?P<code>(?:C|D|LNK|MSB|CVT|RC|U)\d{4})\s*[:\uff1a]\s*(?P<text>.*)$"
)
CODED: Final = re.compile(
    r"^(?P<file>)(?P<word>[^\d:\uff1a\s]*(?:\s[^\d:\uff1a\s]+){0,2})\s*"
    r"(?P<code>(?:C|D|LNK|MSB)\d{4})\s*[:\uff1a]\s*(?P<text>.*)$"
)
EDG: Final = re.compile(
    r"^(?P<file>.+?)\((?P<line>\d+)\)\s?:\s*"
    r"(?P<word>error|catastrophic error|internal error|warning|remark)"
    r"(?:\s+#(?P<code>\d+(?:-D)?))?\s*:\s*(?P<text>.*)$"
)
CATASTROPHE: Final = re.compile(r"(?:^|: )(?:catastrophic error|[Ii]nternal error)\s*:\s*(?P<text>.*)$")
NOTE: Final = re.compile(r"^(?P<file>.+?)\((?P<line>\d+)(?:,\d+)?\)\s*[:\uff1a]\s")
GNU: Final = re.compile(
    r"^(?P<file>(?:[A-Za-z]:)?[^:\s(][^:(]*):(?P<line>\d+)(?::\d+)?:\s*"
    r"(?P<word>[^:'\"]*?(?:rror|ehler|rreur|arning|arnung|ote|nmerkung|错误|警告|附注))\s*:\s*(?P<text>.*)$"
)
DRIVER: Final = re.compile(
    r"^(?:\S*[\\/])?(?P<tool>(?:[\w.]+-)*(?:g\+\+|gcc|c\+\+|cc|cc1plus|cc1|collect2|clang|clang\+\+|as))"
    r"(?:-\d+)?(?:\.exe)?:\s*(?P<word>fatal error|error|internal compiler error|warning):\s*(?P<text>.*)$"
)
LD: Final = re.compile(
    r"^(?:\S*[\\/])?(?:ld|ld\.\w+)(?:\.exe)?:\s*(?P<text>.*)$|"
    r"^.*?(?P<undefined>(?:undefined reference to|relocation truncated) .*)$"
)
NVIDIA: Final = re.compile(
    r"^(?:\w+ : )?(?P<tool>nvcc|ptxas|nvlink|fatbinary|cicc|cudafe\+\+)\b"
    r"(?P<file>[^:]*?(?:[A-Za-z]:[\\/][^:;]*?)?)"
    r"(?:, line (?P<line>\d+))?\s*;?\s*(?P<word>fatal|error|warning|info)\s*:\s*(?P<text>.*)$"
)
DIED: Final = re.compile(
    r"(?:^|\s)(?:nvcc )?error\s*:\s*'(?P<tool>[^']+)' died "
    r"(?:with status (?P<status>\w+)|due to signal (?P<signal>\d+))(?P<rest>.*)$"
)
EXITED: Final = re.compile(r"MSB\d{4}: .*?(?P<status>-\d{9,10}|0x[0-9A-Fa-f]{8}|3\d{9})\W*$")
COUNTS: Final = frozenset(
    ("C1903", "D8040", "LNK1120", "U1077", "MSB3721", "MSB3722", "MSB6006", "MSB8066", "MSB4181")
)
"""They tell that something failed."""
OFTEN_LEFT: Final = re.compile(r"^C4\d{3}$|^LNK4\d{3}$|^D9\d{3}$|^CVT4\d{3}$|^RC4\d{3}$")
"""Numbers that are warnings wherever the word before them cannot be read."""


def located(text: str) -> Message | None:
    """`file(12): error C2065: ...`, and the same of MSBuild."""
    match = CL.match(text)
    return None if match is None else _coded(match, Spot(file=match["file"], line=int(match["line"])))


def unlocated(text: str) -> Message | None:
    """`LINK : fatal error LNK1181: ...`, `cl : ... error D8016 : ...`, `topk.obj : error LNK2019: ...`."""
    match = BARE.match(text) or CODED.match(text)
    if match is None:
        return None
    file = match["file"].strip().removesuffix(".exe")
    named = re.search(r"\.\w+$|[\\/]", file) is not None
    return _coded(match, Spot(file=match["file"].strip()) if named else None)


def _coded(match: re.Match[str], spot: Spot | None) -> Message:
    code = match["code"]
    tool = next((t for start, t in (("LNK", "link"), ("MSB", "msbuild"), ("RC", "rc"), ("U1", "nmake"))
                 if code.startswith(start)), "cl")  # fmt: skip
    crashed = EXITED.search(f"{code}: {match['text']}")
    if crashed is not None:
        return Message(tool=tool, code=status(crashed["status"]), text=f"{code}: {match['text']}",
                       weight=Weight.CAUSE, spot=spot)  # fmt: skip
    return Message(tool=tool, code=code, text=match["text"], weight=_weight(code, match["word"]), spot=spot)


def _weight(code: str, word: str) -> Weight:
    if code in COUNTS:
        return Weight.WRAPPER
    if ERRORS.search(word):
        return Weight.CAUSE
    if WARNINGS.search(word) or OFTEN_LEFT.match(code):
        return Weight.NOTE
    return Weight.CAUSE


def front_end(text: str) -> Message | None:
    """`file(12): error: ...` of nvcc's front end, whose words are English everywhere."""
    match = EDG.match(text)
    if match is not None:
        weight = Weight.CAUSE if "error" in match["word"] else Weight.NOTE
        return Message(
            tool="edg",
            code=match["code"] or "",
            text=_with(match["word"], match["text"]),
            weight=weight,
            spot=Spot(file=match["file"], line=int(match["line"])),
        )
    lost = CATASTROPHE.search(text)
    return (
        None if lost is None else Message(tool="edg", code="", text=lost[0].lstrip(": "), weight=Weight.CAUSE)
    )


def _with(word: str, text: str) -> str:
    return text if word in ("error", "warning", "remark") else f"{word}: {text}"


def nvidia(text: str) -> Message | None:
    """`nvcc fatal   : ...`, `ptxas error   : ...`, and a tool that died."""
    died = DIED.search(text)
    if died is not None:
        code = status(died["status"]) if died["status"] else f"signal {died['signal']}"
        crashed = died["signal"] is not None or code.startswith("0x")
        said = f"'{died['tool']}' died with {code}{died['rest']}"
        weight = Weight.CAUSE if crashed else Weight.WRAPPER
        return Message(tool="nvcc", code=code, text=said, weight=weight)
    match = NVIDIA.match(text)
    if match is None:
        return None
    weight = Weight.CAUSE if match["word"] in ("fatal", "error") else Weight.NOTE
    file = match["file"].strip(" ,;")
    spot = Spot(file=file, line=int(match["line"] or 0)) if file else None
    return Message(tool=match["tool"], code="", text=match["text"], weight=weight, spot=spot)


def gnu(text: str) -> Message | None:
    """`file:12:5: error: ...` of GCC and clang, and their drivers' own words."""
    match = GNU.match(text)
    if match is not None:
        note = not ERRORS.search(match["word"]) or "CMake" in match["file"]
        return Message(tool="gcc", code="", text=match["text"], weight=Weight.NOTE if note else Weight.CAUSE,
                       spot=Spot(file=match["file"], line=int(match["line"])))  # fmt: skip
    driver = DRIVER.match(text)
    if driver is None:
        return None
    weight = Weight.NOTE if driver["word"] == "warning" else Weight.CAUSE
    if driver["tool"] == "collect2" and "returned" in driver["text"]:
        weight = Weight.WRAPPER
    return Message(tool="gcc", code="", text=driver["text"], weight=weight)


def gnu_linker(text: str) -> Message | None:
    """What ld says; its warnings start with the word."""
    match = LD.match(text)
    if match is None:
        return None
    said = match["undefined"] or match["text"]
    if re.search(r"in function|^warning|: warning:|NOTE:", said):
        return Message(tool="ld", code="", text=said, weight=Weight.NOTE)
    return Message(tool="ld", code="", text=said, weight=Weight.CAUSE)


def status(text: str) -> str:
    """An exit status as it is looked up: `137`, `0xC0000409`; Windows' is also written negative or unsigned.

    >>> status("-1073740791"), status("3221226505"), status("0xc0000409"), status("137")
    ('0xC0000409', '0xC0000409', '0xC0000409', '137')
    """
    try:
        number = int(text, 0)
    except ValueError:
        return text
    return f"0x{number & 0xFFFFFFFF:08X}" if number < 0 or number >= 0x40000000 else str(number)  # noqa: PLR2004 - NTSTATUS


COMPILERS: Final[tuple[Callable[[str], Message | None], ...]] = (
    nvidia, front_end, located, unlocated, gnu, gnu_linker,
)  # fmt: skip
