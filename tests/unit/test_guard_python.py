"""Python as Linux executes it: what only Windows gets is gone, what means the same is proven."""

from __future__ import annotations

import pytest

from winvllm_build.audit.files import Files
from winvllm_build.audit.guard.judgement import Ground, Verdict, View
from winvllm_build.audit.guard.python_module import Siblings
from winvllm_build.audit.guard.python_view import view

PLATFORM = "vllm/utils/platform_utils.py"
CONSTANTS = """\
import platform
import sys
IS_WINDOWS = sys.platform == "win32"
LIMIT = 3
def on_windows() -> bool:
    \"\"\"Whether this is Windows.\"\"\"
    return platform.system() == "Windows"
"""
HEAD = """\
import os
import sys
import platform
import signal
from vllm.utils.platform_utils import IS_WINDOWS
"""


def seen(before: str, after: str, *, others: str = CONSTANTS) -> View:
    siblings = Siblings(Files.of_mapping({PLATFORM: others.encode()}))
    return view("vllm/a/b.py", before, after, siblings, siblings)


def function(*lines: str) -> str:
    return HEAD + "def f(x, y):\n" + "".join(f"    {line}\n" for line in lines)


ONLY_WINDOWS = [
    ("if sys.platform == 'win32':", "    x()", "return y"),
    ("if sys.platform.startswith('win'):", "    return x", "return y"),
    ("if 'win' in sys.platform and x():", "    pass", "return y"),
    ("if sys.platform in ('win32', 'cygwin'):", "    raise OSError", "return y"),
    ("if sys.platform[:3] == 'win':", "    x()", "return y"),
    ("if os.name == 'nt':", "    x()", "return y"),
    ("if platform.system() == 'Windows' or not hasattr(os, 'fork'):", "    x()", "return y"),
    ("if platform.system().lower() == 'windows':", "    x()", "return y"),
    ("if platform.machine() in ('AMD64', 'ARM64'):", "    x()", "return y"),
    ("if IS_WINDOWS:", "    x()", "return y"),
    ("if not IS_WINDOWS:", "    return y", "x()", "return x"),
    ("if sys.platform != 'win32':", "    return y", "else:", "    return x"),
    ("return x if IS_WINDOWS else y",),
    ("if x is None and sys.platform == 'win32':", "    x()", "return y"),
    ("while IS_WINDOWS:", "    x()", "return y"),
    ("assert sys.platform != 'win32'", "return y"),
    ("match sys.platform:", "    case 'win32':", "        x()", "    case _:", "        return y"),
    ("if x is None:", "    if os.name == 'nt':", "        x()", "return y"),
    ("if hasattr(signal, 'CTRL_C_EVENT'):", "    x()", "return y"),
    ("return getattr(signal, 'CTRL_C_EVENT', y)",),
    ("try:", "    import msvcrt", "except ImportError:", "    return y"),
    ("if IS_WINDOWS:", "    def g():", "        yield x", "return y"),
]


@pytest.mark.parametrize("lines", ONLY_WINDOWS)
def test_what_only_windows_gets_is_not_there(lines: tuple[str, ...]) -> None:
    assert seen(function("return y"), function(*lines)) == View(verdict=Verdict.IDENTICAL)


REACHES_LINUX = [
    (("if sys.platform == 'linux':", "    x()", "return y"), "f: +x()"),
    (("if sys.platform != 'darwin':", "    x()", "return y"), "f: +x()"),
    (("if sys.platform == 'win32' or x:", "    x()", "return y"), "f: +if x:"),
    (("if x() and sys.platform == 'win32':", "    x()", "return y"), "f: +if x() and False:"),
    (("if x and IS_WINDOWS:", "    pass", "return y"), "f: +if x and False:"),  # truth may be code
    (("if platform.machine() == 'x86_64':", "    x()", "return y"), "f: +if platform.machine() == 'x86_64':"),
    (("for one in x:", "    if IS_WINDOWS:", "        one()", "return y"), "f: +for one in x:"),
    (("if not IS_WINDOWS:", "    return x", "return y"), "f: -return y"),
    (("return x if sys.platform != 'win32' else y",), "f: +return x"),
    (("if y.platform == 'win32':", "    x()", "return y"), "f: +if y.platform == 'win32':"),
    (("sys = x", "if sys.platform == 'win32':", "    x()", "return y"), "f: +sys = x"),
    (("try:", "    import uvloop", "except ImportError:", "    return y"), "f: +try:"),
    (
        ("if hasattr(os, 'unknown_function'):", "    x()", "return y"),
        "f: +if hasattr(os, 'unknown_function'):",
    ),
]


