"""How fast `scan` is, and how right: whole processes, and each rule against what people found by hand.

    python -m benchmarks.scan [--tags v0.14.1 v0.19.0 v0.33.0] [--rounds 3] [--quality] [--json]

Sources have to be in the workspace (`winvllm-build scan TAG` gets them). `--quality` holds the live hits of a
tag against two lists that were made without the rules: the hazards that the headers of a patch set name, file
by file, and the hits that a human judged by reading (`tests/real_vllm/data/*_judged.toml`). Recall is the
share of the (file, hazard) pairs of the headers with a hit of that hazard in that file; hazards that no text
shows are counted apart. Precision is the share of judged hits that are true; what nobody judged is counted
apart, too.
"""

from __future__ import annotations

import argparse
import json
import os
import posixpath
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import scan_page
from winvllm_build import data
from winvllm_build.audit.frontend import explain
from winvllm_build.audit.frontend.messages import Message
from winvllm_build.audit.hazard import Severity, catalogue, rank
from winvllm_build.audit.hit import Hit, State
from winvllm_build.audit.scan import Scan, scan
from winvllm_build.audit.subject import Doors, Wanted, opened
from winvllm_build.git import NO_OBJECT
from winvllm_build.index import Index
from winvllm_build.patchset.manifest import FILE
from winvllm_build.patchset.patchset import read
from winvllm_build.review.find import listed
from winvllm_build.review.header_rules import NO_HAZARD
from winvllm_build.review.suppressions import plain
from winvllm_build.workspace import Workspace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CLI = [sys.executable, "-c", "from winvllm_build.cli.main import main; main()"]
HERE = Path(__file__).resolve().parent
JUDGED = HERE.parent / "tests" / "real_vllm" / "data"
GENERATED = "generated/"


@dataclass
class Timing:
    """The runs of one command: wall and processor seconds, and peak memory in MiB."""

    name: str
    wall: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


@dataclass
class Quality:
    """One rule, or one hazard, on one tag."""

    name: str
    hits: int = 0
    named: int = 0
    """In a file whose patch names the hazard."""
    true: int = 0
    false: int = 0
    unjudged: int = 0
    advice: bool = False


