"""What users type for a model, and what a request may call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from winvllm_build.fallback.aliases import SHIPPED, normal_path, read_table, resolve
from winvllm_build.fallback.errors import StartError


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("C:/models/Qwen3", "C:\\models\\Qwen3"),
        ("C:\\models\\Qwen3\\", "C:\\models\\Qwen3"),
        ('"C:\\models\\Qwen3"', "C:\\models\\Qwen3"),
        (" 'C:\\models\\.\\Qwen3' ", "C:\\models\\Qwen3"),
        ("file:///C:/models/My%20Qwen", "C:\\models\\My Qwen"),
        ("\\\\server\\share\\Qwen3\\", "\\\\server\\share\\Qwen3"),
        ("/models/Qwen3/", "/models/Qwen3"),
        ("./Qwen3/", "Qwen3"),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("qwen3-8b", "qwen3-8b"),
    ],
)
def test_a_path_has_one_form(typed: str, path: str) -> None:
    assert normal_path(typed) == path


@pytest.mark.parametrize("asked", ["c:\\MODELS\\qwen3", "C:/models/Qwen3/", '"C:\\models\\Qwen3"', "qwen"])
def test_a_request_may_write_the_folder_another_way(asked: str) -> None:
    named = resolve("C:\\models\\Qwen3", (), ("C:\\models\\Qwen3", "qwen"))
    assert named.answers_to(asked)
    assert not named.answers_to("C:\\models\\Qwen2")


@pytest.mark.parametrize("asked", ["~nobody.here/x", "file://[x", "~", "\0"])
def test_a_request_may_write_anything(asked: str) -> None:
    assert not resolve("C:\\models\\Qwen3", ()).answers_to(asked)


@pytest.mark.parametrize("typed", ["~nobody.here/x", "file://[x"])
def test_what_cannot_be_a_place_is_named(typed: str) -> None:
    with pytest.raises(StartError, match="x"):
        resolve(typed, ())


def test_upper_and_lower_case_are_two_where_no_drive_is() -> None:
    named = resolve("/models/Qwen3", ())
    assert named.answers_to("/models/Qwen3/")
    assert not named.answers_to("/models/qwen3")


def test_an_alias_of_the_users_goes_before_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "near").mkdir()
    file = tmp_path / "names.json"
    names = {"Qwen3-8B": "near", "far": "owner/far", "dotted": "./there", "drive": "D:/models/x/"}
    file.write_text(f"\ufeff{json.dumps(names)}", encoding="utf-8")  # as Windows' editors write it
    tables = (read_table(file), read_table(SHIPPED))
    assert resolve("qwen3-8b", tables).target == str(tmp_path / "near")
    assert resolve("far", tables).target == "owner/far"
    assert resolve("dotted", tables).target == str(tmp_path / "there")
    assert resolve("drive", tables).target == "D:\\models\\x"
    assert resolve("qwen3-4b", tables).target == "Qwen/Qwen3-4B"
    assert resolve("Other/Model", tables).target == "Other/Model"


def test_both_the_alias_and_what_it_means_are_served_names() -> None:
    assert resolve("QWEN3-4B", (read_table(SHIPPED),)).names == ("QWEN3-4B", "Qwen/Qwen3-4B")
    assert resolve("QWEN3-4B", (read_table(SHIPPED),), ("mine",)).names == ("mine",)


def test_an_existing_folder_is_no_alias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "qwen3-4b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("qwen3-4b", (read_table(SHIPPED),)).target == "qwen3-4b"


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 1}', ""])
def test_a_broken_table_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "names.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(StartError, match=r"names\.json"):
        read_table(file)


def test_shipped_names_are_lower_case_and_mean_ids() -> None:
    shipped = json.loads(SHIPPED.read_text(encoding="utf-8"))
    assert list(shipped) == [name.lower() for name in shipped]
    assert all(target.count("/") == 1 for target in shipped.values())
