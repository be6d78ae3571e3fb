"""`import` of branches and of patches made for another tag: carried over to the tag's tree by merge."""

from __future__ import annotations

import json

import pytest

from tests.import_cases import Imports, git
from tests.patch_upstream import BASE, EDITED, TAG, Upstream, after
from winvllm_build.cli.main import run
from winvllm_build.patchset.patchset import load

OLDER = BASE["a.py"].replace(b"line 35\n", b"older 35\n")
LARGER = BASE["csrc/k.cu"] + b"int more;\n" * 9


def verdicts(imports: Imports) -> dict[str, str]:
    return {file["path"]: file["verdict"] for file in json.loads(imports.out)["files"]}


def test_a_branch(imports: Imports, request: pytest.FixtureRequest) -> None:
    imports.elsewhere.commit({"a.py": EDITED["a.py"]}, "Say it in words\n\nBecause.")
    imports.elsewhere.commit(EDITED, "The rest")
    git(imports.elsewhere.folder, "branch", "work")
    request.getfixturevalue("hostile_git")
    assert imports.branch("work") == 0, imports.err
    assert imports.files() == after()
    headers = {path: patch.content.header for path, patch in imports.made().items()}
    assert (headers["a.py"].subject, headers["a.py"].get("Description")) == ("Say it in words", "Because.")
    assert headers["dos.bat"].subject == "The rest"


def test_a_range_and_a_base(imports: Imports) -> None:
    first = imports.elsewhere.commit({"a.py": EDITED["a.py"]}, "not wanted")
    imports.elsewhere.commit({"dos.bat": EDITED["dos.bat"]}, "wanted")
    assert imports.branch(f"{first}..HEAD", "--dry-run", "--json") == 0
    assert verdicts(imports) == {"dos.bat": "exact"}
    assert imports.branch("HEAD", "--base", first) == 0
    assert list(imports.made()) == ["dos.bat"]


def test_a_branch_that_upstream_left_behind(imports: Imports) -> None:
    """Upstream's own later commits are no part of it: the merge base counts."""
    there = imports.elsewhere
    there.commit({"dos.bat": EDITED["dos.bat"]}, "mine")
    git(there.folder, "branch", "mine")
    git(there.folder, "reset", "-q", "--hard", imports.upstream.commit)
    there.commit({"notes/readme": b"upstream went on\n"}, "upstream's")
    git(there.folder, "branch", "main")
    assert imports.branch("main..mine") == 0
    assert list(imports.made()) == ["dos.bat"]


def test_a_branch_of_another_base_is_carried_over(imports: Imports) -> None:
    there = imports.elsewhere
    base = there.commit({"a.py": OLDER, "lib/moved.cu": LARGER, "csrc/k.cu": None}, "an older upstream")
    mine = {"a.py": OLDER.replace(b"line 10\n", b"line ten\n"), "dos.bat": EDITED["dos.bat"]}
    there.commit({**mine, "lib/moved.cu": LARGER.replace(b"int b;", b"long b;")}, "my work")
    imports.upstream.write({"csrc/k.cu": LARGER})
    imports.upstream.manifest(imports.upstream.commit_all("the tag has it there"))
    assert imports.branch("HEAD", "--base", base, "--json") == 0, imports.out
    assert verdicts(imports) == {
        "a.py": "3-way", "csrc/k.cu": "3-way", "dos.bat": "exact", "lib/moved.cu": "3-way",
    }  # fmt: skip
    assert imports.details()["lib/moved.cu"] == "upstream moved it to csrc/k.cu"
    assert imports.made()["csrc/k.cu"].content.header.subject == "my work"
    files = imports.files()
    assert files["a.py"] == BASE["a.py"].replace(b"line 10\n", b"line ten\n")
    assert files["csrc/k.cu"] == LARGER.replace(b"int b;", b"long b;")


def test_a_branch_that_conflicts(imports: Imports) -> None:
    there = imports.elsewhere
    base = there.commit({"a.py": OLDER}, "older")
    there.commit({"a.py": OLDER.replace(b"older 35", b"mine 35"), "dos.bat": EDITED["dos.bat"]}, "mine")
    rejects = imports.top / "rejects"
    assert imports.branch("HEAD", "--base", base, "--reject", str(rejects)) == 3
    assert "conflict with the tag's tree: contents" in imports.out
    assert imports.empty
    assert b"+mine 35" in (rejects / "a.py.rej").read_bytes()
    assert imports.branch("HEAD", "--base", base, "--partial") == 3
    assert imports.files() == {**BASE, "dos.bat": EDITED["dos.bat"]}


