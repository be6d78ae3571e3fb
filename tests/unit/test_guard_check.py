"""Verdicts of whole patches: new files, kinds of files, generators, records, and what the header says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from winvllm_build.audit.device.record import Difference, Kind, Records, Unit, Unproven
from winvllm_build.audit.files import Files
from winvllm_build.audit.guard import header
from winvllm_build.audit.guard.check import check, problems
from winvllm_build.audit.guard.judgement import Ground, Judgement, Verdict
from winvllm_build.audit.guard.pair import Pair, Tree
from winvllm_build.git import NO_OBJECT, Oid, RepoPath
from winvllm_build.patchset.blob import blob_id
from winvllm_build.patchset.diff import Change

PLAIN = ("100644", "100644")
NEUTRAL = "guarded + neutral - why"


def pair(
    path: str, before: str | None, after: str | None, *, guard: str | None = "guarded",
    others: Mapping[str, str] | None = None, modes: tuple[str, str] = PLAIN,
) -> Pair:  # fmt: skip
    """A patch of a tree that has `others`, which are not changed."""
    kind = Change.ADDED if before is None else Change.DELETED if after is None else Change.MODIFIED
    contents = [None if text is None else text.encode() for text in (before, after)]
    trees = [
        {**{name: text.encode() for name, text in (others or {}).items()}, **({path: one} if one else {})}
        for one in contents
    ]
    ids = tuple(NO_OBJECT if one is None else blob_id(one) for one in contents)
    return Pair(
        layer="windows", path=path, change=kind, before=contents[0], after=contents[1],
        ids=(ids[0], ids[1]), modes=modes, guard=guard, old=Tree(Files.of_mapping(trees[0])),
        new=Tree(Files.of_mapping(trees[1])),
    )  # fmt: skip


def judged(one: Pair, records: Records | None = None) -> Judgement:
    return check([one], records or Records())[0]


WINDOWS_IMPORT = """\
import sys
if sys.platform == "win32":
    from vllm.utils import winloop_compat
"""
USERS: list[tuple[str, str, str]] = [
    ("vllm/utils/winloop_compat.py", "vllm/a.py", WINDOWS_IMPORT),
    ("cmake/windows.cmake", "CMakeLists.txt", "if(MSVC)\n  include(cmake/windows.cmake)\nendif()\n"),
    ("csrc/msvc.h", "csrc/a.cu", '#ifdef _MSC_VER\n#include "msvc.h"\n#endif\n'),
    ("csrc/stub.cpp", "CMakeLists.txt", "if(WIN32)\n  add_library(x csrc/stub.cpp)\nendif()\n"),
]


@pytest.mark.parametrize(("path", "user", "text"), USERS)
def test_a_new_file_that_only_windows_uses(path: str, user: str, text: str) -> None:
    found = judged(pair(path, None, "x = 1\n", others={user: text}))
    assert (found.verdict, found.is_fine) == (Verdict.IDENTICAL, True)
    assert found.grounds[0].ground is Ground.NEW_FILE
    assert user in found.grounds[0].detail
    assert judged(pair(path, None, "x = 1\n", guard="new file - for Windows", others={user: text})).is_fine


@pytest.mark.parametrize(
    ("path", "user", "text"),
    [
        ("vllm/utils/winloop_compat.py", "vllm/a.py", WINDOWS_IMPORT.replace("==", "!=")),
        ("vllm/utils/winloop_compat.py", "vllm/a.py", "import vllm.utils.winloop_compat as w\n"),
        ("vllm/utils/winloop_compat.py", "vllm/utils/a.py", "def f():\n    from .winloop_compat import x\n"),
        ("vllm/utils/winloop_compat.py", "vllm/a.py", "load('vllm.utils.winloop_compat')\n"),
        ("vllm/utils/winloop_compat.py", "pyproject.toml", "x = 'winloop_compat.py'\n"),
        ("cmake/windows.cmake", "CMakeLists.txt", "if(NOT MSVC)\n  include(cmake/windows.cmake)\nendif()\n"),
        ("cmake/windows.cmake", "CMakeLists.txt", "include(windows)\n"),
        ("csrc/msvc.h", "csrc/a.cu", '#ifdef USE_ROCM\n#include "msvc.h"\n#endif\n'),
        ("csrc/math.h", "csrc/a.cu", "#include <math.h>\n"),  # hides the system's
        ("csrc/w/x.cu", "CMakeLists.txt", 'file(GLOB S "csrc/w/*.cu")\n'),
        ("vllm/w/__init__.py", "vllm/a.py", ""),
        ("vllm/configs/device_name=X.json", "vllm/a.py", ""),
    ],
)
def test_a_new_file_that_linux_uses(path: str, user: str, text: str) -> None:
    found = judged(pair(path, None, "x = 1\n", others={user: text}))
    assert found.verdict is Verdict.CHANGED
    assert found.fix


@pytest.mark.parametrize(
    ("path", "before", "after", "verdict"),
    [
        ("docs/a.md", "a\n", "b\n", Verdict.CHANGED),
        ("vllm/a.json", "{}", "{ }", Verdict.CHANGED),
        ("csrc/a.cu", "int a;", None, Verdict.CHANGED),
        ("csrc/a.cu", "int a;", "int a; \0", Verdict.CHANGED),
        ("csrc/a.cu", "int a;\r\n", "int\r\n a;", Verdict.IDENTICAL),
        ("csrc/a.cu", "int a;\n", "int a;\r\n", Verdict.CHANGED),
        ("a.py", "x = 1\n", "\ufeffx = 1\n", Verdict.CHANGED),
        ("a.sh", "x\n", "x\n\n", Verdict.CHANGED),
        ("requirements/cuda.txt", "a\n", "a\nb; sys_platform == 'win32'\n", Verdict.IDENTICAL),
        ("rust/Cargo.toml", "[a]\nb = 1\n", "[a]\nb = 2\n", Verdict.CHANGED),
        ("setup.py", "x = 1\n", "x = 1  # y\n", Verdict.IDENTICAL),
    ],
)
def test_kinds_of_files(path: str, before: str, after: str | None, verdict: Verdict) -> None:
    assert judged(pair(path, before, after)).verdict is verdict


def test_a_mode_counts() -> None:
    assert judged(pair("a.py", "x = 1\n", "x = 1\n", modes=("100644", "100755"))).verdict is Verdict.CHANGED


GENERATOR = """\
import glob, os, subprocess, sys
for name in glob.glob(os.path.dirname(__file__) + "/kernel_*.cu"):
    subprocess.call(["rm", "-f", name])
