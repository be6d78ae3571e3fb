"""Each way to settle a conflict, and each doubt about a clean merge: what it answers, and what it leaves."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from winvllm_build.git import RepoPath
from winvllm_build.patchset.diff import Diff, parse
from winvllm_build.port import adjacent, import_lines, regions, requirement_lines, resolve
from winvllm_build.port.regions import Region
from winvllm_build.port.strict import at_path


def lines(text: str) -> tuple[bytes, ...]:
    """`a | b` as two lines; `.` stands for a blank one."""
    parts = [part.rstrip() for part in text.split("|")] if text else []
    return tuple(
        (part[1:] if part[:1] == " " else part).replace("~", "    ").encode() + b"\n" for part in parts
    )


def blank(found: tuple[bytes, ...] | None) -> tuple[bytes, ...] | None:
    return None if found is None else tuple(b"\n" if line == b".\n" else line for line in found)


class Case(NamedTuple):
    """Lines between bars, `~` for one indentation; `made` is None where nobody but a human can tell."""

    base: str
    ours: str
    theirs: str
    made: str | None

    @property
    def region(self) -> Region:
        base, ours, theirs = (blank(lines(text)) or () for text in (self.base, self.ours, self.theirs))
        return Region(base=base, ours=ours, theirs=theirs)

    @property
    def wanted(self) -> tuple[bytes, ...] | None:
        return None if self.made is None else blank(lines(self.made))


ADJACENT = {
    "another line is replaced on each side": Case(
        "size = 1| mode = 2", "size = 10| mode = 2", "size = 1| mode = 20", "size = 10| mode = 20"
    ),
    "a line is put before one that upstream words anew": Case(
        "open(path)", "open(path, mode)", "guard(x)| open(path)", "guard(x)| open(path, mode)"
    ),
    "a line is put behind one that upstream words anew": Case(
        "open(path)", "open(path, mode)", "open(path)| guard(x)", "open(path, mode)| guard(x)"
    ),
    "upstream splits a line over several": Case(
        "return Client(config, log)", "return Client(| ~config,| ~log,| )",
        "guard(x)| return Client(config, log)", "guard(x)| return Client(| ~config,| ~log,| )",
    ),
    "upstream only comments on the line behind": Case(
        "found = None", "# why| # this is so", "guard(x)| found = None", "guard(x)| # why| # this is so"
    ),
    "a line in a block of the patch's, its neighbour deleted": Case(
        "import extra| import loop", "import loop",
        "import extra| if windows:| ~import other as loop| else:| ~import loop",
        "if windows:| ~import other as loop| else:| ~import loop",
    ),
    "both make the same change near another": Case(
        "one(x)| two(x)| three(x)", "one(x, y)| two(x)| three(x)", "one(x, y)| two(x)| three(y)",
        "one(x, y)| two(x)| three(y)",
    ),
    "the same line is changed": Case("size = 1", "size = 2", "size = 3", None),
    "both insert at one place": Case(
        "one(x)| two(x)", "one(x)| up(x)| two(x)", "one(x)| win(x)| two(x)", None
    ),
    "upstream deleted the line before an insertion": Case(
        "open(x)| close(x)", "close(x)", "open(x)| guard(x)| close(x)", None
    ),
    "upstream deleted the line behind an insertion": Case(
        "open(x)| close(x)", "open(x)", "open(x)| guard(x)| close(x)", None
    ),
    "upstream deleted the block around an insertion": Case(
        "if x:| ~open(x)| ~close(x)", "", "if x:| ~open(x)| ~guard(x)| ~close(x)", None
    ),
    "the patch deletes the line beside upstream's insertion": Case(
        "open(x)| close(x)", "open(x)| tidy(x)| close(x)", "close(x)", None
    ),
    "upstream put something new where the patch inserts": Case(
        "use(item)", "item = normalise(thing)| store(result, thing)", "guard(x)| use(item)", None
    ),
    "the patch puts something new where upstream inserts": Case(
        "close(handle)", "flush(buffers)| close(handle)",
        "if windows:| ~wait(10)| detach(handle)| finish(now)", None,
    ),
    "lines behind the patch's block, before deleted ones": Case(
        "alpha(x)| beta(x)", "alpha(x)", "if windows:| ~gamma(x)| else:| ~alpha(x)| delta(x)| beta(x)",
        None,
    ),
    "both add the same line, each beside its own change": Case(
        "one(x)| two(x)", "one(x)| extra(item, count)| two(x)",
        "one(x, y)| extra(item, count)| two(x)", None,
    ),
    "upstream has the changed line twice": Case(
        "save(item)| .", "save(item)| save(item)| .", "save(more, item)| .", None
    ),
    "only a brace is replaced": Case("}| done(x)", "}| done(x, y)", "};| done(x)", None),
}  # fmt: skip
IMPORTS = {
    "each adds one": Case("", "import time", "import sys", "import sys| import time"),
    "both add the same": Case(
        "", "import json| import sys", "import os| import sys", "import json| import os| import sys"
    ),
    "upstream's line grew": Case(
        "from abc import A", "from abc import A, B", "import sys| from abc import A",
        "import sys| from abc import A, B",
    ),
    "a blank line ends the section of the standard library": Case(
        "import abc", "import abc| .| import torch", "import abc| import sys",
        "import abc| import sys| .| import torch",
    ),
    "the future stays first": Case(
        "", "from __future__ import annotations", "import os",
        "from __future__ import annotations| import os",
    ),
    "the future stays first in another section": Case(
        ".| import os", "from os import x| .| import os", ".| from __future__ import annotations| import os",
        "from __future__ import annotations| from os import x| .| import os",
    ),
    "both bring one name from different places": Case(
        "", "from here import Connection", "from there import Connection", None
    ),
    "a name under another name": Case("", "import loop", "from other import fast as loop", None),
    "a star may bring anything": Case("", "from here import *", "import sys", None),
    "the patch replaces an import": Case(
        "import loop", "import loop| import time", "import other as loop", None
    ),
    "the patch deletes an import": Case("import loop", "import loop| import time", "", None),
    "an indented import": Case("", "import time", "~import sys", None),
    "two statements on a line": Case("", "import time", "import sys; run()", None),
    "an import over several lines": Case("", "import time", "from a import (| ~b,| )", None),
}  # fmt: skip
REQUIREMENTS = {
    "a version and a marker": Case(
        "kernels==1", "kernels==2", 'kernels==1; os != "w"', None
    ),
    "a version and a marker of packaging's": Case(
        "kernels==1", "kernels==2", 'kernels==1; sys_platform != "win32"',
        'kernels==2; sys_platform != "win32"',
    ),
    "a comment stays": Case(
        "kernels==1 # why", "kernels==2 # why", 'kernels==1; sys_platform == "linux" # why',
        'kernels==2; sys_platform == "linux" # why',
    ),
    "upstream adds lines": Case(
        "kernels==1", "kernels==2| # note| other>=3", 'kernels==1; sys_platform == "linux"',
        'kernels==2; sys_platform == "linux"| # note| other>=3',
    ),
    "another spelling of the name": Case(
        "My_Kernels==1", "my-kernels==2", 'My_Kernels==1; sys_platform == "linux"',
        'my-kernels==2; sys_platform == "linux"',
    ),
    "the patch removes the marker": Case(
        'kernels==1; sys_platform == "linux"', 'kernels==2; sys_platform == "linux"', "kernels==1",
        "kernels==2",
    ),
    "the patch changes the version": Case("kernels==1", "kernels==2", "kernels==3", None),
    "the patch changes the comment": Case(
        "kernels==1 # a", "kernels==2 # a", 'kernels==1; sys_platform == "linux" # b', None
    ),
    "upstream changed the alternatives too": Case(
        'kernels==1; sys_platform == "a" or sys_platform == "b"',
        'kernels==2; sys_platform == "b" or sys_platform == "c"',
        'kernels==1; sys_platform == "a" or sys_platform == "w" or sys_platform == "b"',
        'kernels==2; sys_platform == "w" or sys_platform == "b" or sys_platform == "c"',
    ),
    "upstream has the patch's alternative": Case(
        'kernels==1; sys_platform == "a"', 'kernels==2; sys_platform == "w" or sys_platform == "a"',
        'kernels==1; sys_platform == "a" or sys_platform == "w"',
        'kernels==2; sys_platform == "w" or sys_platform == "a"',
    ),
    "both take the place of one alternative": Case(
        'kernels==1; sys_platform == "a" or sys_platform == "b"',
        'kernels==2; sys_platform == "c" or sys_platform == "b"',
        'kernels==1; sys_platform == "w" or sys_platform == "b"', None,
    ),
    "upstream has more than alternatives": Case(
        'kernels==1; sys_platform == "a"', 'kernels==2; sys_platform == "a" and python_version > "3"',
        'kernels==1; sys_platform == "a" or sys_platform == "w"', None,
    ),
    "upstream changed the marker too": Case(
        'kernels==1; python_version > "3"', 'kernels==2; python_version > "4"',
        'kernels==1; sys_platform == "linux"', None,
    ),
    "upstream dropped it": Case("kernels==1", "other==2", 'kernels==1; sys_platform == "linux"', None),
    "upstream has it twice": Case(
        "kernels==1", "kernels==2| kernels==3", 'kernels==1; sys_platform == "linux"', None
    ),
    "an address": Case(
        "kernels @ https://host/k;a.whl", "kernels @ https://host/l;a.whl",
        'kernels @ https://host/k;a.whl ; sys_platform == "linux"', None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ADJACENT.values(), ids=list(ADJACENT))
def test_changes_that_touch(case: Case) -> None:
    assert adjacent.united(case.region) == case.wanted


@pytest.mark.parametrize("case", IMPORTS.values(), ids=list(IMPORTS))
def test_import_lines(case: Case) -> None:
    assert import_lines.united(case.region) == case.wanted


@pytest.mark.parametrize("case", REQUIREMENTS.values(), ids=list(REQUIREMENTS))
def test_requirement_lines(case: Case) -> None:
    assert requirement_lines.united(case.region) == case.wanted


def test_python_is_compiled_not_only_parsed() -> None:
    assert import_lines.is_python(b"import os\nx = 1\n")
    assert not import_lines.is_python(b"import os\nfrom __future__ import annotations\n")
    assert import_lines.is_python(b"x = '\\d'\n"), "a warning is no error"


def marked(base: str, ours: str, theirs: str, *, size: int = 40, end: str = "\n") -> bytes:
    marks = [f"{'<' * size} a", ours, f"{'|' * size} b", base, "=" * size, theirs, f"{'>' * size} c"]
    return "".join(f"{line}{end}" for line in marks).encode()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_marked_file_is_read(end: str) -> None:
    content = f"before{end}".encode() + marked("b", "o", "t", end=end) + f"after{end}".encode()
    parts = regions.read(content)
    region = Region(base=(f"b{end}".encode(),), ours=(f"o{end}".encode(),), theirs=(f"t{end}".encode(),))
    assert parts == [(f"before{end}".encode(),), region, (f"after{end}".encode(),)]


@pytest.mark.parametrize(
    "content",
    [
        b"=" * 40 + b"\n",
        marked("b", "o\n" + "=" * 40, "t"),
        marked("b", "o", "t\n" + "<" * 40 + " x"),
        marked("b", "o", "t")[:-50],
    ],
    ids=["a rule", "a rule in a side", "a mark in a side", "cut off"],
)
def test_marks_that_do_not_fit_together_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="conflict"):
        regions.read(content)


@pytest.mark.parametrize("line", [b"=" * 41, b"<" * 40 + b"x", b"=" * 40 + b" title", b"-" * 40])
def test_long_rules_are_no_marks(line: bytes) -> None:
    assert regions.read(line + b"\n") == [(line + b"\n",)]


SIDES = (b"aa(1)\nbb(1)", b"aa(2)\nbb(1)", b"aa(1)\nbb(2)")


def settle(path: str, *sides: bytes) -> bytes | None:
    base, ours, theirs = sides
    texts = (side.decode().removesuffix("\n") for side in (base, ours, theirs))
    answer = resolve._settle(RepoPath(path), marked(*texts), sides)
    return None if answer is None else answer[0]


def test_the_end_of_the_file_is_kept() -> None:
    assert settle("x.c", *SIDES) == b"aa(2)\nbb(2)"
    assert settle("x.c", *(side + b"\n" for side in SIDES)) == b"aa(2)\nbb(2)\n"
    assert settle("x.c", SIDES[0], SIDES[1], SIDES[2] + b"\n") is None, "a side ends otherwise"


def test_files_with_marks_of_their_own_and_without_regions_are_left() -> None:
    assert settle("x.c", *(b"=" * 40 + b"\n" + side for side in SIDES)) is None
    assert settle("x.c", SIDES[0], SIDES[1], b"=" * 40) is None, "git ends that line"
    assert resolve._settle(RepoPath("x.c"), marked("b", "o", "t", size=7), SIDES) is None


def test_versions_and_markers_are_for_files_of_requirements() -> None:
    sides = (b"k==1\n", b"k==2\n", b'k==1; sys_platform == "linux"\n')
    for path in ("requirements/cuda.txt", "requirements-dev.in", "constraints.txt", "tools/requirements.txt"):
        assert settle(path, *sides) == b'k==2; sys_platform == "linux"\n', path
    assert settle("CMakeLists.txt", *sides) is None


def test_nothing_is_settled_beside_moved_lines() -> None:
    base = b"keep(alpha)\nload(second)\nstore(gamma)\n"
    ours = b"load(second)\nkeep(alpha)\nload(second, 2)\n"
    region = Region(
        base=lines("load(second)"), ours=lines("load(second, 2)"), theirs=lines("load(second)| win(x)")
    )
    assert adjacent.united(region) is not None
    assert resolve._answer(RepoPath("x.c"), region, (base, ours, base)) is None


def diff_of(path: str) -> Diff:
    body = b"--- a/%b\n+++ b/%b\n@@ -1 +1 @@\n-x\n+y\n"
    name = path.encode()
    tab = b"\t" if b" " in name else b""
    head = b"diff --git a/%b b/%b\nindex %b..%b 100644\n" % (name, name, b"1" * 40, b"2" * 40)
    return parse(head + body % (name + tab, name + tab), path=path, where=path)


@pytest.mark.parametrize("old", ["x", "a/x", "b/x", "a/b/a/b", "c d/e"])
@pytest.mark.parametrize("new", ["lib/x", "a/b/x", "b/a/x", "x y/z", "b/x"])
def test_a_diff_of_another_file(old: str, new: str) -> None:
    made = at_path(diff_of(old), RepoPath(new))
    assert made == diff_of(new)
    assert parse(made.text, path=new, where=new) == made
