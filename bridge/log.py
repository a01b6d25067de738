"""Logs: one JSON object a line on standard output, for journald. Chinese stays Chinese.

The event is a constant; everything that came from outside is a value beside it, so that no caller
name can forge a line. Numbers are masked (guard rule 26).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from bridge import plain

_NUMBER = re.compile(r"(?<![0-9.\-])(\+?\d{3})\d{3,8}(\d{4})(?![0-9.\-])")


def mask(text: str) -> str:
    """Telephone numbers in a text as `138****1234`."""
    return _NUMBER.sub(r"\1****\2", text)


def _masked(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = mask(value)
    return event


def configure_logging(level: int = logging.INFO) -> None:
    """Our own events and those of libraries, in one form."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _masked,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(plain.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=structlog.processors.JSONRenderer(plain.dumps),
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
