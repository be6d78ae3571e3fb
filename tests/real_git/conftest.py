"""The small upstream of the patch-set tests: made once per module, a copy of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor_patient import Patient
from tests.import_cases import Imports
from tests.patch_upstream import Upstream, patched
from tests.port_bench import small_story
from tests.port_cases import NEW
from tests.port_story import Story


@pytest.fixture(scope="module")
def pristine_template(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return patched(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="module")
def applied_template(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    made = patched(tmp_path_factory.mktemp("applied-template"))
    made.apply()
    made.events.clear()
    return made


@pytest.fixture
def upstream(pristine_template: Upstream, tmp_path: Path) -> Upstream:
    """A worktree with a patch set that is not applied."""
    return pristine_template.copied(tmp_path / "upstream")


@pytest.fixture
def applied(applied_template: Upstream, tmp_path: Path) -> Upstream:
    """A worktree with its patch set applied."""
    return applied_template.copied(tmp_path / "upstream")


@pytest.fixture
def bare(upstream: Upstream) -> Patient:
    """Without its source."""
    return Patient(upstream)


@pytest.fixture
def patient(bare: Patient) -> Patient:
    bare.acquire()
    return bare


@pytest.fixture(scope="module")
def bare_template(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return Upstream.make(tmp_path_factory.mktemp("bare"))


@pytest.fixture
def imports(bare_template: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Imports:
    """An upstream without patches, somebody else's checkout of it, and the import command."""
    return Imports(bare_template.copied(tmp_path / "bare"), tmp_path, capsys)


@pytest.fixture(scope="module")
def port_template(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return small_story(tmp_path_factory.mktemp("small") / "story")


@pytest.fixture
def unbegun(port_template: Story, tmp_path: Path) -> Story:
    """A set of two patches and a release that one of them conflicts with."""
    return port_template.copied(tmp_path / "small")


@pytest.fixture
def small(unbegun: Story) -> Story:
    """A port of two patches, of which a.py is in conflict, handed over."""
    unbegun.begin(NEW)
    return unbegun
