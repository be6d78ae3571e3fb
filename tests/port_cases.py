"""One file for each fate that a patch can have: upstream before, the patched file, upstream after."""

from __future__ import annotations

from dataclasses import dataclass

from tests.port_story import Files, Story, lines

OLD, NEW = "v1.0.0", "v1.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One patch.

    Attributes:
        old: upstream's file.
        patched: the same with the patch.
        new: upstream's file in the new release, under `moved` if it is elsewhere there.
        kind: the verdict it has to get.
        moved: where upstream moved it.
        to: the patch's place in the new set, where that is not its old one; "" for none.
        result: the patched file in the new release, where the patch is carried.
    """

    old: bytes | None
    patched: bytes | None
    new: bytes | None
    kind: str
    moved: str = ""
    to: str | None = None
    result: bytes | None = None


IMPORTS = b"import os\nimport sys\n\n\ndef run():\n    return os.sep\n"
DOS = b"".join(b"echo %d\r\n" % n for n in range(30))
HEAD = b"// head\n// of the file\n"
BLOCK = b"    begin();\n    step();\n    end();\n\n"
"""Four equal lines that come again and again."""
USES = b"def helper(x):\n    return x\n\n\n" + lines(12) + b"\n\ndef user():\n    return 1\n"
NUL = bytes(range(256)) * 8

CASES: dict[str, Case] = {
    "same.py": Case(
        old=lines(20), patched=lines(20, l4="four"), new=lines(20), kind="identical",
        result=lines(20, l4="four"),
    ),
    "offset.py": Case(
        old=lines(40), patched=lines(40, l30="thirty"), new=b"first\nsecond\n" + lines(40), kind="offset",
        result=b"first\nsecond\n" + lines(40, l30="thirty"),
    ),
    "context.py": Case(
        old=lines(40), patched=lines(40, l30="thirty"), new=lines(40, l28="others"), kind="context",
        result=lines(40, l28="others", l30="thirty"),
    ),
    "new/file.cuh": Case(
        old=None, patched=b"#pragma once\n", new=None, kind="new file", result=b"#pragma once\n"
    ),
    "csrc/moved.cu": Case(
        old=lines(40), patched=lines(40, l30="thirty"), new=lines(40, l2="two"), kind="moved",
        moved="csrc/stable/moved.cu", to="csrc/stable/moved.cu", result=lines(40, l2="two", l30="thirty"),
    ),
    "imports.py": Case(
        old=IMPORTS, patched=IMPORTS.replace(b"import os\n", b"import os\nimport platform\n"),
        new=IMPORTS.replace(b"import os\n", b"import os\nimport re\n"), kind="merged",
        result=IMPORTS.replace(b"import os\n", b"import os\nimport platform\nimport re\n"),
    ),
    "partly.py": Case(
        old=lines(60), patched=lines(60, l10="ten", l50="fifty"), new=lines(60, l10="ten"),
        kind="partly upstreamed", result=lines(60, l10="ten", l50="fifty"),
    ),
    "upstreamed.py": Case(
        old=lines(40), patched=lines(40, l20="twenty"), new=lines(40, l2="two", l20="twenty"),
        kind="upstreamed",
    ),
    "gone.py": Case(old=lines(31), patched=lines(31, l20="twenty"), new=None, kind="deleted", to=""),
    "gone too.py": Case(old=lines(33), patched=None, new=None, kind="upstreamed", to=""),
    "deleted.py": Case(old=lines(35), patched=None, new=lines(35), kind="identical"),
    "fought.py": Case(
        old=lines(40), patched=lines(40, l20="twenty"), new=lines(40, l20="XX"), kind="conflict"
    ),
    "deleted here.py": Case(old=lines(37), patched=None, new=lines(37, l3="XX"), kind="conflict"),
    "both/added.py": Case(old=None, patched=b"ours\n", new=b"theirs\n", kind="conflict"),
    "lib/added.py": Case(old=None, patched=b"# of the patch\n", new=None, kind="conflict", to=""),
    "lostname.py": Case(
        old=USES, patched=USES.replace(b"    return 1\n", b"    return helper(1)\n"),
        new=USES.replace(b"def helper(x):", b"def assistant(x):"), kind="conflict",
    ),
    "twice.cu": Case(
        old=HEAD + BLOCK * 9, patched=HEAD + BLOCK * 4 + b"    mid();\n" + BLOCK * 5,
        new=HEAD + b"// one\n// two\n// three\n// four\n" + BLOCK * 9, kind="ambiguous",
    ),
    "dos.bat": Case(
        old=DOS, patched=DOS.replace(b"echo 20", b"rem 20"), new=b"rem new\r\n" * 9 + DOS, kind="offset",
        result=b"rem new\r\n" * 9 + DOS.replace(b"echo 20", b"rem 20"),
    ),
    "tool.sh": Case(old=b"#!/bin/sh\n", patched=b"#!/bin/sh\n", new=b"#!/bin/sh\necho\n", kind="offset"),
    "data.bin": Case(
        old=NUL, patched=NUL.replace(b"\x01\x02", b"\x02\x01"), new=NUL, kind="identical",
        result=NUL.replace(b"\x01\x02", b"\x02\x01"),
    ),
    "fought.bin": Case(
        old=NUL[:600], patched=NUL[:599] + b"\0", new=b"\7" + NUL[1:600], kind="conflict"
    ),
    "with space and ü.py": Case(
        old=lines(20), patched=lines(20, l4="four"), new=b"first\n" + lines(20), kind="offset",
        result=b"first\n" + lines(20, l4="four"),
    ),
}  # fmt: skip
EXECUTABLE = ("tool.sh",)
"""The patch makes them executable and changes nothing else."""
FOLDER = {f"{n}.py": lines(15, l0=f"module {n}") for n in "abcd"}
"""What is in `lib/`, which upstream renames to `core/`."""


def before() -> Files:
    files = {name: case.old for name, case in CASES.items() if case.old is not None}
    return {**files, **{f"lib/{name}": content for name, content in FOLDER.items()}}


def edits() -> Files:
    return {name: case.patched for name, case in CASES.items() if case.patched != case.old}


def after() -> Files:
    """What the new release changes."""
    changes: dict[str, bytes | None] = {}
    for name, case in CASES.items():
        if case.moved:
            changes |= {name: None, case.moved: case.new}
        elif case.new != case.old:
            changes[name] = case.new
    for name, content in FOLDER.items():
        changes |= {f"lib/{name}": None, f"core/{name}": content}
    return changes


def story_of(top: Story) -> Story:
    """The old release with its set, and the new one without."""
    top.release(OLD, before())
    top.patch(OLD, edits(), executable=EXECUTABLE)
    top.rest()
    top.release(NEW, after())
    return top