@pytest.mark.parametrize(("lines", "expected"), REACHES_LINUX)
def test_what_linux_gets_is_told(lines: tuple[str, ...], expected: str) -> None:
    found = seen(function("return y"), function(*lines))
    assert found.verdict is Verdict.CHANGED
    assert expected in found.changes


def test_a_platform_that_is_not_imported_is_no_platform() -> None:
    before = "def f():\n    return 1\n"
    after = "def f():\n    if sys.platform == 'win32':\n        return 2\n    return 1\n"
    assert seen(before, after).verdict is Verdict.CHANGED
    assert seen(f"import sys\n{before}", f"import sys\n{after}").verdict is Verdict.IDENTICAL
    typing = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sys\n"
    assert seen(typing + before, typing + after).verdict is Verdict.CHANGED
    late = "if sys.platform == 'win32':\n    X = 1\nimport sys\n"
    assert seen("import sys\n", late).verdict is Verdict.CHANGED


def test_a_dead_branch_that_makes_a_name_local_is_told() -> None:
    before = HEAD + "def f():\n    return os.sep\n"
    local = HEAD + "def f():\n    if IS_WINDOWS:\n        import os\n    return os.sep\n"
    assert seen(before, local).changes == ("f: f: os is a local name that only a dead branch binds",)
    other = HEAD + "def f():\n    if IS_WINDOWS:\n        import msvcrt\n    return os.sep\n"
    assert seen(before, other).verdict is Verdict.IDENTICAL


def test_a_dead_branch_that_makes_a_generator_or_a_global_is_told() -> None:
    before = HEAD + "X = 1\ndef f():\n    X = 2\n    return X\n"
    yielding = before.replace("    return X", "    if IS_WINDOWS:\n        yield 1\n    return X")
    assert seen(before, yielding).changes == ("f: f: a dead branch makes it a generator",)
    elsewhere = before.replace("    X = 2", "    if IS_WINDOWS:\n        global X\n    X = 2")
    assert seen(before, elsewhere).verdict is Verdict.CHANGED


def test_constants_helpers_and_what_is_imported_of_them() -> None:
    before = "def f():\n    return 1\n"
    use = "def f():\n    if {}:\n        return 2\n    return 1\n"
    for head, test in (
        ("from vllm.utils.platform_utils import IS_WINDOWS as W\n", "W"),
        ("from ..utils.platform_utils import on_windows\n", "on_windows()"),
        ("import vllm.utils.platform_utils as p\n", "p.IS_WINDOWS or p.on_windows()"),
        ("from vllm.utils import platform_utils\n", "platform_utils.IS_WINDOWS"),
    ):
        assert seen(head + before, head + use.format(test)).verdict is Verdict.IDENTICAL, test
    limit = "from vllm.utils.platform_utils import LIMIT\n"
    assert seen(limit + before, limit + use.format("LIMIT == 4")).verdict is Verdict.CHANGED
    own = "import sys\nW = sys.platform == 'win32'\ndef w():\n    return W\n"
    assert seen(before, own + use.format("w()")).grounds[0].ground is Ground.IMPORT
    assert seen(own + before, own + use.format("W and w()")).verdict is Verdict.IDENTICAL
    again = own + "W = True\n"
    assert seen(again + before, again + use.format("W")).verdict is Verdict.CHANGED
    hidden = own + "def change():\n    global W\n    W = True\n"
    assert seen(hidden + before, hidden + use.format("W")).verdict is Verdict.CHANGED


