"""What Windows executes of a Python file, told from its syntax tree."""

from __future__ import annotations

import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winvllm_build.audit.files import Files
from winvllm_build.audit.hazard import catalogue
from winvllm_build.audit.hit import Hit, Reach, State
from winvllm_build.audit.python.scanner import scan

SAMPLES = [
    pytest.param(hazard.id, sample.path, sample.bad, id=f"{hazard.id}-{number}")
    for hazard in catalogue().values()
    for number, sample in enumerate(hazard.samples)
    if hazard.id.startswith("E") and sample.path.startswith("vllm/")
]
"""Every entry of the catalogue that is about Python."""
PATH = "vllm/a.py"


def hits(**files: str) -> tuple[Hit, ...]:
    """Every hit; `vllm__a` is vllm/a.py."""
    contents = {
        f"{name.replace('__', '/')}.py": textwrap.dedent(text).encode() for name, text in files.items()
    }
    return scan(Files.of_mapping(contents)).hits


def states(text: str) -> list[State]:
    return [hit.state for hit in hits(vllm__a=text)]


def wrapped(before: str, text: str) -> bytes:
    return f"import sys\nimport contextlib\n{before}\n{textwrap.indent(text.strip(), '        ')}\n".encode()


@pytest.mark.parametrize(("hazard", "path", "bad"), SAMPLES)
@pytest.mark.parametrize(
    ("before", "state"),
    [
        ("if True:\n    if sys.platform != 'win32':", State.GUARDED),
        ("if True:\n    if sys.platform == 'win32':\n        pass\n    else:", State.GUARDED),
        ("def f():\n    if sys.platform == 'win32':\n        return\n    if True:", State.GUARDED),
        ("if True:\n    if current_platform.is_rocm():", State.DEAD),
    ],
    ids=["if", "else", "return", "rocm"],
)
def test_what_windows_does_not_reach_is_not_live(
    hazard: str, path: str, bad: str, before: str, state: State
) -> None:
    """Each sample of the catalogue, put where Windows does not get to."""
    found = scan(Files.of_mapping({path: wrapped(before, bad)}))
    assert found.blind == ()
    assert {hit.state for hit in found.hits if hit.hazard == hazard} == {state}


@pytest.mark.parametrize(("hazard", "path", "bad"), SAMPLES)
def test_a_branch_for_windows_alone_is_live(hazard: str, path: str, bad: str) -> None:
    found = scan(Files.of_mapping({path: wrapped("if True:\n    if sys.platform == 'win32':", bad)}))
    assert State.LIVE in {hit.state for hit in found.hits if hit.hazard == hazard}


