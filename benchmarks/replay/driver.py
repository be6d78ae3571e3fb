"""One build of a replayed project in a process of its own, to be killed by others.

python -m benchmarks.replay.driver FOLDER
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.replay import compiler, gated, project
from benchmarks.replay.compiler import Scale, Toolkit
from benchmarks.replay.gated import Heard, Machine
from benchmarks.replay.project import Project
from benchmarks.replay.recorded import Recorded
from winvllm_build.errors import WinvllmError
from winvllm_build.workspace import Workspace

JOB: Final = "job.json"
TOLD: Final = "told"
"""What each run said."""
CORES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a build lies that is started, killed and started again."""

    root: Path

    @property
    def workspace(self) -> Workspace:
        return Workspace(root=self.root / "workspace")

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def source(self) -> Path:
        return self.root / "source"

    def toolkit(self, scale: Scale) -> Toolkit:
        return compiler.build(self.root / "toolkit", scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An attempt as a run told of it, after it was noted; `at` in seconds since the epoch."""

    at: float
    outcome: str
    output: str
    code: int


def told(place: Place) -> Iterator[Told]:
    """What all runs told, in order."""
    file = place.root / TOLD
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        words = line.split("\t")
        if words[2] != "note":
            yield Told(at=float(words[0]), outcome=words[2], output=words[3], code=int(words[4]))


def lay(place: Place, edges: Sequence[Recorded], scale: Scale) -> Project:
    """A configured build, and what the driver has to know of it."""
    place.root.mkdir(parents=True, exist_ok=True)
    toolkit = place.toolkit(scale)
    toolkit.configure(edges)
    project.write_sources(place.source, edges)
    job = {"edges": [asdict(edge) for edge in edges], "scale": asdict(scale)}
    (place.root / JOB).write_text(json.dumps(job), encoding="utf-8")
    return configured(place, edges, toolkit)


def configured(place: Place, edges: Sequence[Recorded], toolkit: Toolkit) -> Project:
    launcher = gated.launcher(place.workspace)
    return project.configure(place.source, place.build, edges, toolkit, launcher=launcher)


def build(place: Place) -> int:
    """One run, as the command line would start it; its exit code."""
    job = json.loads((place.root / JOB).read_bytes())
    edges = tuple(Recorded(**edge) for edge in job["edges"])
    scale = Scale(**job["scale"])
    built = Project(source=place.source, build=place.build, edges=edges)
    heard = Heard(file=place.root / TOLD)
    ran = gated.run(
        built,
        gated.perfect(edges, scale),
        gated.terms(Machine(cores=CORES, cap=1 << 40), scale),
        watch=heard,
        workspace=place.workspace,
    )
    return ran.code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    try:
        return build(Place(root=given.folder))
    except WinvllmError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
