"""Write figures of a recorded build into the package, for predictions where nobody has measured yet.

    python scripts/recorded_costs.py v0.33.0-sm86 BUILD --log .ninja_log --records measured.jsonl
    python scripts/recorded_costs.py v0.14.1-sm86 BUILD --history WORKSPACE/costs/history.jsonl --keep

BUILD is the configured folder that the figures are of: it says which device code each file is compiled for,
and how large its objects are. The log gives wall seconds (of a run with no more jobs than cores); each line
of the records is a JSON object with `source` (the end of a path) and any of `cpu` (seconds), `memory` (bytes)
and `size` (bytes), which count more than the log. The history is a workspace's, of which the very commands
of BUILD count, more than records do. Files of the build that none of them names are left out; `--keep`
leaves what the file has of others as it is.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.plan import costs, edges, kinds, setting
from winvllm_build.build.plan.history import History, Sample

DATA = Path(__file__).parent.parent / "winvllm_build" / "build" / "plan" / "data"
FILED: Final = ("subject", "headers", "codes")


def seconds_of(log: Path) -> dict[str, float]:
    """Seconds of each output in a log of ninja, versions 5 to 7; the last where it is there twice."""
    rows = (line.split("\t") for line in log.read_text(encoding="utf-8").splitlines() if line[:1].isdigit())
    return {row[3]: (int(row[1]) - int(row[0])) / 1000 for row in rows}


def record_of(edge: Edge, records: list[dict[str, Any]]) -> Mapping[str, Any]:
    """What the records say of an edge; a source is named by as much of its end as tells it from others."""
    subject = costs.subject_of(edge)
    return next((one for one in records[::-1] if subject.endswith(str(one["source"]))), {})


def noted_in(file: Path | None) -> dict[str, list[Sample]]:
    """The latest figures of each command."""
    noted: dict[str, list[Sample]] = {}
    for sample in History(file=file).read() if file else ():
        noted[sample.key] = [*noted.get(sample.key, []), sample][-costs.LATEST :]
    return noted


def figures_of(record: Mapping[str, Any], noted: list[Sample]) -> Mapping[str, Any]:
    """Of the history where it has any, as a prediction takes them."""
    if not noted:
        return record
    return {
        "cpu": statistics.median(sample.seconds for sample in noted),
        "memory": max(sample.memory for sample in noted),
        "size": noted[-1].size,
    }


def kept_from(file: Path, samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the file has of other sources and device codes."""
    new = {tuple(str(sample[key]) for key in FILED) for sample in samples}
    old = json.loads(file.read_bytes())["samples"]
    return [sample for sample in old if tuple(str(sample[key]) for key in FILED) not in new]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="of the file to write")
    parser.add_argument("build", type=Path)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--records", type=Path)
    parser.add_argument("--history", type=Path)
    parser.add_argument("--keep", action="store_true", help="what the file has of other files")
    parser.add_argument("--build-type", help="that the figures are of, if not the folder's")
    return parser.parse_args()


def main() -> None:
    given = parsed()
    here = setting.read(given.build.absolute())
    target = DATA / f"{given.name}.json"
    walls = seconds_of(given.log) if given.log else {}
    lines = given.records.read_text(encoding="utf-8").splitlines() if given.records else []
    records = [json.loads(line) for line in lines]
    noted = noted_in(given.history)
    samples: list[dict[str, Any]] = []
    for edge in edges.read(here.folder, setting=here):
        record = figures_of(record_of(edge, records), noted.get(edge.key, []))
        seconds = float(record.get("cpu", walls.get(edge.output, 0.0)))
        made = here.folder / edge.output
        size = int(record.get("size", made.stat().st_size if made.is_file() else 0))
        if seconds:
            samples.append(
                {
                    "subject": costs.subject_of(edge), "headers": kinds.headers_of(edge).value,
                    "codes": list(edge.gencodes), "seconds": round(seconds, 1),
                    "memory": int(record.get("memory", 0)), "size": size,
                }
            )  # fmt: skip
    kept = kept_from(target, samples) if given.keep else []
    whole = {
        "compiler": here.compiler,
        "build_type": given.build_type or here.build_type,
        "samples": sorted([*samples, *kept], key=lambda sample: str(sample["subject"])),
    }
    target.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(f"{len(samples)} figures in {target}, and {len(kept)} that it had")


if __name__ == "__main__":
    main()
