"""Where the shipped patch sets and profiles lie: in an installed wheel, or beside the package.

And how that installation is made whole or larger.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from winvllm_build.errors import UsageError

PACKAGE: Final = Path(__file__).resolve().parent


def patches_root() -> Path:
    """The folder that holds one folder per tag.

    Raises:
        UsageError: this installation carries no patch sets.
    """
    return locate("patches", package=PACKAGE)


def profiles_root() -> Path:
    """The folder that holds the shipped `*.toml` profiles.

    Raises:
        UsageError: this installation carries no profiles.
    """
    return locate("profiles", package=PACKAGE)


def is_installed(folder: Path, *, package: Path | None = None) -> bool:
    """Whether `folder` is part of an installed wheel, where nothing of the user's may be written."""
    return folder.resolve().is_relative_to((package or PACKAGE) / "_data")


def installing(*options: str, extra: str = "", python: Path | None = None, package: Path = PACKAGE) -> str:
    """The command that installs this tool: from its checkout, for no package index has it.

    Args:
        options: of `pip install`.
        extra: an optional part of pyproject.toml.
        python: what to install into; None for the Python that runs this.
        package: the package that runs; a checkout that it lies in is named, and stays what is run.
    """
    checkout = package.parent
    known = (checkout / "pyproject.toml").is_file()
    source = f"{checkout if known else '.'}{f'[{extra}]' if extra else ''}"
    editable = ["-e"] if known and python is None else []
    words = [str(python or sys.executable), "-m", "pip", "install", *options, *editable]
    return f'{" ".join(words)} "{source}"' + ("" if known else ", in a checkout of winvllm-build")


def locate(name: str, *, package: Path) -> Path:
    """The data folder `name` of the package installed at `package`.

    A checkout is known by its `pyproject.toml`: a folder that merely lies beside an installed
    package (`site-packages/patches`) is somebody else's.

    Raises:
        UsageError: neither the wheel's nor the checkout's folder is there.
    """
    shipped = package / "_data" / name
    if shipped.is_dir():
        return shipped
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    raise UsageError(
        f"the shipped {name} are missing: neither {shipped} nor {checkout / name} is there",
        fix=installing("--force-reinstall", package=package),
    )
