"""Run the commands of a long step with their whole output in one log file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from winvllm_build import process
from winvllm_build.build.diagnosis import summary
from winvllm_build.workspace import storage_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRunner:
    """Runs programs one after the other; a failure names the log."""

    log: Path
    write: Callable[[str], None]
    environment: Mapping[str, str]

    def run(
        self,
        what: str,
        args: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """Run one program.

        Args:
            what: the step's name for the error message.
            args: program and arguments.
            cwd: working folder.
            extra: variables on top of the runner's environment.

        Raises:
            PackError: it failed; carries its first error and the log.
        """
        self.write(f"$ {' '.join(str(a) for a in args)}")
        said: list[str] = []

        def keep(line: str) -> None:
            said.append(line)
            self.write(line)

        code = process.stream(args, on_line=keep, cwd=cwd, env={**self.environment, **(extra or {})})
        if code != 0:
            raise summary.step_error(what, code, said, self.log)


@contextlib.contextmanager
def logged_steps(log: Path, environment: Mapping[str, str]) -> Iterator[StepRunner]:
    """A runner that writes to `log`, which is opened anew."""
    with storage_errors(str(log)):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8", newline="\n") as file:

            def write(line: str) -> None:
                file.write(line + "\n")
                file.flush()

            yield StepRunner(log=log, write=write, environment=environment)
