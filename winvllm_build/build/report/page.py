"""A run as one HTML page that needs nothing else."""

from __future__ import annotations

import html
import json

from winvllm_build.build.report import comparison, summary
from winvllm_build.build.report.comparison import Comparison
from winvllm_build.build.report.run import Run


def render(run: Run, against: Comparison | None) -> str:
    """The page."""
    made = summary.as_data(run, summary.summarise(run))
    made["comparison"] = None if against is None else comparison.as_data(against)
    data = html.escape(json.dumps(made, indent=1))
    return f"<!DOCTYPE html><title>{html.escape(run.name)}</title><pre>{data}</pre>"
