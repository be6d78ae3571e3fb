"""Each failure class has a code of its own, and the page that lists them is current."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from scripts import exit_codes
from winvllm_build.errors import InterruptedRunError, OfflineError, SourceError, WinvllmError


def test_no_two_classes_share_a_code() -> None:
    codes = Counter(error.exit_code for error in exit_codes.classes())
    assert [code for code, times in codes.items() if times > 1] == []
    assert len(codes) > 10


def test_codes_leave_success_and_interruption_alone() -> None:
    codes = {error.exit_code for error in exit_codes.classes()}
    assert codes.isdisjoint({0, 141})
    ours = codes - {InterruptedRunError.exit_code}
    assert all(0 < code < 126 for code in ours), "126 and above are the shell's"


def test_a_subclass_is_listed_with_its_own_code() -> None:
    assert issubclass(OfflineError, SourceError)
    assert f"| {OfflineError.exit_code} | `OfflineError` |" in exit_codes.page()


def test_every_class_says_what_it_means() -> None:
    assert [e.__name__ for e in exit_codes.classes() if e is not WinvllmError and not e.__doc__] == []


def test_the_page_is_current(checkout: Path) -> None:
    written = (checkout / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    assert written == exit_codes.page(), "run: python scripts/exit_codes.py"
