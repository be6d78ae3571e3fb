"""Import every module: `python -m winsim.sweep TREE ANSWER`; ANSWER gets each module's error, or null."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path


def modules(tree: Path) -> Iterator[str]:
    """The names of all modules of `vllm`, packages before what is in them."""
    for path in sorted(tree.joinpath("vllm").rglob("*.py")):
        parts = path.relative_to(tree).with_suffix("").parts
        if all(part.isidentifier() for part in parts) and parts[-1] != "__main__":
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def attempt(name: str) -> str | None:
    """What the import ends with."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - each kind of end is the answer
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return None


def main() -> None:
    tree, answer = Path(sys.argv[1]), Path(sys.argv[2])
    found = {name: attempt(name) for name in sorted(modules(tree))}
    answer.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
