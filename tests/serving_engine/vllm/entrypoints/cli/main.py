"""`vllm serve`: OpenAI's protocol as upstream speaks it; a file `behaviour.json` in the model says more.

Keys of it: `dies` (prints that and ends with 1), `deaf` (ignores the wish to stop), `child` (starts a process
of its own), `chatty` (letters that it prints), `says` (its answer), `breaks` (in the middle of it), `crashes`
(the whole of it, there), `delay` (seconds between two pieces of an answer), `split` (bytes of a write, across
letters).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="vllm")
    serve = parser.add_subparsers(required=True).add_parser("serve")
    serve.add_argument("model")
    serve.add_argument("--host")
    serve.add_argument("--port", type=int)
    serve.add_argument("--served-model-name", nargs="+")
    serve.add_argument("--max-model-len", type=int)
    serve.add_argument("--max-num-seqs", type=int)
    serve.add_argument("--gpu-memory-utilization", type=float)
    serve.add_argument("--dtype")
    serve.add_argument("--enforce-eager", action="store_true")
    serve.add_argument("--seed", type=int)
    return parser.parse_args()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    given: argparse.Namespace
    behaviour: dict[str, Any]

    def log_request(self, code: object = "-", size: object = "-") -> None:
        del code, size

    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer(200, None)
        elif self.refused():
            return
        elif self.path == "/v1/models":
            self.answer(200, {"object": "list", "data": [{"id": n} for n in self.given.served_model_name]})
        elif self.path == "/environment":
            self.answer(200, dict(os.environ))
        else:
            self.answer(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.refused():
            return
        if body["model"] not in self.given.served_model_name:
            self.error(404, f"The model `{body['model']}` does not exist.", "NotFoundError")
        elif body.get("stream"):
            self.stream(body)
        else:
            self.answer(200, {"choices": [{"message": {"role": "assistant", "content": self.text(body)}}]})

    def text(self, body: dict[str, Any]) -> str:
        """All that was said to it, so that a test sees what arrived."""
        return str(self.behaviour.get("says") or " | ".join(m["content"] for m in body["messages"]))

    def refused(self) -> bool:
        key = os.environ.get("VLLM_API_KEY")
        if key and self.headers.get("Authorization") != f"Bearer {key}":
            self.answer(401, {"error": "Unauthorized"})
            return True
        return False

    def error(self, code: int, message: str, kind: str) -> None:
        self.answer(code, {"error": {"message": message, "type": kind, "param": "model", "code": code}})

    def answer(self, code: int, data: object) -> None:
        content = b"" if data is None else json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, body: dict[str, Any]) -> None:
        """Events whose bytes are cut anywhere, as a network may."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        Path(self.given.model, "begun").touch()
        text, size = self.text(body), int(self.behaviour.get("split") or 7)
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": c} for c in text)]
        choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.append({"index": 0, "delta": {}, "finish_reason": self.behaviour.get("finish", "stop")})
        events: list[dict[str, Any]] = [{"choices": [choice], "usage": None} for choice in choices]
        if self.behaviour.get("breaks"):
            events[3:] = [
                {"error": {"message": "the engine died", "type": "InternalServerError", "code": 500}}
            ]
        events.append({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": len(text)}})
        for event in events:
            self.write(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode(), size)
            if self.behaviour.get("crashes") and event is events[2]:
                os._exit(3)
            time.sleep(float(self.behaviour.get("delay") or 0))
        self.write(b"data: [DONE]\n\n", size)
        self.close_connection = True

    def write(self, content: bytes, size: int) -> None:
        try:
            for at in range(0, len(content), size):
                self.wfile.write(content[at : at + size])
                self.wfile.flush()
        except OSError:
            Path(self.given.model, "cancelled").touch()
            raise SystemExit from None


def main() -> None:
    given = options()
    file = Path(given.model, "behaviour.json")
    behaviour = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if "dies" in behaviour:
        sys.stdout.write(behaviour["dies"] + "\n")
        sys.exit(behaviour.get("code", 1))
    if behaviour.get("child"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(given.model, "child").write_text(str(child.pid), encoding="ascii")
    sys.stdout.write("naïve 你好 loading\r50 %\r100 %\n")
    sys.stdout.write("x" * int(behaviour.get("chatty") or 0) + "\n")
    Handler.given, Handler.behaviour = given, behaviour
    server = ThreadingHTTPServer((given.host, given.port), Handler)
    server.daemon_threads = True

    def stop(*_: object) -> None:
        Path(given.model, "asked").touch()
        if not behaviour.get("deaf"):
            threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGINT, stop)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    sys.stdout.write("ended in order\n")


if __name__ == "__main__":
    main()
