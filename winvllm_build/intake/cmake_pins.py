"""The projects that upstream's CMake would fetch: where from, at which revision, for which targets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.intake.cmake_run import TOP, Run, Visit
from winvllm_build.intake.cmake_targets import Kind, Target, archs_of, options
from winvllm_build.intake.cmake_text import Argument
from winvllm_build.intake.cmake_values import Conditions

FETCH_OPTIONS: Final = frozenset(
    {"GIT_REPOSITORY", "GIT_TAG", "GIT_SUBMODULES", "GIT_SUBMODULES_RECURSE", "GIT_PROGRESS", "GIT_SHALLOW",
     "GIT_REMOTE_NAME", "GIT_CONFIG", "SOURCE_DIR", "BINARY_DIR", "SUBBUILD_DIR", "SOURCE_SUBDIR",
     "CONFIGURE_COMMAND", "BUILD_COMMAND", "INSTALL_COMMAND", "TEST_COMMAND", "PATCH_COMMAND", "URL",
     "URL_HASH", "DOWNLOAD_COMMAND", "SYSTEM", "EXCLUDE_FROM_ALL", "QUIET", "OVERRIDE_FIND_PACKAGE",
     "FIND_PACKAGE_ARGS"}
)  # fmt: skip
REFERENCE: Final = re.compile(r"\$(?:ENV)?\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CMakePin:
    """One FetchContent project of a CUDA build.

    Attributes:
        content: its FetchContent name.
        url: its git repository.
        revision: the tag or commit named.
        variable: by which environment variable a folder is taken instead; empty where none is.
        folder: what that variable points at inside the repository; empty is its root.
        submodules: the paths that are fetched; None where all are, and no file of vLLM names them.
        targets: what cannot be built without it.
        archs: for which CUDA architectures its files are compiled; empty is for all.
        file: which CMake file names it.
        line: where.
    """

    content: str
    url: str
    revision: str
    variable: str
    folder: str
    submodules: tuple[str, ...] | None
    targets: tuple[str, ...]
    archs: tuple[str, ...]
    file: str
    line: int


class PinReader:
    """Collects the fetched projects, their variables and the install rules from the visits of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._pins: dict[str, CMakePin] = {}
        self._variables: dict[str, str] = {}
        self._installed: list[tuple[str, str, Conditions]] = []
        self._unread: list[str] = []

    def take(self, visit: Visit) -> None:
        arguments = visit.command.arguments
        match visit.command.name:
            case "fetchcontent_declare" | "fetchcontent_populate" if arguments:
                self._fetched(visit, arguments[0].text, arguments[1:])
            case "set" if len(arguments) == 2 and arguments[0].text.endswith("_SOURCE_DIR"):  # noqa: PLR2004
                self._taken_from(arguments[0].text.removesuffix("_SOURCE_DIR"), arguments[1])
            case "install" if visit.live:
                for component in options(arguments).get("COMPONENT", []):
                    for name in self._run.variables.texts(component, visit.conditions):
                        self._installed.append((visit.file, name, visit.conditions))
            case _:
                pass

    def pins(self, targets: Sequence[Target]) -> tuple[CMakePin, ...]:
        """The projects, with the targets that use them."""
        return tuple(self._finished(pin, targets) for pin in self._pins.values())

    @property
    def unread(self) -> tuple[str, ...]:
        return tuple(self._unread)

    def _fetched(self, visit: Visit, content: str, rest: Sequence[Argument]) -> None:
        given = options(rest, FETCH_OPTIONS)
        where = f"{visit.file}, line {visit.command.line}: {content}"
        if "GIT_REPOSITORY" not in given:
            if given.get("SOURCE_DIR"):
                self._taken_from(content, given["SOURCE_DIR"][0])
            elif ("URL" in given or "DOWNLOAD_COMMAND" in given) and visit.live:
                self._unread.append(f"{where} is not fetched by git")
            return
        if not visit.live:
            return
        url, revision = (self._one(given.get(key, []), visit) for key in ("GIT_REPOSITORY", "GIT_TAG"))
        if url is None or revision is None:
            self._unread.append(f"{where} has an address or revision that the files do not decide")
            return
        folder = self._one(given.get("SOURCE_SUBDIR", []), visit)
        self._pins[content] = CMakePin(
            content=content, url=url, revision=revision, variable="", folder=folder or "",
            submodules=self._submodules(given, visit), targets=(), archs=(), file=visit.file,
            line=visit.command.line,
        )  # fmt: skip

    def _submodules(self, given: Mapping[str, list[Argument]], visit: Visit) -> tuple[str, ...] | None:
        if "GIT_SUBMODULES" not in given:
            return None
        items = self._run.variables.elements(given["GIT_SUBMODULES"], visit.conditions)
        return tuple(item.text for item in items if item.text)

    def _one(self, arguments: Sequence[Argument], visit: Visit) -> str | None:
        """The only text these arguments can be."""
        found = self._run.variables.texts(arguments[0], visit.conditions) if arguments else ()
        return found[0] if len(found) == 1 and "${" not in found[0] else None

    def _taken_from(self, content: str, argument: Argument) -> None:
        """`SOURCE_DIR ${X_SRC_DIR}`, where only an environment variable sets X_SRC_DIR."""
        for name in REFERENCE.findall(argument.text):
            if argument.text.startswith("$ENV") or name in self._run.variables.unset_names:
                self._variables.setdefault(content, name)

    def _finished(self, pin: CMakePin, targets: Iterable[Target]) -> CMakePin:
        uses = [*self._compiled(pin, targets), *self._made_beside(pin, targets)]
        archs = [archs_of(conditions) for _, conditions in uses]
        needed = () if not archs or () in archs else reduced(arch for one in archs for arch in one)
        return replace(
            pin, variable=self._variables.get(pin.content, ""), archs=needed,
            targets=tuple(sorted({name for name, _ in uses})),
        )  # fmt: skip

    def _compiled(self, pin: CMakePin, targets: Iterable[Target]) -> list[tuple[str, Conditions]]:
        """Targets with a file or an include folder of the project."""
        upper = re.escape(re.sub(r"\W", "_", pin.content).upper())
        names = re.compile(rf"\$\{{(?:{re.escape(pin.content)}_SOURCE_DIR|{upper}_\w+)\}}")
        found = []
        for target in targets:
            used = [source.conditions for source in target.sources if names.search(source.path)]
            used += [item.conditions for item in target.includes if names.search(item.text)]
            found += [(target.name, conditions) for conditions in used]
        return found

    def _made_beside(self, pin: CMakePin, targets: Iterable[Target]) -> list[tuple[str, Conditions]]:
        """Where a project has a CMake file of its own: what that file installs, and its custom targets."""
        if pin.file == TOP:
            return []
        found = [(name, conditions) for file, name, conditions in self._installed if file == pin.file]
        custom = [t for t in targets if t.kind is Kind.CUSTOM and t.file == pin.file]
        return found + [(t.name, t.conditions) for t in custom]


def reduced(archs: Iterable[str]) -> tuple[str, ...]:
    """Sorted, without `+PTX`, and without those of a family that is there as a whole (10.0a beside 10.0f)."""
    plain = {arch.removesuffix("+PTX") for arch in archs}
    families = {arch.partition(".")[0] for arch in plain if arch.endswith("f")}
    kept = {arch for arch in plain if arch.endswith("f") or arch.partition(".")[0] not in families}
    first = {min((a for a in kept if a.partition(".")[0] == major and a.endswith("f")), key=_number)
             for major in families}  # fmt: skip
    return tuple(sorted({arch for arch in kept if not arch.endswith("f")} | first, key=_number))


def _number(arch: str) -> tuple[int, int]:
    major, _, minor = arch.rstrip("af").partition(".")
    return int(major), int(minor)
