"""Write docs/hazards/ from the catalogue: `python scripts/hazard_pages.py`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from winvllm_build.audit.explanation import answers, escaped, markdown
from winvllm_build.audit.hazard import Hazard, catalogue
from winvllm_build.audit.scan import rules_of

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "hazards"
INDEX = "README.md"
NOTE = "<!-- written by scripts/hazard_pages.py -->\n"
HEAD = f"""\
{NOTE}
# What breaks vLLM under MSVC and on Windows

Each entry is a class of problem, not a place: `winvllm-build scan` finds the places in a tag, and
`winvllm-build scan --explain D12` prints what a page says. The catalogue is data
(`winvllm_build/audit/data/hazards/`), the pages are written from it by `python scripts/hazard_pages.py`.
"""
PARTS = {"D": "Compiling and linking with MSVC and nvcc", "E": "Running on Windows"}


def pages() -> dict[str, str]:
    """The text of every page by its name in the folder."""
    sets = answers(ROOT / "patches")
    made = {
        f"{hazard.id}.md": NOTE
        + "\n"
        + markdown(hazard, sets.get(hazard.id, ()), rules_of(hazard), patches="../../patches")
        for hazard in catalogue().values()
    }
    return {INDEX: index(catalogue()), **made}


def index(hazards: Mapping[str, Hazard]) -> str:
    parts = [HEAD]
    for letter, title in PARTS.items():
        rows = [row(hazard) for hazard in hazards.values() if hazard.id.startswith(letter)]
        parts.append(
            f"\n## {title}\n\n| | | severity | what it looks like |\n|---|---|---|---|\n" + "".join(rows)
        )
    return "".join(parts)


def row(hazard: Hazard) -> str:
    title, shows = escaped(hazard.title), escaped(hazard.shows)
    return f"| [{hazard.id}]({hazard.id}.md) | {title} | {hazard.severity.value} | {shows} |\n"


def write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = pages()
    for left in {file.name for file in FOLDER.glob("*.md")} - set(made):
        (FOLDER / left).unlink()
    for name, text in made.items():
        (FOLDER / name).write_bytes(text.encode())


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    write()
    print(f"wrote {FOLDER}")
