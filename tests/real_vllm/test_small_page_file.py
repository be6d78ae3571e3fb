"""Safetensors files read without mapping them: the tensors that safetensors gives, and its refusals."""

from __future__ import annotations

import ctypes
import json
import operator
import sys
import threading
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from tests.real_vllm.modules import Modules, Recorder, fake_module
from tests.tensor_files import BITS, Shape, raw, same, write

pytestmark = pytest.mark.network
MODULE = "vllm/utils/win32_safetensors.py"


@pytest.fixture
def torch() -> Any:  # noqa: ANN401 - torch may be missing
    return pytest.importorskip("torch", reason="the tests' environment has no PyTorch")


@pytest.fixture
def safetensors() -> Any:  # noqa: ANN401 - safetensors may be missing
    return pytest.importorskip("safetensors", reason="the tests' environment has no safetensors")


@pytest.fixture
def envs() -> types.ModuleType:
    return fake_module("vllm.envs", VLLM_WIN32_READ_SAFETENSORS=False)


@pytest.fixture
def reader(
    modules: Modules,
    monkeypatch: pytest.MonkeyPatch,
    envs: types.ModuleType,
    torch: Any,  # noqa: ANN401 - torch may be missing
    safetensors: Any,  # noqa: ANN401 - safetensors may be missing
) -> types.ModuleType:
    """The module over the real PyTorch and safetensors."""
    assert torch
    assert safetensors
    monkeypatch.setitem(sys.modules, "vllm", fake_module("vllm", envs=envs))
    monkeypatch.setitem(
        sys.modules, "vllm.logger", fake_module("vllm.logger", init_logger=lambda _: Recorder())
    )
    return modules.load(MODULE, "reader_under_test")


