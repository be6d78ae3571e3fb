"""A port to a newer tag against the ways people port patches by hand, in one run.

    python benchmarks/port.py [--from v0.14.1] [--to v0.19.0] [--rounds 5] [--json]

Sources have to be in the workspace (`winvllm-build port TAG --dry-run` gets them). Each way works on a
fresh checkout of the new tag and says by itself which files it did; `port` writes the new set and makes
the worktree for what is open, `port --dry-run` only looks. A file counts as carried when the way reports
success for it, and as wrong when a human called its bytes so in `port_judged.toml`. Bytes that nobody
has judged are counted apart.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winvllm_build.choices import SourceKind
from winvllm_build.git import IDENTITY
from winvllm_build.intake.unpinned import cached_pin
from winvllm_build.patchset.patchset import MAIN_TARGET, Patch, PatchSet, load
from winvllm_build.sources.source import Source, acquire
from winvllm_build.workspace import Workspace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
CLI = [sys.executable, "-c", "from winvllm_build.cli.main import main; main()"]
GONE = "no file"
Outcome = dict[str, tuple[str, str]]
"""By the old path of a patch: its new path, and the id of the bytes there."""


@dataclass
class Way:
    """One way to port: what it did in the last round, and how long each round took."""

    name: str
    carry: Callable[[], Outcome]
    seconds: list[float] = field(default_factory=list)
    done: Outcome = field(default_factory=dict)


class Bench:
    """Both sources, a checkout of the new tag, and the patches as files."""

    def __init__(self, patch_set: PatchSet, new: str, work: Path) -> None:
        self.patch_set = patch_set
        self.new = new
        self.work = work
        self.tree = work / "tree"
        self.old_source, self.new_source = _source(patch_set.tag), _source(new)
        self.repository = self.new_source.repository
        required = patch_set.layers[0].name
        self.patches: dict[str, Patch] = {
            patch.path: patch for patch in patch_set.of(MAIN_TARGET) if patch.layer == required
        }
        run(["git", "clone", "-q", "--shared", "--no-checkout", str(self.repository), str(self.tree)])
        self.git("config", "user.name", IDENTITY["GIT_AUTHOR_NAME"])
        self.git("config", "user.email", IDENTITY["GIT_AUTHOR_EMAIL"])
        self.git("fetch", "-q", str(self.repository), "+refs/winvllm/*:refs/winvllm/*")
        self.base = self.git("rev-parse", f"{self.new_source.commit}^{{tree}}").stdout.decode().strip()
        self.files = {path: work / "diffs" / f"{n}.diff" for n, path in enumerate(self.patches)}
        (work / "diffs").mkdir()
        for path, file in self.files.items():
            file.write_bytes(self.patches[path].content.diff.text)
        self.whole = work / "all.diff"
        self.whole.write_bytes(b"".join(file.read_bytes() for file in self.files.values()))
        self.change = self._change()

    def git(self, *args: str, ok: bool = True) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(["git", "-C", str(self.tree), *args], capture_output=True, check=False)
        if ok and done.returncode != 0:
            raise SystemExit(f"git {' '.join(args)}: {done.stderr.decode(errors='replace')}")
        return done

    def _change(self) -> str:
        """One commit of all patches on the old tag."""
        self.git("checkout", "-q", "--detach", self.old_source.commit)
        self.git("apply", "--index", str(self.whole))
        self.git("commit", "-q", "-m", "the port to Windows")
        return self.git("rev-parse", "HEAD").stdout.decode().strip()

    def fresh(self) -> None:
        """The new tag as upstream made it."""
        for verb in ("am", "cherry-pick"):
            self.git(verb, "--abort", ok=False)
        self.git("checkout", "-q", "-f", "--detach", self.new_source.commit)
        self.git("reset", "-q", "--hard")
        self.git("clean", "-qfdx")

    def bytes_of(self, path: str) -> str:
        file = self.tree / path
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else GONE

    def each(self, command: Callable[[Path], list[str]]) -> Outcome:
        """One process for each patch; a file that it refuses is put back."""
        done: Outcome = {}
        for path, diff in self.files.items():
            result = subprocess.run(command(diff), cwd=self.tree, capture_output=True, check=False)
            if result.returncode == 0:
                done[path] = (path, self.bytes_of(path))
            else:
                self.git("checkout", "-q", "-f", "HEAD", "--", path, ok=False)
        return done

    def patch(self) -> Outcome:
        options = ["patch", "-p1", "-s", "-f", "--no-backup-if-mismatch", "-r", "-"]
        return self.each(lambda diff: [*options, "-i", str(diff)])

    def three_way(self) -> Outcome:
        return self.each(lambda diff: ["git", "apply", "--3way", str(diff)])

    def all_in_one(self) -> Outcome:
        if self.git("apply", "--index", str(self.whole), ok=False).returncode != 0:
            return {}
        return {path: (path, self.bytes_of(path)) for path in self.files}

    def cherry_pick(self) -> Outcome:
        self.git("cherry-pick", self.change, ok=False)
        return self._merged()

    def am(self) -> Outcome:
        mail = self.git("format-patch", "-1", "--stdout", "--full-index", "--binary", self.change).stdout
        file = self.work / "mail"
        file.write_bytes(mail)
        self.git("am", "-3", "-q", str(file), ok=False)
        return self._merged()

    def _merged(self) -> Outcome:
        """What git merged without a conflict; upstream's file where nothing is left to do."""
        unmerged = set(self.git("diff", "--name-only", "--diff-filter=U", "-z").stdout.decode().split("\0"))
        names = self.git("diff", "--name-only", "--no-renames", "-z", self.base).stdout.decode().split("\0")
        changed = set(names) - unmerged - {""}
        done = {path: (path, self.bytes_of(path)) for path in self.files if path in changed}
        left = sorted(changed - set(done))
        for path in set(self.files) - set(done) - unmerged:
            place = next((name for name in left if Path(name).name == Path(path).name), None)
            if place is not None:
                done[path] = (place, self.bytes_of(place))
        return done

    def port(self) -> Outcome:
        """The tool, whole process, into a folder of its own; its patches are then applied by git."""
        root = self.work / "patches"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.patch_set.folder, root / self.patch_set.tag)
        manifest = self.patch_set.root / self.new / "patchset.toml"
        (root / self.new).mkdir()
        shutil.copy(manifest if manifest.is_file() else self.manifest(), root / self.new / "patchset.toml")
        self.look_seconds = self._run_port(root, "--dry-run")
        self.port_seconds = self._run_port(root)
        done = self._ported(root / self.new)
        self._run_port(root, "--abort")
        return done

    def _run_port(self, root: Path, *options: str) -> float:
        """Seconds of one whole process."""
        begun = time.perf_counter()
        old = [] if "--abort" in options else ["--from", self.patch_set.tag, "--offline"]
        command = [*CLI, "port", self.new, *old, *options, "--patches", str(root)]
        said = subprocess.run(command, capture_output=True, check=False)
        seconds = time.perf_counter() - begun
        if said.returncode not in (0, 3) and "--abort" not in options:
            raise SystemExit(said.stderr.decode(errors="replace"))
        return seconds

    def manifest(self) -> Path:
        """Made once, by the tool."""
        root = self.work / "manifest"
        if not root.is_dir():
            shutil.copytree(self.patch_set.folder, root / self.patch_set.tag)
            run([*CLI, "tags", "add", self.new, "--offline", "--patches", str(root)])
        return root / self.new / "patchset.toml"

    def _ported(self, folder: Path) -> Outcome:
        recorded = json.loads((folder / "ported.json").read_bytes())["patches"]
        files = sorted((folder / "windows" / MAIN_TARGET).rglob("*.patch"))
        diffs = b"".join(text[text.index(b"diff --git ") :] for text in (f.read_bytes() for f in files))
        whole = self.work / "ported.diff"
        whole.write_bytes(diffs)
        self.fresh()
        self.git("apply", "--index", str(whole))
        done: Outcome = {}
        for entry in recorded:
            if entry["layer"] == self.patch_set.layers[0].name and entry["decision"] in (
                "carried",
                "upstreamed",
            ):
                place = entry.get("to", entry["path"]) or entry["path"]
                done[entry["path"]] = (place, self.bytes_of(place))
        return done


