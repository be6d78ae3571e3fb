"""Write docs/profiles.md from the profile model, or check that it is current (`--check`)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from winvllm_build.profile.reference import render

PAGE = Path(__file__).resolve().parent.parent / "docs" / "profiles.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when the page is out of date"
    )
    wanted = render().encode("utf-8")
    if not parser.parse_args().check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_bytes(wanted)
        return 0
    if PAGE.is_file() and PAGE.read_bytes().replace(b"\r\n", b"\n") == wanted:
        return 0
    print("docs/profiles.md is out of date; run: python scripts/generate_profile_docs.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
