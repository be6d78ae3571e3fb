"""The program curl against the running fallback server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import curl, curl_cases
from tests.curl import Curl
from tests.fallback.served import Served

pytestmark = pytest.mark.skipif(curl.PROGRAM is None, reason=curl.WHY_NOT)


@pytest.mark.parametrize("case", curl_cases.CASES, ids=lambda case: str(case.__name__))
def test_the_server(server: Served, tmp_path: Path, case: Callable[[Curl], None]) -> None:
    case(Curl(base=server.base, scratch=tmp_path))


def test_a_page_of_elsewhere_may_not_ask_unless_told(server: Served, tmp_path: Path) -> None:
    ask = Curl(base=server.base, scratch=tmp_path)
    origin = ("--header", "Origin: http://elsewhere", "--header", "Access-Control-Request-Method: POST")
    found = ask(curl_cases.CHATS, "--request", "OPTIONS", "--include", *origin)
    assert found.status == 400
    assert "access-control-allow-origin" not in found.text.lower()
