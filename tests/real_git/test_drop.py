"""`drop`: the patch goes, the rest is proven, the reason stays; a killed run is finished by the next."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.doctor_patient import Patient
from tests.kill_driver import killed_at
from tests.patch_upstream import BASE, TAG, Upstream, after, nothing
from winvllm_build import data
from winvllm_build.cli.main import run
from winvllm_build.errors import ConflictError, PatchError, TreeStateError, UsageError
from winvllm_build.git import RepoPath
from winvllm_build.patchset import manifest, record
from winvllm_build.patchset.record import Decision, Ported, Record
from winvllm_build.patchset.regen import regen
from winvllm_build.patchset.status import TreeState
from winvllm_build.review.drop import Drop, Request, drop
from winvllm_build.review.lint import lint
from winvllm_build.review.rules import Rule
from winvllm_build.workspace import Workspace

REASON = 'upstream has "it" now \\ für immer'


def dropped(upstream: Upstream, *words: str, **options: Any) -> Drop:  # noqa: ANN401 - handed through
    given = {"reason": REASON, "tree": upstream.folder, **options}
    request = Request(root=upstream.patches, tag=TAG, words=words, **given)
    return drop(request, workspace=Workspace.default(), on_event=upstream.events.append)


def rules(upstream: Upstream) -> set[Rule]:
    found = {finding.rule for finding in lint(upstream.patches, TAG).findings}
    return found - {Rule.TODO}  # nobody has described the patches of this upstream


def test_the_patch_is_gone_and_the_reason_is_there(upstream: Upstream) -> None:
    before = upstream.patch_bytes()
    done = dropped(upstream, "csrc/k.cu")
    now = upstream.patch_bytes()
    assert {name for name in before if now.get(name) != before[name]} == {
        "windows/vllm/csrc/k.cu.patch", "patchset.lock", "patchset.toml",
    }  # fmt: skip
    (entry,) = manifest.read(upstream.patches / TAG / manifest.FILE).dropped
    assert (entry.path, entry.layer, entry.reason, entry.since) == ("csrc/k.cu", "windows", REASON, TAG)
    assert done.dropped == (entry,)
    assert (len(done.written), len(done.removed), done.left) == (2, 1, 4)
    assert [patch.path for patch in upstream.load().patches] == [
        "a.py",
        "csrc/new/n.cuh",
        "csrc/old.cu",
        "dos.bat",
    ]
    assert rules(upstream) == set()
    upstream.apply()
    assert upstream.content() == {**after(), "csrc/k.cu": BASE["csrc/k.cu"]}


def test_a_tree_with_the_set_is_outdated_and_apply_takes_the_file_back(applied: Upstream) -> None:
    dropped(applied, "csrc/k.cu", "csrc/old.cu")
    found = applied.status()
    assert found.state is TreeState.OUTDATED
    done = applied.apply()
    assert set(done.files) == {"csrc/k.cu", "csrc/old.cu"}
    assert applied.content() == {**after(), **{str(name): BASE[name] for name in done.files}}
    assert applied.status().state is TreeState.APPLIED


def test_with_the_tool_s_own_source(upstream: Upstream) -> None:
    patient = Patient(upstream)
    done = dropped(upstream, "a.py", tree=None)
    assert [entry.path for entry in done.dropped] == ["a.py"]
    assert patient.examine().sentence == "patch files, lock, tag and tool agree"


def test_a_dry_run_writes_nothing(upstream: Upstream) -> None:
    before = upstream.patch_bytes()
    done = dropped(upstream, "a.py", check=True)
    assert upstream.patch_bytes() == before
    assert [file.name for file in done.removed] == ["a.py.patch"]
    assert {file.name for file in done.written} == {"patchset.lock", "patchset.toml"}


def test_under_a_hostile_configuration(upstream: Upstream, tmp_path: Path, hostile_git: Path) -> None:
    other = upstream.copied(tmp_path / "other")
    with pytest.MonkeyPatch.context() as plain:
        plain.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        plain.delenv("GIT_ATTR_SOURCE")
        dropped(other, "a.py")
    assert hostile_git.is_file()
    dropped(upstream, "a.py")
    assert upstream.patch_bytes() == other.patch_bytes()


def test_ends_of_paths_globs_and_files(upstream: Upstream) -> None:
    done = dropped(upstream, "k.cu", "csrc/new/*", f"{upstream.patches}/{TAG}/windows/vllm/dos.bat.patch")
    assert {entry.path for entry in done.dropped} == {"csrc/k.cu", "csrc/new/n.cuh", "dos.bat"}
    assert not (upstream.patches / TAG / "windows" / "vllm" / "csrc" / "new").exists()


def test_the_last_patch(upstream: Upstream) -> None:
    done = dropped(upstream, "*")
    assert done.left == 0
    assert upstream.load().patches == ()
    pair = upstream.load().target("vllm").trees["git"]
    assert pair.base == pair.patched


def test_what_is_not_there_is_refused_with_the_nearest(upstream: Upstream) -> None:
    with pytest.raises(UsageError, match=r'did you mean "csrc/k\.cu"'):
        dropped(upstream, "csrc/kk.cu")
    with pytest.raises(UsageError, match=r'layer named .* did you mean "windows"'):
        dropped(upstream, "a.py", layer="window")
    with pytest.raises(UsageError, match="target named"):
        dropped(upstream, "a.py", target="cutlass")
    for reason in ("", " \n", "\udcff"):
        with pytest.raises(UsageError, match="reason is empty"):
            dropped(upstream, "a.py", reason=reason)


def test_dropping_again_says_that_it_was_done(upstream: Upstream) -> None:
    dropped(upstream, "csrc/k.cu")
    before = upstream.patch_bytes()
    done = dropped(upstream, "k.cu", reason="another")
    assert (done.removed, done.written, done.left) == ((), (), 4)
    assert done.dropped[0].reason == REASON
    assert upstream.patch_bytes() == before


def test_a_set_that_does_not_fit_its_lock_is_refused(upstream: Upstream) -> None:
    file = upstream.patch_file("dos.bat")
    file.write_bytes(file.read_bytes().replace(b"+echo ONE", b"+echo TWO"))
    before = upstream.patch_bytes()
    with pytest.raises(PatchError, match=r"dos\.bat"):
        dropped(upstream, "a.py")
    assert upstream.patch_bytes() == before


def test_a_tree_of_another_commit_is_refused(upstream: Upstream) -> None:
    upstream.write({"a.py": b"mine\n"})
    upstream.commit_all("mine")
    with pytest.raises(TreeStateError, match="the patches are for the commit"):
        dropped(upstream, "a.py")


def test_an_installed_set_is_not_written(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = upstream.patches.parent / "_data" / "patches"
    shutil.copytree(upstream.patches, installed)
    monkeypatch.setattr(data, "PACKAGE", upstream.patches.parent)
    request = Request(root=installed, tag=TAG, words=("a.py",), reason=REASON, tree=upstream.folder)
    with pytest.raises(UsageError, match="belongs to the installed package"):
        drop(request, workspace=Workspace.default(), on_event=nothing)


@pytest.mark.parametrize("ending", [b"", b"\n\n# the end", b"\r\n"])
def test_the_manifest_stays_as_it_was_but_for_the_entry(upstream: Upstream, ending: bytes) -> None:
    file = upstream.patches / TAG / manifest.FILE
    text = file.read_bytes().rstrip(b"\n")
    if ending == b"\r\n":
        text = text.replace(b"\n", b"\r\n")
    file.write_bytes(text + ending)
    dropped(upstream, "a.py", reason="two\nlines")
    dropped(upstream, "dos.bat")
    assert file.read_bytes().startswith(text + ending)
    assert [entry.reason for entry in manifest.read(file).dropped] == ["two\nlines", REASON]


def test_hazards_that_nobody_answers_any_more(upstream: Upstream) -> None:
    for name, ids in (("a.py", "D1, D2"), ("dos.bat", "D2"), ("csrc/k.cu", "-")):
        file = upstream.patch_file(name)
        file.write_bytes(file.read_bytes().replace(b"Since:", f"Hazards: {ids}\nSince:".encode()))
    states = "".join(f'[D{n}]\nwhat = "x"\nstate = "patched"\n' for n in (1, 2))
    (upstream.patches / TAG / "hazards.toml").write_text(states, encoding="utf-8")
    assert dropped(upstream, "csrc/k.cu").unanswered == ()
    done = dropped(upstream, "a.py")
    assert done.unanswered == ("D1",)
    assert done.dropped[0].hazards == ("D1", "D2")
    assert rules(upstream) == {Rule.HAZARD}


def test_the_record_of_a_port_says_so_too(upstream: Upstream) -> None:
    file = upstream.patches / TAG / record.FILE
    paths = [patch.path for patch in upstream.load().patches]
    entries = [
        Ported(target="vllm", layer="windows", path=RepoPath("old/a.py") if path == "a.py" else path, to=path,
               verdict="offset", decision=Decision.CARRIED)
        for path in paths
    ]  # fmt: skip
    file.write_bytes(Record(old="v1.0.0", new=TAG, patches=tuple(entries)).serialise())
    dropped(upstream, "a.py")
    made = record.read(file)
    assert made
    changed = {entry.path: entry.reason for entry in made.patches if entry.decision is Decision.DROPPED}
    assert changed == {"old/a.py": REASON}
    assert len(made.patches) == 5
    assert rules(upstream) == set()


@pytest.fixture
def layered(applied: Upstream) -> Upstream:
    """An optional layer changes another line of a.py, and a file of its own."""
    applied.manifest(applied.commit, "[layer.fast]\n")
    content = (applied.folder / "a.py").read_bytes()
    applied.write({"a.py": content.replace(b"line 15\n", b"line fifteen\n"), "notes/readme": b"fast\n"})
    regen(applied.patches, TAG, applied.folder, on_event=nothing, layer="fast")
    return applied


def test_a_path_in_two_layers_needs_the_layer(layered: Upstream) -> None:
    with pytest.raises(UsageError, match="the layers fast and windows have such patches") as caught:
        dropped(layered, "a.py")
    assert "--layer fast" in str(caught.value.fix)
    dropped(layered, "a.py", layer="fast")
    paths = [(patch.layer, patch.path) for patch in layered.load().patches]
    assert ("fast", "a.py") not in paths
    assert {("windows", "a.py"), ("fast", "notes/readme")} < set(paths)
    assert manifest.read(layered.patches / TAG / manifest.FILE).dropped[0].layer == "fast"


def test_what_is_on_top_follows(layered: Upstream) -> None:
    done = dropped(layered, "a.py", layer="windows")
    assert {file.name for file in done.written} == {"a.py.patch", "patchset.lock", "patchset.toml"}
    patch_set = layered.load()
    (patch,) = [patch for patch in patch_set.patches if patch.path == "a.py"]
    assert (patch.layer, patch.pre) == ("fast", patch_set.target("vllm").of("fast")[RepoPath("a.py")].pre)
    assert patch.pre == layered.git.line("rev-parse", f"{layered.commit}:a.py")


def test_what_is_on_top_and_cannot_follow_is_a_conflict(layered: Upstream) -> None:
    content = (layered.folder / "a.py").read_bytes()
    layered.write({"a.py": content.replace(b"line three\n", b"line three, faster\n")})
    regen(layered.patches, TAG, layered.folder, on_event=nothing, layer="fast")
    before = layered.patch_bytes()
    with pytest.raises(ConflictError, match="the layer fast does not fit"):
        dropped(layered, "a.py", layer="windows")
    assert layered.patch_bytes() == before


def test_the_patches_of_a_dependency(upstream: Upstream, tmp_path: Path) -> None:
    other = Upstream.make(tmp_path / "lib")
    pin = f'url = "https://example.invalid/lib"\nrevision = "v1"\ncommit = "{other.commit}"\n'
    upstream.manifest(upstream.commit, f'[dependency.lib]\n{pin}variable = "LIB"\ntargets = ["x"]\n')
    other.write({"a.py": b"of the library\n", "dos.bat": b"its own\r\n"})
    regen(upstream.patches, TAG, other.folder, on_event=nothing, target="lib")
    with pytest.raises(UsageError, match="the tree of lib is not named"):
        dropped(upstream, "a.py", target="lib", tree=None)
    done = dropped(upstream, "a.py", target="lib", tree=other.folder)
    assert done.dropped[0].target == "lib"
    assert [patch.path for patch in upstream.load().of("lib")] == ["dos.bat"]
    assert len(upstream.load().of("vllm")) == 5
    assert rules(upstream) == set()


def sides(top: Path, template: Upstream) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files of the set before and after."""
    made = template.copied(top)
    before = made.patch_bytes()
    dropped(made, "csrc/k.cu")
    return before, made.patch_bytes()


