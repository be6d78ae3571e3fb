"""Costs: the best basis wins, figures scale, the machine's speed is learnt, the history survives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import recorded_builds
from tests.hostile_trees import thorough
from winvllm_build.build.engine.cost import Basis
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.plan import costs, history, kinds
from winvllm_build.build.plan.costs import CostModel
from winvllm_build.build.plan.history import History, Sample

COMPILER = "NVIDIA 13.0.88, GNU 12.2.0"


def edge(source: str = "<tree>/csrc/new.cu", *codes: str, stable: bool = True) -> Edge:
    arguments = ("nvcc", "-DTORCH_TARGET_VERSION=1") if stable else ("nvcc",)
    return Edge(
        output=f"CMakeFiles/_C.dir/{source}.o", target="_C", language=Language.CUDA, source=source,
        gencodes=codes or ("sm_86",), arguments=arguments, key=f"key of {source} {codes}",
    )  # fmt: skip


def record(of: Edge, *, seconds: float, memory: int = 10**9, cpu: float = 0.0) -> EdgeRecord:
    return EdgeRecord(
        edge=of, outcome=Outcome.COMPILED, attempt=1, asked=0, started=100, ended=100 + seconds, cpu=cpu,
        memory=memory, size=5, code=0, predicted_memory=0, predicted_seconds=0,
    )  # fmt: skip


def model(*seeds: Sample, kept: History | None = None, compiler: str = COMPILER) -> CostModel:
    return CostModel(history=kept, compiler=compiler, build_type="Release", seeds=seeds)


def seed(source: str, seconds: float, *codes: str) -> Sample:
    return Sample(
        subject=source, headers="stable ABI", codes=codes or ("sm_86",), compiler="other",
        build_type="Release", seconds=seconds, memory=7 * 10**8, size=9,
    )  # fmt: skip


def test_what_was_measured_here_comes_first_then_alike_then_recorded_then_class() -> None:
    wanted = edge()
    known = model(seed(wanted.source, 20))
    assert known.predict(edge("<tree>/csrc/unknown.cu")).basis is Basis.CLASS
    assert known.predict(wanted).basis is Basis.RECORDED
    assert known.predict(wanted).seconds == pytest.approx(20)
    known.learn(record(edge(wanted.source, "sm_75"), seconds=30))
    assert known.predict(wanted).basis is Basis.SIMILAR
    assert known.predict(wanted).seconds == pytest.approx(30)
    known.learn(record(wanted, seconds=40, memory=2 * 10**9))
    found = known.predict(wanted)
    assert (found.basis, found.seconds, found.memory, found.size) == (Basis.MEASURED, 40, 2 * 10**9, 5)


def test_for_two_architectures_it_costs_more_as_its_class_does() -> None:
    known = model()
    known.learn(record(edge(), seconds=36))
    figures = kinds.FIGURES[kinds.Kind.ORDINARY, kinds.Headers.STABLE]
    share = (figures.host + 2 * figures.device) / (figures.host + figures.device)
    found = known.predict(edge("<tree>/csrc/new.cu", "sm_86", "sm_120f"))
    assert found.seconds == pytest.approx(36 * share)
    assert found.basis is Basis.SIMILAR


def test_one_slow_run_changes_little_and_memory_is_the_most_of_the_latest() -> None:
    known = model()
    for seconds, memory in ((10, 5), (11, 6), (99, 9), (10, 5)):
        known.learn(record(edge(), seconds=seconds, memory=memory))
    assert known.predict(edge()).seconds == pytest.approx(10.5)
    assert known.predict(edge()).memory == 9


def test_time_spent_waiting_for_a_core_does_not_count_but_sleep_does() -> None:
    tiny = edge("<tree>/tiny.cu")
    known = model(seed(tiny.source, 1.3))
    known.learn(record(edge(), seconds=140, cpu=9))
    known.learn(record(edge("<tree>/b.cu"), seconds=40, cpu=0.1))
    known.learn(record(tiny, seconds=29, cpu=1.8))
    assert known.predict(edge()).seconds == 9
    assert known.predict(edge("<tree>/b.cu")).seconds == 40
    assert known.predict(tiny).seconds == 1.8


def test_a_slow_machine_makes_what_it_has_not_seen_slower() -> None:
    sources = [f"<tree>/csrc/{name}.cu" for name in "abcdefgh"]
    known = model(*(seed(source, 100) for source in sources))
    assert known.speed == 1
    for source in sources[:4]:
        known.learn(record(edge(source), seconds=300))
    assert 2 < known.speed < 3
    assert known.predict(edge(sources[5])).seconds == pytest.approx(100 * known.speed)
    unknown = edge("<tree>/csrc/unknown.cu")
    assert known.predict(unknown).seconds == pytest.approx(kinds.reckoned(unknown) * known.speed)


@pytest.mark.parametrize("outcome", [Outcome.CACHED, Outcome.REUSED, Outcome.RETRIED, Outcome.FAILED])
def test_only_the_compilers_own_work_is_learnt(outcome: Outcome, tmp_path: Path) -> None:
    kept = History(file=tmp_path / "history.jsonl")
    known = model(kept=kept)
    known.learn(replace(record(edge(), seconds=1), outcome=outcome))
    assert known.predict(edge()).basis is Basis.CLASS
    assert list(kept.read()) == []


def test_the_next_run_knows_what_this_one_learnt(tmp_path: Path) -> None:
    kept = History(file=tmp_path / "costs" / "history.jsonl")
    model(kept=kept).learn(record(edge(), seconds=12))
    assert model(kept=kept).predict(edge()).seconds == 12
    assert model(kept=kept, compiler="another").predict(edge()).basis is Basis.SIMILAR


SAMPLES = st.builds(
    Sample, subject=st.text(max_size=9), headers=st.sampled_from(["none", "stable ABI"]),
    codes=st.lists(st.sampled_from(["sm_86", "sm_120f"]), max_size=2).map(tuple),
    compiler=st.text(max_size=3), build_type=st.just("Release"), key=st.text(max_size=3),
    seconds=st.integers(0, 99).map(float),
    memory=st.integers(0, 9), size=st.integers(0, 9),
)  # fmt: skip


@thorough(25)
@given(st.lists(SAMPLES, min_size=1, max_size=4), st.integers(0, 400))
def test_a_torn_tail_costs_one_line_and_no_later_one(
    tmp_path_factory: pytest.TempPathFactory, samples: list[Sample], cut: int
) -> None:
    kept = History(file=tmp_path_factory.mktemp("h") / "history.jsonl")
    for sample in samples:
        kept.add(sample)
    content = kept.file.read_bytes()
    torn = content[: max(len(content) - cut, 0)]
    kept.file.write_bytes(torn)
    whole = torn.count(b"\n")
    kept.add(samples[0])
    found = list(kept.read())
    assert found[:whole] == samples[:whole]
    assert found[-1] == samples[0]
    assert len(found) <= whole + 2


def test_lines_of_others_are_passed_over(tmp_path: Path) -> None:
    kept = History(file=tmp_path / "history.jsonl")
    kept.file.write_bytes(b'\xff\n[1]\n{"subject": 1}\n{"seconds": "x"}\n1e999\n')
    assert list(kept.read()) == []


def test_a_history_that_grew_large_keeps_the_latest_of_each_edge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = History(file=tmp_path / "history.jsonl")
    for number in range(60):
        for source in ("a", "b"):
            kept.add(seed(source, number))
    before = list(kept.read())
    kept.tidy()
    assert list(kept.read()) == before
    monkeypatch.setattr(history, "LARGEST", 1000)
    kept.tidy()
    assert list(kept.read()) == before[-2 * history.KEPT :]


def test_what_comes_with_the_tool_covers_the_recorded_builds() -> None:
    """Without flash-attention, of which nothing is recorded, every file of v0.33.0 for 8.6 has a figure."""
    known = CostModel(history=None, compiler=COMPILER, build_type="Release")
    found = [e for e in recorded_builds.recorded("v0.33.0")["8.6"] if "_vllm_fa" not in e.target]
    assert {known.predict(e).basis for e in found} == {Basis.RECORDED}
    work = sum(known.predict(e).seconds for e in found)
    assert work == pytest.approx(2638, rel=0.05)
    assert len(costs.recorded()) > 100


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("<tree>/csrc/quantization/marlin/sm80_kernel_s8_u4_float16.cu", kinds.Kind.MARLIN),
        ("<flash-attn>/hopper/instantiations/flash_fwd_hdim128_fp16_sm90.cu", kinds.Kind.FLASH_ATTENTION_3),
        ("<flash-attn>/csrc/flash_attn/src/flash_fwd_split_hdim64_fp16_sm80.cu",
         kinds.Kind.FLASH_ATTENTION_2_SPLIT),
        ("<flash-attn>/csrc/flash_attn/src/flash_fwd_hdim64_fp16_sm80.cu", kinds.Kind.FLASH_ATTENTION_2),
        ("<tree>/csrc/quantization/w8a8/cutlass/scaled_mm_c2x.cu", kinds.Kind.CUTLASS),
        ("<tree>/csrc/quantization/w8a8/cutlass/scaled_mm_entry.cu", kinds.Kind.ORDINARY),
        ("<tree>/csrc/moe/topk_softmax_kernels.cu", kinds.Kind.MOE),
        ("<tree>/csrc/topk.cu", kinds.Kind.ORDINARY),
    ],
)  # fmt: skip
def test_classes_by_path(source: str, kind: kinds.Kind) -> None:
    assert kinds.kind_of(edge(source)) is kind


def test_without_debug_information_an_object_is_a_fraction() -> None:
    """merge_attn_states.cu of v0.33.0 had 1,009,048 bytes with it, 118,416 without; larger ones keep more."""
    of = edge()
    recorded = replace(seed(of.source, 6), build_type="RelWithDebInfo", size=1_009_048)
    assert 118_416 < model(recorded).predict(of).size < 250_000
    assert model(replace(recorded, build_type="Release")).predict(of).size == 1_009_048


def test_a_long_compile_whose_memory_nobody_measured_is_taken_for_a_large_one() -> None:
    known = model(
        replace(seed("<tree>/csrc/new.cu", 130), memory=0), replace(seed("<tree>/b.cu", 5), memory=0)
    )
    assert 1.3e9 < known.predict(edge()).memory < 1.7e9
    assert known.predict(edge("<tree>/b.cu")).memory == kinds.figures_of(edge()).memory


def test_headers_decide_what_an_ordinary_file_costs() -> None:
    known = model()
    assert known.predict(edge(stable=False)).seconds > 3 * known.predict(edge()).seconds
    assert known.predict(edge(stable=False)).memory > 2 * known.predict(edge()).memory


def test_the_speed_learnt_is_known_to_the_next_run_even_of_files_by_class_alone(tmp_path: Path) -> None:
    kept = History(file=tmp_path / "history.jsonl")
    first = model(kept=kept)
    for name in "abcdefgh":
        of = edge(f"<tree>/csrc/{name}.cu")
        first.learn(record(of, seconds=3 * kinds.reckoned(of)))
    assert 2 < first.speed < 3
    assert model(kept=kept).speed == pytest.approx(first.speed)


def narrow_edge(source: str, level: str = "tensor", folder: str = "/b/v0.14.1-sm86/narrow_torch") -> Edge:
    wide = edge(source, stable=False)
    return replace(wide, arguments=("nvcc", f"-I{folder}/{level}", *wide.arguments[1:]))


@pytest.mark.parametrize("folder", ["/b/narrow_torch", r"C:\b\narrow_torch"])
def test_what_was_measured_with_all_of_torch_says_nothing_of_fewer_headers(folder: str) -> None:
    few = narrow_edge("<tree>/csrc/new.cu", folder=folder)
    if "\\" in folder:
        few = replace(few, arguments=tuple(word.replace("/", "\\") for word in few.arguments))
    assert kinds.headers_of(few) is kinds.Headers.NARROW
    known = model()
    known.learn(record(edge(few.source, stable=False), seconds=80))
    assert known.predict(few).basis is Basis.CLASS
    assert known.predict(few).seconds < known.predict(edge("<tree>/b.cu", stable=False)).seconds / 2
    assert known.predict(few).memory < known.predict(edge("<tree>/b.cu", stable=False)).memory / 2
    assert 0 < known.predict(few).size < 10**6


def test_the_figures_of_fewer_headers_are_the_measured_share_of_the_others(checkout: Path) -> None:
    rows = json.loads((checkout / "benchmarks" / "fast_compile-objects-v0.14.1.json").read_bytes())
    known = {(sample.subject, sample.headers): sample for sample in costs.recorded()}
    measured = {name: row for name, row in rows.items() if row["sources"][name]["level"]}
    assert len(measured) > 50
    for name, row in measured.items():
        wide, few = (known[f"<tree>/{name}", of.value] for of in (kinds.Headers.ALL, kinds.Headers.NARROW))
        share = row["after"]["cpu"] / row["before"]["cpu"]
        assert few.seconds == pytest.approx(wide.seconds * share, abs=0.06)
        assert few.memory == row["after"]["mib"] << 20
        assert few.codes == wide.codes
