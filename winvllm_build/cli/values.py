"""Values that are taken as they stand on the command line.

typer has pydantic convert every value, also one that was not given; loading pydantic takes longer than all
else that a short command loads. Text and paths of which nothing is demanded need no conversion.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from typer.core import TyperArgument, TyperGroup, TyperOption

if TYPE_CHECKING:
    from typer._click import Command, Context, Parameter
    from typer.models import ParameterInfo

KNOWN: Final = "get_runtime_param"
"""typer's own method, which says how a parameter is converted."""
ASKED: Final = (KNOWN, "type_descriptor")
"""What typer's parameters have to have; where another typer has not, it converts every value, as always."""


def unconverted(command: Command) -> Command:
    """The same command, whose plain values are not converted; what typer has otherwise it keeps."""
    listed = command.get_params

    def get_params(context: Context) -> list[Parameter]:  # the one for --help is among them
        found = listed(context)
        for parameter in found:
            if not isinstance(parameter, TyperArgument | TyperOption) or KNOWN in vars(parameter):
                continue
            if all(hasattr(parameter, name) for name in ASKED):
                plain = _Plain(parameter)
                setattr(parameter, KNOWN, lambda plain=plain: plain)
        return found

    setattr(command, "get_params", get_params)  # noqa: B010 - a method is not assigned to
    for inner in command.commands.values() if isinstance(command, TyperGroup) else ():
        unconverted(inner)
    return command


class _Plain:
    """In the place of typer's conversion of one parameter, which has all values that are not plain."""

    def __init__(self, parameter: TyperArgument | TyperOption) -> None:
        self._parameter = parameter
        self._several = parameter.multiple or parameter.nargs == -1
        self._convert = parameter.get_runtime_param

    def coerce(self, value: Any, **asked: Any) -> Any:  # noqa: ANN401 - as typer's
        if value is None:
            return () if self._several else None
        descriptor = self._parameter.type_descriptor
        kind, info = descriptor.annotation, descriptor.parameter_info
        words = value if self._several and isinstance(value, list | tuple) else [value]
        if info.parser is None and all(type(word) is str for word in words):
            if kind == (list[str] if self._several else str):
                return list(value) if self._several else value
            if kind is Path and not self._several and _is_any_path(info) and os.access(value, os.R_OK):
                return Path(value)
        return self._convert().coerce(value, **asked)


def _is_any_path(info: ParameterInfo) -> bool:
    """Whether any file or folder that can be read will do."""
    demands = (info.writable, info.resolve_path, info.allow_dash, info.path_type)
    return info.file_okay and info.dir_okay and not any(demands)
