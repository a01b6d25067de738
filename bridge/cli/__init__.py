"""The command line: one sub-command a file, read when it is called for: the daemon starts at once.

`bridge/__main__.py` turns errors into exit status.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

COMMANDS: Final = (
    *("run", "standby", "check", "status", "reconcile", "ports"),
    *("case", "db", "dialplan", "order", "unit", "channel", "fax", "platform", "token"),
    *("hardware", "lab"),
)
"""In the order of the help. Each is a module of this package, with a function of its name or,
where it has commands of its own, an `app`."""


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name}")
        alone = typer.Typer(callback=_group, add_completion=False, rich_markup_mode=None)
        if hasattr(module, "app"):
            alone.add_typer(module.app, name=cmd_name)
        else:
            alone.command()(getattr(module, cmd_name))
        return get_group(alone).commands[cmd_name]


def _group() -> None:
    """Makes it a group, whatever it holds."""


app = typer.Typer(
    cls=_Commands,
    help="110 与 12345 通话联动 / telephony and CTI bridge of the 110 desk",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.callback()(_group)
