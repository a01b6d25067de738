"""`bridge110`: exit status 0 done, 1 failed, 2 wrong use; errors on standard error."""

from __future__ import annotations

import logging
import sys

import structlog

from bridge.asterisk.conf_text import ConfError
from bridge.cli import app
from bridge.cli.output import CommandError, shown_lines
from bridge.flows.ports import StoreError
from bridge.lab.progress import SetupError
from bridge.settings.model import SettingsError
from bridge.store import StoreRefused
from bridge.tokens import TokensError

OURS = (
    CommandError,
    ConfError,
    SettingsError,
    SetupError,
    StoreError,
    StoreRefused,
    TokensError,
)
"""Errors whose text says place and mend; any other is a fault of ours and is shown whole."""


def main() -> None:
    """Run the command line. Warnings of parts go to standard error; `run` has its own logs."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    try:
        app()
    except OURS as error:
        sys.stderr.write(f"{shown_lines(error)}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("已中断 / interrupted\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