@pytest.mark.skipif(os.name == "nt", reason="it forks")
@pytest.mark.parametrize("own", [False, True], ids=["a tree", "the tool's source"])
def test_killed_at_every_step(pristine_template: Upstream, tmp_path: Path, *, own: bool) -> None:
    before, wanted = sides(tmp_path / "sides", pristine_template)
    template = pristine_template.copied(tmp_path / "template")
    killed, step = 0, 1

    def action(upstream: Upstream) -> Drop:
        return dropped(upstream, "csrc/k.cu", tree=None if own else upstream.folder)

    while True:
        made = template.copied(tmp_path / "work")
        if own:
            before, wanted = own_source(made, before, wanted)
        alive = not killed_at(step, action, made)
        between = {name: text for name, text in made.patch_bytes().items() if not name.endswith(".tmp")}
        for name, text in between.items():
            assert text in (before.get(name), wanted.get(name)), f"step {step}: {name} is between"
        patches = [
            {n: t for n, t in side.items() if n != manifest.FILE} for side in (between, before, wanted)
        ]
        if patches[0] not in patches[1:]:
            with pytest.raises(PatchError):
                made.load()
        done = action(made)
        assert [entry.path for entry in done.dropped] == ["csrc/k.cu"], step
        assert {n: t for n, t in made.patch_bytes().items() if not n.endswith(".tmp")} == wanted, step
        assert made.load().patches
        shutil.rmtree(tmp_path / "work")
        if alive:
            break
        killed += 1
        step += 5 if own else 2
    assert killed > 12


