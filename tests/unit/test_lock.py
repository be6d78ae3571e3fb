"""Lock and manifest: deterministic, strict, and precise about what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.errors import PatchError
from winvllm_build.git import NO_OBJECT, Oid, RepoPath
from winvllm_build.patchset import lock, manifest
from winvllm_build.patchset.diff import Change
from winvllm_build.patchset.lock import Lock, PatchLock, TargetLock, TreePair
from winvllm_build.patchset.patchset import newest, tags
from winvllm_build.patchset.record import Decision, Ported, Record

ONE, TWO = Oid("1" * 40), Oid("2" * 40)


def patch_lock(change: Change = Change.MODIFIED) -> PatchLock:
    return PatchLock(
        layer="windows", change=change, modes=("100644", "100644"), pre=ONE, post=TWO,
        sha256="a" * 64, change_id="b" * 12,
    )  # fmt: skip


def target(*paths: str) -> TargetLock:
    pairs = {"sdist": TreePair(base=ONE, patched=None), "git": TreePair(base=TWO, patched=ONE)}
    return TargetLock(commit=ONE, trees=pairs, patches={RepoPath(path): patch_lock() for path in paths})


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = Lock(targets={"vllm": target("b", "a")})
    file = tmp_path / "patchset.lock"
    file.write_bytes(written.serialise())
    assert lock.read(file) == written
    assert written.serialise() == Lock(targets={"vllm": target("a", "b")}).serialise()
    assert b"\r" not in written.serialise()
    assert written.serialise().endswith(b"}\n")
    assert lock.read(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"schema": 1', '"schema": 2'),
        ("1" * 40, "1" * 39),
        ('"a"', '"../a"'),
        ('"M"', '"X"'),
        ('"pre"', '"prae"'),
        ("{", "["),
        (f'"pre": "{ONE}"', f'"pre": "{NO_OBJECT}"'),
        ('"windows"', '"windows'),
    ],
)
def test_a_damaged_lock_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = Lock(targets={"vllm": target("a")}).serialise().decode()
    assert old in text
    file = tmp_path / "patchset.lock"
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PatchError, match=r"patchset\.lock") as caught:
        lock.read(file)
    assert caught.value.fix is not None
    back, _, anew = caught.value.fix.partition("; only if the change is meant: ")
    assert back.endswith(f"git -C {tmp_path.parent} checkout -- {tmp_path.name}/patchset.lock")
    assert anew == f"winvllm-build regen {tmp_path.name} --relock --patches {tmp_path.parent}"


def test_missing_and_extra_patches_are_named() -> None:
    missing = "in the lock, but there is no patch file"
    assert list(lock.disagreements(target("a", "b").patches, {})) == [("a", missing), ("b", missing)]


MANIFEST = """schema = 1
[upstream]
tag = "v1"
[expect]
torch = "2.9.1"
cuda = ">=12.6"
[topic.msvc]
title = "Compile with MSVC"
[dependency.cutlass]
url = "x"
"""


def read_manifest(tmp_path: Path, text: str) -> manifest.Manifest:
    file = tmp_path / "patchset.toml"
    file.write_text(text, encoding="utf-8")
    return manifest.read(file)


def test_a_manifest_has_defaults(tmp_path: Path) -> None:
    made = read_manifest(tmp_path, MANIFEST)
    assert [layer.name for layer in made.layers] == ["windows"]
    assert made.expect["cuda"] == ">=12.6"
    assert made.topics[0].title == "Compile with MSVC"
    extra = read_manifest(tmp_path, MANIFEST + '[layer.rocm]\ntitle = "ROCm"\n')
    assert [layer.name for layer in extra.layers] == ["windows", "rocm"]


def test_all_faults_of_a_manifest_at_once(tmp_path: Path) -> None:
    text = (
        MANIFEST.replace("torch =", "tourch =")
        .replace("[topic.msvc]", "[topik.msvc]")
        .replace('">=12.6"', "12.6")
    )
    with pytest.raises(PatchError) as caught:
        read_manifest(tmp_path, text.replace("schema = 1", "schema = 9") + '[layer."A b"]\n[topic]\nx = 1\n')
    message = caught.value.message
    for part in (
        'unknown key `topik`; did you mean "topic"?', "schema is 9", "[expect]: unknown key `tourch`; did",
        "[expect]: `cuda`", "'A b' is no name for a layer", "[topic]: `x`",
    ):  # fmt: skip
        assert part in message
    assert message.count("\n") == 5


def test_a_manifest_that_is_no_toml(tmp_path: Path) -> None:
    with pytest.raises(PatchError, match="not valid TOML"):
        read_manifest(tmp_path, "schema = ")


def test_tags_are_in_the_order_of_versions(tmp_path: Path) -> None:
    for tag in ("v0.14.1", "v0.9.2", "v0.33.0", "v0.14.1rc1"):
        (tmp_path / tag).mkdir()
        (tmp_path / tag / "patchset.toml").touch()
    (tmp_path / "notes").mkdir()
    assert tags(tmp_path)[0] == "v0.9.2"
    assert tags(tmp_path)[-1] == "v0.33.0"


def test_the_newest_set_that_can_be_used_is_the_default(tmp_path: Path) -> None:
    for tag in ("v0.9.0", "v0.10.0rc1", "v0.10.0", "v0.11.0"):
        (tmp_path / tag).mkdir()
        (tmp_path / tag / "patchset.toml").touch()
    assert newest(tmp_path) == "v0.11.0"  # none can be used: the newest says best what is missing
    for tag in ("v0.9.0", "v0.10.0rc1", "v0.10.0"):
        (tmp_path / tag / "patchset.lock").touch()
    assert newest(tmp_path) == "v0.10.0"
    waiting = Ported(
        target="vllm", layer="windows", path=RepoPath("a.py"), to=RepoPath("a.py"), verdict="conflict",
        decision=Decision.OPEN,
    )  # fmt: skip
    record = Record(old="v0.9.0", new="v0.10.0", patches=(waiting,))
    (tmp_path / "v0.10.0" / "ported.json").write_bytes(record.serialise())
    assert newest(tmp_path) == "v0.10.0rc1"
    assert newest(tmp_path / "nothing") is None
