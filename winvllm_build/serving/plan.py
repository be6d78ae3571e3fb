"""What a server will be started as: its engine, command, variables and settings; nothing is started here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from typing_extensions import assert_never

from winvllm_build.profile.loader import ResolvedProfile
from winvllm_build.runtime.setting import Setting
from winvllm_build.serving import choice, commandline, environment, model, port, values
from winvllm_build.serving import unseen as unseen_models
from winvllm_build.serving.model import Served
from winvllm_build.serving.options import HOST, EngineKind, Options, flag_names, value_of, values_of
from winvllm_build.serving.target import Target
from winvllm_build.serving.values import Machine

START: Final = Path(__file__).resolve().parent / "data" / "start.py"
PACKAGES: Final = Path(__file__).resolve().parents[2]
"""The folder that this package lies in."""
MODULES: Final = {
    EngineKind.VLLM: "vllm.entrypoints.cli.main",
    EngineKind.TRANSFORMERS: "winvllm_build.fallback",
}
UNSEEN: Final = "the model is not looked at before it is loaded, so nothing is computed from its files"
STOP_SECONDS: Final = 30.0
"""How long a server gets to finish what it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A server as it is asked for.

    Attributes:
        model: as the user named it; None for that of the profile.
        engine: which one; None for vLLM where it is installed, else the fallback.
    """

    model: str | None
    options: Options
    engine: EngineKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A server, ready to be started.

    Attributes:
        url: what clients take as their base address, without `/v1`.
        reason: why this engine.
        settings: every value with its reason, by flag.
        variables: what is set in its environment.
        arguments: the engine's own command line.
    """

    engine: EngineKind
    reason: str
    target: Target
    served: Served
    host: str
    port: int
    url: str
    settings: Mapping[str, Setting[object]]
    variables: Mapping[str, Setting[str]]
    arguments: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """The program with all its words."""
        folder = str(PACKAGES) if self.engine is EngineKind.TRANSFORMERS else ""
        start = (str(self.target.python), "-I", "-u", "-X", "utf8", str(START), str(STOP_SECONDS), folder)
        return (*start, MODULES[self.engine], *self.arguments)

    @property
    def shown_command(self) -> tuple[str, ...]:
        """The same without what nobody may read."""
        return commandline.masked(self.command)

    @property
    def plain_command(self) -> tuple[str, ...]:
        """The same as a user would write it, without what nobody may read."""
        arguments = commandline.masked(self.arguments)
        match self.engine:
            case EngineKind.VLLM:
                return ("vllm", *arguments)
            case EngineKind.TRANSFORMERS:
                return ("python", "-m", MODULES[self.engine], *arguments)
        assert_never(self.engine)

    def as_data(self) -> dict[str, Any]:
        """Plain values for `--json`; a key is not among them."""
        return {
            "command": list(self.shown_command),
            "engine": {"name": self.engine.value, "reason": self.reason},
            "environment": {name: self.shown(name) for name in sorted(self.variables)},
            "host": self.host,
            "model": {"argument": self.served.argument, "names": list(self.served.names)},
            "notes": list(self.notes),
            "port": self.port,
            "python": self.target.as_data(),
            "settings": {k: {"reason": s.reason, "value": s.value} for k, s in self.settings.items()},
            "url": self.url,
        }

    def shown(self, name: str) -> str:
        """The value of a variable as it may be seen."""
        return commandline.HIDDEN if name == environment.API_KEY else self.variables[name].value


def check(request: Request, profile: ResolvedProfile | None, inherited: Mapping[str, str]) -> None:
    """What was typed, as far as it can be wrong in any environment; nothing is started for it.

    Raises:
        WinvllmError: a subclass for what is in the way, with what removes it.
    """
    opts = request.options
    choice.refuse(opts.passed)
    name = choice.model_name(request.model, profile)
    opts.given()
    choice.shares(opts)
    port.free(_host(opts), choice.port(opts))
    own = request.engine is EngineKind.TRANSFORMERS
    if own or unseen_models.unseen(name, opts.passed, inherited) is None:
        model.here(name, inherited, gguf=_says_how_to_load(opts))


