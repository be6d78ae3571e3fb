"""The programs that a compiler runs for one unit, each by itself: preprocessor, front ends, code generator.

nvcc lists them (`--dryrun`); with `--keep` every one leaves its result in a folder under a name of its own.
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build import process
from winvllm_build.audit.device.recipe import Recipe
from winvllm_build.audit.device.stage import Stage
from winvllm_build.build.ninja import first_error
from winvllm_build.errors import CompileError

SECONDS: Final = 3600.0
"""No single step takes an hour, on however busy a machine."""
ASSIGNMENT: Final = re.compile(r"(\w+)=(.*)")
PREFIX: Final = "#$ "
MODULE_ID: Final = "*.module_id"
NEW_ID: Final = "--gen_module_id_file"
"""Names of internal functions hold an id, and that holds a process id where a source has no external name."""
HOST_TEXT: Final = "host.ii"
HOST_ASSEMBLY: Final = "host.s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One program with its arguments."""

    words: tuple[str, ...]

    def reads(self, file: Path) -> bool:
        return str(file) in self.words

    @property
    def named(self) -> Step:
        """The same with the id that is there instead of a new one."""
        return Step(words=tuple(word for word in self.words if word != NEW_ID))

    @property
    def preprocesses(self) -> bool:
        return "-E" in self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps of a unit up to the text that the host compiler gets, and the one that compiles that.

    Attributes:
        preprocess: the passes over the source, for the host and for the device.
        translate: from their results to PTX and to the host's text.
        assemble: from the host's text to assembly.
        environment: of all of them.
        folder: where they are run.
    """

    preprocess: tuple[Step, ...]
    translate: tuple[Step, ...]
    assemble: Step
    environment: Mapping[str, str]
    folder: Path

    def run(self, steps: Iterable[Step]) -> None:
        """Run some of them.

        Raises:
            CompileError: one failed; carries its first error.
        """
        for step in steps:
            done = process.capture(step.words, cwd=self.folder, env=self.environment, timeout=SECONDS)
            if done.code != 0:
                said = first_error([*done.error_text.splitlines(), *done.text.splitlines()])
                raise CompileError(f"{Path(step.words[0]).name} failed (exit {done.code}): {said}")


def plan(recipe: Recipe, stage: Stage, tree: Path, environment: Mapping[str, str], cxx: Path) -> Plan:
    """How a unit is compiled in a stage.

    Args:
        recipe: the unit; its paths are those of `tree`.
        stage: where it is compiled instead.
        tree: the configured tree.
        environment: complete, for the compilers.
        cxx: the host compiler.

    Raises:
        CompileError: nvcc does not say how.
    """
    file = stage.tree.joinpath(*recipe.source.split("/"))
    arguments = recipe.moved(tree, stage.tree)
    text, assembly = stage.out / HOST_TEXT, stage.out / HOST_ASSEMBLY
    if not recipe.is_cuda:
        return Plan(
            preprocess=(Step(words=(str(recipe.compiler), *arguments, "-E", str(file), "-o", str(text))),),
            translate=(), assemble=_assembling(recipe.compiler, arguments, text, assembly),
            environment=environment, folder=recipe.folder,
        )  # fmt: skip
    steps, more = _listed(recipe, arguments, file, stage, environment)
    return Plan(
        preprocess=tuple(step for step in steps if step.preprocesses and step.reads(file)),
        translate=tuple(step for step in steps if not (step.preprocesses and step.reads(file))),
        assemble=_assembling(cxx, [word for word in arguments if word.startswith("-std=")], text, assembly),
        environment={**environment, **more}, folder=recipe.folder,
    )  # fmt: skip


def _assembling(cxx: Path, arguments: Iterable[str], text: Path, assembly: Path) -> Step:
    """Not optimised: then each statement of the source stands in the assembly, and equality says most."""
    options = [word for word in arguments if not word.startswith(("-I", "-D"))]
    return Step(
        words=(str(cxx), *_bare(options), "-w", "-S", "-O0", "-g0", "-fPIC", "-fpreprocessed", "-x", "c++",
               str(text), "-o", str(assembly)),
    )  # fmt: skip


def _bare(options: Iterable[str]) -> list[str]:
    """Without the folders that stand as words of their own."""
    kept: list[str] = []
    left = iter(options)
    for word in left:
        if word == "-isystem":
            next(left, None)
        else:
            kept.append(word)
    return kept


def _listed(
    recipe: Recipe, arguments: Iterable[str], file: Path, stage: Stage, environment: Mapping[str, str]
) -> tuple[list[Step], dict[str, str]]:
    """What nvcc would run, and the variables it sets for that."""
    code = ["-gencode", f"arch={recipe.code},code={recipe.code}"] if recipe.code else []
    words: list[str | Path] = [
        recipe.compiler, *arguments, *code, "-x", "cu", "-cuda", "--dryrun", "--keep", "--keep-dir",
        stage.out, "-o", stage.out / HOST_TEXT, file,
    ]  # fmt: skip
    done = process.capture(words, cwd=recipe.folder, env=environment, timeout=SECONDS)
    if done.code != 0:
        raise CompileError(f"nvcc refuses {recipe.name}: {first_error(done.error_text.splitlines())}")
    steps: list[Step] = []
    more: dict[str, str] = {}
    for line in done.error_text.splitlines():
        if not line.startswith(PREFIX):
            continue
        said = line.removeprefix(PREFIX)
        match = ASSIGNMENT.fullmatch(said)
        if match:
            more[match[1]] = match[2].strip()
        else:
            known = {**environment, **more}
            steps.append(
                Step(words=tuple(string.Template(word).safe_substitute(known) for word in shlex.split(said)))
            )
    if not any(step.preprocesses for step in steps):
        raise CompileError(f"nvcc does not say how it compiles {recipe.name}")
    return steps, more
