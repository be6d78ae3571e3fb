"""Write figures of a recorded build into the package, for predictions where nobody has measured yet.

    python scripts/recorded_costs.py v0.33.0-sm86 BUILD --log .ninja_log --records measured.jsonl

BUILD is the configured folder that the figures are of: it says which device code each file is compiled for,
and how large its objects are. The log gives wall seconds (of a run with no more jobs than cores); each line
of the records is a JSON object with `source` (the end of a path) and any of `cpu` (seconds), `memory` (bytes)
and `size` (bytes), which count more than the log. Files of the build that neither names are left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.plan import costs, edges, kinds, setting

DATA = Path(__file__).parent.parent / "winvllm_build" / "build" / "plan" / "data"


def seconds_of(log: Path) -> dict[str, float]:
    """Seconds of each output in a log of ninja, versions 5 to 7; the last where it is there twice."""
    rows = (line.split("\t") for line in log.read_text(encoding="utf-8").splitlines() if line[:1].isdigit())
    return {row[3]: (int(row[1]) - int(row[0])) / 1000 for row in rows}


def record_of(edge: Edge, records: list[dict[str, Any]]) -> Mapping[str, Any]:
    """What the records say of an edge; a source is named by as much of its end as tells it from others."""
    subject = costs.subject_of(edge)
    return next((one for one in records[::-1] if subject.endswith(str(one["source"]))), {})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="of the file to write")
    parser.add_argument("build", type=Path)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--records", type=Path)
    parser.add_argument("--build-type", help="that the figures are of, if not the folder's")
    given = parser.parse_args()
    here = setting.read(given.build.absolute())
    walls = seconds_of(given.log) if given.log else {}
    lines = given.records.read_text(encoding="utf-8").splitlines() if given.records else []
    records = [json.loads(line) for line in lines]
    samples = []
    for edge in edges.read(here.folder, setting=here):
        record = record_of(edge, records)
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
    whole = {
        "compiler": here.compiler,
        "build_type": given.build_type or here.build_type,
        "samples": sorted(samples, key=lambda sample: str(sample["subject"])),
    }
    target = DATA / f"{given.name}.json"
    target.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(f"{len(samples)} figures in {target}")


if __name__ == "__main__":
    main()
