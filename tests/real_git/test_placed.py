"""Built files in a source tree: put there, replaced, taken out, and nobody else's file touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.build import placed, wheel
from winvllm_build.build.placed import Placement, Record
from winvllm_build.errors import TreeStateError
from winvllm_build.git import Git

NOTHING = Record(files={})
SO, PY, OWN = "vllm/_C.abi3.so", "vllm/flash/ops/a.py", "vllm/flash/__init__.py"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree that ignores compiled files and one folder, but has a file in it."""
    folder = tmp_path / "a tree"
    for name, text in {".gitignore": "*.so\nvllm/flash/*\n!vllm/flash/__init__.py\n", OWN: "own\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git = Git(folder)
    git.out("init", "--quiet")
    git.out("add", "--all")
    git.out("commit", "--quiet", "--message", "source")
    return folder


def put(tree: Path, before: Record, **files: str) -> tuple[Placement, list[Record]]:
    """Put these files, built before or now, into the tree."""
    stage = tree.parent / "stage"
    for name, text in files.items():
        file = stage / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    noted: list[Record] = []
    return placed.put(stage, tree, before, noted.append), noted


def record(made: Placement) -> Record:
    """What is kept of a run that came to its end."""
    return Record(files=made.files)


def take_out(tree: Path, made: Placement) -> tuple[str, ...]:
    return placed.take_out(tree, record(made), tuple(made.files))


def status(tree: Path) -> bytes:
    return Git(tree).out("status", "--porcelain")


def test_what_is_put_there_is_seen_by_nobody_and_taken_out_again(tree: Path) -> None:
    made, noted = put(tree, NOTHING, **{SO: "1", PY: "2"})
    assert sorted(made.files) == [SO, PY] == sorted(made.written)
    assert [one.files for one in noted] == [made.files]
    assert status(tree) == b""
    assert take_out(tree, made) == ()
    assert not (tree / "vllm" / "flash" / "ops").exists()
    assert (tree / OWN).is_file()


def test_a_second_time_only_what_changed_is_written(tree: Path) -> None:
    first, _ = put(tree, NOTHING, **{SO: "1", PY: "2"})
    again, _ = put(tree, record(first))
    assert again.written == ()
    assert again.files == first.files
    changed, _ = put(tree, record(again), **{SO: "other"})
    assert changed.written == (SO,)
    assert (tree / SO).read_text(encoding="utf-8") == "other"


def test_what_is_no_longer_built_goes(tree: Path) -> None:
    first, _ = put(tree, NOTHING, **{SO: "1", PY: "2"})
    (tree.parent / "stage" / PY).unlink()
    again, _ = put(tree, record(first))
    assert sorted(again.files) == [SO]
    assert not (tree / PY).exists()


def test_the_sources_own_files_stay(tree: Path) -> None:
    made, _ = put(tree, NOTHING, **{OWN: "the build's", SO: "1"})
    assert made.kept == (OWN,)
    assert OWN not in made.files
    assert (tree / OWN).read_text(encoding="utf-8") == "own\n"


def test_what_configuring_left_there_is_not_ours(tree: Path) -> None:
    """v0.33.0 writes an empty module into the tree and installs the same; it has to outlive us."""
    (tree / PY).parent.mkdir(parents=True)
    (tree / PY).write_text("2", encoding="utf-8")
    made, _ = put(tree, NOTHING, **{SO: "1", PY: "2"})
    assert sorted(made.files) == [SO]
    take_out(tree, made)
    assert (tree / PY).is_file()


def test_what_was_edited_since_stays_and_is_named(tree: Path) -> None:
    made, _ = put(tree, NOTHING, **{SO: "1", PY: "2"})
    (tree / PY).write_text("edited", encoding="utf-8")
    assert take_out(tree, made) == (PY,)
    assert (tree / PY).read_text(encoding="utf-8") == "edited"


def test_what_was_edited_since_is_not_replaced_either(tree: Path) -> None:
    made, _ = put(tree, NOTHING, **{SO: "1", PY: "2"})
    (tree / PY).write_text("edited", encoding="utf-8")
    again, _ = put(tree, record(made), **{SO: "3", PY: "4"})
    assert (again.written, again.edited) == ((SO,), (PY,))
    assert (tree / PY).read_text(encoding="utf-8") == "edited"
    assert take_out(tree, again) == (PY,)
    assert (tree / PY).read_text(encoding="utf-8") == "edited"


def test_what_was_edited_and_deleted_is_put_there_again(tree: Path) -> None:
    made, _ = put(tree, NOTHING, **{PY: "2"})
    (tree / PY).unlink()
    again, _ = put(tree, record(made), **{PY: "4"})
    assert (again.written, again.edited) == ((PY,), ())
    assert take_out(tree, again) == ()


def test_an_edit_of_what_is_no_longer_built_stays_and_is_named(tree: Path) -> None:
    made, _ = put(tree, NOTHING, **{SO: "1", PY: "2"})
    (tree / PY).write_text("edited", encoding="utf-8")
    (tree.parent / "stage" / PY).unlink()
    again, _ = put(tree, record(made))
    assert (sorted(again.files), again.edited) == ([SO], (PY,))
    assert (tree / PY).is_file()


def test_a_run_that_was_killed_knows_its_files_again(tree: Path) -> None:
    """The record is written first: what lies there is the file of the run before, and no edit."""
    made, _ = put(tree, NOTHING, **{SO: "1", PY: "2"})
    _, noted = put(tree, record(made), **{SO: "3", PY: "4"})
    (tree / PY).write_text("2", encoding="utf-8")  # as if it had not come so far
    again, _ = put(tree, noted[0], **{SO: "3", PY: "5"})
    assert (again.written, again.edited) == ((PY,), ())
    (tree / PY).write_text("4", encoding="utf-8")
    assert placed.take_out(tree, noted[0], (SO, PY)) == ()


def test_a_module_of_another_build_is_refused_though_git_ignores_it(tree: Path) -> None:
    """Upstream's own `pip install -e` leaves such files."""
    (tree / SO).write_text("theirs", encoding="utf-8")
    with pytest.raises(TreeStateError, match=r"files of somebody's where built ones go: vllm/_C\.abi3\.so"):
        put(tree, NOTHING, **{SO: "1", PY: "2"})
    assert (tree / SO).read_text(encoding="utf-8") == "theirs"
    assert not (tree / PY).exists()


def test_a_wheel_is_packed_without_what_was_put_there(tree: Path) -> None:
    """It may be of another build, and of extensions that this one leaves out."""
    made, _ = put(tree, NOTHING, **{SO: "1", PY: "2"})
    placed.write(placed.beside(tree), record(made))
    (tree / "vllm" / "new.py").write_text("3", encoding="utf-8")
    copy = tree.parent / "copy"
    assert wheel.copy_tree(tree, copy, placed.names_in(tree)) == (OWN, "vllm/new.py")
    assert sorted(f.name for f in (copy / "vllm").rglob("*") if f.is_file()) == ["__init__.py", "new.py"]


def test_nothing_stays_beside_the_tree(tree: Path) -> None:
    made, noted = put(tree, NOTHING, **{SO: "1"})
    placed.write(placed.beside(tree), noted[0])
    assert placed.names_in(tree) == {SO}
    take_out(tree, made)
    assert placed.remove_beside(tree)
    assert sorted(path.name for path in tree.parent.iterdir() if path.name.startswith("a tree")) == ["a tree"]


def test_a_file_of_somebodys_is_refused_before_anything_is_written(tree: Path) -> None:
    (tree / "vllm" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(TreeStateError, match=r"notes\.txt"):
        put(tree, NOTHING, **{SO: "1", "vllm/notes.txt": "built"})
    assert not (tree / SO).exists()
    assert (tree / "vllm" / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_record_is_kept_and_a_broken_one_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "beside"
    assert placed.read(folder) is None
    record = Record(files={SO: "ab"}, replaced={SO: "cd"}, pythons=("/env/python",), version="1")
    placed.write(folder, record)
    assert placed.read(folder) == record
    for text in ("{", "[]", '{"files": []}'):
        (folder / placed.RECORD).write_text(text, encoding="utf-8")
        with pytest.raises(TreeStateError, match="cannot be read") as caught:
            placed.read(folder)
        assert "delete" in str(caught.value.fix)
