"""The pins of a manifest: the shipped one reads, a broken one names file, table and key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from winvllm_build.errors import PatchError
from winvllm_build.git import Oid
from winvllm_build.sources.pins import DependencyPin, Pins, read_pins

COMMIT = "d7de043d55d1dd629554467e23874097e1c48993"
SHA = "c7c6d0a729d29e70ac10baacbc7186930da24f8ae34f60451330527ff0be84ac"
UPSTREAM = f"""\
schema = 1
[upstream]
url = "https://example.org/vllm"
tag = "v0.14.1"
commit = "{COMMIT}"
sdist = {{ project = "vllm", version = "0.14.1", sha256 = "{SHA}" }}
"""
DEPENDENCY = f"""\
[dependency.cutlass]
url = "https://example.org/cutlass.git"
revision = "v4.2.1"
commit = "{COMMIT}"
variable = "VLLM_CUTLASS_SRC_DIR"
targets = ["_C"]
"""


def read(tmp_path: Path, text: str) -> Pins:
    manifest = tmp_path / "patchset.toml"
    manifest.write_text(text, encoding="utf-8")
    return read_pins(manifest)


def dependency(checkout: Path, name: str) -> DependencyPin:
    pins = read_pins(checkout / "patches" / "v0.14.1" / "patchset.toml")
    return next(pin for pin in pins.dependencies if pin.name == name)


def test_shipped_manifest_pins_everything_by_hash(checkout: Path) -> None:
    pins = read_pins(checkout / "patches" / "v0.14.1" / "patchset.toml")
    assert pins.upstream.commit == COMMIT
    assert pins.upstream.sdist is not None
    assert pins.upstream.sdist.sha256 == SHA
    assert {pin.variable for pin in pins.dependencies} == {
        "VLLM_CUTLASS_SRC_DIR",
        "VLLM_FLASH_ATTN_SRC_DIR",
        "FLASH_MLA_SRC_DIR",
        "QUTLASS_SRC_DIR",
        "TRITON_KERNELS_SRC_DIR",
    }
    assert all(pin.commit is not None and pin.targets for pin in pins.dependencies)


def test_an_archive_pins_without_a_commit(tmp_path: Path) -> None:
    text = UPSTREAM.replace(f'commit = "{COMMIT}"', 'abbreviated = "d7de043d5"')
    pin = read(tmp_path, text).upstream
    assert (pin.commit, pin.abbreviated) == (None, "d7de043d5")
    assert pin.means(Oid(COMMIT))
    assert not pin.means(Oid("0" * 40))
    assert not replace(pin, abbreviated=None).means(Oid(COMMIT))
    assert not replace(pin, commit=Oid("0" * 40)).means(Oid(COMMIT))


def test_the_archives_commit_is_known_from_its_tree(checkout: Path) -> None:
    """The id that git gave the commit of the published v0.14.1, whose tree is in the lock."""
    pin = read_pins(checkout / "patches" / "v0.14.1" / "patchset.toml").upstream.sdist
    assert pin is not None
    tree = Oid("eef2fed6f7f45ed1eee978f6eb10c5abce3a9ffd")
    assert pin.commit_id(tree) == "241f4c99712569b85a4ebc263f830957165aaac1"
    assert replace(pin, sha256="0" * 64).commit_id(tree) != pin.commit_id(tree)


def test_other_rooms_tables_are_left_alone(tmp_path: Path) -> None:
    pins = read(
        tmp_path, UPSTREAM + '[expect]\ntorch = "2.9.1"\n[topic.msvc]\ntitle = "x"\n[layer.windows]\n'
    )
    assert pins.dependencies == ()


@pytest.mark.parametrize(
    ("name", "archs", "needed"),
    [
        ("cutlass", ("8.6",), True),
        ("flashmla", ("8.6", "12.0"), False),
        ("flashmla", ("9.0",), True),
        ("flashmla", ("9.0a",), True),
        ("flashmla", ("10.3",), True),
        ("flashmla", ("9.0+PTX",), True),
        ("qutlass", ("8.9", "12.0a"), True),
        ("qutlass", ("12.1",), False),
        ("qutlass", (), True),
    ],
)
def test_an_arch_decides_what_is_needed(
    checkout: Path,
    name: str,
    archs: tuple[str, ...],
    needed: bool,  # noqa: FBT001 - a parametrized value
) -> None:
    assert dependency(checkout, name).needed_for(archs) is needed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = 1\n", "[upstream] is missing"),
        (UPSTREAM.replace("url =", "urll ="), "`url` is missing"),
        (UPSTREAM.partition("commit")[0], "`commit` is missing"),
        (UPSTREAM + 'abbreviated = "1234567"\n', "`commit` does not begin with it"),
        (UPSTREAM + 'abbreviated = "d7de"\n', "7 to 40 digits"),
        (UPSTREAM + "[dependencies.x]\n", 'did you mean "dependency"'),
        (UPSTREAM.replace(COMMIT, COMMIT[:39]), "40 hexadecimal digits"),
        (UPSTREAM.replace(COMMIT, COMMIT.upper()), "40 hexadecimal digits"),
        (UPSTREAM.replace(SHA, SHA[:-1] + "x"), "64 hexadecimal digits"),
        (UPSTREAM.replace('"v0.14.1"', '"../v1"'), "a tag's name"),
        (UPSTREAM.replace('"v0.14.1"', '"v1.lock"'), "a tag's name"),
        (UPSTREAM.replace('"v0.14.1"', "1"), "a tag's name"),
        (UPSTREAM.replace("https://example.org/vllm", "--upload-pack=x"), "`url`"),
        (UPSTREAM.replace("https://example.org/vllm", "ext::sh -c x"), "`url`"),
        (UPSTREAM + DEPENDENCY.replace("targets", "target"), 'did you mean "targets"'),
        (UPSTREAM + DEPENDENCY.replace('["_C"]', '"_C"'), "has to be a list"),
        (UPSTREAM + DEPENDENCY.replace('["_C"]', '["a;b"]'), "each a CMake target"),
        (UPSTREAM + DEPENDENCY + 'folder = "../x"\n', "leaves the folder"),
        (UPSTREAM + DEPENDENCY + 'folder = "/x"\n', "absolute"),
        (UPSTREAM + DEPENDENCY + 'archs = ["sm_90"]\n', "CUDA arch"),
        (UPSTREAM + DEPENDENCY + "submodules = [1]\n", "list of tables"),
        (UPSTREAM + DEPENDENCY.replace("cutlass]", "CUTLASS]"), "no name for a dependency"),
        (UPSTREAM + "[target]\n", "unknown key `target`"),
        (UPSTREAM.replace("schema = 1", "schema = 2"), "schema is 2, this tool reads 1"),
        ("schema = \n", "not valid TOML"),
    ],
)
def test_a_broken_manifest_names_the_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PatchError) as caught:
        read(tmp_path, text)
    assert said in caught.value.message
    assert str(tmp_path / "patchset.toml") in caught.value.message


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(PatchError, match="no manifest"):
        read_pins(tmp_path / "none.toml")
