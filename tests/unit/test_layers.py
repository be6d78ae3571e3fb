"""What `patchset.toml` says of layers: read in an order that can be applied, each fault named."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.errors import PatchError
from winvllm_build.patchset import manifest
from winvllm_build.patchset.layers import Selection, select, selections


def read(tmp_path: Path, layers: str) -> manifest.Manifest:
    file = tmp_path / "patchset.toml"
    file.write_text(f'schema = 1\n[upstream]\ntag = "v1"\n{layers}', encoding="utf-8")
    return manifest.read(file)


def chosen(made: manifest.Manifest) -> list[tuple[str, ...]]:
    return [selection.optional for selection in selections(made)]


def test_without_layers_there_is_the_required_one(tmp_path: Path) -> None:
    made = read(tmp_path, "")
    assert chosen(made) == [()]
    assert select(made).layers == ("windows",)
    assert select(made, ["windows"]) == select(made)
    assert select(made).options == ()


def test_the_order_is_the_declared_one_after_what_is_required(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        '[layer.top]\nrequires = ["middle", "windows", "middle"]\n[layer.b]\n[layer.windows]\n[layer.a]\n'
        '[layer.middle]\nrequires = ["bottom"]\ntitle = "In between"\ndescription = "For tests."\n'
        "[layer.bottom]\n",
    )
    assert [layer.name for layer in made.layers] == ["windows", "bottom", "middle", "top", "b", "a"]
    assert made.layer("middle").title == "In between"
    assert made.layer("middle").description == "For tests."
    assert made.layer("top").requires == ("middle",)
    top = select(made, ["top"])
    assert top.layers == ("windows", "bottom", "middle", "top")
    assert top.words == "windows + bottom + middle + top"
    assert top.options == ("--layer", "bottom", "--layer", "middle", "--layer", "top")
    assert top.below("middle").layers == ("windows", "bottom")
    assert top.below("bottom").layers == ("windows",)
    assert top.below("windows") == Selection(chosen=())
    assert top.key({"windows", "top"}) == "windows+top"


def test_all_combinations_that_are_allowed(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        '[layer.a]\n[layer.b]\nrequires = ["a"]\n[layer.c]\nconflicts = ["a"]\n[layer.d]\nrequires = ["c"]\n',
    )
    assert chosen(made) == [(), ("a",), ("a", "b"), ("c",), ("c", "d")]


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ('[layer.a]\nrequires = ["bb"]\n[layer.bbb]\n', "unknown layer 'bb'; did you mean \"bbb\"?"),
        ('[layer.a]\nconflicts = ["c"]\n', "`conflicts` names the unknown layer 'c'"),
        ('[layer.a]\nrequires = ["a"]\n', "`requires` names the layer itself"),
        ('[layer.a]\nconflicts = ["windows"]\n', "`conflicts` names windows, which is always there"),
        ('[layer.windows]\nrequires = ["a"]\n[layer.a]\n', "the required layer requires nothing"),
        ('[layer.a]\nrequires = ["b"]\n[layer.b]\nrequires = ["a"]\n', "requires itself, by way of b"),
        ('[layer.a]\nrequires = ["b"]\nconflicts = ["b"]\n[layer.b]\n', "a and b conflict"),
        (
            '[layer.a]\nrequires = ["b", "c"]\n[layer.b]\nconflicts = ["c"]\n[layer.c]\n',
            "[layer.a]: it can never be chosen: b and c conflict, and it needs both",
        ),
        ('[layer.a]\nrequires = "b"\n[layer.b]\n', "`requires` is 'b'; it has to be a list"),
        ('[layer.a]\nvariables = ["CMAKE_CXX_FLAGS"]\n', "`variables` is ['CMAKE_CXX_FLAGS']"),
        ('[layer.a]\nrequired = ["b"]\n[layer.b]\n', 'unknown key `required`; did you mean "requires"?'),
        ("".join(f"[layer.n{n}]\n" for n in range(7)), "more than 64 ways"),
        ("".join(f"[layer.n{n}]\n" for n in range(40)), "more than 64 ways"),
    ],
)  # fmt: skip
def test_faults_name_file_table_and_what_is_wrong(tmp_path: Path, layers: str, words: str) -> None:
    with pytest.raises(PatchError) as caught:
        read(tmp_path, layers)
    assert words in caught.value.message
    assert str(tmp_path / "patchset.toml") in caught.value.message
    assert caught.value.fix == f"edit {tmp_path / 'patchset.toml'}"


def test_sixty_four_combinations_are_enough(tmp_path: Path) -> None:
    made = read(tmp_path, "".join(f"[layer.n{n}]\n" for n in range(6)))
    assert len(set(chosen(made))) == 64
    rivals = ", ".join(f'"n{n}"' for n in range(1, 30))
    many = "".join(
        f"[layer.n{n}]\nconflicts = [{rivals.replace(f'{chr(34)}n{n}{chr(34)}, ', '')}]\n"
        for n in range(1, 29)
    )
    alone = read(tmp_path, f"{many}[layer.n29]\n")
    assert len(chosen(alone)) == 30
