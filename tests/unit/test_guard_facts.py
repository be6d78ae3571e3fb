"""The facts about Python that stand in `guard.toml`, held against the Python that runs the tests."""

from __future__ import annotations

import builtins
import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from winvllm_build.audit.guard.facts import facts

WATCHED = """\
import atexit, os, signal, sys, threading
def state():
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    return dict(os.environ), os.getcwd(), list(sys.path), handlers, threading.active_count()
before = state()
for name in sys.argv[1:]:
    __import__(name)
assert state() == before
"""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="what is true of Linux")


def test_quiet_modules_change_nothing_when_they_are_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", WATCHED, *sorted(facts().quiet)], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert facts().quiet <= {
        name for name in facts().quiet if name.partition(".")[0] in sys.stdlib_module_names
    }


def function(dotted: str) -> Callable[..., object]:
    module, _, name = dotted.rpartition(".")
    found: object = getattr(builtins if module == "builtins" else importlib.import_module(module), name)
    assert callable(found)
    return found


@pytest.mark.parametrize("dotted", sorted(facts().defaults))
def test_defaults_are_those_of_the_signatures(dotted: str) -> None:
    parameters = inspect.signature(function(dotted)).parameters
    for name, value in facts().defaults[dotted].items():
        assert repr(parameters[name].default) == value, name


def test_numpys_integers() -> None:
    numpy = pytest.importorskip("numpy")
    state = numpy.random.get_state()
    first = numpy.random.randint(-(2**40), 2**40)
    numpy.random.set_state(state)
    assert first == numpy.random.randint(-(2**40), 2**40, dtype=numpy.int64)
    assert facts().integers == {"numpy.random.randint": {"dtype": "numpy.int64"}}


@LINUX
def test_what_linux_has() -> None:
    for dotted, expected in facts().has.items():
        module, _, name = dotted.rpartition(".")
        assert hasattr(importlib.import_module(module), name) is expected, dotted
    for dotted, value in facts().equal.items():
        assert getattr(os, dotted.removeprefix("os.")) == value
    for name in facts().absent:
        with pytest.raises(ImportError):
            importlib.import_module(name)
    assert {name for name in facts().present if importlib.util.find_spec(name) is None} <= {"curses"}
