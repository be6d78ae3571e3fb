"""The small upstream with four optional layers, and what each combination has to give, computed by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.patch_upstream import Upstream, after, patched

MANIFEST = """
[layer.windows]
title = "The port to Windows"
[layer.extra]
title = "More of it"
requires = ["fast"]
[layer.fast]
title = "Faster"
description = "For machines that can."
[layer.narrow]
title = "For one card"
[layer.rival]
title = "For another card"
conflicts = ["narrow"]
"""
"""`extra` stands before the layer that it is made on top of."""
Change = tuple[bytes, bytes] | bytes | None
CHANGES: Mapping[str, Mapping[str, Change]] = {
    "fast": {
        "a.py": (b"line 10\n", b"line ten, fast\n"),
        "csrc/k.cu": (b"int a;\n", b"int a;\nint fast;\n"),
    },
    "extra": {
        "a.py": (b"line ten, fast\n", b"line ten, fast\nand extra\n"),
        "csrc/extra.cuh": b"#pragma once\n// extra\n",
    },
    "narrow": {
        "a.py": (b"line 20\n", b"line twenty, narrow\n"),
        "notes/readme": None,
        "csrc/new/n.cuh": (b"#pragma once\n", b"#pragma once\n// narrow\n"),
    },
    "rival": {"a.py": (b"line 20\n", b"line twenty, rival\n"), "dos.bat": (b"two\r\n", b"TWO\r\n")},
}
"""What each layer does to a file: other lines, a new file, or none."""
ORDER = ("fast", "extra", "narrow", "rival")
"""In which they are combined: as declared, each after what it requires."""
SELECTIONS: tuple[tuple[str, ...], ...] = (
    (), ("fast",), ("fast", "extra"), ("narrow",), ("fast", "narrow"), ("fast", "extra", "narrow"),
    ("rival",), ("fast", "rival"), ("fast", "extra", "rival"),
)  # fmt: skip
"""Every combination that the manifest allows."""
NEW = {"extra": ("csrc/extra.cuh",)}


def expected(*layers: str) -> dict[str, bytes]:
    """The files with these layers, by replacing lines and nothing else."""
    files = after()
    for layer in layers:
        for name, change in CHANGES[layer].items():
            content = changed(files.get(name), change)
            files = (
                {**files, name: content} if content is not None else {n: files[n] for n in files if n != name}
            )
    return dict(sorted(files.items()))


def changed(content: bytes | None, change: Change) -> bytes | None:
    if not isinstance(change, tuple):
        return change
    assert content is not None
    assert content.count(change[0]) == 1
    return content.replace(*change)


def edits(layer: str, *below: str) -> dict[str, bytes | None]:
    """What to write into a tree with the layers `below` to make `layer` of it."""
    before = expected(*below)
    return {name: changed(before.get(name), change) for name, change in CHANGES[layer].items()}


def layered(top: Path) -> Upstream:
    """An upstream with the patch set of `patched` and the layers, nothing applied."""
    made = patched(top)
    made.manifest(made.commit, MANIFEST)
    for layer, *below in (("fast",), ("extra", "fast"), ("narrow",), ("rival",)):
        made.apply(*below)
        made.write(edits(layer, *below))
        made.regen(layer=layer, new=NEW.get(layer, ()))
    made.unapply()
    made.events.clear()
    return made
