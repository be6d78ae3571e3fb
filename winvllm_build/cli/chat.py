"""`winvllm-build chat`: talk with a served model in the terminal, or ask it once."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from winvllm_build.cli import render
from winvllm_build.errors import InterruptedRunError, UsageError

if TYPE_CHECKING:
    from winvllm_build.cli.talk import Answer, Talk
    from winvllm_build.serving.client import ChatClient

HELP = """Chat with a model that is served, here or elsewhere; or ask it once.

\b
Examples:
  winvllm-build chat                                         with what `winvllm-build serve` serves
  winvllm-build chat models/Qwen3-8B                         the same, served as long as the chat lasts
  winvllm-build chat --url http://192.168.0.7:8000 --api-key KEY
  winvllm-build chat --message "Why is the sky blue?"        one question, one answer
  type notes.txt | winvllm-build chat --message "Sum this up:" --stdin --json
In the chat: /help lists the commands, Ctrl-C stops an answer and not the chat, /exit ends it.
"""
URL = "http://127.0.0.1:8100"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Serving:
    """How a model that is named gets its server."""

    engine: str = "auto"
    python: str | None = None
    profile: str | None = None


def register(app: typer.Typer) -> None:
    app.command("chat", help=HELP)(chat)


def chat(
    *,
    named: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="A folder or name that no server has yet.")
    ] = None,
    url: Annotated[str | None, typer.Option(help=f"The server ({URL}).")] = None,
    model: Annotated[
        str | None, typer.Option(help="Its name at the server; else the first it tells.")
    ] = None,
    system: Annotated[str, typer.Option(help="How it should answer.")] = "",
    message: Annotated[
        str | None, typer.Option("--message", "-m", help="Ask this alone; what is piped in follows it.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(metavar="KEY", envvar="VLLM_API_KEY", help="What the server asks for.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0: always the likeliest.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Share of the likeliest that is drawn from.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same again.")] = None,
    stdin: Annotated[
        bool | None,
        typer.Option(
            "--stdin/--no-stdin", help="Wait for what is piped in, or leave it (looked at for 2 s)."
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="For MODEL: auto, vllm or transformers.")] = "auto",
    python: Annotated[
        str | None, typer.Option(metavar="PYTHON", help="For MODEL: interpreter or environment.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="For MODEL: as `winvllm-build serve` takes it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The answer to --message as JSON.")] = False,
) -> int:
    from winvllm_build.cli.talk import Talk
    from winvllm_build.serving.client import Sampling
    from winvllm_build.serving.conversation import Conversation

    if named is not None and url is not None:
        raise UsageError("MODEL is served here, --url is a server elsewhere", fix="--model NAME with --url")
    how = _Serving(engine=engine, python=python, profile=profile)
    if named is None and how != _Serving():
        raise UsageError(
            "--engine, --python and --profile are for a server that is started",
            fix="name the MODEL: winvllm-build chat MODEL",
        )
    _write_every_letter()
    signal.signal(signal.SIGTERM, _ended)  # Ctrl-C stops an answer, this the chat
    question = _question(message, stdin=stdin)
    if question is None and as_json:
        raise UsageError("--json is for one question", fix='--message "TEXT", or pipe one in')
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed)
    with _server(named, url, api_key, how) as where, _client(where, api_key) as client:
        talk = Talk(
            client=client,
            model=_model(client, model),
            sampling=sampling,
            conversation=Conversation(system=system),
        )
        if question is None:
            talk.run()
            return 0
        return _once(talk, question, as_json=as_json)


def _write_every_letter() -> None:
    """Into a file or program, too: Windows would give it the letters of a code page alone."""
    named = "PYTHONIOENCODING" in os.environ
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty() and not named:
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def _question(message: str | None, *, stdin: bool | None) -> str | None:
    """What is asked alone: the option, and what is piped in; None for a chat at a terminal."""
    from winvllm_build.cli import piped

    parts = [part for part in (message, piped.text(wanted=stdin, needed=message is None)) if part]
    if parts:
        return "\n\n".join(parts)
    if message is not None or not (sys.stdin and sys.stdin.isatty()):
        raise UsageError("there is nothing to ask", fix='--message "TEXT", or pipe a question in')
    return None


@contextlib.contextmanager
def _client(url: str, api_key: str | None) -> Iterator[ChatClient]:
    from winvllm_build.serving.client import ChatClient

    client = ChatClient(url, api_key=api_key)
    try:
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def _server(named: str | None, url: str | None, key: str | None, how: _Serving) -> Iterator[str]:
    """The address of the server; one for a model that is named is started, and ended with the chat."""
    if named is None:
        yield url or URL
        return
    import tempfile

    from winvllm_build.cli.serve import engine_of, planned
    from winvllm_build.serving.lent import lent
    from winvllm_build.serving.options import Options

    options = Options(port=0, api_key=key)
    plan = planned(named, options, engine_of(how.engine), how.python, how.profile)
    for text in plan.notes:
        render.note(f"note: {text}")
    handle, name = tempfile.mkstemp(prefix="winvllm-chat-", suffix=".log")
    os.close(handle)
    render.note(f"starting a server for {named} ({plan.engine.value}); its output: {name}")
    try:
        with lent(plan, Path(name), os.environ):
            yield plan.url
    except (InterruptedRunError, UsageError):
        Path(name).unlink()
        raise
    Path(name).unlink()  # where the server failed it stays


def _model(client: ChatClient, asked: str | None) -> str:
    """The model's name at the server.

    Raises:
        UsageError: it has none of that name.
    """
    from winvllm_build.errors import EngineError
    from winvllm_build.suggest import did_you_mean

    names = client.models()
    if not names:
        raise EngineError(f"{client.url} serves no model", fix="winvllm-build serve MODEL")
    if asked is not None and asked not in names:
        hint = did_you_mean(asked, names)
        raise UsageError(f'{client.url} has no model "{asked}"{hint}', fix=f"--model {names[0]}")
    return asked or names[0]


def _ended(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise InterruptedRunError("ended", fix="/save keeps a conversation")


def _once(talk: Talk, question: str, *, as_json: bool) -> int:
    answer: Answer = talk.ask(talk.conversation.ask(question), shown=not as_json)
    if as_json:
        render.data(answer.as_data(talk.model))
    if not answer.whole:
        fix = "run the same command again"
        raise InterruptedRunError("the answer was stopped", fix=fix, told=as_json)
    return 0