@pytest.mark.parametrize("chunk", [5, 64 * 1024 * 1024])
def test_every_type_and_shape(
    reader: types.ModuleType,
    safetensors: Any,  # noqa: ANN401 - safetensors may be missing
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chunk: int,
) -> None:
    monkeypatch.setattr(reader, "_CHUNK_BYTES", chunk)
    shapes: list[Shape] = [(), (0,), (3, 0, 4), (1,), (6,), (3, 4), (2, 3, 6)]
    tensors = {
        f"{dtype} {shape}": (dtype, shape)
        for dtype in BITS
        for shape in shapes
        if dtype != "F4" or (shape and shape[-1] % 2 == 0)
    }
    path = write(tmp_path / "model.safetensors", tensors, {"format": "pt", "no": "'1'"})
    with safetensors.safe_open(path, framework="pt") as theirs, reader.SafetensorsReader(path, "pt") as ours:
        assert ours.keys() == theirs.keys()
        assert ours.offset_keys() == list(tensors)
        assert ours.metadata() == theirs.metadata()
        for name in tensors:
            tensor = theirs.get_tensor(name)
            assert same(ours.get_tensor(name), tensor), name
            part, whole = ours.get_slice(name), theirs.get_slice(name)
            assert (part.get_shape(), part.get_dtype()) == (whole.get_shape(), whole.get_dtype())
            if tensor.dim():
                assert same(part[: tensor.shape[0] // 2], tensor[: tensor.shape[0] // 2]), name


def test_what_safetensors_wrote(
    reader: types.ModuleType,
    envs: types.ModuleType,
    torch: Any,  # noqa: ANN401 - torch may be missing
    tmp_path: Path,
) -> None:
    files = pytest.importorskip("safetensors.torch", reason="the tests' environment has no safetensors")
    random_bytes = torch.randint(0, 256, (64,), dtype=torch.uint8)
    names = ("int8", "float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "int64", "float64", "complex64")
    tensors = {name: random_bytes.clone().view(getattr(torch, name)).reshape(2, -1) for name in names}
    tensors |= {"scalar": torch.tensor(3.5), "empty": torch.empty(0, 4), "flags": random_bytes > 99}
    path = tmp_path / "größe.safetensors"
    files.save_file(tensors, path)
    envs.VLLM_WIN32_READ_SAFETENSORS = True  # type: ignore[attr-defined]  # a module made here
    ours, theirs = reader.load_file(path), files.load_file(path)
    assert ours.keys() == theirs.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert same(ours[name], theirs[name])
        assert same(ours[name], tensor)


INDICES = [
    0, -1, 3, -5, slice(None), slice(1, 3), slice(-2, None), slice(3, 1), slice(0, 9), slice(9, None),
    slice(None, None, 2), slice(None, None, -1), slice(None, None, 0), None, ..., (), (..., 0), (0, 1),
    (slice(1, 3), 0), (slice(None), slice(1, 3)), (slice(1, None), ..., slice(None, None, 2)), (None, 0),
    (-1, slice(1, 2)), (slice(2), None), [0, 2], (slice(1, 3), [0, 2]), (0, 0, 0, 0), True, "0", 1.5,
]  # fmt: skip


def outcome(tensor: object, index: object) -> Any:  # noqa: ANN401 - a tensor or the error's type
    try:
        return cast("Any", operator.getitem(cast("Any", tensor), index))
    except (IndexError, TypeError, ValueError) as error:
        return type(error)


@pytest.mark.parametrize("index", INDICES, ids=repr)
@pytest.mark.parametrize("shape", [(4, 6, 2), (4,), (), (0, 6)], ids=repr)
def test_slices_are_those_of_pytorch(
    reader: types.ModuleType,
    safetensors: Any,  # noqa: ANN401 - safetensors may be missing
    tmp_path: Path,
    shape: Shape,
    index: object,
) -> None:
    path = write(tmp_path / "a.safetensors", {"before": ("U8", (3,)), "it": ("BF16", shape)})
    with reader.SafetensorsReader(path, "pt") as ours, safetensors.safe_open(path, framework="pt") as theirs:
        part, whole = outcome(ours.get_slice("it"), index), outcome(theirs.get_tensor("it"), index)
        if isinstance(whole, type) or isinstance(part, type):
            assert part is whole
        else:
            assert same(part, whole)


def test_rows_are_read_alone(
    reader: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.safetensors", {"it": ("F32", (1000, 10))})
    with reader.SafetensorsReader(path, "pt") as ours:
        read: list[int] = []
        plain = ours._read

        def counted(start: int, end: int) -> object:
            read.append(end - start)
            return plain(start, end)

        monkeypatch.setattr(ours, "_read", counted)
        for index in (slice(10, 20), 7, (slice(0, 3), slice(2)), (-1, 4)):
            assert outcome(ours.get_slice("it"), index).numel() > 0
    assert read == [400, 40, 120, 40]


def entry(dtype: str = "U8", shape: object = (4,), offsets: object = (0, 4)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def header(**entries: object) -> bytes:
    return json.dumps(entries).encode()


DAMAGED: dict[str, bytes] = {
    "no file": b"",
    "half a length": b"\1\0\0",
    "longer than the file": (100).to_bytes(8, "little") + b"{}",
    "longer than any header": b"\xff" * 8 + b"{}",
    "not JSON": (2).to_bytes(8, "little") + b"{,",
    "not UTF-8": (4).to_bytes(8, "little") + b'{"\xff"',
    "a list": (2).to_bytes(8, "little") + b"[]",
    "deep": (200_000).to_bytes(8, "little") + b"[" * 200_000,
}
HEADERS: dict[str, bytes] = {
    "outside": header(a=entry(offsets=(0, 5), shape=(5,))),
    "overlap": header(a=entry(offsets=(0, 3), shape=(3,)), b=entry(offsets=(2, 4), shape=(2,))),
    "a hole": header(a=entry(offsets=(0, 1), shape=(1,)), b=entry(offsets=(2, 4), shape=(2,))),
    "not from the beginning": header(a=entry(offsets=(1, 4), shape=(3,))),
    "bytes that are nobody's": header(a=entry(offsets=(0, 3), shape=(3,))),
    "backwards": header(a=entry(offsets=(4, 0))),
    "too few bytes": header(a=entry(dtype="F32", shape=(2,))),
    "half bytes": header(a=entry(dtype="F4", shape=(7,))),
    "unknown type": header(a=entry(dtype="F7")),
    "negative length": header(a=entry(shape=(-2, -2))),
    "a length that is no number": header(a=entry(shape=("4",))),
    "a length of 4.0": header(a=entry(shape=(4.0,))),
    "true": header(a=entry(shape=(True, 4))),
    "one offset": header(a=entry(offsets=(0,))),
    "no shape": header(a={"dtype": "U8", "data_offsets": (0, 4)}),
    "no dictionary": header(a=[1]),
    "metadata of numbers": header(a=entry(), __metadata__={"a": 1}),
    "a huge product": header(a=entry(shape=(2**40, 2**40))),
}
DAMAGED |= {name: len(text).to_bytes(8, "little") + text + b"data" for name, text in HEADERS.items()}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_safetensors_refuses(
    reader: types.ModuleType,
    safetensors: Any,  # noqa: ANN401 - safetensors may be missing
    tmp_path: Path,
    name: str,
) -> None:
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(safetensors.SafetensorError):
        safetensors.safe_open(path, framework="pt")
    with pytest.raises(safetensors.SafetensorError) as raised:
        reader.SafetensorsReader(path, "pt")
    assert str(raised.value).startswith(str(path))


def test_refusals_while_it_is_read(
    reader: types.ModuleType,
    safetensors: Any,  # noqa: ANN401 - safetensors may be missing
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.safetensors", {"it": ("F32", (1000,))})
    twice = raw(tmp_path / "twice", b'{"a":%s,"a":%s}' % (header(), header()), b"")
    six = raw(tmp_path / "six", header(a=entry(dtype="F6_E2M3", shape=(4,), offsets=(0, 3))), b"abc")
    ours = reader.SafetensorsReader(path, "pt")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    cases: list[tuple[str, Callable[[], object]]] = [
        ("ended while it was read", lambda: ours.get_tensor("it")),
        ("does not contain tensor nothing", lambda: ours.get_tensor("nothing")),
        ("is there twice", lambda: reader.SafetensorsReader(twice, "pt")),
        ("no type for a, which is F6_E2M3", lambda: tensor_of(reader, six)),
        ("framework np is invalid", lambda: reader.SafetensorsReader(path, "np")),
    ]
    for words, action in cases:
        with pytest.raises(safetensors.SafetensorError, match=words):
            action()
    ours.__exit__(None, None, None)
    with pytest.raises(safetensors.SafetensorError, match="it is closed"):
        ours.get_tensor("it")
    with pytest.raises(FileNotFoundError, match="missing"):
        reader.safe_open(tmp_path / "missing", "pt")


def tensor_of(reader: types.ModuleType, path: Path) -> object:
    with reader.SafetensorsReader(path, "pt") as file:
        return file.get_tensor("a")


def test_several_threads(reader: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_CHUNK_BYTES", 100)
    names = {f"{number}": ("I32", (500,)) for number in range(20)}
    path = write(tmp_path / "a.safetensors", cast("dict[str, tuple[str, Shape]]", names))
    with reader.SafetensorsReader(path, "pt") as ours, ThreadPoolExecutor(8) as threads:
        expected = {name: ours.get_tensor(name) for name in names}
        barrier = threading.Barrier(8)

        def load(number: int) -> dict[str, Any]:
            if number < 8:
                barrier.wait()
            return {name: ours.get_tensor(name) for name in names}

        for found in threads.map(load, range(16)):
            assert all(same(found[name], tensor) for name, tensor in expected.items())


def test_to_a_device_in_chunks(
    reader: types.ModuleType,
    torch: Any,  # noqa: ANN401 - torch may be missing
    safetensors: Any,  # noqa: ANN401 - safetensors may be missing
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    monkeypatch.setattr(reader, "_CHUNK_BYTES", 1000)
    tensors: dict[str, tuple[str, Shape]] = {name: (name, (70, 6)) for name in BITS}
    path = write(tmp_path / "a.safetensors", tensors)
    for device in ("cuda", "cuda:0", 0):
        with (
            safetensors.safe_open(path, framework="pt", device=device) as theirs,
            reader.SafetensorsReader(path, "pt", device) as ours,
        ):
            for name in tensors:
                assert ours.get_tensor(name).device == torch.device("cuda:0")
                assert same(ours.get_tensor(name).cpu(), theirs.get_tensor(name).cpu())
                assert same(ours.get_slice(name)[3:9, 1:3].cpu(), theirs.get_tensor(name)[3:9, 1:3].cpu())


def test_a_default_device_changes_nothing(
    reader: types.ModuleType,
    torch: Any,  # noqa: ANN401 - torch may be missing
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.safetensors", {"it": ("F32", (10,))})
    with torch.device("meta"), reader.SafetensorsReader(path, "pt") as ours:
        assert ours.get_tensor("it").device == torch.device("cpu")


class Kernel32:
    """GlobalMemoryStatusEx, which writes into a MEMORYSTATUSEX of 64 bytes."""

    def __init__(self, free: int, *, works: bool = True) -> None:
        self.free = free
        self.works = works
        self.asked = 0

    def GlobalMemoryStatusEx(self, pointer: Any) -> int:  # noqa: ANN401, N802 - Microsoft's name; what byref makes
        status = (ctypes.c_uint64 * 8).from_buffer(pointer._obj)
        assert status[0] == ctypes.sizeof(status)
        self.asked += 1
        status[4] = self.free  # dwLength and dwMemoryLoad share the first; ullAvailPageFile is the fifth
        return int(self.works)


def test_which_way_is_taken(
    reader: types.ModuleType,
    envs: types.ModuleType,
    safetensors: Any,  # noqa: ANN401 - safetensors may be missing
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write(tmp_path / "a.safetensors", {"it": ("F32", (10,))})
    size = path.stat().st_size
    for free, works, way in (
        (2 * size, True, safetensors.safe_open),
        (2 * size - 1, True, reader.SafetensorsReader),
        (0, False, safetensors.safe_open),
    ):
        kernel = Kernel32(free, works=works)
        monkeypatch.setattr(ctypes, "windll", types.SimpleNamespace(kernel32=kernel), raising=False)
        with reader.safe_open(path, framework="pt", device="cpu") as file:
            assert isinstance(file, way)
        assert kernel.asked == 1
    envs.VLLM_WIN32_READ_SAFETENSORS = True  # type: ignore[attr-defined]  # a module made here
    with reader.safe_open(path, framework="pt") as file:
        assert isinstance(file, reader.SafetensorsReader)


TOO_SMALL = [
    OSError("Die Auslagerungsdatei ist zu klein. (os error 1455)"),
    OSError("[WinError 1455] The paging file is too small"),
    RuntimeError("could not create a map on file <a>; error code: <1455>"),
]
OTHER = [
    OSError("Access is denied. (os error 5)"),
    RuntimeError("could not open file <model-1455>; error code: <5>"),
]


@pytest.mark.parametrize("error", [*TOO_SMALL, *OTHER], ids=str)
def test_an_error_of_the_page_file(
    reader: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = write(tmp_path / "a.safetensors", {"it": ("F32", (10,))})

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(reader.safetensors, "safe_open", fails)
    if error in OTHER:
        with pytest.raises(type(error)):
            reader.safe_open(path, framework="pt")
        return
    with reader.safe_open(path, framework="pt") as file:
        assert file.get_tensor("it").shape == (10,)


def test_the_module_is_one_in_all_sets(checkout: Path) -> None:
    files = sorted(checkout.glob(f"patches/*/windows/vllm/{MODULE}.patch"))
    diffs = {file.read_text("utf-8").partition("\ndiff --git ")[2] for file in files}
    assert (len(diffs), len(files) >= 1) == (1, True)
