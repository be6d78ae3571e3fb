"""`winvllm-build state`: listing, exporting, importing, making room, checking, as users call it."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from tests.store_bench import COMPILER, Bench
from winvllm_build.build.store import inventory, transfer
from winvllm_build.cli.main import run
from winvllm_build.errors import SourceError, UsageError
from winvllm_build.workspace import Workspace

pytestmark = pytest.mark.skipif(
    not Path(f"/usr/bin/{COMPILER}").exists(), reason="compiles with a real g++ in /usr/bin"
)
FILES = 3


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(
        store=Workspace.default().objects, tree=tmp_path / "tree", build=tmp_path / "builds" / "v1-sm86"
    )
    edges = []
    for number in range(FILES):
        made.write(f"f{number}.cpp", f"int f{number}() {{ return {number}; }}\n")
        edges.append(made.compile_edge(f"f{number}.cpp"))
    made.run(*edges)
    return made


def names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = run(["state", *arguments])
    return code, capsys.readouterr().out


def test_what_is_there(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = asked(capsys, "--json")
    found = json.loads(text)
    assert (code, found["edges"], found["orphans"]) == (0, FILES, 0)
    assert [(share["name"], share["edges"]) for share in found["builds"]] == [("v1-sm86", FILES)]
    assert [share["name"] for share in found["tags"]] == ["v1"]
    code, text = asked(capsys)
    assert f"{FILES} edges" in text
    assert str(bench.store) in text


def test_nothing_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys)[1].startswith("no finished edges in ")
    assert run(["state", "export", "x.tar"]) == UsageError.exit_code
    assert asked(capsys, "prune", "--keep", "1GB")[0] == 0
    assert asked(capsys, "clear")[0] == 0
    assert asked(capsys, "verify")[0] == 0


@pytest.mark.parametrize("name", ["edges.tar", "edges.tgz", "edges.tar.gz"])
def test_there_and_back(bench: Bench, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    file, again = tmp_path / name, tmp_path / f"again-{name}"
    assert asked(capsys, "export", str(file), "--tag", "v1")[0] == 0
    assert asked(capsys, "export", str(again), "--build", "v1-sm86")[0] == 0
    assert file.read_bytes() == again.read_bytes()
    assert asked(capsys, "clear")[0] == 0
    assert asked(capsys, "import", str(file), str(again))[1].endswith("0 of them new\n")
    assert asked(capsys, "verify") == (0, f"{FILES} edges, {FILES} contents: all whole\n")
    shutil.rmtree(bench.build)
    assert bench.run(*(bench.compile_edge(f"f{n}.cpp") for n in range(FILES))) == []


def test_a_pattern_that_no_shell_expanded_names_the_files(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        transfer.export(bench.store, tmp_path / f"shard-{number}.tar")
    inventory.clear(bench.store)
    code, text = asked(capsys, "import", str(tmp_path / "shard-*.tar"), "--json")
    assert code == 0
    told = [(Path(one["file"]).name, one["new"]) for one in json.loads(text)]
    assert told == [("shard-1.tar", FILES), ("shard-2.tar", 0)]


def test_only_what_was_asked_for(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del bench
    assert run(["state", "export", str(tmp_path / "x.tar"), "--tag", "v2"]) == UsageError.exit_code
    assert "winvllm-build state lists" in capsys.readouterr().err
    assert not (tmp_path / "x.tar").exists()


def test_a_torn_file_brings_nothing(bench: Bench, tmp_path: Path) -> None:
    file, torn = tmp_path / "edges.tar", tmp_path / "torn.tar"
    transfer.export(bench.store, file)
    whole = file.read_bytes()
    inventory.clear(bench.store)
    before = names(bench.store)
    for at in [0, 1, 511, 512, 700, *range(1024, len(whole) - 10240, len(whole) // 12)]:
        torn.write_bytes(whole[:at])
        with pytest.raises(SourceError, match="nothing was taken over") as refused:
            transfer.import_(bench.store, torn)
        assert "\n" not in refused.value.message
        flipped = bytearray(whole)
        flipped[at] ^= 0x55
        torn.write_bytes(flipped)
        try:
            transfer.import_(bench.store, torn)
        except SourceError:
            assert names(bench.store) == before
        else:  # a byte that tar does not read
            inventory.clear(bench.store)


def archive(file: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file


def manifest(**changes: object) -> bytes:
    return json.dumps({"kind": transfer.KIND, "format": 1, "members": 0, "digest": "", **changes}).encode()


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"setup.py": b"x"}, "something else"),
        ({transfer.MANIFEST: b"[]"}, "something else"),
        ({transfer.MANIFEST: b"{"}, "no whole export"),
        ({transfer.MANIFEST: manifest(format=9)}, "format 9"),
        ({transfer.MANIFEST: manifest()}, "not complete"),
        ({transfer.MANIFEST: manifest(), "../x": b""}, "no whole export"),
        ({transfer.MANIFEST: manifest(), "/etc/x": b""}, "no whole export"),
        ({transfer.MANIFEST: manifest(), "blobs/" + "a" * 64: b"x"}, "holds something else"),
        ({transfer.MANIFEST: manifest(), "blobs/x": b"x"}, "does not belong"),
        ({transfer.MANIFEST: manifest(), f"records/{'a' * 64}/{'b' * 64}": b"x"}, "no whole export"),
    ],
)
def test_a_foreign_file_brings_nothing(tmp_path: Path, members: dict[str, bytes], why: str) -> None:
    with pytest.raises(SourceError, match=why):
        transfer.import_(tmp_path / "objects", archive(tmp_path / "foreign.tar", members))
    assert names(tmp_path / "objects") == ["tidying.lock", "tidying.lock.owner"]


def test_a_file_that_is_no_archive_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"not a tar")
    for name in ("x.tar", "missing.tar"):
        with pytest.raises(SourceError):
            transfer.import_(tmp_path / "objects", tmp_path / name)


def test_killed_transfers_leave_nothing_half_made(bench: Bench, tmp_path: Path) -> None:
    file, there = tmp_path / "edges.tar", tmp_path / "there"
    transfer.export(bench.store, file)
    code = (
        "import sys; from pathlib import Path; from winvllm_build.build.store import transfer\n"
        "print('go', flush=True)\n"
        "while True:\n"
        f"    transfer.import_(Path({str(there)!r}), Path({str(file)!r}))\n"
        f"    transfer.export(Path({str(bench.store)!r}), Path({str(tmp_path / 'out.tar')!r}))\n"
    )
    for number in range(4):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.01 + 0.02 * number)
        os.kill(child.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        child.wait()
        child.stdout.close()
        assert inventory.verify(there).damaged == ()
        if (tmp_path / "out.tar").exists():
            assert (tmp_path / "out.tar").read_bytes() == file.read_bytes()
    transfer.import_(there, file)
    assert not list(there.glob("incoming-*"))
    assert inventory.take(there).edges == FILES


def test_what_was_not_used_for_longest_goes_first(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    found = inventory.entries(bench.store)
    for age, entry in enumerate(found):
        os.utime(entry.path, (1e9 - age, 1e9 - age))
    first = inventory.entries(bench.store)[0].summary
    code, text = asked(capsys, "prune", "--keep", f"{first.size + 10}", "--json")
    assert (code, json.loads(text)["removed"], json.loads(text)["left"]) == (0, FILES - 1, 1)
    assert [entry.summary.output for entry in inventory.entries(bench.store)] == [first.output]
    assert len(list((bench.store / "blobs").glob("*/*"))) == 1
    assert run(["state", "prune", "--keep", "a lot"]) == UsageError.exit_code


def test_damage_is_found_and_removed(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    blob = next((bench.store / "blobs").glob("*/*"))
    blob.unlink()
    blob.write_bytes(b"damaged")
    code, text = asked(capsys, "verify")
    assert code == 1
    assert "removed: content" in text
    assert "a content is missing" in text
    assert asked(capsys, "verify")[0] == 0
    shutil.rmtree(bench.build)
    assert len(bench.run(*(bench.compile_edge(f"f{n}.cpp") for n in range(FILES)))) == 1
