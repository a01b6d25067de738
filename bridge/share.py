"""Where the plans and configuration that travel with the code are, in a clone and in a package."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

_PACKAGE: Final = Path(__file__).resolve().parent


def share(name: Literal["dialplans", "config", "systemd"]) -> Path:
    """The directory `name` of this version of bridge110.

    A clone has it beside the package, an installed wheel inside (`_share`). Raises
    FileNotFoundError where neither is there: the installation is not whole.
    """
    for place in (_PACKAGE / "_share" / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"{name}/ is not beside {_PACKAGE}: install bridge110 again")
