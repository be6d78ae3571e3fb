"""The Python with PyTorch: that of tests/fallback."""

from __future__ import annotations

from tests.fallback.conftest import interpreter

__all__ = ["interpreter"]