def _source(tag: str) -> Source:
    workspace = Workspace.default()
    pin = cached_pin(tag, workspace=workspace)
    if pin is None:
        raise SystemExit(f"{tag} is not in the workspace: winvllm-build port {tag} --dry-run")
    return acquire(
        pin, kind=SourceKind.SDIST, location=None, workspace=workspace, offline=True, on_event=lambda _: None
    )


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")


def judged(old: str, new: str) -> dict[str, dict[str, bool]]:
    """By path and id of the bytes: whether a human called them right."""
    found: dict[str, dict[str, bool]] = {}
    for entry in tomllib.loads((HERE / "port_judged.toml").read_text(encoding="utf-8"))["result"]:
        if (entry["from"], entry["to"]) == (old, new):
            found.setdefault(entry["path"], {})[entry["bytes"]] = entry["right"]
    return found


def rows(ways: list[Way], bench: Bench, known: Mapping[str, Mapping[str, bool]]) -> Iterator[dict[str, Any]]:
    total = len(bench.patches)
    for way in ways:
        verdicts = [known.get(path, {}).get(made) for path, (_, made) in way.done.items()]
        yield {
            "way": way.name,
            "carried": len(way.done),
            "of": total,
            "right": verdicts.count(True),
            "wrong": verdicts.count(False),
            "not_judged": verdicts.count(None),
            "median_s": round(statistics.median(way.seconds), 3),
            "best_s": round(min(way.seconds), 3),
        }


