"""Write figures of a recorded build into the package, for predictions where nobody has measured yet.

    python scripts/recorded_costs.py v0.33.0-sm86 BUILD --log .ninja_log --records measured.jsonl
    python scripts/recorded_costs.py v0.14.1-sm86 BUILD --history WORKSPACE/costs/history.jsonl --keep
    python scripts/recorded_costs.py v0.14.1-sm86+fast-compile BUILD --narrowed ROWS v0.14.1-sm86

BUILD is the configured folder that the figures are of: it says which device code each file is compiled for,
and how large its objects are. The log gives wall seconds (of a run with no more jobs than cores); each line
of the records is a JSON object with `source` (the end of a path) and any of `cpu` (seconds), `memory` (bytes)
and `size` (bytes), which count more than the log. Files of the build that nothing names are left out.

The history is a workspace's, of which the very commands of BUILD count: memory and size before all others,
seconds only where nothing else gives them, since the machine may have been busy. `--slower 1.2` says how much
longer it took than the machine of reference. With `--keep` what the file has already stays where nothing is
said anew, seconds before those of the history.

ROWS is what `benchmarks.fast_compile` wrote of whole objects: of each source that the layer touches its
memory and size count, and of the seconds that the named file has the share that is left.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.plan import costs, edges, kinds, setting
from winvllm_build.build.plan.history import History, Sample

DATA = Path(__file__).parent.parent / "winvllm_build" / "build" / "plan" / "data"


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


def filed(sample: Mapping[str, Any]) -> tuple[str, ...]:
    """Figures of the same file, headers and device codes."""
    return str(sample["subject"]), str(sample["headers"]), *map(str, sample["codes"])


def had(file: Path) -> dict[tuple[str, ...], dict[str, Any]]:
    """What the file has."""
    return {filed(sample): sample for sample in json.loads(file.read_bytes())["samples"]}


def narrowed(rows: Path, wide: Path) -> list[dict[str, Any]]:
    """Records of what the layer fast-compile touches."""
    known = {sample["subject"]: sample["seconds"] for sample in json.loads(wide.read_bytes())["samples"]}
    return [
        {
            "source": source,
            "cpu": known[f"<tree>/{source}"] * row["after"]["cpu"] / row["before"]["cpu"],
            "memory": row["after"]["mib"] << 20,
            "size": row["after"]["size"],
        }
        for source, row in json.loads(rows.read_bytes()).items()
        if row["sources"][source]["level"]
    ]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="of the file to write")
    parser.add_argument("build", type=Path)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--records", type=Path)
    parser.add_argument("--history", type=Path)
    parser.add_argument("--narrowed", nargs=2, metavar=("ROWS", "NAME"))
    parser.add_argument("--slower", type=float, default=1.0, help="than the machine of reference")
    parser.add_argument("--keep", action="store_true", help="what the file has")
    parser.add_argument("--build-type", help="that the figures are of, if not the folder's")
    return parser.parse_args()


def main() -> None:
    given = parsed()
    here = setting.read(given.build.absolute())
    target = DATA / f"{given.name}.json"
    walls = seconds_of(given.log) if given.log else {}
    lines = given.records.read_text(encoding="utf-8").splitlines() if given.records else []
    records = [json.loads(line) for line in lines]
    if given.narrowed:
        records += narrowed(Path(given.narrowed[0]), DATA / f"{given.narrowed[1]}.json")
    noted = noted_in(given.history)
    samples = had(target) if given.keep else {}
    for edge in edges.read(here.folder, setting=here):
        record, latest = record_of(edge, records), noted.get(edge.key, [])
        made = here.folder / edge.output
        sample: dict[str, Any] = {
            "subject": costs.subject_of(edge), "headers": kinds.headers_of(edge).value,
            "codes": list(edge.gencodes),
        }  # fmt: skip
        before = samples.get(filed(sample), {})
        own = statistics.median(one.seconds for one in latest) / given.slower if latest else 0.0
        seconds = float(record.get("cpu") or walls.get(edge.output) or before.get("seconds") or own)
        memory = max((one.memory for one in latest), default=0)
        sample["seconds"] = round(seconds, 1)
        sample["memory"] = memory or int(record.get("memory") or before.get("memory", 0))
        size = latest[-1].size if latest else int(record.get("size", 0))
        sample["size"] = size or (made.stat().st_size if made.is_file() else int(before.get("size", 0)))
        if seconds:
            samples[filed(sample)] = sample
    whole = {
        "compiler": here.compiler,
        "build_type": given.build_type or here.build_type,
        "samples": [samples[key] for key in sorted(samples)],
    }
    target.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(f"{len(samples)} figures in {target}")


if __name__ == "__main__":
    main()