GUARDS = [
    "if os.name != 'nt': {use}",
    "if os.name == 'posix': {use}",
    "if not sys.platform.startswith('win'): {use}",
    "if sys.platform.startswith('linux'): {use}",
    "if sys.platform in ('linux', 'darwin'): {use}",
    "if 'linux' in sys.platform: {use}",
    "if platform.system() == 'Linux': {use}",
    "if platform.system().lower() != 'windows': {use}",
    "if hasattr(os, 'getuid'): {use}",
    "if ready() and sys.platform != 'win32': {use}",
    "if sys.platform == 'win32' or {use}: pass",
    "if sys.platform != 'win32' and {use}: pass",
    "x = 0 if sys.platform == 'win32' else {use}",
    "x = {use} if hasattr(os, 'getuid') else 0",
    "x = hasattr(os, 'getuid') and {use}",
    "while sys.platform != 'win32': {use}",
    "if WINDOWS: pass\nelse: {use}",
    "if is_windows(): pass\nelse: {use}",
    "if not shared.is_windows(): {use}",
    "try: {use}\nexcept AttributeError: pass",
    "try: {use}\nexcept (OSError, AttributeError): pass",
    "try: {use}\nexcept Exception: pass",
    "try: {use}\nexcept: pass",
    "with contextlib.suppress(AttributeError): {use}",
    "assert sys.platform != 'win32'\n{use}",
    "if sys.platform == 'win32':\n    raise ValueError\n{use}",
    "if sys.platform == 'win32':\n    sys.exit(1)\n{use}",
    "if sys.platform == 'win32':\n    with lock:\n        raise ValueError\n{use}",
    "if sys.platform == 'win32':\n    if x: raise ValueError\n    else: raise KeyError\n{use}",
    "match x:\n    case 1 if sys.platform: pass\nif sys.platform != 'win32': {use}",
]
OPEN = [
    "{use}",
    "if x: {use}",
    "if sys.version_info >= (3, 11): {use}",
    "if sys.platform != 'darwin': {use}",
    "if sys.platform != 'win32' or x: {use}",
    "if sys.platform == 'win32': {use}",
    "if sys.platform == 'win32':\n    x = 1\n{use}",
    "if sys.platform == 'win32' and x:\n    raise ValueError\n{use}",
    "if hasattr(os, 'getpid'): {use}",
    "try: {use}\nexcept OSError: pass",
    "try: {use}\nexcept AttributeError as e: raise ValueError from e",
    "try: pass\nexcept AttributeError: {use}",
    "try: pass\nfinally: {use}",
    "with contextlib.suppress(OSError): {use}",
    "try:\n    def f(): {use}\nexcept AttributeError: pass",
    "if current_platform.is_cuda(): {use}",
    "x = {use} if x else 0",
    "for x in y: {use}",
    "async def f():\n    async with x: {use}",
    "f = lambda: {use}",
    "x = [{use} for x in y]",
    "match x:\n    case 1: {use}",
    "class A:\n    x = {use}",
]
START = """\
import contextlib
import os
import platform
import sys

from vllm import shared

WINDOWS = sys.platform == "win32"


def is_windows():
    '''Whether this is Windows.'''
    return sys.platform == "win32"


"""
SHARED = "import platform\n\ndef is_windows() -> bool:\n    return platform.system() == 'Windows'\n"


@pytest.mark.parametrize("text", GUARDS)
def test_a_guard_is_seen(text: str) -> None:
    found = hits(vllm__a=START + text.format(use="os.getuid()"), vllm__shared=SHARED)
    assert [hit.state for hit in found] == [State.GUARDED]


@pytest.mark.parametrize("text", OPEN)
def test_what_is_no_guard_is_none(text: str) -> None:
    found = hits(vllm__a=START + text.format(use="os.getuid()"), vllm__shared=SHARED)
    assert [hit.state for hit in found] == [State.LIVE]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="except* is new in 3.11")
def test_groups_of_exceptions_are_entered() -> None:
    assert states("import os\ntry:\n    os.getuid()\nexcept* OSError:\n    pass\n") == [State.LIVE]


@pytest.mark.parametrize(
    "condition",
    [
        "current_platform.is_rocm()",
        "torch.version.hip",
        "torch.version.hip is not None",
        "TYPE_CHECKING",
        "_is_hip()",
        "False",
    ],
)
def test_what_is_false_for_another_reason_is_dead(condition: str) -> None:
    assert states(f"import os\nimport torch\nif {condition}:\n    os.getuid()\n") == [State.DEAD]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("import fcntl", State.LIVE),
        ("try:\n    import fcntl\nexcept ImportError:\n    fcntl = None", State.GUARDED),
        ("try:\n    import fcntl\nexcept ModuleNotFoundError:\n    fcntl = None", State.GUARDED),
        ("try:\n    import fcntl\nexcept OSError:\n    fcntl = None", State.LIVE),
        ("try:\n    import fcntl\nexcept ImportError as e:\n    raise RuntimeError('no') from e", State.LIVE),
        ("def f():\n    import fcntl", State.LIVE),
        ("from fcntl import flock as lock", State.LIVE),
        ("from os import getuid", State.LIVE),
        ("import os as system\nsystem.getuid()", State.LIVE),
        ("from signal import SIGKILL", State.LIVE),
    ],
)
def test_imports(text: str, state: State) -> None:
    assert states(text) == [state]


