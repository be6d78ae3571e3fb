"""A model's files on this machine: a folder, its config.json, or what Hugging Face's cache holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.errors import UsageError

CONFIG: Final = "config.json"
TEXT_CONFIGS: Final = ("text_config", "llm_config", "language_config", "language_model_config")
"""Where a model of several modalities keeps the part that writes text."""
SENSES: Final = ("audio", "image", "img_", "mm_vision", "speech", "video", "vision", "visual")
"""How the names of tables for other modalities begin."""
MAX_BYTES: Final = 16 << 20
FIX: Final = "name a folder with a config.json, or download the model first (hf download NAME)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as its files describe it.

    Attributes:
        name: as the user named it.
        folder: where its files lie.
        config: config.json.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]

    @property
    def text(self) -> Mapping[str, Any]:
        """The part that has the layers of the text model; what it leaves out stands above it."""
        return text_config(self.config)

    @property
    def senses(self) -> tuple[str, ...]:
        """The tables of config.json that describe what sees or hears."""
        inner = _thinker(self.config)
        return tuple(sorted(k for k, v in inner.items() if k.startswith(SENSES) and isinstance(v, Mapping)))


def _thinker(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a model that also speaks, the part that reads and writes."""
    inner = config.get("thinker_config")
    return inner if isinstance(inner, Mapping) else config


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values of the text model: those of the nested table, over those at the top."""
    config = _thinker(config)
    for name in TEXT_CONFIGS:
        inner = config.get(name)
        if isinstance(inner, Mapping):
            return {**{k: v for k, v in config.items() if not isinstance(v, Mapping)}, **inner}
    return config


def read(name: str, environment: Mapping[str, str]) -> Model:
    """The model of that name.

    Raises:
        UsageError: it is not on this machine, or its config.json cannot be read.
    """
    folder = locate(name, environment)
    file = folder / CONFIG
    try:
        if file.stat().st_size > MAX_BYTES:
            raise UsageError(f"{file} is too large for a model's settings", fix=FIX)
        config = json.loads(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", fix=FIX) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not JSON: {error}", fix="download the model again") from error
    if not isinstance(config, dict):
        raise UsageError(f"{file} holds no table", fix="download the model again")
    return Model(name=name, folder=folder, config=config)


def locate(name: str, environment: Mapping[str, str]) -> Path:
    """The folder with the model's config.json; nothing is downloaded.

    Raises:
        UsageError: there is none.
    """
    path = Path(name).expanduser()
    if path.name == CONFIG and path.is_file():
        return path.parent
    if (path / CONFIG).is_file():
        return path
    if path.is_dir():
        raise UsageError(f"{path} has no {CONFIG}", fix=FIX)
    cached = hub_cache(environment) / f"models--{name.replace('/', '--')}"
    if name.count("/") == 1 and cached.is_dir():
        snapshot = _snapshot(cached)
        if snapshot is not None:
            return snapshot
        raise UsageError(f"{cached} holds no {CONFIG}", fix=f"hf download {name}")
    raise UsageError(f"{name} is neither a folder with a {CONFIG} nor in {hub_cache(environment)}", fix=FIX)


def hub_cache(environment: Mapping[str, str]) -> Path:
    """The folder that huggingface_hub downloads into."""
    if environment.get("HF_HUB_CACHE"):
        return Path(environment["HF_HUB_CACHE"]).expanduser()
    if environment.get("HF_HOME"):
        return Path(environment["HF_HOME"]).expanduser() / "hub"
    above = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(above).expanduser() / "huggingface" / "hub"


def _snapshot(cached: Path) -> Path | None:
    """The revision that `main` names, else the newest that has a config.json."""
    snapshots = cached / "snapshots"
    try:
        named = snapshots / (cached / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        named = snapshots / "?"
    found = [named, *sorted(snapshots.glob("*"), key=lambda folder: folder.stat().st_mtime, reverse=True)]
    return next((folder for folder in found if (folder / CONFIG).is_file()), None)