def timed(command: Sequence[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak memory in MiB (0 where the system does not tell)."""
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdout=said, stderr=said)
        wait: Callable[[int, int], tuple[int, int, Any]] | None = getattr(os, "wait4", None)
        if wait is None:
            code, busy, memory = child.wait(), 0.0, 0.0
        else:
            _, status, usage = wait(child.pid, 0)
            code = child.returncode = os.waitstatus_to_exitcode(status)
            busy, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
        wall = time.perf_counter() - begun
        if code != 0:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)}: {said.read().decode(errors='replace')}")
    return wall, busy, memory


def times(tags: Sequence[str], rounds: int) -> list[Timing]:
    """Each tag bare, and patched where it has a set; every round runs all of them."""
    commands = {tag: ["scan", tag] for tag in tags}
    commands |= {f"{tag} --patched": ["scan", tag, "--patched"] for tag in tags if has_set(tag)}
    made = [Timing(name) for name in commands]
    for _ in range(rounds):
        for one in made:
            options = ["--offline", "--exit-zero", "--summary"]
            wall, busy, memory = timed([*CLI, *commands[one.name], *options])
            one.wall.append(wall)
            one.busy.append(busy)
            one.memory.append(memory)
    return made


def has_set(tag: str) -> bool:
    return (data.patches_root() / tag / FILE).is_file()


def look(tag: str) -> Scan:
    workspace = Workspace.default()
    index = Index(workspace, offline=True, on_event=unheard)
    doors = Doors(workspace=workspace, index=index, offline=True, tell=unheard)
    with opened(Wanted(name=tag, root=data.patches_root()), doors) as subject:
        return scan(subject)


def unheard(event: str) -> None:
    del event


@dataclass
class Verdicts:
    """What people said about the hits of a tag.

    Attributes:
        texts: whether a hit is true, by hazard, file and text.
        counts: how many hits are true and how many false, by hazard and rule.
    """

    texts: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def count(self, entry: dict[str, Any], true: int, false: int) -> None:
        """Add to the counts of a rule."""
        key = entry["hazard"], entry["rule"]
        before = self.counts.get(key, (0, 0))
        self.counts[key] = before[0] + true, before[1] + false


def judgements(tag: str) -> Verdicts:
    """Of every file of judgements; one lists texts, another counts by rule."""
    found = Verdicts()
    for file in sorted(JUDGED.glob("*_judged.toml")):
        loaded = tomllib.loads(file.read_text("utf-8"))
        for entry in loaded.get("hit", ()):
            if tag in entry["tags"]:
                found.texts[entry["hazard"], entry["path"], plain(entry["text"])] = bool(entry["true"])
        for entry in (*loaded.get("group", ()), *loaded.get("corner", ())):
            if isinstance(entry.get(tag), list):
                looked, true = entry[tag]
                found.count(entry, true, looked - true)
        for entry in loaded.get("judged", ()):
            if entry["tag"] == tag:
                found.count(entry, entry["patched"] + entry["right"], entry["wrong"])
    return found


def frontend_pairs(tag: str) -> set[tuple[str, str]]:
    """File and hazard of each error of the Windows front ends on the unpatched tag, as recorded."""
    file = JUDGED / f"frontend-{tag}.json"
    if not file.is_file():
        return set()
    units = [one for one in json.loads(file.read_bytes())["units"] if one["side"] == "before"]
    messages = [
        Message(**said)
        for unit in units
        for one in unit["passes"]
        for said in (*one.get("messages", ()), *one.get("lint", ()))
    ]
    return {(said.file, hazard) for said in messages for hazard in explain.hazards([said])}


def settle(one: Quality, verdicts: list[bool | None], counted: tuple[int, int]) -> None:
    """True, false and unjudged hits of one rule."""
    true, false = counted
    one.true = verdicts.count(True) + true
    one.false = verdicts.count(False) + false
    one.unjudged = max(0, one.hits - one.true - one.false)


def named(tag: str) -> set[tuple[str, str]]:
    """File and hazard of every patch header, files that only the set has aside."""
    if not has_set(tag):
        return set()
    patches = read(data.patches_root(), tag).patches
    return {
        (str(patch.path), hazard)
        for patch in patches
        for hazard in listed(patch.content.header, "Hazards")
        if hazard != NO_HAZARD and patch.pre != NO_OBJECT
    }


def shown(pairs: set[tuple[str, str]], hits: Iterable[Hit]) -> set[tuple[str, str]]:
    """The pairs whose hazard the text of a tree can show: it has a sample, or a hit."""
    found = {hit.hazard for hit in hits}
    return {pair for pair in pairs if catalogue()[pair[1]].samples or pair[1] in found}


def met(hits: Iterable[Hit], pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The pairs that a hit is about; a generated file stands for the generator in its folder."""
    by_place: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path, hazard in pairs:
        by_place[posixpath.dirname(path), hazard].add(path)
    found = set()
    for hit in hits:
        if hit.path.startswith(GENERATED):
            folder = posixpath.dirname(hit.path.removeprefix(GENERATED))
            found |= {(path, hit.hazard) for path in by_place.get((folder, hit.hazard), ())}
        elif (hit.path, hit.hazard) in pairs:
            found.add((hit.path, hit.hazard))
    return found


def quality(tag: str) -> dict[str, Any]:
    """Precision and recall of a bare tag."""
    live = [hit for hit in look(tag).found.hits if hit.state is State.LIVE]
    every, judged = named(tag), judgements(tag)
    pairs = shown(every, live)
    by_rule: dict[tuple[str, str], Quality] = {}
    verdicts: dict[tuple[str, str], list[bool | None]] = defaultdict(list)
    for hit in live:
        key = hit.hazard, hit.rule
        advice = catalogue()[hit.hazard].severity is Severity.ADVISORY
        one = by_rule.setdefault(key, Quality(f"{hit.hazard} {hit.rule}", advice=advice))
        one.hits += 1
        one.named += bool(met([hit], pairs))
        verdicts[key].append(judged.texts.get((hit.hazard, hit.path, plain(hit.text))))
    for key, one in by_rule.items():
        settle(one, verdicts[key], judged.counts.get(key, (0, 0)))
    found = met(live, pairs)
    told = frontend_pairs(tag)
    by_hazard = Counter(hazard for _, hazard in pairs)
    hit_hazard = Counter(hazard for _, hazard in found)
    return {
        "tag": tag, "live": len(live), "pairs": len(pairs), "hit": len(found),
        "silent": len(every) - len(pairs),
        "missed": sorted(pairs - found, key=lambda pair: (rank(pair[1]), pair[0])),
        "recall": {name: [hit_hazard[name], by_hazard[name]] for name in sorted(by_hazard, key=rank)},
        "front_ends": [len(told & {(hit.path, hit.hazard) for hit in live}), len(told)],
        "rules": [vars(by_rule[key]) for key in sorted(by_rule, key=lambda key: (rank(key[0]), key))],
    }  # fmt: skip


def show_times(made: Sequence[Timing]) -> None:
    print(f"{'':24}{'wall':>9}{'best':>9}{'processor':>11}{'peak':>11}")
    for one in made:
        print(
            f"{one.name:24}{statistics.median(one.wall):7.2f} s{min(one.wall):7.2f} s"
            f"{statistics.median(one.busy):9.2f} s{max(one.memory):7.0f} MiB"
        )


def show_quality(said: dict[str, Any]) -> None:
    print(f"\n{said['tag']}: {said['live']} live hits")
    print(f"{'rule':40}{'hits':>6}{'named':>7}{'true':>6}{'false':>7}{'unjudged':>10}")
    for rule in said["rules"]:
        print(
            f"{rule['name']:40}{rule['hits']:6}{rule['named']:7}{rule['true']:6}{rule['false']:7}"
            f"{rule['unjudged']:10}"
        )
    if said["pairs"]:
        silent = f"{said['silent']} that no text shows"
        print(f"recall: {said['hit']} of {said['pairs']} pairs of file and hazard, beside {silent}")
    if said["front_ends"][1]:
        print("of the front ends' errors: {} of {} pairs".format(*said["front_ends"]))
    for words, rules in (("all", said["rules"]), ("without advice", scan_page.severe(said["rules"]))):
        true, false, left = (sum(rule[name] for rule in rules) for name in ("true", "false", "unjudged"))
        print(f"{words}: {true} true, {false} false, {left} not judged")
    for path, hazard in said["missed"]:
        print(f"  missed: {hazard:5} {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and quality of scan.")
    parser.add_argument("--tags", nargs="*", default=["v0.14.1", "v0.19.0", "v0.33.0"])
    parser.add_argument("--rounds", type=int, default=3, help="0 leaves the timing out")
    parser.add_argument("--quality", action="store_true")
    parser.add_argument("--page", type=Path, help="write the quality to this file, as Markdown")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    timings = times(chosen.tags, chosen.rounds) if chosen.rounds else []
    said = [quality(tag) for tag in chosen.tags] if chosen.quality else []
    if chosen.page is not None:
        chosen.page.write_text(scan_page.page(said), encoding="utf-8")
    if chosen.json:
        print(json.dumps({"times": [vars(one) for one in timings], "quality": said}, indent=1))
        return
    if timings:
        show_times(timings)
    for one in said:
        show_quality(one)


if __name__ == "__main__":
    main()