def make(
    request: Request,
    profile: ResolvedProfile | None,
    target: Target,
    machine: Machine,
    inherited: Mapping[str, str],
) -> Plan:
    """The plan, with everything checked that can be before a model is loaded; what was typed comes first.

    Args:
        request: what is asked for.
        profile: whose `[runtime]` counts.
        target: the Python it runs in.
        machine: its cards (all that can be seen) and the rest.
        inherited: the environment of this process.

    Raises:
        WinvllmError: a subclass for what is in the way, with what removes it.
    """
    opts = request.options
    check(request, profile, inherited)
    engine, reason = choice.engine(request.engine, target)
    split = choice.split(opts, engine, target, len(machine.cards), inherited)
    host = _host(opts)
    number = port.free(host, choice.port(opts))
    given = set(flag_names(opts.passed))
    name = choice.model_name(request.model, profile)
    unseen = unseen_models.unseen(name, opts.passed, inherited) if engine is EngineKind.VLLM else None
    served = unseen or model.find(name, target.python, inherited, gguf=_says_how_to_load(opts))
    used = Machine(cards=machine.cards[: split.cards], host=machine.host)
    vllm = engine is EngineKind.VLLM
    foreign = not model.is_the_profiles(request.model, profile, served, inherited)
    found = values.values(
        opts, profile, used, target, served.files, launcher=vllm, relayed=split.relayed, foreign=foreign
    )
    names = values_of(opts.passed, "--served-model-name") or opts.served_model_name or served.names
    settings = commandline.settings(found, engine, split.tensor, opts.passed)
    key = opts.api_key or inherited.get(environment.API_KEY) or None
    place = {"served-model-name": names, "host": (host,), "port": (str(number),)}
    return Plan(
        engine=engine,
        reason=reason,
        target=target,
        served=Served(argument=served.argument, names=names, files=served.files),
        host=host,
        port=number,
        url=f"{'https' if '--ssl-certfile' in given else 'http'}://{port.client_host(host)}:{number}",
        settings=settings,
        variables=environment.chosen(inherited, windows=target.windows, relayed=split.relayed, api_key=key),
        arguments=commandline.arguments(engine, served.argument, place, settings, opts.passed),
        notes=(
            *found.notes,
            *([UNSEEN] if unseen else []),
            *_notes(request, engine, target, machine, inherited),
        ),
    )


def _says_how_to_load(opts: Options) -> bool:
    return not {"--load-format", "--tokenizer"}.isdisjoint(flag_names(opts.passed))


def _host(opts: Options) -> str:
    return value_of(opts.passed, "--host") or opts.host or HOST


def _notes(
    request: Request, engine: EngineKind, target: Target, machine: Machine, inherited: Mapping[str, str]
) -> Iterator[str]:
    opts = request.options
    if engine is EngineKind.VLLM and not machine.cards and target.cuda:
        yield f"no NVIDIA card can be seen; a vLLM for CUDA {target.cuda} does not start without one"
    host = _host(opts)
    config = value_of(opts.passed, "--config")
    if config is not None:
        yield f"of {config} counts only what is not said above; flags win over it"
    key = opts.api_key or value_of(opts.passed, "--api-key") or inherited.get(environment.API_KEY)
    if not port.is_loopback(host) and not key:
        yield f"whoever reaches {host} can use it: --api-key KEY asks for a key"
    alone = [f"--{k.replace('_', '-')}" for k in commandline.OF_VLLM_ALONE if getattr(opts, k) is not None]
    if engine is EngineKind.TRANSFORMERS and alone:
        yield f"{', '.join(alone)}: vLLM's alone, the fallback engine has nothing like it"
