"""The engine's command line: its settings by flag, and what is passed on, each said once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from winvllm_build.runtime.setting import Setting
from winvllm_build.serving.options import EngineKind, flag_names, value_of
from winvllm_build.serving.values import AUTO, Values

HIDDEN: Final = "***"
SECRETS: Final = frozenset({"--api-key", "--hf-token", "--ssl-keyfile-password"})
OF_VLLM_ALONE: Final = ("enforce_eager", "kv_cache_dtype")


def settings(
    found: Values, kind: EngineKind, tensor: int, passed: Sequence[str]
) -> dict[str, Setting[object]]:
    """By flag, as the engine will have them."""
    given = set(flag_names(passed))
    found_by_flag: dict[str, Setting[object]] = {}
    for key, setting in found.table.items():
        flag = key.replace("_", "-")
        if kind is EngineKind.TRANSFORMERS and key in OF_VLLM_ALONE:
            continue
        found_by_flag[flag] = setting
        for name, value in ((flag, value_of(passed, f"--{flag}") or True), (f"no-{flag}", False)):
            if f"--{name}" in given:
                found_by_flag[flag] = Setting(value=value, reason="as passed on")
    if tensor > 1:
        found_by_flag["tensor-parallel-size"] = Setting(value=tensor, reason="as given on the command line")
    return found_by_flag


def arguments(
    kind: EngineKind,
    name: str,
    place: Mapping[str, Sequence[str]],
    values: Mapping[str, Setting[object]],
    passed: Sequence[str],
) -> tuple[str, ...]:
    """The engine's command line; what is passed on is said once, at its end."""
    words = ["serve", name] if kind is EngineKind.VLLM else ["--model", name]
    given = set(flag_names(passed))
    for flag, texts in place.items():
        if f"--{flag}" not in given:
            words += [f"--{flag}", *texts]
    for flag, setting in values.items():
        if f"--{flag}" in given or setting.value in {AUTO, False}:
            continue
        words += [f"--{flag}"] if setting.value is True else [f"--{flag}", str(setting.value)]
    return (*words, *_with_port(passed, place["port"][0]))


def masked(words: Sequence[str]) -> tuple[str, ...]:
    """A command line as it may be seen: what follows a secret's flag is hidden."""
    shown, secret = [], False
    for word in words:
        flag = next(iter(flag_names([word])), None)
        if flag is None:
            shown.append(HIDDEN if secret else word)
        else:
            secret = flag in SECRETS
            shown.append(f"{word.partition('=')[0]}={HIDDEN}" if secret and "=" in word else word)
    return tuple(shown)


def _with_port(passed: Sequence[str], number: str) -> tuple[str, ...]:
    """What is passed on, with the port that was picked where 0 was said."""
    words = list(passed)
    for at, word in enumerate(words):
        if word == "--port" and at + 1 < len(words):
            words[at + 1] = number
        elif word.startswith("--port="):
            words[at] = f"--port={number}"
    return tuple(words)
