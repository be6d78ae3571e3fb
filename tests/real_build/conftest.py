"""What the builds of different files share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

SECONDS = 500


@pytest.fixture(scope="module")
def quickstart_tree(test_cache: Path) -> Iterator[None]:
    """The tree of the profile `quickstart` in the shared workspace, for one file of tests at a time."""
    with FileLock(test_cache / "quickstart-tree.lock", timeout=SECONDS):
        yield