def test_a_branch_that_upstream_took_over(imports: Imports) -> None:
    imports.elsewhere.commit(EDITED, "mine")
    imports.upstream.write(EDITED)
    imports.upstream.manifest(imports.upstream.commit_all("upstream has it"))
    assert imports.branch("HEAD", "--base", "HEAD~1", "--json") == 0
    assert set(verdicts(imports).values()) == {"already there"}
    assert imports.empty


def test_a_branch_with_what_no_patch_may_do(imports: Imports) -> None:
    (imports.elsewhere.folder / "link").symlink_to("a.py")
    crlf = BASE["a.py"].replace(b"\n", b"\r\n")
    imports.elsewhere.commit({"a.py": crlf, "dos.bat": EDITED["dos.bat"]}, "x")
    assert imports.branch("HEAD") == 3
    assert "CRLF" in imports.out
    assert "symbolic link" in imports.out
    assert imports.branch("HEAD", "--partial") == 3
    assert list(imports.made()) == ["dos.bat"]


def test_messages_about_a_repository(imports: Imports) -> None:
    assert imports.branch("no-such-branch") == 7
    assert imports.run("HEAD", "--repo", str(imports.top / "nowhere")) == 7
    assert imports.branch("a..b", "--base", "c") == 2
    other = Upstream.make(imports.top / "unrelated", {"a.py": b"x\n"})
    assert imports.run("HEAD", "--repo", str(other.folder)) == 2
    assert "--base" in imports.err
    assert imports.run("HEAD", "--repo", str(other.folder), "--base", "HEAD") == 0
    assert imports.empty


def test_a_patch_for_another_tag_is_carried_over(imports: Imports) -> None:
    """Two tags, each with its source: a file moved and another changed between them."""
    upstream = imports.upstream
    new = {
        "lib/k.cu": BASE["csrc/k.cu"] + b"int d;\n",
        "a.py": b"new\n" * 9 + BASE["a.py"],
        "csrc/k.cu": None,
    }
    tagged(upstream, TAG, upstream.commit)
    upstream.write(new)
    tagged(upstream, "v1.3.0", upstream.commit_all("the next one"))
    file = imports.top / "old.patch"
    file.write_bytes(imports.elsewhere.diff(EDITED))
    words = ["import", str(file), "v1.3.0", "--patches", str(upstream.patches), "--json"]
    imports.capsys.readouterr()
    assert run([*words, "--base", TAG]) == 0
    imports.out = imports.capsys.readouterr().out
    found = verdicts(imports)
    assert (found["lib/k.cu"], found["a.py"], found["dos.bat"]) == ("3-way", "3-way", "exact")
    made = {str(patch.path): patch for patch in load(upstream.patches, "v1.3.0").patches}
    assert b"+long b;" in made["lib/k.cu"].content.diff.text


def tagged(upstream: Upstream, name: str, commit: str) -> None:
    """A tag of the upstream with a manifest of its own."""
    upstream.git.out("update-ref", f"refs/tags/{name}", commit)
    folder = upstream.patches / name
    folder.mkdir(exist_ok=True)
    pin = f'url = "{upstream.folder.as_uri()}"\ntag = "{name}"\ncommit = "{commit}"\n'
    (folder / "patchset.toml").write_text(f"schema = 1\n[upstream]\n{pin}", encoding="utf-8")


LAYERED = '\n[layer.turbo]\ntitle = "More"\n'


def test_into_an_optional_layer_and_under_one(imports: Imports) -> None:
    """A layer's patches are made on top of the required one; what is below it carries it along."""
    upstream = imports.upstream
    upstream.manifest(upstream.commit, LAYERED)
    imports.elsewhere.commit({"a.py": EDITED["a.py"]}, "required")
    assert imports.branch("HEAD") == 0
    edited = EDITED["a.py"]
    assert edited is not None
    imports.elsewhere.commit({"a.py": edited.replace(b"line 20\n", b"twenty\n")}, "optional")
    assert imports.branch("HEAD~1..HEAD", "--layer", "turbo") == 0, imports.out + imports.err
    layers = sorted((patch.layer, str(patch.path)) for patch in upstream.load().patches)
    assert layers == [("turbo", "a.py"), ("windows", "a.py")]
    git(imports.elsewhere.folder, "reset", "-q", "--hard", upstream.commit)
    imports.elsewhere.commit({"csrc/k.cu": EDITED["csrc/k.cu"]}, "another required one")
    assert imports.branch("HEAD") == 0, imports.out + imports.err
    words = ["--patches", str(upstream.patches), "--tree", str(upstream.folder)]
    assert run(["apply", "--layer", "turbo", *words]) == 0
    files = upstream.content()
    assert files["a.py"] == edited.replace(b"line 20\n", b"twenty\n")
    assert files["csrc/k.cu"] == EDITED["csrc/k.cu"]
