"""Locks, temporary files, text encodings and DLL folders of Windows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import pytest

from tests.real_vllm.modules import BOTH_PLATFORMS, Modules, Recorder, fake_module, fake_sys

pytestmark = pytest.mark.network
LOCK_MODULE = "vllm/model_executor/layers/fused_moe/routed_experts_capturer.py"


class FoundError(Exception):
    """Ends a function at the call that is looked at."""


class Msvcrt:
    """msvcrt where another process holds the lock for two attempts."""

    LK_NBLCK = "lock"
    LK_UNLCK = "unlock"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._attempts = iter([True, True, False])

    def locking(self, fd: int, mode: str, size: int) -> None:
        assert isinstance(fd, int)
        assert size == 1
        self.calls.append(mode)
        if mode == self.LK_NBLCK and next(self._attempts):
            raise PermissionError(13, "locked")


def test_file_lock_waits_like_flock(modules: Modules, tmp_path: Path) -> None:
    msvcrt = Msvcrt()
    slept: list[float] = []
    lock = contextlib.contextmanager(
        modules.cut(
            LOCK_MODULE,
            "_file_lock",
            sys=fake_sys("win32"),
            msvcrt=msvcrt,
            time=types.SimpleNamespace(sleep=slept.append),
        )
    )
    inside: list[str] = []

    def hold() -> None:
        with lock(str(tmp_path / "file")):
            inside.extend(msvcrt.calls)
            raise FoundError

    with pytest.raises(FoundError):
        hold()
    assert inside == ["lock"] * 3
    assert msvcrt.calls == ["lock"] * 3 + ["unlock"]
    assert len(slept) == 2


@BOTH_PLATFORMS
def test_batch_results_are_uploaded_and_removed(modules: Modules, platform: str, tmp_path: Path) -> None:
    """Windows opens no NamedTemporaryFile a second time, unless it does not delete itself."""
    deletes_itself: list[bool] = []
    uploaded: list[str] = []

    def named_temporary_file(**given: Any) -> object:  # noqa: ANN401 - handed on
        deletes_itself.append(given["delete"])
        return tempfile.NamedTemporaryFile(**given)

    async def write_local_file(path: str, outputs: list[str]) -> None:
        await asyncio.to_thread(Path(path).write_text, "\n".join(outputs))

    async def upload_data(_: str, path: str, from_file: object) -> None:
        assert from_file
        uploaded.append(await asyncio.to_thread(Path(path).read_text))

    write_file = modules.cut(
        "vllm/entrypoints/openai/run_batch.py",
        "write_file",
        sys=fake_sys(platform),
        os=os,
        tempfile=types.SimpleNamespace(NamedTemporaryFile=named_temporary_file),
        logger=Recorder(),
        write_local_file=write_local_file,
        upload_data=upload_data,
    )
    asyncio.run(write_file("https://example.invalid/out", ["a", "b"], str(tmp_path)))
    assert uploaded == ["a\nb"]
    assert deletes_itself == [platform == "linux"]
    assert list(tmp_path.iterdir()) == []


@BOTH_PLATFORMS
def test_templates_are_read_as_utf8_on_windows(modules: Modules, platform: str) -> None:
    encodings: list[str | None] = []

    def fake_open(_: str, encoding: str | None = None) -> object:
        encodings.append(encoding)
        raise FoundError

    load = modules.cut(
        "vllm/entrypoints/chat_utils.py",
        "_load_chat_template",
        sys=fake_sys(platform),
        open=fake_open,
        Path=Path,
    )
    with pytest.raises(FoundError):
        load("template.jinja")
    assert encodings == ["utf-8" if platform == "win32" else None]


def test_dll_folders(modules: Modules, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch = fake_module("torch", __file__=str(tmp_path / "torch" / "__init__.py"))
    monkeypatch.setitem(sys.modules, "torch", torch)
    (tmp_path / "torch" / "lib").mkdir(parents=True)
    (tmp_path / "cuda" / "bin" / "x64").mkdir(parents=True)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    monkeypatch.setenv("CUDA_PATH", str(tmp_path / "cuda"))
    module = modules.load("vllm/utils/win32_dll.py", "win32_dll_under_test")
    added: list[str] = []
    monkeypatch.setattr(os, "add_dll_directory", added.append, raising=False)
    expected = [str(tmp_path / name) for name in ("torch/lib", "cuda/bin", "cuda/bin/x64")]
    assert module.add_dll_directories() == expected == added


def test_the_seed_has_64_bits_and_is_the_same_on_linux(modules: Modules) -> None:
    call = "np.random.randint(_NP_INT64_MIN, _NP_INT64_MAX, dtype=np.int64)"
    assert call in modules.text("vllm/v1/worker/gpu/states.py")
    numpy = pytest.importorskip("numpy")
    if numpy.dtype("long").itemsize != 8:
        pytest.skip("C long has 32 bits here")
    limits = numpy.iinfo(numpy.int64)
    drawn: list[list[int]] = []
    for chosen in ({}, {"dtype": numpy.int64}):
        numpy.random.seed(0)
        drawn.append([int(numpy.random.randint(limits.min, limits.max, **chosen)) for _ in range(100)])
    assert drawn[0] == drawn[1]