def own_source(
    made: Upstream, before: dict[str, bytes], wanted: dict[str, bytes]
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Let the tool have the source of `made`; the sides with the address in the manifest."""
    patient = Patient(made)
    patient.acquire()
    shutil.rmtree(made.patches / ".git")
    url, name = made.folder.as_uri().encode(), manifest.FILE
    old = b"https://example.invalid/u"
    return (
        {**before, name: before[name].replace(old, url)},
        {**wanted, name: wanted[name].replace(old, url)},
    )


def test_from_the_command_line(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--patches", str(upstream.patches), "--tree", str(upstream.folder)]
    assert run(["drop", "k.cu", "--reason", REASON, "--dry-run", *places]) == 0
    assert "would be removed" in capsys.readouterr().out
    assert run(["drop", "k.cu", *places]) == 2
    assert run(["drop", "k.cu", "--reason", REASON, "--json", *places]) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["dropped"][0]["path"], told["left"], told["dry_run"]) == ("csrc/k.cu", 4, False)
    assert run(["drop", "k.cu", "--reason", REASON, *places]) == 0
    assert capsys.readouterr().out == f"{TAG}: dropped already: csrc/k.cu; 4 patches are left\n"
    assert run(["drop", "nothing.cu", "--tag", TAG, "--reason", REASON, *places]) == 2
