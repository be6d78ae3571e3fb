"""`doctor patches`: whatever is damaged, the right one is named and nothing is written."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.doctor_patient import MANIFEST, OF_FILES, Damage, Patient, edited, entry, extra
from tests.patch_upstream import TAG, Upstream, nothing
from winvllm_build import process
from winvllm_build.cli.main import run
from winvllm_build.patchset.regen import regen
from winvllm_build.review.diagnosis import Part, State


def test_a_healthy_set(patient: Patient) -> None:
    found = patient.examine()
    assert found.is_healthy
    assert found.sentence == "patch files, lock, tag and tool agree"
    words = " ".join(check.words for check in found.checks if check.state is State.AGREES)
    for fact in ("5 patch files are those of the lock", "5 patches turn exactly", "5 patches byte for byte",
                 "tree of the lock was computed again", "known results for a known input"):  # fmt: skip
        assert fact in words


def test_without_the_source_it_says_so(bare: Patient) -> None:
    found = bare.examine()
    assert found.is_healthy
    assert found.sentence.endswith("; the source is not here, so no patch was proven on it")
    proven = bare.examine(tree=bare.upstream.folder)
    assert proven.sentence == "patch files, lock, tag and tool agree"


@pytest.mark.parametrize("name", OF_FILES)
def test_the_right_one_is_named_and_its_fix_repairs_it(patient: Patient, name: str) -> None:
    damage, culprit, words = OF_FILES[name]
    damage(patient)
    found = patient.examine()
    assert found.culprits == (culprit,)
    assert words in found.sentence
    agreeing = {part for part in Part if part is not culprit}
    if "manifest is damaged" not in words:
        assert set(found.agreeing) == agreeing
    fixes = [check.fix for check in found.checks if check.state is State.WRONG]
    command = re.search(r"git -C \S+ checkout -- [^\s;]+", fixes[0])
    assert command, fixes
    assert process.capture(shlex.split(command[0])).code == 0
    assert patient.examine().is_healthy


UNSEEN = {"lock: patched tree", "lock: base tree"}
"""What nothing but the source says."""


@pytest.mark.parametrize("name", sorted({*OF_FILES} - UNSEEN))
def test_without_the_source_what_was_committed_decides(bare: Patient, name: str) -> None:
    damage, culprit, _ = OF_FILES[name]
    damage(bare)
    assert bare.examine().culprits == (culprit,)


@pytest.mark.parametrize("name", sorted({*OF_FILES} - UNSEEN))
def test_without_any_witness_no_innocent_is_named_alone(bare: Patient, name: str) -> None:
    damage, culprit, _ = OF_FILES[name]
    damage(bare)
    shutil.rmtree(bare.upstream.patches / ".git")
    found = bare.examine()
    assert culprit in found.culprits
    assert (len(found.culprits) > 1) is (name in ONE_FACT)
    if len(found.culprits) > 1:
        assert any(check.state is State.UNDECIDED for check in found.checks)
        assert any("winvllm-build source" in check.fix or "--online" in check.fix for check in found.checks)


ONE_FACT = {
    "lock: sha256", "lock: commit", "lock: entry lost", "manifest: commit", "patch: context",
    "patch: line number", "patch: other form",
}  # fmt: skip
"""Where one fact stands against one."""


def test_a_patch_that_nobody_locked(patient: Patient) -> None:
    extra(patient)
    found = patient.examine()
    assert found.culprits == (Part.PATCHES,)
    assert "the patch file notes/readme does not belong to the set" in found.sentence


@pytest.fixture
def layered(patient: Patient) -> Patient:
    """With an optional layer that changes a file of the required one, and another file."""
    upstream = patient.upstream
    upstream.manifest(upstream.commit, "[layer.fast]\n")
    patient.edit(MANIFEST, b"https://example.invalid/u", upstream.folder.as_uri().encode())
    upstream.apply()
    content = (upstream.folder / "a.py").read_bytes().replace(b"line 15\n", b"line fifteen\n")
    upstream.write({"a.py": content, "notes/readme": b"fast\n"})
    regen(upstream.patches, TAG, upstream.folder, on_event=nothing, layer="fast")
    return patient


WRONG_SIDE = "100644 " + "1" * 40
FAST: dict[str, tuple[Damage, Part, str]] = {
    "patch": (
        edited(b"+line fifteen", b"+line 15teen", "fast/vllm/a.py.patch"), Part.PATCHES,
        "the patch file a.py of the layer fast is damaged",
    ),
    "lock": (
        lambda p: p.lock(lambda data: data["layers"]["fast"]["a.py"].update(sha256="0" * 64)), Part.LOCK,
        "the lock has a wrong sha256 for a.py of the layer fast",
    ),
    "combination": (
        lambda p: p.lock(lambda data: data["combined"]["a.py"].update({"windows+fast": WRONG_SIDE})),
        Part.LOCK, "the lock has wrong ids for a combination of layers",
    ),
    "required": (
        edited(b"+line three", b"+line 3hree"), Part.PATCHES, "the patch file a.py is damaged",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAST)
def test_layers(layered: Patient, name: str) -> None:
    found = layered.examine()
    assert found.sentence == "patch files, lock, tag and tool agree"
    assert any("7 patches turn exactly" in check.words for check in found.checks)
    damage, culprit, words = FAST[name]
    damage(layered)
    found = layered.examine()
    assert found.culprits == (culprit,)
    assert words in found.sentence


def test_the_patches_of_a_dependency(patient: Patient, tmp_path: Path) -> None:
    other = Upstream.make(tmp_path / "lib")
    pin = f'url = "https://example.invalid/lib"\nrevision = "v1"\ncommit = "{other.commit}"\n'
    more = f'[dependency.lib]\n{pin}variable = "LIB_SRC_DIR"\ntargets = ["x"]\n'
    patient.upstream.manifest(patient.upstream.commit, more)
    other.write({"a.py": b"of the library\n"})
    regen(patient.upstream.patches, TAG, other.folder, on_event=nothing, target="lib")
    found = patient.examine()
    assert found.is_healthy
    assert "the source of lib is not here" in found.sentence
    found = patient.examine(tree=other.folder, target="lib")
    assert any("1 patches of lib turn exactly" in check.words for check in found.checks)
    patient.edit("windows/lib/a.py.patch", b"+of the", b"+of a")
    found = patient.examine(tree=other.folder, target="lib")
    assert found.culprits == (Part.PATCHES,)
    assert found.checks


def test_several_wounds_are_all_told(patient: Patient) -> None:
    OF_FILES["patch: cut"][0](patient)
    entry("sha256", "csrc/k.cu")(patient)
    found = patient.examine()
    assert found.culprits == (Part.PATCHES, Part.LOCK)
    assert "a.py is damaged" in found.sentence
    assert "wrong sha256 for csrc/k.cu" in found.sentence
    assert found.agreeing == (Part.TAG, Part.TOOL)


def test_a_tag_that_moved_upstream(patient: Patient) -> None:
    assert patient.examine(online=True).is_healthy
    patient.upstream.write({"a.py": b"moved\n"})
    moved = patient.upstream.commit_all("moved")
    patient.upstream.git.out("update-ref", f"refs/tags/{TAG}", moved)
    assert patient.examine().is_healthy
    found = patient.examine(online=True)
    assert found.culprits == (Part.TAG,)
    assert f"the tag {TAG} has moved upstream" in found.sentence


def test_upstream_decides_between_manifest_and_lock(bare: Patient) -> None:
    OF_FILES["manifest: commit"][0](bare)
    shutil.rmtree(bare.upstream.patches / ".git")
    assert bare.examine().culprits == (Part.LOCK, Part.TAG)
    assert "the manifest names a wrong commit" in bare.examine(online=True).sentence


def test_an_upstream_that_does_not_answer(bare: Patient) -> None:
    shutil.rmtree(bare.upstream.folder)
    bare.upstream.folder.mkdir()
    found = bare.examine(online=True)
    assert found.is_healthy
    assert any(check.words.startswith("upstream was not asked") for check in found.checks)


def test_from_the_command_line(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    patches = ["--patches", str(patient.upstream.patches)]
    assert run(["doctor", "patches", *patches]) == 0
    assert capsys.readouterr().out == f"{TAG}: patch files, lock, tag and tool agree\n"
    assert run(["doctor", "patches", TAG, "--verbose", *patches]) == 0
    assert "computed again" in capsys.readouterr().out
    OF_FILES["patch: cut"][0](patient)
    assert run(["doctor", "patches", *patches]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "wrong        the patch file a.py is damaged"
    assert lines[-1] == f"{TAG}: the patch file a.py is damaged; lock, tag and tool agree"
    assert run(["doctor", "patches", "--json", *patches]) == 1
    data = json.loads(capsys.readouterr().out)
    assert (data["healthy"], data["culprits"]) == (False, ["patch files"])
    assert run(["doctor", "patches", "v9", *patches]) == 9
    assert run(["doctor", "patches", "--help"]) == 0
    assert "Examples:" in capsys.readouterr().out
