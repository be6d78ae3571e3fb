"""The parts of an audit, each a few lines around the room that does it."""

from __future__ import annotations

from typing import Final

from winvllm_build.audit.device import audit as device
from winvllm_build.audit.device import record
from winvllm_build.audit.device.setting import Wanted as DeviceWanted
from winvllm_build.audit.frontend import audit as frontend
from winvllm_build.audit.frontend.outcome import Side
from winvllm_build.audit.frontend.outcome import Verdict as FrontendVerdict
from winvllm_build.audit.frontend.sides import Room
from winvllm_build.audit.guard import check as guards
from winvllm_build.audit.guard import pair
from winvllm_build.audit.overall import Outcome, Part, Result, Setting, shown
from winvllm_build.audit.scan import scan
from winvllm_build.audit.scripts import check as scripts
from winvllm_build.audit.subject import Wanted, opened
from winvllm_build.choices import SourceKind
from winvllm_build.patchset import patchset
from winvllm_build.sources.source import acquire


def _scan(setting: Setting) -> Outcome:
    with opened(Wanted(name=setting.tag, root=setting.root, patched=True), setting.doors) as subject:
        made = scan(subject)
    left, faults = made.coverage.failing, made.coverage.faults
    findings = [f"{place.hit.hazard} {place.hit.path}:{place.hit.line} {place.hit.text}" for place in left]
    findings += [f"{fault.file.name}:{fault.line} {fault.message}" for fault in faults]
    blind = {one.path for one in made.found.blind}
    looked_at = f"{made.found.files} files, {made.found.lines} lines"
    return Outcome(
        result=Result.FOUND if findings else Result.CLEAN,
        words=f"{looked_at} with the set applied: {len(left)} live places left",
        findings=shown(findings),
        uncovered=(f"{len(blind)} files that a parser could not follow, or in part",) if blind else (),
        fix=f"winvllm-build scan {setting.tag} --patched",
    )


def _guards(setting: Setting) -> Outcome:
    """Whether Linux and ROCm see what upstream wrote."""
    known = patchset.load(setting.root, setting.tag, allow_open=True)
    doors = setting.doors
    source = acquire(
        known.pin, kind=SourceKind.AUTO, location=None, workspace=doors.workspace, offline=doors.offline,
        on_event=doors.tell, index=doors.index,
    )  # fmt: skip
    with pair.opened(known, source) as pairs:
        found = guards.check(pairs, record.read(known.folder))
    bad = guards.problems(found)
    return Outcome(
        result=Result.FOUND if bad else Result.CLEAN,
        words=f"{len(found) - len(bad)} of {len(found)} patched files are the same for Linux and ROCm",
        findings=shown([f"{one.path}: {one.disagreement or one.verdict.value}" for one in bad]),
        uncovered=guards.uncovered(known),
        fix=f"winvllm-build audit guards {setting.tag}",
    )


def _record(setting: Setting) -> Outcome:
    """Whether the record of `audit device` is about the patches that are there."""
    known = patchset.load(setting.root, setting.tag, allow_open=True)
    among = {patch.path: (patch.pre, patch.post) for patch in known.of(patchset.MAIN_TARGET)}
    records = record.read(known.folder)
    fix = f"winvllm-build audit device {setting.tag} --record"
    if not records.units:
        return Outcome(result=Result.NOT_RUN, words=f"the set has no {record.FILE}", fix=fix)
    stale = records.stale(among)
    differing = [one for unit in records.units for one in unit.differences]
    return Outcome(
        result=Result.FOUND if stale else Result.CLEAN,
        words=f"{len(records.units)} comparisons of compiled code, {len(differing)} reasoned differences",
        findings=shown([f"{path}: not the file that was compared" for path in stale]),
        uncovered=tuple(f"{one.path} for {one.arch or 'the host'}: {one.why}" for one in records.unproven),
        fix=fix,
    )


def _scripts(setting: Setting) -> Outcome:
    del setting
    if not scripts.has_own():
        words = "this installation is no checkout and has no scripts"
        return Outcome(result=Result.NOT_RUN, words=words)
    report = scripts.check()
    return Outcome(
        result=Result.FOUND if report.findings else Result.CLEAN,
        words=f"{len(report.scripts)} scripts",
        findings=shown(
            [f"{one.path}:{one.line} {one.rule.value.id}: {one.detail}" for one in report.findings]
        ),
        uncovered=tuple(f"{one.check}: {one.why}{_fix(one.fix)}" for one in report.not_run),
        fix="winvllm-build audit scripts",
    )


def _device(setting: Setting) -> Outcome:
    doors = setting.doors
    wanted = DeviceWanted(
        patches=patchset.load(setting.root, setting.tag), workspace=doors.workspace, offline=doors.offline,
        tell=doors.tell, index=doors.index, dependencies={},
    )  # fmt: skip
    report = device.run(device.Request(wanted=wanted), lambda done: doors.tell(f"compared: {done.name}"))
    differing = [f"{unit.source}: {one.kind.value} {one.name}" for unit, one in report.unexplained]
    return Outcome(
        result=Result.FOUND if differing else Result.CLEAN,
        words=f"{len(report.units)} sources compiled before and after: {len(differing)} differ unexplained",
        findings=shown(differing),
        uncovered=tuple(f"{one.path} for {one.arch or 'the host'}: {one.why}" for one in report.unproven),
        fix=f"winvllm-build audit device {setting.tag}",
    )


def _frontend(setting: Setting) -> Outcome:
    if setting.profile is None:
        return Outcome(result=Result.NOT_RUN, words="no profile says what to configure")
    doors = setting.doors
    room = Room(
        resolved=setting.profile, workspace=doors.workspace, patches=setting.root, index=doors.index,
        offline=doors.offline, tell=doors.tell,
    )  # fmt: skip
    request = frontend.Request(room=room, sides=(Side.AFTER,), stl=setting.stl)
    made = frontend.run(request, lambda one, *_: doors.tell(f"front end: {one.unit.path}"))
    failing = [one for one in made.judged if one.verdict is FrontendVerdict.FAIL or _linted(one)]
    open_ = [one for one in made.judged if one.verdict is FrontendVerdict.UNJUDGED]
    left_out = (f"{made.left_out} generated files (--all of audit frontend)",) if made.left_out else ()
    return Outcome(
        result=Result.FOUND if failing else Result.CLEAN,
        words=f"{len(made.judged)} files for {', '.join(made.archs)}: {len(failing)} that Windows refuses",
        findings=shown([one.unit.path for one in failing]),
        uncovered=(*left_out, *(f"{one.unit.path}: not judged" for one in open_)),
        fix=f"winvllm-build audit frontend {setting.tag} --stl STL",
    )


def _linted(one: frontend.Judged) -> bool:
    return any(outcome.lint for outcome in one.outcomes)


def _fix(command: str) -> str:
    return f" ({command})" if command else ""


PARTS: Final = (
    Part(name="scan", look=_scan),
    Part(name="guards", look=_guards),
    Part(name="device record", look=_record),
    Part(name="scripts", look=_scripts, optional=True),
    Part(name="device", look=_device, slow=True, optional=True),
    Part(name="frontend", look=_frontend, slow=True, optional=True),
)
