"""`patchset.toml` as text: parts of an older one, values, comments, what is to be done."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from winvllm_build.errors import PatchError
from winvllm_build.intake.manifest_text import blocks, comment, line, listed, value
from winvllm_build.intake.manifest_writer import todos
from winvllm_build.intake.update import Editor

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXT = """\
# About the whole file.
schema = 1

# About upstream.
[upstream]
url = "https://example.org/vllm"   # where
tag = "v1.0.0"

[topic.build]
title = "Build"
description = '''
[not.a.table]
text'''

# Why it is here,
# in two lines.
[dependency.one]
submodules = [
  { path = "x", url = "https://example.org/x", commit = "1111111111111111111111111111111111111111" },
]
[dependency.one.package]
# Inside.
project = "p"

# At the end.
"""


def test_tables_with_the_comments_above_them() -> None:
    found = blocks(TEXT)
    assert sorted(found) == ["dependency.one", "dependency.one.package", "topic.build", "upstream"]
    assert found["upstream"].comments == ("# About upstream.",)
    assert found["dependency.one"].comments == ("# Why it is here,", "# in two lines.")
    assert found["dependency.one"].lines[-1] == "]"
    assert found["dependency.one.package"].lines[1:] == ("# Inside.", 'project = "p"')
    assert "[not.a.table]" in found["topic.build"].text
    assert tomllib.loads(found["topic.build"].text)["topic"]["build"]["title"] == "Build"


def test_what_is_not_toml_has_no_tables() -> None:
    assert blocks("[upstream\nx = 1") == {}


@pytest.mark.parametrize(
    "content",
    [
        "plain",
        'with "quotes" and \\',
        "tab\tand\nline",
        "\u00fc\u2028\x7f",
        ["a", "b"],
        [],
        {"k-1": "v", "k 2": "w"},
    ],
)
def test_values_are_read_back_as_they_were(content: object) -> None:
    assert tomllib.loads(line("key", content))["key"] == content
    assert tomllib.loads(f"x = {value(content)}")["x"] == content


def test_a_list_of_tables_has_one_on_a_line() -> None:
    rows = listed("submodules", [{"path": "a"}, {"path": "b"}])
    assert len(rows) == 4
    assert tomllib.loads("\n".join(rows))["submodules"] == [{"path": "a"}, {"path": "b"}]


def test_comments_go_on_in_a_way_that_tells_them_apart() -> None:
    rows = comment("word " * 60)
    assert all(len(row) <= 108 for row in rows)
    assert rows[0].startswith("# word")
    assert all(row.startswith("#   word") for row in rows[1:])


def test_what_is_to_be_done_names_its_table() -> None:
    text = "\n".join([
        *comment("TODO at the top."), "", *comment("TODO above " + "far " * 40), "[dependency.a]",
        "# TODO inside.", 'x = "y"', "# v1 had this.", "", "# TODO below.", "# Gone.",
    ])  # fmt: skip
    assert todos(text) == (
        "at the top.", "[dependency.a] above " + ("far " * 40).strip(), "[dependency.a] inside.", "below.",
    )  # fmt: skip


def test_an_addition_keeps_everything_else(tmp_path: Path) -> None:
    text = TEXT.replace("\n", "\r\n")
    editor = Editor(tmp_path / "f", text)
    editor.add("upstream", "tag", ['commit = "c"'], {"commit": "c"})
    made, names = editor.result()
    assert names == ("upstream.commit",)
    assert made.replace('commit = "c"\r\n', "") == text


def test_an_addition_takes_its_own_request_out(tmp_path: Path) -> None:
    asked = TEXT.replace('tag = "v1.0.0"', '# TODO commit: somebody\n#   finds it.\n# Mine.\ntag = "v1.0.0"')
    editor = Editor(tmp_path / "f", asked)
    editor.add("upstream", "tag", ['commit = "c"'], {"commit": "c"})
    made, _ = editor.result()
    assert made == TEXT.replace('tag = "v1.0.0"', '# Mine.\ntag = "v1.0.0"\ncommit = "c"')


@pytest.mark.parametrize(
    "text",
    [
        'schema = 1\nupstream = { url = "https://x", tag = "v1" }\n',
        'schema = 1\n[upstream]\n"tag" = "v1"\n',
        'schema = 1\n[upstream]\ntag = """v1"""\n',
    ],
)
def test_what_cannot_be_added_to_is_said_with_what_to_add(tmp_path: Path, text: str) -> None:
    editor = Editor(tmp_path / "f", text)
    with pytest.raises(PatchError) as caught:
        editor.add("upstream", "tag", ['commit = "c"'], {"commit": "c"})
    assert caught.value.fix == 'add to [upstream] by hand: commit = "c"'


def test_a_line_that_only_looks_like_a_key_spoils_nothing(tmp_path: Path) -> None:
    text = "schema = 1\n[upstream]\nnote = '''\ntag = \"v0\"\n'''\ntag = \"v1\"\n"
    editor = Editor(tmp_path / "f", text)
    editor.add("upstream", "tag", ['commit = "c"'], {"commit": "c"})
    with pytest.raises(PatchError, match="cannot be added to"):
        editor.result()
