"""Hazards in Rust sources and manifests."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tree_sitter import Node

from winvllm_build.audit.config.places import Places
from winvllm_build.audit.config.rust_cfg import LINUX, WINDOWS, World, evaluate
from winvllm_build.audit.config.rust_crates import Crate, Crates, Dependency
from winvllm_build.audit.config.rust_modules import left_out
from winvllm_build.audit.config.rust_tree import RustTree, ancestors, is_comment, is_string
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Blind, Found, Hit, Reach, State

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RUNTIME: Final = "D70"
OF_UNIX: Final = frozenset(
    ["daemonize", "inotify", "io-uring", "jemallocator", "nix", "procfs", "signal-hook", "tikv-jemallocator"]
)
"""Crates that Windows does not compile."""
LIBC: Final = Path(__file__).parents[1] / "data" / "libc_windows.toml"
FOLDERS: Final = ("tmp", "proc", "dev", "etc", "usr", "var", "run", "sys")
CRATES: Final = tuple(f"{name.replace('-', '_')}::" for name in sorted(OF_UNIX))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What looks like a hazard; a file without one of `words` is not searched."""

    hazard: str
    name: str
    words: tuple[str, ...]
    pattern: re.Pattern[str]


RULES: Final = (
    Rule(hazard="D39", name="std-of-unix", words=("std::os::",),
         pattern=re.compile(r"\bstd::os::(?:unix|fd|linux)\b")),
    Rule(hazard="D39", name="tokio-of-unix", words=("tokio::net::", "tokio::signal::"),
         pattern=re.compile(r"\btokio::(?:net::(?:unix\b|Unix\w+)|signal::unix)|\bUnix(?:Listener|Stream|Datagram)\b")),
    Rule(hazard="D39", name="libc-of-unix", words=("libc::",), pattern=re.compile(r"\blibc::(?P<name>\w+)")),
    Rule(hazard="D39", name="crate-of-unix", words=CRATES,
         pattern=re.compile(rf"(?<![\w:])(?:{'|'.join(CRATES)})")),
    Rule(hazard="D39", name="command-of-unix", words=(".pre_exec(", ".process_group("),
         pattern=re.compile(r"\.(?:pre_exec|process_group)\(")),
    Rule(hazard="D39", name="own-allocator", words=("global_allocator",),
         pattern=re.compile(r"#\[global_allocator\]")),
    Rule(hazard="D70", name="path-of-unix", words=tuple(f'"/{name}' for name in FOLDERS),
         pattern=re.compile(rf"\"/(?:{'|'.join(FOLDERS)})(?=[/\"])")),
    Rule(hazard="D70", name="ipc-endpoint", words=('"ipc://',), pattern=re.compile(r"\"ipc://")),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One file: its tree, the targets with its crate's features, what its module's conditions make of it."""

    path: str
    tree: RustTree
    reach: Reach
    module: State
    windows: World
    linux: World

    def state(self, node: Node, hazard: str) -> State:
        """What only runs is met by `if cfg!(...)`, too; both branches of that are compiled."""
        if self.module is not State.LIVE:
            return self.module
        conditions = [*self.tree.compiled_if(node), *(self.tree.run_if(node) if hazard == RUNTIME else ())]
        return _state(conditions, self.windows, self.linux)


def scan(files: Files) -> Found:
    places, crates = Places(files), Crates(files)
    paths = [path for path in files.names if path.endswith(".rs")]
    files.fetch(paths)
    texts = {path: files.text(path) or "" for path in paths}
    gone = left_out(texts, lambda path: crates.world(path, WINDOWS))
    everywhere = gone & left_out(texts, lambda path: crates.world(path, LINUX)) if gone else gone
    hits: list[Hit] = []
    blind = list(crates.blind)
    for path, text in texts.items():
        found = _matches(text)
        if found:
            reach = Reach.BUILD if crates.is_built(path) else Reach.CORNER
            tree = RustTree(text)
            source = _Source(
                path=path, tree=tree, reach=reach, module=_module(path, gone, everywhere),
                windows=crates.world(path, WINDOWS), linux=crates.world(path, LINUX),
            )  # fmt: skip
            hits += _file(source, found, places)
            if tree.unread:
                blind.append(Blind(path=path, why="the parser could not follow", lines=tree.unread))
    for crate in crates.crates:
        reach = Reach.BUILD if crates.is_built(crate.manifest) else Reach.CORNER
        hits += _manifest(crate, reach, places)
    lines = sum(text.count("\n") for text in texts.values())
    return Found(hits=tuple(hits), blind=tuple(blind), files=len(texts) + len(crates.crates), lines=lines)


def _module(path: str, gone: frozenset[str], everywhere: frozenset[str]) -> State:
    if path in everywhere:
        return State.DEAD
    return State.GUARDED if path in gone else State.LIVE


def _matches(text: str) -> list[tuple[Rule, re.Match[str]]]:
    """Everything that looks like a hazard."""
    searched = [rule for rule in RULES if any(word in text for word in rule.words)]
    return [(rule, match) for rule in searched for match in rule.pattern.finditer(text)]


def _file(source: _Source, found: Iterable[tuple[Rule, re.Match[str]]], places: Places) -> Iterator[Hit]:
    seen: set[tuple[str, int]] = set()
    for rule, match in found:
        node = source.tree.node(*match.span())
        line = match.string.count("\n", 0, match.start()) + 1
        if (rule.name, line) in seen or not _counts(rule, match, node):
            continue
        seen.add((rule.name, line))
        yield places.hit(
            rule.hazard, rule.name, source.path, line, detail=match[0].strip('".('), reach=source.reach,
            state=source.state(node, rule.hazard),
        )  # fmt: skip


def _counts(rule: Rule, match: re.Match[str], node: Node) -> bool:
    if is_comment(node):
        return False
    if rule.hazard == RUNTIME:
        return is_string(node) or node.type == "token_tree"
    if is_string(node):
        return False
    if rule.name == "libc-of-unix":
        return match["name"] not in _portable()
    if rule.name == "tokio-of-unix" and match[0].startswith("Unix"):
        used = next((parent for parent in ancestors(node) if parent.type == "use_declaration"), None)
        return used is not None and b"tokio" in (used.text or b"")
    return True


@cache
def _portable() -> frozenset[str]:
    return frozenset(tomllib.loads(LIBC.read_text("utf-8"))["names"].split())


def _state(conditions: Iterable[str], windows: World, linux: World) -> State:
    """Left out on Windows: guarded where it is there on Linux, dead where it is on neither."""
    answers = []
    for condition in conditions:
        try:
            answers.append((evaluate(condition, windows), evaluate(condition, linux)))
        except ValueError:
            continue
    if all(there is not False for there, _ in answers):
        return State.LIVE
    return State.DEAD if any(here is False for _, here in answers) else State.GUARDED


def _manifest(crate: Crate, reach: Reach, places: Places) -> Iterator[Hit]:
    text = (places.files.text(crate.manifest) or "").split("\n")
    for one in crate.dependencies:
        found = _dependency(one)
        if found is None:
            continue
        rule, detail = found
        pattern = re.compile(rf"\s*(?:{re.escape(one.key)}\b|\[.*dependencies\.{re.escape(one.key)}\])")
        line = next((number for number, row in enumerate(text, 1) if pattern.match(row)), 1)
        yield places.hit(
            "D39", rule, crate.manifest, line, detail=detail, reach=Reach.CORNER if one.for_tests else reach,
            state=_state([one.condition] if one.condition else (), WINDOWS, LINUX),
        )  # fmt: skip


def _dependency(one: Dependency) -> tuple[str, str] | None:
    if one.crate in OF_UNIX:
        return "crate-of-unix", f"{one.crate} is for Unix"
    if one.crate in ("openssl", "openssl-sys") and "vendored" not in one.features:
        return "openssl-not-vendored", f"{one.crate} looks for an installed OpenSSL"
    return None
