"""For each rule of `lint` a set that breaks it, and one that is almost so and clean."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.lint_set import MANIFEST, NEW, OLD, TAG, HandMade, diff_text, patch_bytes
from winvllm_build.git import Oid
from winvllm_build.review.rules import Rule

Step = Callable[[HandMade], object]
LONG = b"".join(b"int l%d;\n" % number for number in range(401))
DOS = OLD.replace(b"\n", b"\r\n")
TABS = OLD.replace(b"    ", b"\t")
LAYERED = MANIFEST + '[layer.fast]\ntitle = "Fast"\n'
LONG_LAYER = "a" * 60
DROPPED = '[[dropped]]\npath = "{path}"\nlayer = "windows"\nreason = "not needed"\nsince = "v1.2.3"\n'
HUNK = "1f0c9a7be2d4"
SUPPRESSED = '[[suppression]]\nhazard = "D2"\npath = "csrc/*.cu"\nreason = "never compiled"\n'


class Case(NamedTuple):
    """A set that breaks a rule, and one that is almost so and clean."""

    bad: Step
    good: Step
    along: frozenset[Rule] = frozenset()
    """Rules that the same damage cannot but break too."""


def case(bad: Step, good: Step, *along: Rule) -> Case:
    return Case(bad=bad, good=good, along=frozenset(along))


def header(**fields: str | None) -> Step:
    return lambda made: made.head(**fields)


def changed(old: bytes, new: bytes, *, relock: bool = True) -> Step:
    return lambda made: made.change(old, new, relock=relock)


def diff(old: bytes | None, new: bytes | None, *, path: str = "csrc/a.cu", **fields: str | None) -> Step:
    return lambda made: made.patch(old, new, path=path, layer="windows", **fields)


def text(name: str, content: str) -> Step:
    return lambda made: made.write(name, content)


def nothing(made: HandMade) -> None:
    del made


def both(*steps: Step) -> Step:
    def run_all(made: HandMade) -> None:
        for step in steps:
            step(made)

    return run_all


def record(*entries: dict[str, Any], old: str = "v1.1.0", new: str = TAG) -> Step:
    """A port's record, and the set that was ported, of two patches."""

    def write(made: HandMade) -> None:
        for name in ("csrc/a.cu", "csrc/gone.cu"):
            made.write(f"../{old}/windows/vllm/{name}.patch", b"")
        made.write(f"../{old}/patchset.toml", "")
        made.write("ported.json", json.dumps({"schema": 1, "from": old, "to": new, "patches": entries}))

    return write


def entry(path: str, decision: str, **more: str) -> dict[str, Any]:
    known = {"target": "vllm", "layer": "windows", "path": path, "verdict": "offset", "evidence": []}
    return {**known, "decision": decision, **more}


def sets(*names: str) -> Step:
    """Other sets beside this one."""
    return lambda made: [made.write(f"../{name}/patchset.toml", "") for name in names]


def second(made: HandMade) -> None:
    content = made.patches["windows", "csrc/a.cu"]
    made.put("csrc/a.cu", content + diff_text("csrc/b.cu", OLD, NEW))


def crlf(made: HandMade) -> None:
    made.file("csrc/a.cu").write_bytes(made.patches["windows", "csrc/a.cu"].replace(b"\n", b"\r\n"))


def unnamed_note(made: HandMade) -> None:
    made.head(Hunk=f"{first_hunk(made)} the reason")


def first_hunk(made: HandMade) -> str:
    return made.locked["windows", "csrc/a.cu"].change_id  # one hunk alone has the id of the change


def not_dropped(made: HandMade) -> None:
    made.head(Dropped=f"{first_hunk(made)} it is said to be gone")


def long_layer(made: HandMade) -> None:
    made.write("patchset.toml", f"{MANIFEST}[layer.{LONG_LAYER}]\n")
    made.patch(None, b"int x;\n", path="csrc/" + "x" * 150, layer=LONG_LAYER, Guard="new file - a test")


def short_layer(made: HandMade) -> None:
    made.write("patchset.toml", LAYERED)
    made.patch(None, b"int x;\n", path="csrc/" + "x" * 150, layer="fast", Guard="new file - a test")


