"""Descriptors in text mode: where O_BINARY is, it is seen."""

from __future__ import annotations

import textwrap

import pytest

from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import State
from winvllm_build.audit.python.scanner import scan


def descriptors(text: str) -> list[State]:
    source = "import os\nimport sys\n" + textwrap.dedent(text)
    found = scan(Files.of_mapping({"vllm/a.py": source.encode()})).hits
    return [hit.state for hit in found if hit.rule == "text-mode-descriptor"]


def test_flags_that_were_made_binary_before_are() -> None:
    assert (
        descriptors(
            """
        def load(path, flags):
            if sys.platform == "win32":
                flags |= os.O_BINARY
            return os.open(path, os.O_RDONLY | flags)
        """
        )
        == []
    )


@pytest.mark.parametrize(
    "before",
    ["flags = 0", "other |= os.O_BINARY", "flags |= os.O_EXCL"],
)
def test_other_flags_are_text(before: str) -> None:
    assert descriptors(
        f"""
        def load(path, flags, other):
            {before}
            return os.open(path, os.O_RDONLY | flags)
        """
    ) == [State.LIVE]


def test_what_comes_afterwards_is_too_late() -> None:
    assert descriptors(
        """
        def load(path, flags):
            made = os.open(path, os.O_RDONLY | flags)
            flags |= os.O_BINARY
            return made
        """
    ) == [State.LIVE]
