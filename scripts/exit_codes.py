"""Write docs/exit-codes.md from the classes in errors.py: `python scripts/exit_codes.py`."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

from winvllm_build import errors

PAGE = Path(__file__).resolve().parent.parent / "docs" / "exit-codes.md"
HEAD = """\
# Exit codes

Every expected failure ends with one message, the command that repairs it, and one of these codes. A code
belongs to one class of `winvllm_build/errors.py`; `python scripts/exit_codes.py` writes this page from them.

| code | class | meaning |
|---|---|---|
| 0 | | It worked, or there was nothing to do. |
"""


def classes() -> list[type[errors.WinvllmError]]:
    """Every error class of the module, by exit code."""
    members = inspect.getmembers(errors, inspect.isclass)
    found = [member for _, member in members if issubclass(member, errors.WinvllmError)]
    return sorted(found, key=lambda found: found.exit_code)


def meaning(error: type[errors.WinvllmError]) -> str:
    if error is errors.WinvllmError:
        return "Any other expected failure."
    first = inspect.cleandoc(error.__doc__ or "").splitlines()[0]
    return first.replace("|", "\\|")


def page() -> str:
    rows = [f"| {error.exit_code} | `{error.__name__}` | {meaning(error)} |" for error in classes()]
    rows.append("| 141 | | What reads the output has gone (`winvllm-build status \\| head`). |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_bytes(page().encode())
    print(f"wrote {PAGE}")
