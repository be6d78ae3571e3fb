"""`winvllm-build serve`: a model behind an OpenAI-compatible server, with settings that fit the card."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winvllm_build.cli import render
from winvllm_build.errors import UsageError

if TYPE_CHECKING:
    from winvllm_build.profile.loader import ResolvedProfile
    from winvllm_build.serving.options import EngineKind, Options
    from winvllm_build.serving.plan import Plan
    from winvllm_build.serving.server import Ended, Told
    from winvllm_build.serving.values import Machine

HELP = """Serve a model: OpenAI's protocol on this machine, settings that fit the card, stopped by Ctrl-C.

\b
Examples:
  winvllm-build serve models/Qwen3-8B                        on http://127.0.0.1:8100/v1
  winvllm-build serve Qwen/Qwen3-8B --port 9000              downloaded, if it is not there
  winvllm-build serve models/Qwen3-8B --dry-run              what would be started, and why
  winvllm-build serve --profile my.toml                      the model and settings of its [runtime]
  winvllm-build serve models/Qwen3-8B -- --enable-auto-tool-choice --tool-call-parser hermes
Flags of `vllm serve` go after --, and win. vLLM is taken from the active environment, from that of
`develop`, or --python; without one the fallback engine serves. Ctrl-C stops; once more ends it at once.
"""
Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL] [-- FLAGS]", help="Folder or name at Hugging Face; then vLLM's own flags."
    ),
]


def register(app: typer.Typer) -> None:
    app.command("serve", help=HELP)(serve)


def serve(
    *,
    words: Words = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="FOLDER|NAME", help="The same as MODEL.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port (8100); 0 picks a free one.")] = None,
    gpu_memory_utilization: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Share of the card's memory (computed; 0.6, fallback 0.9)."),
    ] = None,
    max_model_len: Annotated[
        str | None,
        typer.Option(metavar="TOKENS", help="Longest request, such as 8192, 32K, auto (computed)."),
    ] = None,
    max_num_seqs: Annotated[
        int | None, typer.Option(metavar="N", help="Requests computed at a time (computed; 64, fallback 16).")
    ] = None,
    enforce_eager: Annotated[
        bool | None,
        typer.Option("--enforce-eager/--no-enforce-eager", help="Without CUDA graphs (computed)."),
    ] = None,
    tensor_parallel_size: Annotated[
        int | None,
        typer.Option("--tensor-parallel-size", "-tp", metavar="N", help="Cards that compute together (1)."),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(metavar="TYPE", help="auto, float16, bfloat16 or float32.")
    ] = None,
    kv_cache_dtype: Annotated[
        str | None, typer.Option(metavar="TYPE", help="auto, fp8, fp8_e4m3 or fp8_e5m2.")
    ] = None,
    served_model_name: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="What clients call it; again for more names.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="What clients have to say; VLLM_API_KEY does the same.")
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, vllm or transformers.")] = "auto",
    python: Annotated[
        str | None, typer.Option(metavar="PYTHON", help="Interpreter or environment that has the engine.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Profile whose [runtime] and python count.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show; start nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as data; starts nothing.")] = False,
) -> int:
    from winvllm_build.serving.options import Options

    named, passed = split(words or [], model)
    options = Options(
        host=host,
        port=port,
        gpu_memory_utilization=gpu_memory_utilization,
        max_model_len=max_model_len,
        max_num_seqs=max_num_seqs,
        enforce_eager=enforce_eager,
        tensor_parallel_size=tensor_parallel_size,
        dtype=dtype,
        kv_cache_dtype=kv_cache_dtype,
        served_model_name=tuple(served_model_name or ()),
        api_key=api_key,
        passed=passed,
    )
    plan = planned(named, options, engine_of(engine), python, profile)
    if as_json:
        render.data(plan.as_data())
        return 0
    with contextlib.suppress(OSError):  # nobody may read on; the server starts all the same
        show(plan)
    if dry_run:
        render.out(_command_line(plan))
        return 0
    _run(plan)
    return 0


def split(words: list[str], model: str | None) -> tuple[str | None, tuple[str, ...]]:
    """The model, and what is passed on; nothing but a flag can begin what is passed on.

    Raises:
        UsageError: the model is named twice.
    """
    named = bool(words) and not words[0].startswith("-")
    if named and model is not None and words[0] != model:
        raise UsageError(f"two models: {words[0]} and {model}", fix="name one; a server has one model")
    passed = tuple(words[1:] if named else words)
    if passed and not passed[0].startswith("-"):
        raise UsageError(f"two models: {words[0]} and {passed[0]}", fix="name one; a server has one model")
    return (words[0] if named else model), passed


def engine_of(name: str) -> EngineKind | None:
    """The engine of that name; None lets what is installed decide.

    Raises:
        UsageError: there is none.
    """
    from winvllm_build.serving.options import EngineKind

    if name == "auto":
        return None
    try:
        return EngineKind(name)
    except ValueError as error:
        raise UsageError(f'no engine "{name}"', fix="--engine auto, vllm or transformers") from error


def planned(
    model: str | None, options: Options, engine: EngineKind | None, python: str | None, profile: str | None
) -> Plan:
    """The server that a command line means."""
    from winvllm_build.cli.profiles import resolve_profile
    from winvllm_build.serving import interpreters, plan
    from winvllm_build.workspace import Workspace

    resolved: ResolvedProfile = resolve_profile(profile, overrides={})
    workspace = Workspace.default()
    request = plan.Request(model=model, options=options, engine=engine)
    plan.check(request, resolved, os.environ)
    target = interpreters.choose(python, resolved, workspace, os.environ)
    return plan.make(request, resolved, target, _machine(workspace.root), os.environ)


def _machine(folder: Path) -> Machine:
    from winvllm_build.runtime import host
    from winvllm_build.serving import values
    from winvllm_build.toolchain import gpu

    cards = values.visible(gpu.read().gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
    return values.Machine(cards=cards, host=host.read(folder))


def show(plan: Plan) -> None:
    """What will be started and why, on standard error."""
    target = plan.target
    render.note(f"engine    {plan.engine.value}: {plan.reason}")
    render.note(f"python    {target.python} ({target.version}, {target.reason})")
    if target.torch:
        render.note(f"torch     {target.torch}" + (f", CUDA {target.cuda}" if target.cuda else ""))
    render.note(f"model     {plan.served.argument}, named {', '.join(plan.served.names)}")
    width = max(len(flag) for flag in plan.settings)
    for flag, setting in plan.settings.items():
        render.note(f"  {flag:<{width}}  {setting.value!s:<8}  {setting.reason}")
    for name, variable in sorted(plan.variables.items()):
        render.note(f"  {name}={plan.shown(name)}  {variable.reason}")
    for text in plan.notes:
        render.note(f"note: {text}")


def _command_line(plan: Plan) -> str:
    from winvllm_build.cli.install import shells_of
    from winvllm_build.shells import command

    return command(plan.plain_command, shells_of(None)[0])


def _run(plan: Plan) -> None:
    from winvllm_build.serving import server, stops

    with stops.listening() as asked:
        ended = server.serve(plan, _told(plan), asked, os.environ)
    _say_end(plan, ended)


def _told(plan: Plan) -> Told:
    from winvllm_build.serving import server

    def output(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def ready(seconds: float) -> None:
        render.out(
            f"ready: {plan.url}/v1 serves {plan.served.names[0]} after {render.duration(seconds)};"
            " Ctrl-C stops it"
        )
        sys.stdout.flush()

    def stopping() -> None:
        render.note("stopping: once more ends it at once")

    return server.Told(output=output, ready=ready, stopping=stopping)


def _say_end(plan: Plan, ended: Ended) -> None:
    how = "stopped" if ended.graceful else "did not stop by itself, and was ended"
    with contextlib.suppress(OSError):  # nobody may read any more
        render.note(f"{how} after {render.duration(ended.seconds)}; port {plan.port} is free")
