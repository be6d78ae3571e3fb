"""An HTML page that needs nothing else: no network, no other file, and nothing may run but its own script."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Final

SHARED: Final = Path(__file__).with_name("onepage.css")


def render(folder: Path, name: str, **values: object) -> str:
    """The page made of `name`.html.jinja, .css and .js; everything else is escaped.

    The template gets the style and the script with their hashes, for a Content-Security-Policy.

    Args:
        folder: where the three files lie.
        name: their name.
        values: for the template.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - 0.1 s

    own, script = ((folder / f"{name}{kind}").read_text(encoding="utf-8") for kind in (".css", ".js"))
    style = SHARED.read_text(encoding="utf-8") + own
    environment = Environment(
        loader=FileSystemLoader(folder, encoding="utf-8"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    made = environment.get_template(f"{name}.html.jinja").render(
        style=style, script=script, style_hash=_source_hash(style), script_hash=_source_hash(script), **values
    )
    return made.encode("utf-8", "backslashreplace").decode("utf-8")


def block(value: object) -> str:
    """JSON that nothing in it can end or turn into markup."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _source_hash(content: str) -> str:
    """As a Content-Security-Policy names what may run."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