def test_an_unchanged_function_under_a_changed_constant() -> None:
    rest = "def f():\n    if FLAG:\n        return 2\n    return 1\n"
    before = "import sys\nFLAG = sys.platform == 'win32'\n" + rest
    after = "import sys\nFLAG = sys.platform != 'win32'\n" + rest
    assert "f: +return 2" in seen(before, after).changes
    placed = "import sys\nif sys.platform == 'win32':\n    LIMIT = 1\nelse:\n    LIMIT = 2\n"
    uses = "def f():\n    return LIMIT\n"
    assert seen(f"import sys\nLIMIT = 2\n{uses}", placed + uses).verdict is Verdict.IDENTICAL
    assert seen(f"import sys\nLIMIT = 3\n{uses}", placed + uses).verdict is Verdict.CHANGED


def test_classes_order_and_removed_functions() -> None:
    before = HEAD + "class A:\n    def f(self):\n        return 1\n    def g(self):\n        return 2\n"
    inside = before.replace(
        "        return 2", "        if IS_WINDOWS:\n            return 3\n        return 2"
    )
    assert seen(before, inside).verdict is Verdict.IDENTICAL
    assert "A.g: -return 2" in seen(before, before.replace("return 2", "return 3")).changes
    assert seen(before, before.replace("class A:", "class A(dict):")).verdict is Verdict.CHANGED
    assert seen(before, before.partition("    def g")[0]).changes[0] == "A.g: removed"
    two = "def a():\n    pass\nX = a\n"
    assert seen(two, "X = a\ndef a():\n    pass\n").verdict is Verdict.CHANGED
    branch = HEAD + "if IS_WINDOWS:\n    def h():\n        return 1\nelse:\n    def h():\n        return 2\n"
    assert seen(HEAD + "def h():\n    return 2\n", branch).verdict is Verdict.IDENTICAL
    assert seen(HEAD + "def h():\n    return 1\n", branch).verdict is Verdict.CHANGED
    assert seen("def f(:\n", "").verdict is Verdict.CHANGED


def test_try_around_posix_modules() -> None:
    tried = "try:\n    import resource\nexcept ImportError:\n    resource = None\n"
    assert seen("import resource\n", tried).verdict is Verdict.IDENTICAL
    assert seen("import resource\n", tried.replace("ImportError", "OSError")).verdict is Verdict.CHANGED
    uvloop = tried.replace("resource", "uvloop")
    found = seen("import uvloop\n", uvloop)
    assert [one.ground for one in found.grounds] == [Ground.ATTEMPT]
    assert seen("import os\n", uvloop).verdict is Verdict.CHANGED


NEUTRAL = [
    ("x = 1\n", "import sys\nx = 1\n", Ground.IMPORT),
    ("x = 1\n", "from pathlib import Path\nx = 1\n", Ground.IMPORT),
    ("import os\n", "import os, sys\n", Ground.IMPORT),
    ("import os\nx = ':'.join([])\n", "import os\nx = os.pathsep.join([])\n", Ground.CONSTANT),
    ("x = open('a')\n", "x = open('a', encoding=None)\n", Ground.DEFAULT),
    (
        "import tempfile as t\nx = t.NamedTemporaryFile()\n",
        "import tempfile as t\nx = t.NamedTemporaryFile(delete=True)\n",
        Ground.DEFAULT,
    ),
    ("x = 1\n", "x = 1\nLIMIT = 5\n", Ground.UNUSED),
    ("x = 1\n", "def windows_only(a, b=2):\n    return a\nx = 1\n", Ground.UNUSED),
]


