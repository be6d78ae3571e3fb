"""The set of v0.14.1 carried to v0.19.0, handed over, finished and carried back: published archives."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from winvllm_build import process
from winvllm_build.cli.main import run
from winvllm_build.git import Git
from winvllm_build.index import Index
from winvllm_build.intake.unpinned import released_source
from winvllm_build.patchset.apply import apply
from winvllm_build.patchset.patchset import load
from winvllm_build.patchset.record import Decision, Record, read
from winvllm_build.port import driver, statefile
from winvllm_build.port.driver import Choice, Outcome
from winvllm_build.port.job import Doors
from winvllm_build.port.opening import add_manifest, open_job
from winvllm_build.port.progress import Progress, look
from winvllm_build.review.lint import lint
from winvllm_build.review.rules import Rule
from winvllm_build.sources.remote import Remotes
from winvllm_build.sources.repository import open_repository
from winvllm_build.sources.source import worktree
from winvllm_build.workspace import Workspace

pytestmark = pytest.mark.network
OLD, NEW = "v0.14.1", "v0.19.0"
COUNTS = {
    "offset": 22, "merged": 15, "identical": 13, "context": 8, "new file": 8, "conflict": 11, "moved": 2,
    "deleted": 1,
}  # fmt: skip
OPEN = {
    "CMakeLists.txt", "cmake/narrow_torch.cmake", "csrc/quantization/marlin/sparse/common/base.h",
    "vllm/distributed/parallel_state.py", "vllm/entrypoints/grpc_server.py", "vllm/envs.py",
    "vllm/v1/worker/gpu/states.py",
    "vllm/entrypoints/openai/model_aliases.py", "vllm/entrypoints/openai/serving_models.py",
    "vllm/reasoning/__init__.py", "vllm/reasoning/qwen3_text_reasoning_parser.py",
}  # fmt: skip
WAITED = {
    "cmake/narrow_torch.cmake", "vllm/entrypoints/openai/model_aliases.py", "vllm/reasoning/__init__.py",
    "vllm/reasoning/qwen3_text_reasoning_parser.py",
}  # fmt: skip
"""Of optional layers, which wait for the required one's and are carried then."""
GONE = "csrc/quantization/marlin/sparse/common/base.h"
ROUNDS = 2
"""Hand-offs: of the required layer, and of an optional one."""
OPEN_TWICE = 1
"""CMakeLists.txt is a patch of both layers; the optional one waits for the required one's."""
STEADY = {"identical", "offset", "context", "moved", "new file"}
"""Verdicts after which the way back gives the original bytes."""


class Case:
    """A folder of sets and a workspace whose repository reads the objects of the shared one."""

    def __init__(self, top: Path, shared: Workspace, patches: Path) -> None:
        self.root = top / "patches"
        self.workspace = Workspace(root=top / "home")
        self.events: list[str] = []
        shutil.copytree(patches / OLD, self.root / OLD)
        repository = self.workspace.sources / "vllm" / "repo.git"
        git = open_repository(repository)
        for tag in (OLD, NEW):
            index = Index(shared, offline=False, on_event=self.events.append)
            pin, source = released_source(
                tag, workspace=shared, index=index, offline=False, on_event=self.events.append
            )
            assert pin.sdist is not None
            alternates = repository / "objects" / "info" / "alternates"
            alternates.write_text(f"{source.repository / 'objects'}\n", encoding="utf-8")
            for name in ("base-sdist", "version-file"):
                ref = f"refs/winvllm/{tag}/{name}"
                git.out("update-ref", ref, Git(source.repository).line("rev-parse", ref))

    @property
    def doors(self) -> Doors:
        index = Index(self.workspace, offline=True, on_event=self.events.append)
        return Doors(
            workspace=self.workspace, index=index, remotes=Remotes(offline=True), offline=True,
            tell=self.events.append,
        )  # fmt: skip

    def begin(self, new: str, old: str) -> Outcome:
        return driver.begin(open_job(self.root, new, self.doors, old=old), Choice(), tell=self.events.append)

    def record(self, tag: str) -> Record:
        found = read(self.root / tag / "ported.json")
        assert found is not None
        return found


@pytest.fixture(scope="module")
def ported(tmp_path_factory: pytest.TempPathFactory, test_cache: Path, checkout: Path) -> Case:
    """The port, pinned by the tool itself; what is open is handed over."""
    case = Case(
        tmp_path_factory.mktemp("port"), Workspace(root=test_cache / "workspace"), checkout / "patches"
    )
    add_manifest(case.root, NEW, case.doors, old=OLD)
    case.begin(NEW, OLD)
    return case


