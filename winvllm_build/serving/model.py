"""The model as it was named: a folder, a name at Hugging Face, or something that no engine can load."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build import process
from winvllm_build.errors import OfflineError, RefusedError, ToolchainError, UsageError
from winvllm_build.profile.loader import ResolvedProfile
from winvllm_build.runtime import modelfiles
from winvllm_build.runtime.modelfiles import CONFIG, Model

HUB_NAME: Final = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
ALIASES: Final = Path(__file__).resolve().parents[1] / "fallback" / "aliases.json"
OFFLINE: Final = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
TRUE: Final = frozenset({"1", "on", "true", "yes"})
SECONDS: Final = 60.0
GGUF_FIX: Final = (
    "name what the GGUF was made from, with config.json and safetensors; for less memory its AWQ or FP8"
)
HUB_QUESTION: Final = """
import json, sys
try:
    from huggingface_hub import hf_hub_download
except ImportError:
    print(json.dumps({"problem": ["huggingface_hub"]})); sys.exit()
try:
    print(json.dumps({"file": hf_hub_download(sys.argv[1], "config.json", etag_timeout=10)}))
except Exception as error:
    names = [base.__name__ for base in type(error).__mro__]
    print(json.dumps({"problem": names, "text": str(error).strip().splitlines()[:1]}))
"""
"""Hugging Face's own client asks, with the user's token, mirror and proxy; it fetches config.json alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What is served.

    Attributes:
        argument: what the engine is told to load.
        names: what clients call it, the first of them told back.
        files: its files, None where they could not be looked at.
    """

    argument: str
    names: tuple[str, ...]
    files: Model | None = None


def find(name: str, python: Path, environment: Mapping[str, str], *, gguf: bool = False) -> Served:
    """The model of that name.

    Args:
        name: as the user wrote it.
        python: the interpreter whose Hugging Face client is asked for what is not on this machine.
        environment: for the places of the cache.
        gguf: whether flags say how such a file is loaded.

    Raises:
        UsageError: it is not there, or no engine can load it.
        OfflineError: it would have to be downloaded, and there is no network.
        RefusedError: the hub does not give it out.
    """
    served = here(name, environment, gguf=gguf)
    return served or _from_the_hub(name, python, environment)


def here(name: str, environment: Mapping[str, str], *, gguf: bool = False) -> Served | None:
    """The model as this machine has it, for which no Python is needed; None where the hub has to be asked.

    Raises:
        UsageError: it is not there, or no engine can load it.
        OfflineError: it would have to be downloaded, which the environment forbids.
    """
    try:
        return _here(name, Path(name).expanduser(), environment, gguf=gguf)
    except (OSError, RuntimeError, ValueError) as error:  # ~nobody, a name of 300 letters
        words = getattr(error, "strerror", None) or error
        raise UsageError(f"{name[:80]} is no name of a model: {words}", fix="name a folder") from error


def _here(name: str, path: Path, environment: Mapping[str, str], *, gguf: bool) -> Served | None:
    if path.name == CONFIG and path.is_file():
        path = path.parent
    if path.suffix.lower() == ".gguf":
        return _gguf(name, path, known=gguf)
    if path.is_dir():
        return _folder(name, path)
    if path.exists():
        raise UsageError(f"{path} is a file, a model is a folder", fix=f"name the folder with the {CONFIG}")
    if not _may_be_at_the_hub(name):
        raise UsageError(
            f"the folder {path} does not exist", fix="check the path, or name a model as AUTHOR/MODEL"
        )
    return _in_the_cache(name, environment)


def is_the_profiles(
    asked: str | None, profile: ResolvedProfile | None, served: Served, environment: Mapping[str, str]
) -> bool:
    """Whether the profile speaks of this model, or of none; however each of them is written.

    Args:
        asked: as the user named it; None for that of the profile.
        profile: whose `[runtime]` may name one.
        served: what was found.
        environment: for the places of the cache.
    """
    own = "" if profile is None else profile.profile.runtime.model
    if asked is None or not own or own == asked:
        return True
    named = aliases().get(own.lower(), own)
    if named == served.argument:
        return True
    folder = Path(served.argument) if served.files is None else served.files.folder
    try:
        found = Path(named).expanduser()
        if not found.exists():
            found = modelfiles.locate(named, environment)
        return (found.parent if found.name == CONFIG else found).resolve() == folder.resolve()
    except (UsageError, OSError, RuntimeError):
        return False


def aliases() -> Mapping[str, str]:
    """Short names of models, the same as the fallback engine's."""
    table: dict[str, str] = json.loads(ALIASES.read_bytes())
    return table


