"""`audit guards` on a small upstream with layers: each held against the tree that it stands on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.patch_upstream import TAG, Upstream, nothing
from winvllm_build.audit.device.record import Records
from winvllm_build.audit.guard.check import check, uncovered
from winvllm_build.audit.guard.judgement import Judgement
from winvllm_build.audit.guard.pair import opened
from winvllm_build.choices import SourceKind
from winvllm_build.cli.main import run
from winvllm_build.sources.source import Source, acquire
from winvllm_build.workspace import Workspace

MANIFEST = """
[layer.fast]
title = "Faster"
[layer.wide]
title = "Wider"
[layer.extra]
title = "More"
requires = ["fast"]
conflicts = ["wide"]
"""
PYTHON = b"import sys\n\n\ndef f():\n    return 1\n\n\ndef g():\n    return 2\n\n\ndef h():\n    return 3\n"
FILES = {"a.py": PYTHON, "csrc/k.cu": b"int a;\nint b;\n", "notes.md": b"text\n"}
WINDOWS = b'    if sys.platform == "win32":\n        return 0\n'


def with_guard(text: bytes, line: bytes) -> bytes:
    return text.replace(line, WINDOWS + line)


GUARDED = with_guard(PYTHON, b"    return 1\n")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    """The port, a layer on it that changes Linux, one that does not, and one on top of the first."""
    made = Upstream.make(tmp_path_factory.mktemp("guards"), FILES)
    made.manifest(made.commit, MANIFEST)
    made.write({"a.py": GUARDED, "csrc/k.cu": b"int a;\n#ifdef _MSC_VER\nint w;\n#endif\nint b;\n"})
    made.regen()
    layers: list[tuple[str, tuple[str, ...], bytes]] = [
        ("fast", (), GUARDED.replace(b"return 2", b"return 20")),
        ("wide", (), with_guard(GUARDED, b"    return 3\n")),
        ("extra", ("fast",), with_guard(GUARDED.replace(b"return 2", b"return 20"), b"    return 1\n")),
    ]
    for layer, below, text in layers:
        made.apply(*below)
        made.write({"a.py": text})
        made.regen(layer=layer)
    made.unapply()
    for layer in ("windows", "fast", "wide", "extra"):
        for file in (made.patches / TAG / layer).rglob("*.patch"):
            file.write_bytes(file.read_bytes().replace(b"Since:", b"Guard: guarded\nSince:", 1))
    return made


@pytest.fixture
def source(tree: Upstream) -> Source:
    return acquire(
        tree.load().pin, kind=SourceKind.LOCAL, location=str(tree.folder), workspace=Workspace.default(),
        offline=True, on_event=nothing,
    )  # fmt: skip


def judged(tree: Upstream, source: Source) -> dict[tuple[str, str], Judgement]:
    with opened(tree.load(), source) as pairs:
        return {(one.layer, one.path): one for one in check(pairs, Records())}


def test_each_layer_against_what_it_stands_on(tree: Upstream, source: Source) -> None:
    found = judged(tree, source)
    assert {key: one.verdict.value for key, one in found.items()} == {
        ("windows", "a.py"): "identical",
        ("windows", "csrc/k.cu"): "identical",
        ("fast", "a.py"): "changed",
        ("wide", "a.py"): "identical",
        ("extra", "a.py"): "identical",  # what fast changed is fast's
        ("windows+fast+wide", "a.py"): "changed",
    }
    assert found["fast", "a.py"].cuda.changes == ("g: -return 2", "g: +return 20")
    together = found["windows+fast+wide", "a.py"]
    assert together.cuda.changes == found["fast", "a.py"].cuda.changes
    assert together.disagreement == ""  # it has no header


def test_the_command_line(tree: Upstream, source: Source, capsys: pytest.CaptureFixture[str]) -> None:
    assert source.commit == tree.commit
    place = ["--offline", "--patches", str(tree.patches)]
    assert run(["audit", "guards", TAG, *place]) == 1
    said = capsys.readouterr().out
    assert "fast: a.py" in said
    assert "g: +return 20" in said
    assert "csrc/k.cu" not in said
    assert run(["audit", "guards", "csrc/k.cu", *place]) == 0
    shown = capsys.readouterr().out
    assert "identical  identical  csrc/k.cu" in shown
    assert f"not covered: {uncovered(tree.load())[0]}" in shown
    assert run(["audit", "guards", TAG, "--all", "--json", *place]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["patches"][0] == {
        "layer": "windows", "path": "a.py", "verdict": "identical", "guard": "guarded", "disagreement": "",
        "fix": "", "cuda": {"verdict": "identical", "grounds": [], "changes": [], "left": [], "open": []},
        "rocm": {"verdict": "identical", "grounds": [], "changes": [], "left": [], "open": []},
    }  # fmt: skip
    assert run(["audit", "guards", "nothing.cu", *place]) == 2


def test_a_wrong_header_is_a_finding(
    tree: Upstream, source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert source.commit == tree.commit
    other = tree.copied(tmp_path / "other")
    file = other.patch_file("csrc/k.cu")
    file.write_bytes(file.read_bytes().replace(b"Guard: guarded", b"Guard: neutral"))
    assert run(["audit", "guards", "csrc/k.cu", "--offline", "--patches", str(other.patches)]) == 1
    said = capsys.readouterr().out
    assert "header: `Guard: neutral` gives no reason" in said
    assert "fix: write `Guard: guarded` in the header" in said
    assert said.endswith("not covered: " + uncovered(other.load())[-1] + "\n")
    assert f"{TAG}: 1 file: 1 identical, 0 neutral, 0 changed; 1 header to correct\n" in said
