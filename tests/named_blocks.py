"""Files of named functions, edited by a patch and by upstream: what a careful human would make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

COMMON = ("step(x)", "check(x)", "emit(x, y)", "y = x + 1", "done(x)")
"""So few that functions have equal bodies."""
LANGUAGES = {
    "py": ("def {}(x, y=0):", "    {}", "    return x\n\n"),
    "cu": ("static int {}(int x, int y) {{", "  {};", "  return x;\n}}\n"),
    "cmake": ("macro({} x)", "  {}", "endmacro()\n"),
    "rs": ("pub fn {}(x: u32) -> u32 {{", "    {};", "    x\n}}\n"),
}  # fmt: skip
Block = tuple[str, ...]
"""The lines of a function."""
Blocks = list[tuple[str, Block]]
"""A file's functions with their names."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Contents of one file.

    Attributes:
        suffix: of the file.
        truth: upstream's file with the patch's lines in the functions they were made for; None where one of
            those is gone.
    """

    suffix: str
    old: bytes
    patched: bytes
    new: bytes
    truth: bytes | None


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """One to two functions patched; others edited, added, deleted, moved and renamed by upstream."""
    suffix = draw(st.sampled_from(sorted(LANGUAGES)))
    usual = draw(_bodies())
    names = [f"f{number}" for number in range(draw(st.integers(2, 5)))]
    old = {name: draw(st.just(usual) | _bodies()) for name in names}
    patch = {name: draw(_patches(old[name])) for name in draw(_some(names, 2))}
    new = draw(_upstreams(old, patch))
    kept = {name for name, _ in new}
    truth = [(name, patch.get(name, body)) for name, body in new] if kept.issuperset(patch) else None
    return Case(
        suffix=suffix, old=_shown(suffix, list(old.items())), new=_shown(suffix, new),
        patched=_shown(suffix, [(name, patch.get(name, body)) for name, body in old.items()]),
        truth=None if truth is None else _shown(suffix, truth),
    )  # fmt: skip


def _bodies() -> st.SearchStrategy[Block]:
    return st.lists(st.sampled_from(COMMON), min_size=2, max_size=6).map(tuple)


def _some(names: Sequence[str], count: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, max_size=count, unique=True)


@st.composite
def _patches(draw: st.DrawFn, body: Block) -> Block:
    made = list(body)
    at = draw(st.integers(0, len(body) - 1))
    match draw(st.sampled_from(["put", "replace", "take"])):
        case "put":
            made.insert(at, "guard(x)")
        case "replace":
            made[at] = "win(x)"
        case _:
            del made[at]
    return tuple(made)


@st.composite
def _upstreams(draw: st.DrawFn, old: Mapping[str, Block], patch: Mapping[str, Block]) -> Blocks:
    """What upstream did; the lines of patched functions stay as they are, the functions may not.

    Nothing is renamed or added where a patched function is deleted: that looks like a new name for it.
    """
    made = list(old.items())
    deletes = draw(st.booleans())
    ways = ["delete", "move", "edit"] if deletes else ["move", "edit", "add", "copy", "rename"]
    for number in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(made) - 1))
        name, body = made[at]
        match draw(st.sampled_from(ways)):
            case "delete" if len(made) > 1:
                del made[at]
            case "move":
                del made[at]
                made.insert(draw(st.integers(0, len(made))), (name, body))
            case "edit" if name not in patch:
                made[at] = (name, draw(_bodies()))
            case "rename" if name not in patch:
                made[at] = (f"r{number}", body)
            case "add":
                made.insert(at, (f"g{number}", draw(_bodies())))
            case "copy":
                made.insert(at, (f"g{number}", draw(st.sampled_from(list(old.values())))))
            case _:
                pass
    return made


def _shown(suffix: str, blocks: Blocks) -> bytes:
    head, line, end = LANGUAGES[suffix]
    texts = [
        "\n".join([head.format(name), *(line.format(text) for text in body), end.format()])
        for name, body in blocks
    ]
    return "\n".join(["# first", *texts, ""]).encode()