for arch in sys.argv[1].split(","):
    with open(os.path.join(os.path.dirname(__file__), f"kernel_{arch}.cu"), "w") as file:
        file.write(arch)
"""
UNLINK = GENERATOR.replace('subprocess.call(["rm", "-f", name])', "os.unlink(name)")
CALLED = {"CMakeLists.txt": "execute_process(COMMAND python csrc/g/generate.py)\n"}


def test_generators_are_run() -> None:
    found = judged(pair("csrc/g/generate.py", GENERATOR, UNLINK, guard=NEUTRAL, others=CALLED))
    assert ([one.ground for one in found.grounds], found.is_fine) == ([Ground.GENERATED], True)


@pytest.mark.parametrize(
    ("after", "others", "words"),
    [
        (UNLINK.replace("file.write(arch)", "file.write(arch + ' ')"), CALLED, "what it writes differs"),
        (GENERATOR.replace("kernel_*.cu", "kernel_?.cu"), CALLED, "what it writes differs"),  # stale files
        (UNLINK + "raise SystemExit(3)\n", CALLED, "the generator fails here"),
        (UNLINK + "import nowhere_at_all\n", CALLED, "nowhere_at_all"),
        (UNLINK, {}, ""),  # nothing says that it is one
    ],
)
def test_generators_that_write_something_else(after: str, others: Mapping[str, str], words: str) -> None:
    found = judged(pair("csrc/g/generate.py", GENERATOR, after, guard=NEUTRAL, others=others))
    assert found.verdict is Verdict.CHANGED
    assert words in "".join(found.cuda.open)


def recorded(one: Pair, **changes: Any) -> Records:  # noqa: ANN401 - whatever a unit has
    unit = Unit(
        source=RepoPath(one.path), arch="8.6", options=(), compiler="nvcc 13.0", inputs="0",
        files={RepoPath(one.path): one.ids}, compared={Kind.PTX: 3, Kind.HOST: 5},
    )  # fmt: skip
    return Records(units=(type(unit)(**{**{n: getattr(unit, n) for n in unit.__slots__}, **changes}),))


def test_a_record_proves_what_no_other_ground_does() -> None:
    one = pair("csrc/a.cu", "a = std::isinf(b);", "a = isinf(b);", guard=NEUTRAL)
    assert judged(one).verdict is Verdict.CHANGED
    assert "audit device" in judged(one).fix
    found = judged(one, recorded(one))
    assert ([ground.ground for ground in found.cuda.grounds], found.is_fine) == ([Ground.MACHINE_CODE], True)
    assert judged(one, recorded(one, compared={Kind.PTX: 3})).verdict is Verdict.CHANGED  # not the host
    other = (one.ids[0], Oid("1" * 40))
    assert judged(one, recorded(one, files={RepoPath(one.path): other})).verdict is Verdict.CHANGED
    missing = Unproven(path=RepoPath(one.path), pair=one.ids, source=None, arch="10.0", why="no headers")
    partly = Records(units=recorded(one).units, unproven=(missing,))
    assert judged(one, partly).cuda.grounds[0].detail.endswith("; not compiled: csrc/a.cu for 10.0")
    more = {RepoPath(one.path): one.ids, RepoPath("csrc/b.cuh"): one.ids}
    assert judged(one, recorded(one, files=more)).verdict is Verdict.CHANGED  # made with another header


@pytest.mark.parametrize(
    ("kind", "name", "reason", "says"),
    [
        (Kind.PTX, "entry _Z1f", "told", "ptx entry _Z1f differs; the header says: told"),
        (Kind.HOST, "limit_v", "", "host limit_v differs, and no header names it"),
        (Kind.HOST, "limit_v", "limit_v is gone", ""),
    ],
)
def test_what_a_compiler_makes_otherwise(kind: Kind, name: str, reason: str, says: str) -> None:
    """Only the host's half may differ, where the header names what does; a kernel never."""
    one = pair("csrc/a.cu", "a = std::isinf(b);", "a = isinf(b);", guard=NEUTRAL)
    found = judged(one, recorded(one, differences=(Difference(kind=kind, name=name, reason=reason),)))
    assert found.verdict is (Verdict.CHANGED if says else Verdict.NEUTRAL)
    assert "".join(found.cuda.open) == says
    assert ("all but 1 the same" in found.cuda.grounds[0].detail) if not says else not found.cuda.grounds


