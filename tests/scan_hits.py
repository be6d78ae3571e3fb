"""Hits, suppressions and trees for the tests of scan."""

from __future__ import annotations

from pathlib import Path

from winvllm_build.audit.coverage import Place
from winvllm_build.audit.hit import Hit, Reach, State

SEVERE, RUNTIME, ADVICE = "D35", "E35", "E36"
"""One hazard of each severity."""


def hit(
    text: str = "uint a;", *, hazard: str = SEVERE, path: str = "csrc/a.cu", line: int = 3,
    state: State = State.LIVE, reach: Reach = Reach.BUILD, rule: str = "posix-type", detail: str = "",
) -> Hit:  # fmt: skip
    return Hit(
        hazard=hazard, rule=rule, path=path, line=line, text=text, state=state, reach=reach, detail=detail
    )


def place(text: str = "uint a;", *, path: str = "csrc/a.cu", line: int = 3, hazard: str = SEVERE) -> Place:
    return Place(hit=hit(text, path=path, line=line, hazard=hazard))


def entry(
    *, hazard: str = SEVERE, path: str = "csrc/a.cu", reason: str = "never compiled here", **more: str
) -> str:
    """One table of a file of suppressions."""
    fields = {"hazard": hazard, "path": path, **more, "reason": reason}
    return "[[suppression]]\n" + "".join(f"{name} = '{value}'\n" for name, value in fields.items()) + "\n"


def written(folder: Path, *entries: str) -> Path:
    file = folder / "suppressions.toml"
    file.write_text("".join(entries), encoding="utf-8")
    return file