@pytest.mark.parametrize(
    "text",
    [
        "from .fcntl import flock",
        "import vllm.resource",
        "import os\nos.getpid()",
        "x.getuid()",
        "import mine as os\nos.getuid()",
        "x = 'os.getuid()'",
        '"""os.getuid() and /tmp and ipc://"""',
        "def f(x: 'signal.SIGKILL') -> None: ...",
        "getattr(os, 'getuid', None)",
        "logger.info('look into /tmp')",
        "raise ValueError('/dev/shm is full')",
        "if address.startswith('ipc://'): pass",
        "parser.add_argument('--dir', help='for example /tmp')",
        "name = model.split('/')[-1]",
        "frame = table.rename(columns={})",
    ],
)
def test_what_only_looks_like_it(text: str) -> None:
    assert [hit for hit in hits(vllm__a=text) if hit.hazard != "E60"] == []


def test_a_name_is_what_windows_imported() -> None:
    text = """
        import sys
        if sys.platform == "win32":
            from multiprocessing.connection import PipeConnection as Connection
        else:
            from multiprocessing.connection import Connection
        def f(pipe):
            assert isinstance(pipe, Connection)
    """
    assert hits(vllm__a=text) == ()


HELPER = """
    import os
    import sys

    def _owner():
        return os.getuid()

    def f():
        if sys.platform == "win32":
            return 0
        return _owner()
"""


def test_a_helper_is_guarded_by_its_callers() -> None:
    assert states(textwrap.dedent(HELPER)) == [State.GUARDED]


def test_a_helper_that_others_import_is_not() -> None:
    assert [hit.state for hit in hits(vllm__a=HELPER, vllm__b="from vllm.a import _owner\n_owner()\n")] == [
        State.LIVE
    ]


def test_one_open_call_is_enough() -> None:
    assert states(textwrap.dedent(HELPER) + "\n_owner()\n") == [State.LIVE]


def test_a_module_for_windows_alone_knows_where_it_runs() -> None:
    text = "import sys\nif sys.platform == 'win32':\n    from vllm import compat\n"
    own = "import asyncio\nimport zmq\n\ndef run(main):\n    return asyncio.run(main)\n"
    assert [hit.state for hit in hits(vllm__a=text, vllm__compat=own)] == [State.GUARDED]
    assert [hit.state for hit in hits(vllm__a="from vllm import compat\n", vllm__compat=own)] == [State.LIVE]


@pytest.mark.parametrize(
    ("text", "reach"),
    [
        ("import vllm.target", Reach.START),
        ("from vllm import target", Reach.START),
        ("from vllm.target import Name", Reach.START),
        ("from .. import other", Reach.START),
        ("def f():\n    import vllm.target", Reach.USE),
        ("def f():\n    from ..target import name", Reach.USE),
        ("NAME = 'vllm.target.Class'", Reach.USE),
        ("NAME = 'vllm.target:Class'", Reach.USE),
        ("TABLE = ['target']\nload(f'vllm.{name}')", Reach.USE),
        ("TABLE = ['target']", Reach.CORNER),
        ("if TYPE_CHECKING:\n    import vllm.target", Reach.CORNER),
        ("if sys.platform != 'win32':\n    import vllm.target", Reach.CORNER),
        ("def f():\n    import vllm.platforms.rocm", Reach.CORNER),
        ("import os", Reach.CORNER),
    ],
)
def test_who_reaches_a_module(text: str, reach: Reach) -> None:
    found = hits(
        vllm__entrypoints__llm=text,
        vllm__other="try:\n    from . import target\nexcept ImportError: pass",
        vllm__platforms__rocm="import vllm.target",
        vllm__target="import fcntl",
    )
    assert {hit.reach for hit in found} == {reach}