A, B = entry("csrc/a.cu", "carried"), entry("csrc/gone.cu", "upstreamed")
CASES: dict[Rule, Case] = {
    Rule.MANIFEST: case(text("patchset.toml", MANIFEST + "[colour]\n"), text("patchset.toml", LAYERED)),
    Rule.LOCK: case(lambda made: made.relock(commit=Oid("d" * 40)), nothing),
    Rule.UNLOCKED: case(
        both(
            diff(None, b"int x;\n", path="csrc/x.cu"),
            lambda made: made.locked.pop(("windows", "csrc/x.cu")),
            lambda made: made.relock(),
        ),
        diff(None, b"int x;\n", path="csrc/x.cu"),
    ),
    Rule.LOST: case(lambda made: made.file("csrc/n.cuh").unlink(), nothing),
    Rule.CHANGED: case(changed(b"line four", b"line iv", relock=False), changed(b"line four", b"line iv")),
    Rule.LAYER: case(
        lambda made: made.patch(OLD, NEW, layer="fast"),
        both(
            text("patchset.toml", LAYERED),
            lambda made: made.patch(None, b"int f;\n", path="f.h", layer="fast"),
        ),
    ),
    Rule.TARGET: case(
        text("windows/cutlas/readme.txt", ""), text("windows/.notes/readme.txt", ""), Rule.STRAY
    ),
    Rule.STRAY: case(text("windows/vllm/readme.txt", ""), text("windows/vllm/.a.patch.x.tmp", "")),
    Rule.PATH: case(
        lambda made: made.put("name.", patch_bytes("name.", None, b"int n;\n")),
        diff(None, b"int n;\n", path="name.h"), Rule.UNLOCKED, Rule.DIFF,
    ),
    Rule.LONG_NAME: case(long_layer, short_layer),
    Rule.COLLISION: case(
        diff(None, b"int b;\n", path="csrc/a.cu/b.h"),
        both(diff(OLD, None), diff(None, b"int b;\n", path="csrc/a.cu/b.h")),
    ),
    Rule.FORM: case(crlf, diff(DOS, DOS.replace(b"line 4", b"line four"))),
    Rule.HEADER: case(header(Colour="red"), header(Remove_When="it is over\n and done")),
    Rule.HEADER_DIFF: case(
        changed(b"For the tests.", b"For the tests.\n--- a/x"),
        changed(b"For the tests.", b"For the tests.\n --- a/x\n @@ -1 +1 @@\n diff --git a/x b/x"),
    ),
    Rule.MISSING_FIELD: case(header(Description=None), header(Topic=None)),
    Rule.TODO: case(header(Subject="TODO one line"), header(Subject="Change TODOs and todo")),
    Rule.STATUS: case(header(Upstream_Status="Perhaps"), header(Upstream_Status="Submitted [#1]")),
    Rule.GONE: case(header(Upstream_Status="Backport [v1.2.0]"), header(Upstream_Status="Accepted [v1.2.4]")),
    Rule.STATUS_TAG: case(
        header(Upstream_Status="Accepted [soon]"), header(Upstream_Status="Backport [CUDA 1.2 fix, abc123]")
    ),
    Rule.PENDING: case(
        both(sets("v1.0.0", "v1.1.0", "v1.2.0"), header(Upstream_Status="Pending", Since="v1.0.0")),
        both(sets("v1.1.0", "v1.2.0"), header(Upstream_Status="Pending", Since="v1.1.0")),
    ),
    Rule.SINCE: case(header(Since="v1.2.4"), header(Since="v1.2.3rc1")),
    Rule.TOPIC: case(header(Topic="mscv"), header(Topic="msvc, msvc")),
    Rule.HAZARD: case(header(Hazards="D1 D3"), header(Hazards="D1, -")),
    Rule.GUARD: case(header(Guard="sometimes"), header(Guard="guarded + neutral - the same\n value")),
    Rule.DROPPED: case(not_dropped, header(Dropped=f"{HUNK} upstream has it")),
    Rule.DROPPED_BACK: case(
        text("patchset.toml", MANIFEST + DROPPED.format(path="csrc/a.cu")),
        text("patchset.toml", MANIFEST + DROPPED.format(path="csrc/b.cu")),
    ),
    Rule.SUPPRESSION: case(
        text("suppressions.toml", SUPPRESSED + 'layer = "windws"\n'), text("suppressions.toml", SUPPRESSED)
    ),
    Rule.NOTE: case(header(Hunk=f"{HUNK} of another patch"), unnamed_note),
    Rule.ORPHAN: case(header(Orphan=f"{HUNK} it was here"), unnamed_note),
    Rule.LARGE: case(diff(None, LONG), diff(None, LONG, Large_Ok="generated")),
    Rule.DIFF: case(changed(b"     line 8;\n", b""), nothing),
    Rule.ONE_DIFF: case(second, nothing),
    Rule.LOCATION: case(changed(b"/csrc/a.cu", b"/csrc/b.cu"), nothing),
    Rule.PREFIX: case(changed(b"git a/csrc/a.cu b/csrc/a.cu", b"git csrc/a.cu csrc/a.cu"), nothing),
    Rule.SHORT_ID: case(
        lambda made: made.change(made.locked["windows", "csrc/a.cu"].pre.encode(), b"1234567"), nothing
    ),
    Rule.TRAILING: case(
        diff(OLD, OLD.replace(b"line 4;", b"line four; ")),
        diff(OLD.replace(b"4;", b"4; "), OLD.replace(b"line 4;", b"line four; ")),
    ),
    Rule.LINE_ENDS: case(
        diff(OLD, OLD.replace(b"line 4;\n", b"line four;\r\n")),
        diff(DOS, DOS.replace(b"line 4", b"line four")),
    ),
    Rule.INDENT: case(
        diff(OLD, OLD.replace(b"    line 4", b"\tline 4")),
        diff(TABS, TABS.replace(b"\tline 4", b"\t\tline 4")),
    ),
    Rule.RECORD: case(text("ported.json", '{"from": '), record(A, B)),
    Rule.UNACCOUNTED: case(record(A), record(A, entry("csrc/gone.cu", "carried", to="csrc/n.cuh"))),
    Rule.OPEN: case(record(A, entry("csrc/gone.cu", "open")), record(A, entry("csrc/gone.cu", "dropped"))),
}  # fmt: skip
