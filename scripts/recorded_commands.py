"""Record the commands of configured builds for tests: folders named, each command once, compressed.

    python scripts/recorded_commands.py tests/recorded/v0.33.0-commands.json.gz 7.5=BUILD 8.6=BUILD ...

The targets are all extensions that CMake knows.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shlex
from pathlib import Path

from winvllm_build.build import codemodel
from winvllm_build.build.plan import edges, setting


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", type=Path)
    parser.add_argument("builds", nargs="+", metavar="LIST=BUILD")
    given = parser.parse_args()
    commands: dict[str, int] = {}
    lists: dict[str, list[list[str | int]]] = {}
    for text in given.builds:
        name, folder = text.split("=", 1)
        here = setting.read(Path(folder).absolute())
        extensions = [target.name for target in codemodel.read(here.folder).extensions()]
        lists[name] = []
        for edge in edges.read(here.folder, extensions, setting=here):
            command = here.roots.named(shlex.join(edge.arguments))
            file = edge.source or "CMakeFiles/first.o"
            lists[name].append(
                [here.roots.named(edge.output), file, commands.setdefault(command, len(commands))]
            )
    content = json.dumps({"commands": list(commands), "lists": lists}).encode()
    given.target.parent.mkdir(parents=True, exist_ok=True)
    given.target.write_bytes(gzip.compress(content, mtime=0))
    print(f"{len(commands)} commands in {given.target}, {given.target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