def _gguf(name: str, path: Path, *, known: bool) -> Served:
    if not path.is_file():
        raise UsageError(f"the file {path} does not exist", fix="check the path")
    if not known:
        raise UsageError(
            f"{path} is a GGUF file: no config.json, no tokenizer, and vLLM loads it in some releases only",
            fix=f"{GGUF_FIX}. Where your vLLM loads GGUF: serve {name} -- --tokenizer AUTHOR/MODEL",
        )
    return Served(argument=str(path), names=(path.stem, name))


def _folder(name: str, path: Path) -> Served:
    if (path / CONFIG).is_file():
        full = os.path.abspath(path)  # noqa: PTH100 - resolve() would take the name of a link's target
        return Served(
            argument=str(path), names=_names(Path(full).name, name), files=modelfiles.read(str(path), {})
        )
    ggufs = sorted(path.glob("*.gguf"))
    if ggufs:
        raise UsageError(f"{path} has no {CONFIG}; it holds a GGUF file, {ggufs[0].name}", fix=GGUF_FIX)
    if (path / "adapter_config.json").is_file():
        raise UsageError(
            f"{path} has no {CONFIG}: it is a LoRA adapter, which goes on top of its base model",
            fix=f"winvllm-build serve BASE_MODEL -- --enable-lora --lora-modules adapter={path}",
        )
    held = "it is empty" if not any(path.iterdir()) else "what makes a model is not in it"
    raise UsageError(
        f"{path} has no {CONFIG}: {held}",
        fix="download the whole model into it: hf download AUTHOR/MODEL --local-dir FOLDER",
    )


def _names(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, names)))


def _may_be_at_the_hub(name: str) -> bool:
    """A name of the hub, and no path: `./a`, `/a` and `a/b/c` are none."""
    return HUB_NAME.fullmatch(name) is not None and not name.startswith(".")


def _in_the_cache(asked: str, environment: Mapping[str, str]) -> Served | None:
    """What was downloaded before.

    Raises:
        OfflineError: nothing was, and nothing may be.
    """
    name = aliases().get(asked.lower(), asked)
    try:
        return Served(argument=name, names=_names(name, asked), files=modelfiles.read(name, environment))
    except UsageError as missing:
        cache = modelfiles.hub_cache(environment)
        offline = next((v for v in OFFLINE if environment.get(v, "").strip().lower() in TRUE), None)
        if offline is not None:
            raise OfflineError(
                f"{name} is neither a folder here nor in {cache}, and {offline} forbids to download it",
                fix=f"unset {offline}, or name a folder with a {CONFIG}",
            ) from missing
    return None


def _from_the_hub(asked: str, python: Path, environment: Mapping[str, str]) -> Served:
    name = aliases().get(asked.lower(), asked)
    answer = _ask_hub(name, python)
    if "file" in answer:
        folder = Path(str(answer["file"])).parent
        return Served(
            argument=name, names=_names(name, asked), files=modelfiles.read(str(folder), environment)
        )
    raise _problem(name, answer.get("problem"), answer.get("text"))


def _ask_hub(name: str, python: Path) -> Mapping[str, object]:
    done = process.capture([python, "-I", "-X", "utf8", "-c", HUB_QUESTION, name], timeout=SECONDS)
    try:
        answer = json.loads(done.out)
    except ValueError as error:
        raise ToolchainError(
            f"{python} cannot ask for {name}: {done.error_text[-300:]}",
            fix=f"download it: hf download {name}",
        ) from error
    return answer if isinstance(answer, dict) else {}


def _problem(
    name: str, kinds: object, text: object
) -> UsageError | OfflineError | RefusedError | ToolchainError:
    """What the hub's client raised, as one of ours; by the names of its classes, the nearest first."""
    words = f" ({text[0]})" if isinstance(text, list) and text else ""
    found = set(kinds) if isinstance(kinds, list) else set[object]()
    if "huggingface_hub" in found:
        return ToolchainError(
            f"{name} is no folder here, and the engine's Python has no huggingface_hub to download it",
            fix=f"download it elsewhere (hf download {name}) and name the folder",
        )
    if "GatedRepoError" in found:
        return RefusedError(
            f"{name} is given out after a login only",
            fix="accept its licence on its page, then: hf auth login",
        )
    if "RepositoryNotFoundError" in found:
        return UsageError(
            f"{name} is neither a folder here nor a model that Hugging Face shows",
            fix="check the name; a private one needs: hf auth login",
        )
    if "LocalEntryNotFoundError" in found or "OfflineModeIsEnabled" in found or "ConnectionError" in found:
        return OfflineError(
            f"{name} has to be downloaded, and the network does not answer{words}",
            fix=f"hf download {name} where there is one, or name a folder",
        )
    if "EntryNotFoundError" in found:
        return UsageError(
            f"{name} has no {CONFIG} at Hugging Face: a repository of GGUF files or of an adapter",
            fix=GGUF_FIX,
        )
    return OfflineError(
        f"Hugging Face does not tell about {name}{words}", fix=f"hf download {name}, which tells more"
    )
