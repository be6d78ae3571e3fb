"""`python -m winvllm_build.fallback`, or `python FOLDER` where only this folder is at hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

NAME = "winvllm_build_fallback"


def _itself() -> None:
    """Make this folder a package, whatever is around it."""
    folder = Path(__file__).resolve().parent
    specification = importlib.util.spec_from_file_location(
        NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if specification is None or specification.loader is None:
        raise ImportError(NAME)
    module = importlib.util.module_from_spec(specification)
    sys.modules[NAME] = module
    specification.loader.exec_module(module)


if __name__ == "__main__":
    if not __package__:
        _itself()
        __package__ = NAME
    from .command import main

    sys.exit(main(sys.argv[1:]))
