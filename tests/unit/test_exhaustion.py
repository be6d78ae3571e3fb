"""What counts as a failure for want of memory."""

from __future__ import annotations

import pytest

from winvllm_build.build.diagnosis.rule import FailureClass, rulebook
from winvllm_build.build.engine.exhaustion import CODES, KILLED, STATUS, ran_out


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-9, b""),
        (137, b""),
        (0xC0000409 - (1 << 32), b""),
        (0xC000001D, b""),
        (2, b"c1xx : fatal error C1060: compiler is out of heap space\r\n"),
        (2, "c1xx : fatal error C1060: Nicht gen\u00fcgend Heapspeicher\r\n".encode("cp1252")),
        (2, b"x.cpp(3): fatal error C1076: compiler limit: internal heap limit reached; use /Zm\r\n"),
        (2, b"x.cpp : fatal error C1002: compiler is out of heap space in pass 2\r\n"),
        (1, b"LINK : fatal error LNK1102: out of memory\r\n"),
        (9, b"nvcc error   : 'cicc' died due to signal 9 (Kill signal)\n"),
        (1, b"nvcc error   : 'cicc' died with status 0xC0000409 \r\n"),
        (1, b"terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n"),
        (1, b"c++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\n"),
        (1, b"Killed\n"),
        (1, b"sh: 1: line 1: Killed: 9\nKilled: 9\n"),
        (1, b"cc1plus: out of memory allocating 65536 bytes after a total of 700416 bytes\n"),
        (1, b"virtual memory exhausted: Cannot allocate memory\n"),
        (1, b"LLVM ERROR: out of memory\n"),
        (1, b"ptxas fatal   : Memory allocation failure\n"),
    ],
)
def test_out_of_memory(code: int, text: bytes) -> None:
    assert ran_out(code, text)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, b"Killed\n"),
        (1, b'x.cu(3): error: identifier "uint" is undefined\n'),
        (1, b'x.cu:7:3: note: TORCH_CHECK(ok, "CUDA out of memory")\n'),
        (1, b"x.cpp(9): warning C1060x\n"),
        (-11, b"Segmentation fault\n"),
        (0xC0000005, b""),
        (2, b"fatal error C1083: Cannot open include file\n"),
    ],
)
def test_not_out_of_memory(code: int, text: bytes) -> None:
    assert not ran_out(code, text)


def test_what_is_tried_again_for_memory_is_what_why_calls_memory() -> None:
    told = {code for rule in rulebook().values() if rule.kind is FailureClass.MEMORY for code in rule.codes}
    killed = {f"signal {-code}" if code < 0 else str(code) for code in KILLED}
    assert told == {*CODES, *(f"0x{status:X}" for status in STATUS), *killed}


@pytest.mark.parametrize("code", CODES)
def test_codes_count_in_every_language(code: str) -> None:
    assert ran_out(2, f"c1xx : schwerwiegender Fehler {code}: Kein Speicher\r\n".encode())
    assert ran_out(2, f"cl : erreur de ligne de commande {code} : m\u00e9moire\r\n".encode("cp1252"))
    assert not ran_out(2, f"x.cpp(3): note: {code} is what cl.exe says\r\n".encode())
