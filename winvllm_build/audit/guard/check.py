"""Each patch held against what Linux and ROCm see."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from winvllm_build.audit.device.record import Difference, Kind, Proof, Records
from winvllm_build.audit.guard import (
    cmake_view,
    cxx_view,
    generated,
    header,
    new_file,
    python_view,
    requirements_view,
    rust_view,
)
from winvllm_build.audit.guard.judgement import Ground, Judgement, Platform, Verdict, View
from winvllm_build.audit.guard.pair import Pair
from winvllm_build.git import Oid, RepoPath
from winvllm_build.patchset.diff import Change
from winvllm_build.patchset.patchset import MAIN_TARGET, PatchSet

UNSEEN: Final = (
    "nothing is built or tested on Linux: what is read there is compared",
    "comments and line numbers, which tracebacks, inspect.getsource and compile caches do see",
    "machine code for ROCm: the record of `audit device` is nvcc's",
)
"""What no verdict says."""


def check(
    pairs: Sequence[Pair], records: Records, *, only: Collection[str] = (),
    on_step: Callable[[str], None] = lambda _: None,
) -> tuple[Judgement, ...]:  # fmt: skip
    """Judge every pair.

    Args:
        pairs: all files of the set, before and after.
        records: what compilers made of them.
        only: the paths to judge; empty for all.
        on_step: told which path is next.

    Raises:
        SourceError: a tree cannot be read.
    """
    found: list[Judgement] = []
    for pair in pairs:
        if only and pair.path not in only:
            continue
        on_step(pair.path)
        among = {RepoPath(one.path): one.ids for one in pairs if one.layer == pair.layer}
        found.append(judge(pair, records, among))
    return tuple(found)


def judge(pair: Pair, records: Records, among: Mapping[RepoPath, tuple[Oid, Oid]]) -> Judgement:
    """One patch: both views, and whether the header agrees."""
    cuda, rocm = _views(pair)
    if Verdict.CHANGED in (cuda.verdict, rocm.verdict):
        cuda, rocm = _recorded(pair, cuda, rocm, records, among)
    if Verdict.CHANGED in (cuda.verdict, rocm.verdict) and generated.is_generator(pair):
        cuda, rocm = generated.run(pair, cuda, rocm)
    found = Judgement(
        layer=pair.layer, path=pair.path, change=pair.change, cuda=cuda, rocm=rocm, guard=pair.guard or ""
    )
    if found.verdict is Verdict.CHANGED:
        found = replace(found, fix=_fix(pair))
    return found if pair.guard is None else header.compared(found)


def _views(pair: Pair) -> tuple[View, View]:
    if pair.change is Change.ADDED:
        trees = (pair.old.files, pair.new.files)
        if pair.path.endswith(".py"):
            return _same(new_file.view(pair.path, Platform.CUDA, trees, pair.new.siblings))
        return _both(lambda one: new_file.view(pair.path, one, trees, pair.new.siblings))
    if pair.before is None or pair.after is None:
        return _same(View.of((), left=(f"-{pair.path}",)))
    outside = _outside(pair)
    if outside:
        return _same(View.of((), left=(outside,)))
    try:
        before, after = (_text(content) for content in (pair.before, pair.after))
    except UnicodeDecodeError:
        return _same(View.of((), left=("bytes that are no text",)))
    return _texts(pair, before, after)


def _outside(pair: Pair) -> str:
    """What changed besides the text."""
    if pair.modes[0] != pair.modes[1]:
        return f"mode {pair.modes[0]} -> {pair.modes[1]}"
    differs = _form(pair.before or b"") != _form(pair.after or b"")
    return "line ends or a byte order mark" if differs else ""


def _texts(pair: Pair, before: str, after: str) -> tuple[View, View]:
    path = pair.path
    if path.endswith(".py"):
        return _same(python_view.view(path, before, after, pair.old.siblings, pair.new.siblings))
    if path.endswith(cxx_view.SUFFIXES):
        return _both(lambda one: cxx_view.view(before, after, one))
    if path.endswith((".cmake", "CMakeLists.txt")):
        trees = (pair.old.files, pair.new.files)
        return _both(lambda one: cmake_view.view(path, (before, after), one, trees))
    compare = _rule(path)
    if compare is not None:
        return _same(compare(before, after))
    words = "no rule reads this kind of file, so every byte counts"
    return _same(View.of((), left=() if before == after else (words,)))


def _rule(path: str) -> Callable[[str, str], View] | None:
    """How files are compared whose text says everything."""
    name = path.rpartition("/")[2]
    if name.endswith(".txt") and "requirements" in path:
        return requirements_view.view
    by_name = {"pyproject.toml": requirements_view.project_view, "Cargo.toml": rust_view.cargo_view}
    return by_name.get(name, rust_view.view if name.endswith(".rs") else None)


def _both(view: Callable[[Platform], View]) -> tuple[View, View]:
    return view(Platform.CUDA), view(Platform.ROCM)


def _same(view: View) -> tuple[View, View]:
    return view, view


def _form(content: bytes) -> tuple[bool, bool]:
    """Whether a file has CRLF and a byte order mark: both can keep a script from starting."""
    return b"\r\n" in content, content.startswith(BOM_UTF8)


def _text(content: bytes) -> str:
    if b"\0" in content:
        raise UnicodeDecodeError("utf-8", content, 0, 1, "a binary file")
    return content.decode("utf-8-sig").replace("\r\n", "\n")


def _recorded(
    pair: Pair, cuda: View, rocm: View, records: Records, among: Mapping[RepoPath, tuple[Oid, Oid]]
) -> tuple[View, View]:
    path = RepoPath(pair.path)
    proof = records.confirms(path, *pair.ids, among=among)
    if proof is None or not _is_whole(proof):
        return cuda, rocm
    bad = [one for one in proof.differences if not one.reason or _is_kernel(one)]
    if bad:
        said = tuple(f"{one.kind.value} {one.name} differs{_told(one)}" for one in bad)
        return replace(cuda, open=said), replace(rocm, open=said)
    ground = Ground.GENERATED if proof.count(Kind.GENERATED) else Ground.MACHINE_CODE
    where = {f"{one.source or path} for {one.arch or 'the host'}" for one in records.unproven
             if (one.path, one.pair) == (path, pair.ids)}  # fmt: skip
    words = "; not compiled: ".join([proof.words(), *([", ".join(sorted(where))] if where else [])])
    return cxx_view.with_record(cuda, rocm, words, ground)


def _is_kernel(one: Difference) -> bool:
    """A kernel whose instructions changed is a change, whatever a header says."""
    return one.kind is Kind.PTX and one.name.startswith("entry ")


def _told(one: Difference) -> str:
    return f"; the header says: {one.reason}" if one.reason else ", and no header names it"


def _is_whole(proof: Proof) -> bool:
    """Whether each unit was compared for the host as well, not only for the device."""
    kinds = (Kind.TEXT, Kind.HOST_TEXT, Kind.HOST, Kind.GENERATED)
    return all(any(unit.compared.get(kind) for kind in kinds) for unit in proof.units)


def _fix(pair: Pair) -> str:
    compiled = pair.path.endswith(cxx_view.SUFFIXES) and pair.change is Change.MODIFIED
    if compiled:
        return (
            "put the change behind _MSC_VER; or, if the compiler makes the same of it, have that recorded: "
            "winvllm-build audit device --record"
        )
    return "put the change behind a condition on Windows, so that Linux reads what it read before"


def uncovered(patch_set: PatchSet) -> tuple[str, ...]:
    """What no verdict of the set says."""
    others = sorted({patch.target for patch in patch_set.patches} - {MAIN_TARGET})
    return (*UNSEEN, *(f"the patches of {name}: only those of {MAIN_TARGET} are judged" for name in others))


def problems(found: Iterable[Judgement]) -> tuple[Judgement, ...]:
    return tuple(one for one in found if not one.is_fine)