def test_a_package_is_imported_with_what_is_in_it() -> None:
    contents = {
        "vllm/entrypoints/llm.py": b"import vllm.package.part\n",
        "vllm/package/__init__.py": b"import fcntl\n",
        "vllm/package/part.py": b"from . import other\nfrom .other import x\n",
        "vllm/package/other.py": b"import pwd\n",
    }
    found = scan(Files.of_mapping(contents)).hits
    assert {(hit.hazard, hit.reach) for hit in found} == {("E1", Reach.START), ("E47", Reach.START)}


def test_what_a_corner_does_inside_stays_there() -> None:
    corner = "import uvloop\nimport os\n\ndef f():\n    os.getuid()\n"
    found = hits(vllm__entrypoints__llm="import vllm.benchmarks.serve", vllm__benchmarks__serve=corner)
    assert [(hit.hazard, hit.reach) for hit in found] == [("E4", Reach.START), ("E46", Reach.CORNER)]


def test_what_runs_while_building() -> None:
    found = hits(csrc__moe__generate="import subprocess\nsubprocess.run(['rm', 'x'])\n", setup="import pwd\n")
    assert {(hit.hazard, hit.reach) for hit in found} == {("D13", Reach.BUILD), ("E47", Reach.BUILD)}


@pytest.mark.parametrize(
    "text", [b"def f(:\n", b"x = 1\x00\n", b"if x:\nprint()\n", b"print 1\n", b"(" * 300]
)
def test_a_file_that_does_not_parse_is_told(text: bytes) -> None:
    found = scan(Files.of_mapping({PATH: text, "vllm/b.py": b"import fcntl\n"}))
    assert [blind.path for blind in found.blind] == [PATH]
    assert [hit.path for hit in found.hits] == ["vllm/b.py"]


def test_line_ends_and_marks_do_not_matter() -> None:
    found = scan(Files.of_mapping({PATH: b"\xef\xbb\xbfimport os\r\n\r\nos.getuid()\r\n"}))
    assert [(hit.line, hit.text) for hit in found.hits] == [(3, "os.getuid()")]


def test_other_files_are_left_alone() -> None:
    text = b"import fcntl\n"
    found = scan(
        Files.of_mapping({"tests/a.py": text, "vllm/a.txt": text, "examples/a.py": text, "vllm/b.pyi": text})
    )
    assert (found.files, found.hits) == (0, ())


@given(st.text(max_size=200))
def test_any_text_is_read_or_told(text: str) -> None:
    found = scan(Files.of_mapping({PATH: text.encode("utf-8", "surrogatepass")}))
    assert found.files + len(found.blind) == 1


NAMES = st.sampled_from(["os", "sys.platform", "x", "hasattr", "fcntl", "'win32'", "open", "None", "0"])
PIECES = st.recursive(
    NAMES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda both: f"({both[0]} == {both[1]})"),
        st.tuples(inner, inner).map(lambda both: f"({both[0]} and {both[1]})"),
        st.tuples(inner, inner, inner).map(lambda all_: f"({all_[0]} if {all_[1]} else {all_[2]})"),
        st.tuples(inner, inner).map(lambda both: f"{both[0]}({both[1]})"),
        inner.map(lambda one: f"(not {one})"),
    ),
    max_leaves=8,
)


@given(PIECES, PIECES)
def test_any_condition_is_decided_or_left_open(test: str, body: str) -> None:
    text = f"import os, sys\nif {test}:\n    os.getuid()\nelse:\n    os.getgid()\nx = {body}\n"
    found = scan(Files.of_mapping({PATH: text.encode()}))
    by_line = {hit.line: hit.state for hit in found.hits if hit.hazard == "E46" and hit.line in {3, 5}}
    assert set(by_line) == {3, 5}
    assert State.LIVE in by_line.values()
