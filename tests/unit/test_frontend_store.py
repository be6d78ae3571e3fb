"""Outcomes kept between runs: the same text needs no front end, unchanged files need no preprocessor."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from winvllm_build.audit.frontend import audit
from winvllm_build.audit.frontend.messages import Message
from winvllm_build.audit.frontend.outcome import Outcome, Pass, Verdict
from winvllm_build.audit.frontend.store import Store

OUTCOME = Outcome(
    kind=Pass.HOST, verdict=Verdict.FAIL, errors=2, cpu=12.5, peak=1_300_000_000, text="ab" * 32,
    messages=(Message(file="csrc/a.cu", line=3, text='identifier "uint" is undefined', source="uint x;"),),
    lint=(Message(file="csrc/b.hpp", line=8, text="GCC builtin: __builtin_clz"),),
)  # fmt: skip


def _store(folder: Path, tools: str = "13.0.88 19.1.7") -> Store:
    return Store(folder=folder / "store", tools=tools)


def test_an_outcome_comes_back_as_it_was(tmp_path: Path) -> None:
    _store(tmp_path).keep("text", OUTCOME)
    assert _store(tmp_path).by_text("text") == OUTCOME
    assert _store(tmp_path).by_text("other") is None


def test_a_unit_is_known_until_one_of_its_files_changes(tmp_path: Path) -> None:
    store, header = _store(tmp_path), tmp_path / "a.h"
    header.write_text("1", encoding="utf-8")
    store.keep("text", OUTCOME)
    store.note("unit", "text", [header, tmp_path / "gone.h"])
    assert store.by_inputs("unit") == OUTCOME
    header.write_text("22", encoding="utf-8")
    assert store.by_inputs("unit") is None


def test_a_file_of_the_same_length_with_another_time_is_changed(tmp_path: Path) -> None:
    store, header = _store(tmp_path), tmp_path / "a.h"
    header.write_text("1", encoding="utf-8")
    store.keep("text", OUTCOME)
    store.note("unit", "text", [header])
    os.utime(header, ns=(1, 1))
    assert store.by_inputs("unit") is None


def test_other_tools_or_words_are_other_keys(tmp_path: Path) -> None:
    store = _store(tmp_path)
    assert store.key(["a", "b"]) == _store(tmp_path).key(["a", "b"])
    assert store.key(["a", "b"]) != store.key(["ab"])
    assert store.key(["a"]) != _store(tmp_path, "13.2.0 19.1.7").key(["a"])


def test_a_torn_or_old_entry_is_none(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.keep("text", OUTCOME)
    (file,) = (tmp_path / "store").rglob("*.json")
    file.write_bytes(file.read_bytes()[:40])
    assert store.by_text("text") is None
    file.write_text('{"kind": "host", "verdict": "maybe"}', encoding="utf-8")
    assert store.by_text("text") is None


def test_where_an_outcome_was_taken_from_is_no_part_of_it(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.keep("text", OUTCOME)
    assert store.by_text("text") == replace(OUTCOME, shared=False)


def test_texts_of_a_killed_run_are_removed_and_those_of_a_running_one_are_not(tmp_path: Path) -> None:
    for name in ("unit-old", "unit-new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "unit.ii").write_text("", encoding="utf-8")
    os.utime(tmp_path / "unit-old", (1, 1))
    assert audit._tidied(tmp_path) == tmp_path
    assert [folder.name for folder in tmp_path.iterdir()] == ["unit-new"]
    assert audit._tidied(tmp_path / "none") == tmp_path / "none"
