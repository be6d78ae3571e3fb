"""How much memory a model's weights take on the GPU: read from the files, else counted from config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.runtime import parameters
from winvllm_build.runtime.modelfiles import Model

INDEX: Final = "model.safetensors.index.json"
HEADER_LENGTH: Final = 8
MAX_HEADER: Final = 100 << 20
"""The format's own limit."""
FLOATS: Final = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
OTHER_FILES: Final = ("*.gguf", "*.bin", "*.pt", "*.pth")
NO_WEIGHTS: Final = ("training_args.bin", "optimizer.bin", "scheduler.bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Memory of the weights.

    Attributes:
        size: bytes on the GPU.
        source: where the figure comes from, in words.
    """

    size: int
    source: str


def read(model: Model, width: int) -> Weights:
    """The weights of a model that is computed with values of `width` bytes.

    Raises:
        UnknownModelError: there are no weights, and config.json does not tell their number.
    """
    headers = _safetensors(model.folder)
    if headers:
        size = sum(_loaded(header, width) for header in headers)
        files = "1 file" if len(headers) == 1 else f"{len(headers)} files"
        return Weights(size=size, source=f"the headers of {files} of safetensors")
    indexed = _indexed(model.folder)
    if indexed:
        return Weights(size=indexed, source=INDEX)
    for pattern in OTHER_FILES:
        found = [f for f in sorted(model.folder.glob(pattern)) if f.name not in NO_WEIGHTS]
        if found:
            return Weights(size=sum(f.stat().st_size for f in found), source=f"the size of {pattern}")
    count = parameters.count(model.text)
    per_weight = parameters.bytes_per_weight(model.config, width)
    return Weights(
        size=int(count.quantised * per_weight + count.plain * width),
        source=f"{(count.quantised + count.plain) / 1e9:.2f} billion parameters by config.json",
    )


def _safetensors(folder: Path) -> list[Mapping[str, Any]]:
    """The headers of the files that vLLM loads; none if one of them is not here or not readable."""
    names = _names(folder)
    found: list[Mapping[str, Any]] = []
    for name in names:
        header = _header(folder / name)
        if header is None:
            return []
        found.append(header)
    return found


def _names(folder: Path) -> Sequence[str]:
    """The index's files; without an index all that is there but Mistral's own second copy."""
    index = _json(folder / INDEX)
    table = index.get("weight_map") if index is not None else None
    if isinstance(table, dict):
        return sorted({str(name) for name in table.values()})
    here = sorted(file.name for file in folder.glob("*.safetensors"))
    return [name for name in here if not name.startswith("consolidated")] or here


def _header(file: Path) -> Mapping[str, Any] | None:
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(HEADER_LENGTH), "little")
            found = json.loads(stream.read(length)) if length <= MAX_HEADER else None
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _loaded(header: Mapping[str, Any], width: int) -> int:
    """Bytes of a file's tensors; floats in the type that is computed with, the rest as it is stored."""
    size = 0
    for name, tensor in header.items():
        if name == "__metadata__" or not isinstance(tensor, dict):
            continue
        begin, end = tensor.get("data_offsets", (0, 0))
        stored = FLOATS.get(str(tensor.get("dtype")))
        size += (end - begin) * width // stored if stored else end - begin
    return size


def _indexed(folder: Path) -> int | None:
    index = _json(folder / INDEX)
    total = (index or {}).get("metadata", {}).get("total_size")
    return int(total) if isinstance(total, int | float) and total > 0 else None


def _json(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
