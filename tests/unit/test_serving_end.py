"""How a server ends: why an engine did, by its own words, and a window that closes."""

from __future__ import annotations

import sys

import pytest

from winvllm_build import process
from winvllm_build.serving import failures, stops

KV_CACHE = (
    "ValueError: To serve at least one request with the models's max seq len (40960), (5.62 GiB KV cache is"
    " needed, which is larger than the available KV cache memory (1.8 GiB). Based on the available memory,"
    " the estimated maximum model length is 13104. Try"
)
TOO_LONG = (
    "User-specified max_model_len (99999) is greater than the derived max_model_len"
    " (max_position_embeddings=512 or model_max_length=None in model's config.json)"
)


@pytest.mark.parametrize(
    ("printed", "words", "fix"),
    [
        (KV_CACHE, "do not fit", "--max-model-len 13104"),
        (
            "OSError: The paging file is too small for this operation (os error 1455)",
            "page file",
            "READ_SAFE",
        ),
        (TOO_LONG, "no requests of 99999 tokens", "--max-model-len 512"),
        ("ModuleNotFoundError: No module named 'xgrammar'", "lacks xgrammar", "install xgrammar"),
        ("ImportError: DLL load failed while importing _C", "do not fit", "wheel verify"),
        ("INFO config: trust_remote_code=True,", "did not start (", "stand above"),
        ("Please pass the argument `trust_remote_code=True` to", "code of its own", "-- --trust"),
        (
            """Failed to import from vllm._C: ImportError("No module named 'vllm._C'")""",
            "not start (",
            "stand",
        ),
        ("nothing known", "did not start", "stand above"),
    ],
)
def test_why_an_engine_did_not_start(printed: str, words: str, fix: str) -> None:
    error = failures.explained(1, f"INFO\n{printed}\n", was_ready=False, plain=("vllm", "serve"))
    assert words in error.message
    assert fix in str(error.fix)


def test_what_was_printed_at_the_start_does_not_explain_the_end() -> None:
    printed = "ModuleNotFoundError: No module named 'xgrammar'\n"
    assert "xgrammar" not in failures.explained(1, printed, was_ready=True, plain=("vllm",)).message
    full = failures.explained(
        1, "torch.OutOfMemoryError: CUDA out of memory", was_ready=True, plain=("vllm",)
    )
    assert "memory is full" in full.message


def test_where_the_fallback_tells_its_flags() -> None:
    printed = "__main__.py: error: unrecognized arguments: --x"
    plain = ("python", "-m", "winvllm_build.fallback", "--model", "m")
    fix = failures.explained(2, printed, was_ready=False, plain=plain).fix
    assert fix == "python -m winvllm_build.fallback --help lists what it takes"


def test_the_end_of_a_windows_program() -> None:
    error = failures.explained(0xC0000005, "", was_ready=True, plain=("vllm", "serve"))
    assert "ended by itself (exit code 0xc0000005)" in error.message


def test_a_window_that_closes() -> None:
    asked = stops.Stops()
    asked.ended.set()  # as when all has ended in time
    assert not asked.closing(0)
    assert not asked.closing(1)  # Ctrl-C and Ctrl-Break are signals
    assert (asked.asked, asked.hurry) == (0, False)
    assert asked.closing(2)
    assert (asked.asked, asked.hurry) == (1, True)


def test_a_signal_at_any_step_of_waiting() -> None:
    """Its handler runs in the thread that waits, which may hold a lock just then."""
    program = (
        "import signal, sys\n"
        "from winvllm_build.serving import stops\n"
        "def step(*_):\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    return step\n"
        "with stops.listening() as asked:\n"
        "    sys.settrace(step); asked.wait(0.01); asked.wait(0.01); sys.settrace(None)\n"
        "print(asked.asked > 1)\n"
    )
    done = process.capture([sys.executable, "-c", program], timeout=10.0)
    assert (done.text.strip(), done.error_text) == ("True", "")
