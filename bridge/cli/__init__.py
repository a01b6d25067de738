"""The command line: one sub-command a file. `bridge/__main__.py` turns errors into exit status."""

from __future__ import annotations

import typer

from bridge.cli import case, channel, db, dialplan, fax, hardware, lab, order, platform, token, unit
from bridge.cli.check import check
from bridge.cli.ports import ports
from bridge.cli.reconcile import reconcile
from bridge.cli.run import run
from bridge.cli.status import status

app = typer.Typer(
    help="110 与 12345 通话联动 / telephony and CTI bridge of the 110 desk",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(run)
app.command()(check)
app.command()(status)
app.command()(reconcile)
app.command()(ports)
app.add_typer(case.app, name="case")
app.add_typer(db.app, name="db")
app.add_typer(dialplan.app, name="dialplan")
app.add_typer(order.app, name="order")
app.add_typer(unit.app, name="unit")
app.add_typer(channel.app, name="channel")
app.add_typer(fax.app, name="fax")
app.add_typer(platform.app, name="platform")
app.add_typer(token.app, name="token")
app.add_typer(hardware.app, name="hardware")
app.add_typer(lab.app, name="lab")
