"""A Python with this folder on PYTHONPATH runs vLLM as on Windows, spawned ones too; not with WINSIM=0."""

from __future__ import annotations

import os

if "COVERAGE_PROCESS_START" in os.environ:
    import coverage

    coverage.process_startup()
if os.environ.get("WINSIM", "1") == "1":
    from winsim.finder import install

    install()
