"""Names that users type, and what they stand for: an id on Hugging Face or a folder."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote, urlsplit

from .errors import StartError

SHIPPED = Path(__file__).with_name("aliases.json")
DRIVE = re.compile(r"^[A-Za-z]:[\\/]")
QUOTES = "\"'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A model as it is loaded, and the names that a request may call it."""

    target: str
    names: tuple[str, ...]

    def answers_to(self, name: str) -> bool:
        if name in self.names:
            return True
        try:
            asked = same_place(name)
        except ValueError:  # file://[ and the like
            return False
        return asked in {same_place(own) for own in self.names}


def normal_path(text: str) -> str:
    """A folder's name without quotes, file://, and what differs between ways of writing it.

    Raises:
        ValueError: file: with something that is no address.
    """
    text = text.strip().strip(QUOTES)
    if text.lower().startswith("file:"):
        text = unquote(urlsplit(text).path)
        text = text[1:] if DRIVE.match(text[1:]) else text
    if DRIVE.match(text) or text.startswith("\\\\"):
        return str(PureWindowsPath(text))
    if os.name == "nt" and ("\\" in text or text.startswith(".")):
        return str(PureWindowsPath(text))
    return str(PurePosixPath(text)) if text.startswith(("/", ".")) else text


def same_place(text: str) -> str:
    """The same for two ways of writing a folder; upper and lower case are one on Windows."""
    path = normal_path(text)
    return path.replace("\\", "/").casefold() if DRIVE.match(path) or path.startswith("\\\\") else path


def read_table(file: Path) -> dict[str, str]:
    """Alias to target of a JSON file; folders count from the file's.

    Raises:
        StartError: it is missing or no such table.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise StartError(f"{file}: {error}", fix='write a JSON object: {"name": "id or folder"}') from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise StartError(f"{file}: no table of names", fix='write a JSON object: {"name": "id or folder"}')
    try:
        return {name.casefold(): _from(file.parent, target) for name, target in found.items()}
    except (ValueError, RuntimeError) as error:
        raise StartError(f"{file}: {error}", fix='write a JSON object: {"name": "id or folder"}') from error


def _from(folder: Path, target: str) -> str:
    """A relative path of an alias file; `owner/name` stays an id unless such a folder is there."""
    path = normal_path(str(Path(target).expanduser()) if target.startswith("~") else target)
    if DRIVE.match(path) or Path(path).is_absolute():
        return path
    near = folder / path
    return str(near) if target.lstrip().startswith(".") or near.is_dir() else path


def resolve(typed: str, tables: tuple[Mapping[str, str], ...], served: tuple[str, ...] = ()) -> Named:
    """What `typed` means; an existing folder is itself, and the first table that has the name decides.

    Raises:
        StartError: ~ of nobody, or file: with something that is no address.
    """
    try:
        path = normal_path(str(Path(typed).expanduser()) if typed.startswith("~") else typed)
    except (ValueError, RuntimeError) as error:
        raise StartError(f"{typed}: {error}", fix="name a folder that has the model's config.json") from error
    target = path
    if not Path(path).exists():
        target = next((table[path.casefold()] for table in tables if path.casefold() in table), path)
    names = served or tuple(dict.fromkeys((typed, target)))
    return Named(target=target, names=names)


def check(target: str) -> None:
    """What can be said before PyTorch is loaded.

    Raises:
        StartError: a folder that is not there, or a file in a format that transformers would have to convert.
    """
    if (DRIVE.match(target) or Path(target).is_absolute()) and not Path(target).exists():
        raise StartError(f"{target}: no such folder", fix="name a folder that has the model's config.json")
    if target.lower().endswith(".gguf"):
        raise StartError(
            f"{target} is a GGUF file", fix="name a folder in Hugging Face's format (config.json)"
        )
