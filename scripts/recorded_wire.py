"""Ask upstream's own server what tests/fallback asks ours, and record the answers.

`WINVLLM_TEST_WINSIM_PYTHON=... python -m scripts.recorded_wire` writes tests/recorded/serving/v0.33.0.json;
it needs the environment of tests/winsim. The server is the tag as published,
its engine a process of its own, on a CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

from tests.fallback.wire import EQUAL, REFUSED, answers
from tests.tag_trees import published
from tests.winsim.test_serve import arguments, free_port, wait_until_up
from tests.winsim.trees import EMULATION, Machine

ROOT = Path(__file__).resolve().parents[1]
TAG = "v0.33.0"
CACHE = Path(os.environ.get("WINVLLM_TEST_CACHE", ROOT / "build" / "test-cache"))
RECORD = ROOT / "tests" / "recorded" / "serving" / f"{TAG}.json"


def record(python: Path, scratch: Path) -> None:
    model = scratch / "model"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(EMULATION), "WINSIM": "0"}
    subprocess.run([python, "-m", "winsim.tiny_model", model], check=True, env=environment, timeout=300)
    golden = json.loads((model / "expected.json").read_text(encoding="utf-8"))
    tree = published(TAG, CACHE, patched=False)
    machine = Machine(python=python, tree=tree, tag=TAG, scratch=scratch / "run", emulated=False)
    port = free_port()
    with machine.start(*arguments(model, port)) as server:
        wait_until_up(server, port)
        found = answers(f"http://127.0.0.1:{port}", {**EQUAL, **REFUSED})
    text = json.dumps({"tag": TAG, "generate": golden, "answers": found}, ensure_ascii=False, indent=1)
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(f"{text}\n", encoding="utf-8")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    python = os.environ.get("WINVLLM_TEST_WINSIM_PYTHON", str(CACHE / "winsim" / "bin" / "python"))
    with tempfile.TemporaryDirectory() as scratch:
        record(Path(python), Path(scratch))
    print(RECORD)


if __name__ == "__main__":
    main()
