"""How much memory a model's weights take on the GPU: read from the files, else counted from config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.runtime import parameters
from winvllm_build.runtime.modelfiles import Model
from winvllm_build.runtime.numbers import UnknownModelError

INDEX: Final = "model.safetensors.index.json"
HEADER_LENGTH: Final = 8
MAX_HEADER: Final = 100 << 20
"""The format's own limit."""
MAX_FILE: Final = 1 << 50
"""No tensor and no model comes near so many bytes."""
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
        size = sum(_size(f) for f in sorted(model.folder.glob(pattern)) if f.name not in NO_WEIGHTS)
        if size:
            return Weights(size=size, source=f"the size of {pattern}")
    if model.senses:
        raise UnknownModelError(
            f"config.json does not tell the number of weights of {' and '.join(model.senses)}; "
            "its safetensors files do"
        )
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
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _loaded(header: Mapping[str, Any], width: int) -> int:
    """Bytes of a file's tensors; floats in the type that is computed with, the rest as it is stored."""
    return sum(_stored(tensor, width) for name, tensor in header.items() if name != "__metadata__")


def _stored(tensor: object, width: int) -> int:
    """Bytes of one tensor; none where its entry is malformed, which vLLM will say."""
    offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    if not isinstance(tensor, dict) or not isinstance(offsets, list) or len(offsets) != len(("begin", "end")):
        return 0
    begin, end = offsets
    if not isinstance(begin, int) or not isinstance(end, int) or not 0 <= begin <= end < MAX_FILE:
        return 0
    stored = FLOATS.get(str(tensor.get("dtype")))
    return (end - begin) * width // stored if stored else end - begin


def _indexed(folder: Path) -> int | None:
    described = (_json(folder / INDEX) or {}).get("metadata")
    total = described.get("total_size") if isinstance(described, dict) else None
    return int(total) if isinstance(total, int | float) and 1 <= total < MAX_FILE else None


def _size(file: Path) -> int:
    """Bytes of a file; none where it cannot be asked, as a link into a cache that was emptied."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _json(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
