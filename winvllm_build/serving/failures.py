"""Why an engine ended, from what it printed, and what helps; its own words stay above."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.errors import EngineError, UsageError, WinvllmError

NTSTATUS: Final = 0x80000000
"""From here on Windows' exit codes are its errors, known by their hexadecimal numbers."""
USAGE: Final = re.compile(
    r"^(?P<said>.*error: (?:unrecognized arguments?|argument |the following arguments).*)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A failure that is known by what is printed.

    Attributes:
        sign: what is printed; its groups may be named in `fix`.
        what: the failure in a sentence.
        fix: what helps.
        later: whether it may also end an engine that has been up.
    """

    sign: re.Pattern[str]
    what: str
    fix: str
    later: bool = False


def _reason(sign: str, what: str, fix: str, *, later: bool = False) -> Reason:
    return Reason(sign=re.compile(sign, re.IGNORECASE), what=what, fix=fix, later=later)


REASONS: Final = (
    _reason(
        r"estimated maximum model length is (?P<length>[1-9]\d*)",
        "requests of that length do not fit into the memory left for the KV cache",
        "--max-model-len {length}, or a larger --gpu-memory-utilization",
    ),
    _reason(
        r"is less than desired GPU memory utilization",
        "other programs have some of the card's memory",
        "close them, or a smaller --gpu-memory-utilization",
    ),
    _reason(
        r"No available memory for the cache blocks",
        "the model leaves no memory for the KV cache",
        "a larger --gpu-memory-utilization, or a smaller or quantised model",
    ),
    _reason(
        r"CUDA out of memory|OutOfMemoryError|CUDA error: out of memory",
        "the card's memory is full",
        "a smaller --gpu-memory-utilization or --max-num-seqs, --enforce-eager, or a smaller model",
        later=True,
    ),
    _reason(
        r"OSError.{0,40}\b1455\b|paging file is too small",
        "Windows cannot commit more memory: the page file is too small",
        "set VLLM_WIN32_READ_SAFETENSORS=1, or enlarge the page file",
        later=True,
    ),
    _reason(
        r"User-specified max_model_len \((?P<asked>\d+)\) is greater than the derived max_model_len "
        r"\([^=]*=(?P<length>\d+)",
        "the model allows no requests of {asked} tokens",
        "--max-model-len {length}",
    ),
    _reason(
        r"(?:argument|setting) `trust_remote_code=True`|the `--trust-remote-code` flag",
        "the model brings code of its own",
        "read that code; then: -- --trust-remote-code",
    ),
    _reason(
        r"Cannot find any model weights",
        "the model's folder has no weights",
        "download the whole model: hf download AUTHOR/MODEL --local-dir FOLDER",
    ),
    _reason(
        r"address already in use|Errno (98|10048)\b|only one usage of each socket address",
        "the port was taken meanwhile",
        "--port 0 picks a free one",
    ),
    _reason(
        r"Failed to infer device type|No CUDA GPUs are available|no NVIDIA driver",
        "the engine finds no card to compute on",
        "winvllm-build doctor; without a card: --engine transformers",
    ),
    _reason(
        r"DLL load failed|undefined symbol|cannot open shared object file",
        "compiled parts of the engine do not fit its PyTorch, or lack a library",
        "winvllm-build wheel verify, which names it",
    ),
    _reason(
        r"ModuleNotFoundError: No module named '(?P<module>(?!vllm\b)[\w.]+)'",
        "the engine's environment lacks {module}",
        "install {module} there",
    ),
)  # fmt: skip


def _end(code: int) -> str:
    if code < 0:
        return f"signal {-code}"
    return f"exit code {code:#x}" if code >= NTSTATUS else f"exit code {code}"


def explained(code: int, printed: str, *, was_ready: bool, plain: Sequence[str]) -> WinvllmError:
    """What the end of an engine means.

    Args:
        code: its exit code; negative for a signal.
        printed: the end of what it printed.
        was_ready: whether it had answered.
        plain: its command as a user would write it.
    """
    usage, known = USAGE.search(printed), (reason for reason in REASONS if reason.later or not was_ready)
    if usage is not None and not was_ready:
        return UsageError(
            f"the engine does not know what it was given: {usage['said'].partition('error: ')[2]}",
            fix=f"{' '.join(plain[: 3 if '-m' in plain[:2] else 2])} --help lists what it takes",
        )
    when = "ended by itself" if was_ready else "did not start"
    how = _end(code)
    for reason in known:
        match = next(reversed(list(reason.sign.finditer(printed))), None)
        if match is not None:
            said = {name: value or "" for name, value in match.groupdict().items()}
            return EngineError(
                f"the engine {when} ({how}): {reason.what.format(**said)}", fix=reason.fix.format(**said)
            )
    return EngineError(
        f"the engine {when} ({how})", fix="its own words stand above; the last error is the reason"
    )
