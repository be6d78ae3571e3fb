"""Files of tensors with random bytes, and tensors compared bit by bit."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E4M3FNUZ": 8, "F8_E5M2": 8, "F8_E5M2FNUZ": 8, "F8_E8M0": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F4": 4,
}  # fmt: skip
Shape = tuple[int, ...]


def write(path: Path, tensors: dict[str, tuple[str, Shape]], metadata: dict[str, str] | None = None) -> Path:
    """A file with random bytes for each name."""
    chance = random.Random(26)  # noqa: S311 - no secret
    header: dict[str, object] = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, (dtype, shape) in tensors.items():
        count = BITS[dtype]
        for length in shape:
            count *= length
        body = (
            bytes(chance.randrange(2) for _ in range(count // 8))
            if dtype == "BOOL"
            else chance.randbytes(count // 8)
        )
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(body)]}
        data += body
    return raw(path, json.dumps(header).encode(), data)


def raw(path: Path, header: bytes, data: bytes) -> Path:
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def same(ours: Any, theirs: Any) -> bool:  # noqa: ANN401 - tensors
    """Type, shape and every bit; NaN is compared as it lies there."""
    if (ours.dtype, ours.shape, ours.device) != (theirs.dtype, theirs.shape, theirs.device):
        return False
    torch = sys.modules["torch"]
    return bool(torch.equal(bits(ours), bits(theirs)))


def bits(tensor: Any) -> Any:  # noqa: ANN401 - tensors
    flat = tensor.contiguous().as_strided((tensor.numel(),), (1,))
    return flat.view(sys.modules["torch"].uint8)
