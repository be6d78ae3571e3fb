"""Models that vLLM gets or reads in a way of its own, so that nothing of them can be looked at before."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from winvllm_build.runtime.modelfiles import CONFIG
from winvllm_build.serving.model import HUB_NAME, TRUE, Served, aliases
from winvllm_build.serving.options import flag_names

REMOTE: Final = re.compile(r"(s3|gs|az)://.")
QUANTISED: Final = re.compile(r"[\w.-]+/[\w.-]+:[\w.-]+", re.ASCII)
"""A file of a repository of GGUF files: `author/model:Q4_K_M`."""
FROM_THE_HUB: Final = frozenset({"--hf-token", "--revision"})
READ_OTHERWISE: Final = frozenset({"--config-format", "--hf-config-path", "--load-format"})
MODELSCOPE: Final = "VLLM_USE_MODELSCOPE"


def unseen(name: str, passed: Sequence[str], environment: Mapping[str, str]) -> Served | None:
    """The model as it is named, where it is left to the engine whether there is one.

    Args:
        name: as the user wrote it.
        passed: flags that go on to the engine.
        environment: for the site that models come from.
    """
    given = set(flag_names(passed))
    if REMOTE.match(name):
        return Served(argument=name, names=(name,))
    if os.path.isdir(name):  # noqa: PTH112 - Path raises for a name that is too long
        format_of_mistral = Path(name, "params.json").is_file()
        if Path(name, CONFIG).is_file() or not (format_of_mistral or given & READ_OTHERWISE):
            return None
        return Served(argument=name, names=(Path(name).absolute().name, name))
    asked_otherwise = given & FROM_THE_HUB or environment.get(MODELSCOPE, "").strip().lower() in TRUE
    named = aliases().get(name.lower(), name)
    if QUANTISED.fullmatch(name) or (asked_otherwise and HUB_NAME.fullmatch(named)):
        return Served(argument=named, names=tuple(dict.fromkeys((named, name))))
    return None
