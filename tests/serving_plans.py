"""Plans of a server, made for machines and environments as tests state them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from winvllm_build.profile.loader import ProfileRoots, ResolvedProfile, resolve
from winvllm_build.runtime import stated
from winvllm_build.runtime.host import GIB, Host
from winvllm_build.serving import plan, target
from winvllm_build.serving.options import EngineKind, Options
from winvllm_build.serving.plan import Plan, Request
from winvllm_build.serving.target import Target
from winvllm_build.serving.values import Machine

LINUX = Target(
    python=Path(sys.executable), reason="--python", version="3.12.1", windows=False, vllm="0.33.0",
    torch="2.14.0+cu130", cuda="13.0", triton=True,
    packages={**dict.fromkeys(("vllm", *target.FALLBACK), "1"), "transformers": "5.20.0"},
)  # fmt: skip
WINDOWS = dataclasses.replace(LINUX, windows=True, torch="2.10.0+cu128", triton=False)
WITH_GLOO = dataclasses.replace(WINDOWS, torch="2.11.0+cu130")
BARE = dataclasses.replace(LINUX, vllm=None)
HOST = Host(windows=False, memory_total=32 * GIB, memory_free=32 * GIB, page_file_free=0, cores=8)
CARD = stated.gpu("RTX 3060,12GB,8.6", index=0, windows=False)
NO_CARD = Machine(cards=(), host=HOST)
ONE = Machine(cards=(CARD,), host=HOST)


def made(
    folder: Path | str | None,
    *,
    engine: EngineKind | None = None,
    profile: ResolvedProfile | None = None,
    found: Target = LINUX,
    machine: Machine = NO_CARD,
    inherited: Mapping[str, str] | None = None,
    **options: Any,  # noqa: ANN401 - of the types that Options has
) -> Plan:
    request = Request(
        model=None if folder is None else str(folder),
        engine=engine,
        options=dataclasses.replace(Options(port=0), **options),
    )
    return plan.make(request, profile, found, machine, inherited or {})


def profile(tmp_path: Path, *lines: str) -> ResolvedProfile:
    file = tmp_path / "my.toml"
    file.write_text("\n".join(["[runtime]", *lines]), encoding="utf-8")
    roots = ProfileRoots(shipped=tmp_path, user=tmp_path)
    return resolve(str(file), roots=roots, environment={}, overrides={})