@pytest.mark.parametrize(("before", "after", "ground"), NEUTRAL)
def test_each_ground(before: str, after: str, ground: Ground) -> None:
    found = seen(before, after)
    assert (found.verdict, {one.ground for one in found.grounds}) == (Verdict.NEUTRAL, {ground})
    assert found.changes


NEAR_MISSES = [
    ("x = 1\n", "import antigravity\nx = 1\n"),  # opens a browser
    ("x = 1\n", "import msvcrt\nx = 1\n"),  # is not there
    ("x = 1\n", "import torch\nx = 1\n"),
    ("x = 1\n", "from pathlib import Nothing\nx = 1\n"),
    ("x = 1\n", "from os import *\nx = 1\n"),
    ("import os\n", "import sys\n"),  # one is gone
    ("sys = 1\n", "import sys\nsys = 1\n"),
    ("import my_re as re\n", "import re\nimport my_re as re\n"),
    ("def f():\n    return glob\n", "def f():\n    x()\n    import glob\n    return glob\n"),
    ("x = ';'.join([])\n", "import os\nx = os.pathsep.join([])\n"),
    ("x = open('a')\n", "x = open('a', encoding='utf-8')\n"),
    ("x = open('a', encoding='utf-8')\n", "x = open('a', encoding=None)\n"),
    ("def open(a, **k): ...\nx = open('a')\n", "def open(a, **k): ...\nx = open('a', encoding=None)\n"),
    ("from m import *\nx = open('a')\n", "from m import *\nx = open('a', encoding=None)\n"),
    ("x = 1\n", "x = 1\nLIMIT = compute()\n"),
    ("x = 1\n", "x = 1\n__all__ = []\nprint(__all__)\n"),
    ("x = 1\n", "def f(a=g()):\n    return a\nx = 1\n"),
    ("x = 1\n", "@register\ndef f(a):\n    return a\nx = 1\n"),
    ("x = 1\n", "def f(a):\n    return a\nx = f(1)\n"),
    ("class A:\n    x = 1\n", "class A:\n    x = 1\n    def added(self): ...\n"),
    ("def f():\n    'doc'\n", "def f():\n    'import sys'\n"),
]


@pytest.mark.parametrize(("before", "after"), NEAR_MISSES)
def test_near_misses_of_the_grounds(before: str, after: str) -> None:
    assert seen(before, after).verdict is Verdict.CHANGED


def test_an_import_into_a_package_that_has_a_module_of_the_name() -> None:
    siblings = Siblings(Files.of_mapping({"vllm/a/signal.py": b""}))
    for module, verdict in (("signal", Verdict.CHANGED), ("sys", Verdict.NEUTRAL)):
        found = view("vllm/a/__init__.py", "x = 1\n", f"import {module}\nx = 1\n", siblings, siblings)
        assert found.verdict is verdict


SEEDS = """\
import numpy as np
import torch
class State:
    def __init__(self, n):
        self.seeds = Buffer(n, dtype=torch.int64)
    def add(self, i, seed):
        if seed is None:
            seed = np.random.randint(-5, 5)
        self.seeds.np[i] = seed
"""
TYPED = SEEDS.replace("(-5, 5)", "(-5, 5, dtype=np.int64)")


def test_a_number_that_only_goes_into_an_array_of_its_type() -> None:
    found = seen(SEEDS, TYPED)
    assert [one.ground for one in found.grounds] == [Ground.INTEGER]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dtype=torch.int64", "dtype=torch.int32"),
        ("dtype=torch.int64", "n"),
        ("        self.seeds.np[i] = seed\n", "        self.seeds.np[i] = seed\n        return seed\n"),
        ("self.seeds.np[i] = seed", "self.seeds.np = seed"),
        ("np.int64)", "np.int32)"),
        ("(-5, 5", "(-5, 5, 3"),  # an array of its own
    ],
)
def test_a_number_whose_type_shows(old: str, new: str) -> None:
    assert seen(SEEDS.replace(old, new), TYPED.replace(old, new)).verdict is Verdict.CHANGED