def test_verdicts(ported: Case) -> None:
    made = ported.record(NEW)
    assert Counter(entry.verdict for entry in made.patches) == COUNTS
    assert {entry.path for entry in made.open} == OPEN
    old = {(patch.target, patch.layer, patch.path) for patch in load(ported.root, OLD).patches}
    assert {entry.key for entry in made.patches} == old


def test_the_written_set_is_in_order_but_for_what_is_open(ported: Case) -> None:
    made = load(ported.root, NEW, allow_open=True)
    assert len(made.patches) == sum(COUNTS.values()) - len(OPEN) - OPEN_TWICE
    findings = [finding for finding in lint(ported.root, NEW).findings if finding.is_error]
    assert [finding for finding in findings if finding.rule is not Rule.OPEN] == []
    assert len(findings) == len(OPEN) + OPEN_TWICE


def test_applied_it_gives_the_tree_of_the_lock(ported: Case, tmp_path: Path) -> None:
    made = load(ported.root, NEW, allow_open=True)
    source = open_job(ported.root, NEW, ported.doors, old=OLD).new_source
    folder = worktree(source, tmp_path / "tree")
    done = apply(made, folder, on_event=ported.events.append)
    assert done.tree == made.lock.targets["vllm"].trees["sdist"].patched
    assert len(done.files) == len(made.patches)


def progress(case: Case) -> Progress:
    state = statefile.find(case.workspace, NEW)
    assert state is not None
    found = look(state)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def finished(ported: Case) -> Case:
    """Each conflict ended with the patch's side, by plain git; what was clean stays as it was."""
    clean = {file: file.read_bytes() for file in (ported.root / NEW).rglob("*.patch")}
    rounds = 0
    tree = progress(ported).place.folder
    while (state := statefile.find(ported.workspace, NEW)) is not None:
        assert progress(ported).place.folder == tree
        _take_the_patchs_side(tree)
        job = open_job(ported.root, NEW, ported.doors, old=OLD)
        driver.go_on(job, state, Choice(), tell=ported.events.append)
        rounds += 1
        assert rounds <= ROUNDS
    assert rounds == ROUNDS
    assert not tree.exists()
    assert all(file.read_bytes() == content for file, content in clean.items())
    return ported


def _take_the_patchs_side(tree: Path) -> None:
    git = ("git", "-C", str(tree))
    listed = process.capture([*git, "diff", "--name-only", "--diff-filter=U", "-z"]).text.split("\0")[:-1]
    assert listed
    for path in listed:
        gone = [("rm", "-q")] if path == GONE else [("checkout", "--theirs"), ("add",)]
        for command in gone:
            done = process.capture([*git, *command, "--", path])
            assert done.code == 0, done.error_text


def test_decided_by_plain_git(finished: Case) -> None:
    decisions = {entry.path: entry.decision for entry in finished.record(NEW).patches if entry.path in OPEN}
    waited = dict.fromkeys(WAITED, Decision.CARRIED)
    assert decisions == dict.fromkeys(OPEN, Decision.RESOLVED) | waited | {GONE: Decision.DROPPED}
    assert len(load(finished.root, NEW).patches) == sum(COUNTS.values()) - 1


def test_the_way_back_gives_the_original_bytes(finished: Case) -> None:
    folder = finished.root / OLD
    before = {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.patch")}
    there = {entry.path: entry.verdict for entry in finished.record(NEW).patches}
    for file in [*folder.rglob("*.patch"), folder / "patchset.lock"]:
        file.unlink()
    back = finished.begin(OLD, NEW).record
    steady = [
        entry.to for entry in back.patches
        if entry.to in there and entry.verdict in STEADY and there[entry.to] in STEADY
    ]  # fmt: skip
    assert len(steady) > 40
    for path in steady:
        name = Path("windows/vllm") / f"{path}.patch"
        assert (folder / name).read_bytes() == before[name]


def test_a_tag_without_a_manifest_is_pinned_on_the_way(
    tmp_path: Path, test_cache: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """By one command; taken back, nothing of it is left."""
    case = Case(tmp_path, Workspace(root=test_cache / "workspace"), checkout / "patches")
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(case.workspace.root))
    words = ["port", NEW, "--patches", str(case.root), "--offline"]
    assert run([*words, "--dry-run"]) == 3
    assert not (case.root / NEW).exists()
    assert run(words) == 3
    said = capsys.readouterr()
    assert f"{NEW} is not pinned yet: tags add {NEW}" in said.err
    assert "80 patches, 68 carried, 12 open" in said.out
    assert (case.root / NEW / "patchset.toml").is_file()
    assert run([*words, "--abort"]) == 0
    assert not (case.root / NEW).exists()