def measure(bench: Bench, rounds: int) -> list[Way]:
    look, whole = Way("winvllm-build port --dry-run", dict), Way("winvllm-build port", bench.port)
    ways = [
        whole,
        Way("git cherry-pick", bench.cherry_pick),
        Way("git am -3", bench.am),
        Way("git apply --3way, file by file", bench.three_way),
        Way("patch -p1, file by file", bench.patch),
        Way("git apply, all in one", bench.all_in_one),
    ]
    for _ in range(rounds):
        for way in ways:
            bench.fresh()
            begun = time.perf_counter()
            way.done = way.carry()
            way.seconds.append(bench.port_seconds if way is whole else time.perf_counter() - begun)
        look.seconds.append(bench.look_seconds)
    look.done = whole.done
    return [look, *ways]


def main() -> int:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="old", default="v0.14.1")
    parser.add_argument("--to", dest="new", default="v0.19.0")
    parser.add_argument("--patches", type=Path, default=HERE.parent / "patches")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--files", action="store_true", help="list each way's files and bytes as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="winvllm-benchmark-") as work:
        bench = Bench(load(options.patches, options.old), options.new, Path(work))
        ways = measure(bench, options.rounds)
        found = list(rows(ways, bench, judged(options.old, options.new)))
        files = {way.name: way.done for way in ways} if options.files else {}
    if options.json:
        print(json.dumps({"from": options.old, "to": options.new, "rows": found, "files": files}, indent=1))
        return 0
    print(f"{options.old} to {options.new}, {options.rounds} rounds, {os.cpu_count()} cores")
    print(f"{'way':<32}{'carried':>12}{'right':>7}{'wrong':>7}{'?':>4}{'median':>10}{'best':>9}")
    for row in found:
        print(
            f"{row['way']:<32}{row['carried']:>5} of {row['of']:>3}{row['right']:>7}{row['wrong']:>7}"
            f"{row['not_judged']:>4}{row['median_s']:>9.2f}s{row['best_s']:>8.2f}s"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