GUARDED = ("import sys\nx = 1\n", "import sys\nif sys.platform == 'win32':\n    y = 2\nx = 1\n")
IMPORTED = ("x = 1\n", "import sys\nx = 1\n")


@pytest.mark.parametrize(
    ("texts", "guard", "says", "line"),
    [
        (GUARDED, "guarded", "", ""),
        (GUARDED, None, "", ""),
        (IMPORTED, "neutral - adds import sys", "", ""),
        (IMPORTED, "guarded + neutral - adds import\n sys", "", ""),
        (IMPORTED, "guarded", "Linux sees a difference", "guarded + neutral - added import: import sys"),
        (IMPORTED, "neutral", "gives no reason", "guarded + neutral - added import: import sys"),
        (IMPORTED, "guarded + neutral - ", "gives no reason", "guarded + neutral - added import: import sys"),
        (GUARDED, "neutral - why", "Linux sees no difference", "guarded"),
        (GUARDED, "new file - why", "Linux sees no difference", "guarded"),
        (GUARDED, "", "no field Guard", "guarded"),
        (GUARDED, "harmless", "is none of", "guarded"),
    ],
)
def test_the_header_has_to_agree(texts: tuple[str, str], guard: str | None, says: str, line: str) -> None:
    found = judged(pair("a.py", *texts, guard=guard))
    assert says in found.disagreement
    assert bool(says) == bool(found.disagreement) == (found in problems([found]))
    assert found.fix == (f"write `Guard: {line}` in the header" if line else "")
    if line:
        assert header.read(line).kind in header.KINDS
        assert judged(pair("a.py", *texts, guard=line)).is_fine


def test_only_some_paths_are_judged() -> None:
    both = [pair("a.py", *GUARDED), pair("b.py", *IMPORTED)]
    steps: list[str] = []
    assert [one.path for one in check(both, Records(), only={"b.py"}, on_step=steps.append)] == ["b.py"]
    assert steps == ["b.py"]
