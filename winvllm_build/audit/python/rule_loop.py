"""Rules on event loops, ZeroMQ and pipes between processes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from winvllm_build.audit.python.site import Finding, Rules, Site

LOOPS: Final = frozenset(["asyncio.run", "uvloop.run", "asyncio.new_event_loop", "asyncio.Runner"])
ASYNC_SOCKETS: Final = frozenset(["zmq.asyncio.Context", "zmq.asyncio.Poller", "zmq.asyncio.Socket"])
ENGINE: Final = re.compile(r"\bzmq\b|AsyncLLM|EngineClient|AsyncEngine|run_server|run_batch|serve_grpc")
"""What a module mentions whose loop waits for ZeroMQ; an HTTP client can use any loop."""
LOOP: Final = re.compile(r"loop", re.IGNORECASE)
PIPE_CLASSES: Final = frozenset(["multiprocessing.connection.Connection"])
LOCAL_ADDRESS: Final = "ipc://"


def event_loops(site: Site) -> Iterator[Finding]:
    """A loop made by default is a Proactor loop on Windows: zmq.asyncio cannot watch sockets with it."""
    node = site.node
    if not isinstance(node, ast.Call):
        return
    name = site.dotted(node.func)
    chosen = any(keyword.arg == "loop_factory" for keyword in node.keywords)
    if name in LOOPS and not chosen and ENGINE.search(site.module.text):
        yield Finding(hazard="E5", rule="default-loop", detail=name)
    elif name in ASYNC_SOCKETS:
        yield Finding(hazard="E5", rule="zmq-asyncio", detail=name, met=_meets(site, LOOP))


def _meets(site: Site, word: re.Pattern[str]) -> bool:
    """A branch for Windows alone in the same file says something on this."""
    return any(word.search(text) for text in site.module.windows_text)


def loop_names(site: Site) -> Iterator[Finding]:
    """`uvicorn.run(..., loop="uvloop")`."""
    node = site.node
    if isinstance(node, ast.keyword) and node.arg == "loop":
        value = node.value
        if isinstance(value, ast.Constant) and value.value == "uvloop":
            yield Finding(hazard="E4", rule="uvloop-named", detail='loop="uvloop"')


def watched_descriptors(site: Site) -> Iterator[Finding]:
    """`loop.add_reader(fd)` where the descriptor is no socket."""
    node = site.node
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
        return
    text = ast.unparse(node.args[0])
    if node.func.attr in {"add_reader", "add_writer"}:
        yield Finding(hazard="E5", rule="add-reader", detail=text[:40], raises=("NotImplementedError",))
    elif (
        node.func.attr == "register"
        and "poller" in ast.unparse(node.func.value).lower()
        and "sentinel" in text
    ):
        yield Finding(hazard="E8", rule="sentinel-polled", detail=text[:40])


def local_addresses(site: Site) -> Iterator[Finding]:
    """An ipc:// address that is made, not one that is recognised."""
    node = site.node
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str) and LOCAL_ADDRESS in node.value):
        return
    if site.is_message or _is_question(site):
        return
    yield Finding(hazard="E7", rule="ipc-address", detail=node.value[:60], unless=r"ipc|has\(")


def _is_question(site: Site) -> bool:
    around = site.parents[-2:]
    if any(isinstance(parent, ast.Compare) for parent in around):
        return True
    calls = [parent.func for parent in around if isinstance(parent, ast.Call)]
    words = {"startswith", "removeprefix", "replace", "split", "partition", "match", "sub", "lstrip"}
    return any(isinstance(func, ast.Attribute) and func.attr in words for func in calls)


def connection_classes(site: Site) -> Iterator[Finding]:
    """`isinstance(pipe, Connection)`: Windows' pipes are PipeConnection."""
    node = site.node
    if isinstance(node, ast.Call) and site.dotted(node.func) == "isinstance" and len(node.args) == 2:  # noqa: PLR2004 - as many arguments as it takes
        kinds = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
        if PIPE_CLASSES & {site.dotted(kind) for kind in kinds}:
            yield Finding(hazard="E10", rule="connection-class", detail=ast.unparse(node)[:60])


RULES: Final[Rules] = {
    ast.Call: (event_loops, watched_descriptors, connection_classes),
    ast.keyword: (loop_names,),
    ast.Constant: (local_addresses,),
}
WORDS: Final = (
    "asyncio.run", "uvloop.run", "new_event_loop", "Runner(", "zmq.asyncio", "uvloop",
    "add_reader", "add_writer", "sentinel", "ipc://", "Connection",
)  # fmt: skip
