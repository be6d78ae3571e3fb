"""The names that the layer `wildcard-models` reads, by the file itself as its patch adds it."""

from __future__ import annotations

import subprocess
import sys
import types
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

import pytest

PATCHES = Path(__file__).resolve().parents[2] / "patches"
ADDED = "wildcard-models/vllm/vllm/entrypoints/openai/model_aliases.py.patch"
TAGS = ("v0.14.1", "v0.19.0", "v0.19.1", "v0.33.0")


def source(tag: str) -> str:
    lines = (PATCHES / tag / ADDED).read_text(encoding="utf-8").partition("\n@@ ")[2].splitlines()
    return "\n".join(line[1:] for line in lines if line.startswith("+")) + "\n"


@pytest.fixture(scope="module")
def aliases() -> Any:  # noqa: ANN401 - a class of vLLM's tree
    module = types.ModuleType("model_aliases")
    exec(compile(source(TAGS[0]), "model_aliases.py", "exec"), module.__dict__)  # noqa: S102 - our own file
    return module.ModelAliases


def test_every_tag_has_the_same_file() -> None:
    assert len({source(tag) for tag in TAGS}) == 1


@pytest.mark.parametrize(
    ("said", "name", "known"),
    [
        ("", "other", False),
        ("", "tiny", False),
        (" ", "*", False),
        ("*", "other", True),
        ("*", "line\nline", True),
        ("gpt-*,qwen3", "gpt-4o", True),
        ("gpt-*,qwen3", "qwen3", True),
        ("gpt-*,qwen3", "qwen3-32b", False),
        ("gpt-*,qwen3", "my-gpt-4", False),
        ("gpt.4", "gpt-4", False),
        ("*-4*", "gpt-4-turbo", True),
        ("ab*ba", "aba", False),
        ("ab*ba", "abba", True),
        ("a**b", "ab", True),
        ("*ab*ab", "xab", False),
        ("*ab*ab", "xabab", True),
        ("a*b*c", "acb", False),
        ("*", "n" * 1000, True),
        ("*", "n" * 1001, False),
        ("n" * 1001, "n" * 1001, False),
        ("x", "tiny", True),
        ("x", "Tiny", False),
        ("x", "c:/Models/Qwen3/", True),
        ("x", r"C:\models\.\qwen3", True),
        ("x", r"C:\models\qwen4", False),
        ("x", "//host/share/m", True),
        (r"D:\old\*", "d:/OLD/qwen/1", True),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", True),
        ("Qwen/Qwen3-8B", "qwen/qwen3-8b", False),
    ],
)
def test_names_that_a_variable_lists(aliases: Any, said: str, name: str, *, known: bool) -> None:  # noqa: ANN401
    served = ["tiny", r"C:\Models\Qwen3", r"\\host\share\m"]
    assert aliases(said).has(name, served) == known


def test_names_that_a_file_lists(aliases: Any, tmp_path: Path) -> None:  # noqa: ANN401
    file = tmp_path / "aliases.txt"
    text = "# of both servers\r\nfriendly = tiny  # ours\r\nother-* = large\r\n\r\nna\u00efve\r\n=\r\n"
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = aliases(str(file))
    assert found.has("friendly", ["tiny"])
    assert found.has("na\u00efve", ["tiny"])
    assert not found.has("other-1", ["tiny"])
    assert found.has("other-1", ["large"])
    assert not found.has("friendly", ["large"])


def test_a_pattern_takes_no_name_of_an_adapter_to_come(aliases: Any) -> None:  # noqa: ANN401
    found = aliases("gpt-*,qwen3")
    assert not found.has("gpt-4", ["tiny"], patterns=False)
    assert found.has("qwen3", ["tiny"], patterns=False)


def test_patterns_take_what_fnmatch_takes(aliases: Any) -> None:  # noqa: ANN401
    names = ["".join(letters) for size in range(5) for letters in product("ab", repeat=size)]
    for pattern in {"".join(letters) for size in range(1, 6) for letters in product("ab*", repeat=size)}:
        found = aliases(pattern)
        for name in names:
            assert found.has(name, ["served"]) == fnmatchcase(name, pattern), (pattern, name)


def test_a_name_that_almost_fits_many_stars_is_answered() -> None:
    asked = f"print(ModelAliases({'a*' * 12 + 'b'!r}).has({'a' * 1000!r}, ['tiny']))"
    ended = subprocess.run(
        [sys.executable, "-c", f"{source(TAGS[0])}\n{asked}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout == "False\n"


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_told(aliases: Any, tmp_path: Path, content: bytes | None) -> None:  # noqa: ANN401
    file = tmp_path / "aliases.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"VLLM_WIN32_MODEL_ALIASES: .*aliases\.txt"):
        aliases(str(file))
