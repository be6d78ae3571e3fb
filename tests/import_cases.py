"""Somebody else's checkout and the diffs it gives, and the command that makes patches of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.patch_upstream import TAG, Upstream
from winvllm_build.cli.main import run
from winvllm_build.git import Oid
from winvllm_build.patchset.patchset import Patch, load

Edits = Mapping[str, bytes | None]
PLAIN = ("-c", "user.name=Someone Else", "-c", "user.email=someone@example.org", "-c", "core.autocrlf=false")


def git(folder: Path, *arguments: str) -> bytes:
    """Git as somebody else uses it; 1 is what `diff` says of a difference."""
    done = subprocess.run(["git", "-C", folder, *PLAIN, *arguments], capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stderr.decode()
    return done.stdout


class Elsewhere:
    """Somebody's own checkout, where changes are made and diffs are taken."""

    def __init__(self, upstream: Upstream, folder: Path) -> None:
        self.upstream = upstream
        self.folder = folder
        shutil.copytree(upstream.folder, folder)
        git(folder, "reset", "-q", "--hard", upstream.commit)

    def write(self, edits: Edits) -> None:
        for name, content in edits.items():
            file = self.folder / name
            file.unlink(missing_ok=True)
            if content is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        git(self.folder, "add", "-A")

    def diff(self, edits: Edits, *options: str) -> bytes:
        self.write(edits)
        return git(self.folder, "diff", "--cached", *options, self.upstream.commit)

    def commit(self, edits: Edits, message: str) -> Oid:
        self.write(edits)
        git(self.folder, "commit", "-q", "--no-gpg-sign", "-m", message)
        return Oid(git(self.folder, "rev-parse", "HEAD").decode().strip())


class Imports:
    """An upstream whose set is empty, and the command that fills it."""

    def __init__(self, upstream: Upstream, top: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.upstream = upstream
        self.top = top
        self.capsys = capsys
        self.elsewhere = Elsewhere(upstream, top / "elsewhere")
        self.out = ""
        self.err = ""

    def run(self, source: str, *options: str) -> int:
        place = ["--patches", str(self.upstream.patches), "--tree", str(self.upstream.folder)]
        self.capsys.readouterr()
        code = run(["import", source, TAG, *place, *options])
        self.out, self.err = self.capsys.readouterr()
        return code

    def patch(self, content: bytes, *options: str, name: str = "some.patch") -> int:
        file = self.top / name
        file.write_bytes(content)
        return self.run(str(file), *options)

    def branch(self, revision: str, *options: str) -> int:
        return self.run(revision, "--repo", str(self.elsewhere.folder), *options)

    def verdicts(self, content: bytes, *options: str) -> dict[str, str]:
        """Of each file, as data says it."""
        self.patch(content, "--json", *options)
        return {file["path"]: file["verdict"] for file in json.loads(self.out)["files"]}

    def details(self) -> dict[str, str]:
        """Of the last run with `--json`."""
        return {file["path"]: file["detail"] for file in json.loads(self.out)["files"]}

    def made(self) -> dict[str, Patch]:
        return {patch.path: patch for patch in load(self.upstream.patches, TAG).patches}

    def files(self) -> dict[str, bytes]:
        """The patched tree that the set gives, by the product's own `apply`."""
        self.upstream.apply()
        found = self.upstream.content()
        self.upstream.unapply()
        return found

    @property
    def empty(self) -> bool:
        return not list(self.upstream.patches.rglob("*.patch"))


def without_ids(patch: bytes) -> bytes:
    """As tools other than git write it."""
    lines = patch.split(b"\n")
    return b"\n".join(line for line in lines if not line.startswith(b"index "))


def hunk(name: str, ranges: str, *lines: str) -> bytes:
    """A plain diff with one hunk."""
    text = "".join(f"{line}\n" for line in lines)
    return f"--- a/{name}\n+++ b/{name}\n@@ {ranges} @@\n{text}".encode()


def titled(name: str, *extended: str, body: bytes = b"") -> bytes:
    """A section of git's with these extended header lines."""
    lines = "".join(f"{line}\n" for line in (f"diff --git a/{name} b/{name}", *extended))
    return lines.encode() + body


def new_file(name: str, mode: str = "100644") -> bytes:
    return titled(name, f"new file mode {mode}", body=hunk(name, "-0,0 +1", "+x").replace(
        f"--- a/{name}".encode(), b"--- /dev/null"))  # fmt: skip


BROKEN: Mapping[str, bytes] = {
    "no binary content": titled("b", "index 1234567..89abcde 100644", "Binary files a/b and b/b differ"),
    "a merge": b"diff --cc a.py\nindex 1,2..3\n--- a/a.py\n+++ b/a.py\n@@@ -1,1 -1,1 +1,1 @@@\n++x\n",
    "a link": new_file("l", "120000"),
    "a submodule": new_file("s", "160000"),
    "outside": hunk("../../etc/passwd", "-0,0 +1", "+x"),
    "git's own": new_file(".git/hooks/x", "100755"),
    "a reserved name": new_file("aux.py"),
    "not there": hunk("csrc/gone.cu", "-1 +1", "-x", "+y"),
    "there with other content": new_file("a.py"),
    "deleted otherwise": titled("a.py", "deleted file mode 100644", body=hunk("a.py", "-1 +0,0", "-x")),
    "renamed over another": b"diff --git a/a.py b/dos.bat\nsimilarity index 100%\n"
    b"rename from a.py\nrename to dos.bat\n",
    "abbreviated binary": titled("b", "new file mode 100644", "index 0000000..89abcde", "GIT binary patch",
                                 "literal 2", "JcmZQz1poj50Ra&L", "", "literal 0", "HcmV?d00001", ""),
    "only named": b"Only in b/csrc: other.cu\n",
    "nothing like it": hunk("a.py", "-1,2 +1,2", "-nothing", "+something", " like it"),
}  # fmt: skip
