"""The program curl against `vllm serve` on Windows' branches, its engine in its own process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import curl, curl_cases
from tests.curl import Curl
from tests.winsim.conftest import Machines
from tests.winsim.test_serve import TAGS, arguments, free_port, wait_until_up

pytestmark = [
    pytest.mark.network,
    pytest.mark.long,
    pytest.mark.skipif(curl.PROGRAM is None, reason=curl.WHY_NOT),
]


@pytest.mark.parametrize("tag", TAGS)
def test_the_server(machine: Machines, model: Path, tmp_path: Path, tag: str) -> None:
    port = free_port()
    with machine(tag).start(*arguments(model, port)) as server:
        wait_until_up(server, port)
        for case in curl_cases.CASES:
            case(Curl(base=f"http://127.0.0.1:{port}", scratch=tmp_path))
