"""What goes wrong: at the start, in a request, in the engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

MOST_SHOWN = 300


class StartError(Exception):
    """The server cannot start: what is wrong, and what to do."""

    def __init__(self, what: str, *, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


class EngineDeadError(Exception):
    """The engine's thread has ended; nothing will be generated any more."""

    def __init__(self) -> None:
        super().__init__("the engine has died; the server's log says why")


class Kind(Enum):
    """Type of an error, as upstream's server names it."""

    BAD_REQUEST = ("BadRequestError", HTTPStatus.BAD_REQUEST)
    INVALID = ("Bad Request", HTTPStatus.BAD_REQUEST)
    NOT_FOUND = ("NotFoundError", HTTPStatus.NOT_FOUND)
    TOO_LARGE = ("RequestEntityTooLarge", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    OVERLOADED = ("ServiceUnavailableError", HTTPStatus.SERVICE_UNAVAILABLE)
    INTERNAL = ("InternalServerError", HTTPStatus.INTERNAL_SERVER_ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An error in the shape of upstream's answers."""

    message: str
    kind: Kind = Kind.BAD_REQUEST
    param: str | None = None

    @property
    def status(self) -> int:
        return int(self.kind.value[1])

    def body(self) -> dict[str, object]:
        found = {
            "message": self.message,
            "type": self.kind.value[0],
            "param": self.param,
            "code": self.status,
        }
        return {"error": found}


class RequestError(Exception):
    """A request that is refused, with the answer that it gets."""

    def __init__(self, message: str, *, param: str | None = None, kind: Kind = Kind.BAD_REQUEST) -> None:
        super().__init__(message)
        self.fault = Fault(message=message, kind=kind, param=param)


def refused_value(message: str, *, param: str, value: object = None) -> RequestError:
    """One parameter is at fault; the message ends as upstream's do."""
    shown = f"parameter={param}" if value is None else f"parameter={param}, value={str(value)[:MOST_SHOWN]}"
    return RequestError(f"{message} ({shown})", param=param)
