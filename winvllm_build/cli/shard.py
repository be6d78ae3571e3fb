"""`winvllm-build build --shard`: one share of the compile edges of one or several builds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from winvllm_build.cli import render
from winvllm_build.errors import CompileError, UsageError, WinvllmError

if TYPE_CHECKING:
    from winvllm_build.build.matrix.sharded import Dealt, ShardResult
    from winvllm_build.build.pipeline import BuildRequest
    from winvllm_build.cli.watch import Watch


def refuse_without_shard(*, builds: int, export: Path | None) -> None:
    """Options that make sense for a share alone.

    Raises:
        UsageError: one of them is used for a whole build.
    """
    if builds != 1:
        raise UsageError(
            "one build has one profile and one list of architectures", fix="add --shard, or name one of them"
        )
    if export is not None:
        raise UsageError("--export writes what a share compiled", fix="winvllm-build state export FILE")


def run(requests: list[BuildRequest], shard: str, export: Path | None, watch: Watch) -> ShardResult:
    """Compile the share; what is finished is exported even where an edge failed."""
    from winvllm_build.build.matrix import sharded
    from winvllm_build.build.matrix.shares import Share

    share = Share.parse(shard)
    if any(request.dry_run or request.wheels for request in requests):
        raise UsageError("a share compiles and packs nothing: no --dry-run, no --out", fix="leave them out")
    dealt = sharded.deal(requests, share, watch)
    try:
        result = sharded.run(requests, dealt, watch)
    except WinvllmError:
        try:
            _export(dealt, requests[0], export)
        except WinvllmError as error:
            render.note(f"{export} is not written: {error.message}")
        raise
    _export(dealt, requests[0], export)
    watch.result(result.as_data(), failed=result.failed)
    return result


def _export(dealt: Dealt, request: BuildRequest, file: Path | None) -> None:
    from winvllm_build.build.store import transfer

    if file is None:
        return
    if not dealt.names:
        render.note(f"{file} is not written: the share is empty")
        return
    done = transfer.export(request.workspace.objects, file, builds=dealt.names)
    render.note(f"{done.edges} finished edges in {done.file} ({render.size(done.size)})")


def show(result: ShardResult, *, as_json: bool, streamed: bool) -> int:
    """Print the result, unless the stream of events holds it; the exit code."""
    code = CompileError.exit_code if result.failed else 0
    if streamed:
        return code
    if as_json:
        render.data(result.as_data())
        return code
    seconds = sum(piece.seconds for piece in result.pieces)
    everything = sum(piece.seconds for piece in result.everything)
    render.out("")
    render.out(
        f"shard {result.share}: {len(result.pieces)} of {len(result.everything)} distinct compile edges,"
        f" {render.duration(seconds)} of {render.duration(everything)} of predicted work"
    )
    for one in result.builds:
        ran = f"{one.edges} edges ran of {one.total}"
        render.out(f"  {one.build.name:<44} {ran}, {render.duration(one.seconds.get('compile', 0.0))}")
        for failed in one.failed:
            render.out(f"  FAILED  {' '.join(failed.outputs)}: {failed.first_error} (log: {failed.log})")
    render.out("next: winvllm-build state import on the machine that links, then build there")
    return code
