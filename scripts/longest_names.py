"""Write the longest names of a tag's build into the package, for the path budget (docs/windows.md).

    python scripts/longest_names.py v0.33.0 TREE BUILD... --repository REPOSITORY...

TREE is the patched tree after a configure, BUILD a configured folder (several architecture lists make other
objects), REPOSITORY a bare clone of a dependency, given as name:folder:revision. Headers are what lies below
a folder `include` there. Names of objects end as CMake ends them on Windows.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from winvllm_build.build.path_budget import RECORDED, LongestNames, shortened
from winvllm_build.git import Git
from winvllm_build.short_root import units

COMPILED = ("csrc", "cmake")
OBJECT = re.compile(r"^(?:.*?/)?((?:vllm-flash-attn/)?CMakeFiles/[^/]+\.dir/.*)\.o(?:bj)?$")


def files_of(tree: Path) -> list[str]:
    """Every file that is tracked or was generated, but no bytecode."""
    git = Git(tree)
    listed = git.out("ls-files", "-z", "--cached", "--others").decode().split("\0")
    return [name for name in listed if name and "__pycache__" not in name]


def objects_of(build: Path) -> Iterable[str]:
    for command in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        found = OBJECT.match(command["output"].removeprefix(f"{build.as_posix()}/"))
        if found and "/sources/deps/" in found[1]:  # named by its whole path, which is this machine's
            yield shortened(f"{found[1]}.obj")
        elif found:
            yield f"{found[1]}.obj"


def vendored_of(given: str) -> list[str]:
    """The files of a dependency below the folder that the tool keeps it in."""
    name, repository, revision = given.split(":")
    git = Git(Path(repository))
    commit = git.out("rev-parse", f"{revision}^{{commit}}").decode().strip()
    listed = git.out("ls-tree", "-r", "-z", "--name-only", commit).decode().split("\0")
    return [f"{name}-{commit[:12]}/{file}" for file in listed if file]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tag")
    parser.add_argument("tree", type=Path)
    parser.add_argument("builds", type=Path, nargs="+")
    parser.add_argument("--repository", action="append", required=True)
    given = parser.parse_args()
    files = files_of(given.tree.absolute())
    builds = [build.absolute() for build in given.builds]
    objects: dict[str, list[str]] = {}
    for name in (name for build in builds for name in objects_of(build)):
        objects.setdefault(name.partition(".dir/")[0], []).append(name)
    vendored = [name for one in given.repository for name in vendored_of(one)]
    notes = [f.relative_to(b).as_posix() for b in builds for f in b.glob("_deps/*-subbuild/**/*")]
    names = LongestNames(
        tree=max((f for f in files if f.startswith("vllm/")), key=units),
        compiled=max((f for f in files if f.startswith(COMPILED)), key=units),
        objects=tuple(
            max(same, key=lambda name: units(name.rpartition("/")[2])) for same in objects.values()
        ),
        header=max((name for name in vendored if "/include/" in name), key=units),
        vendored=max(vendored, key=units),
        notes=max(notes, key=units),
    )
    known = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.is_file() else {}
    known[given.tag] = asdict(names)
    RECORDED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
