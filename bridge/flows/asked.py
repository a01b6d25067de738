"""Stores what somebody asked for: nobody waits for long, and each failure has a name."""

from __future__ import annotations

import asyncio

import structlog

from bridge.domain.errors import Refused
from bridge.flows.ports import (
    StoreError,
    StoreInvalid,
    StoreRepeat,
    StoreUnknown,
    Transaction,
)
from bridge.flows.recorder import Recorder

_log = structlog.get_logger(__name__)

COMMIT_SECONDS = 3.0
"""A request that is not stored by then is refused as unknown."""


def submitted(recorder: Recorder, work: Transaction) -> asyncio.Future[None]:
    """On its way to the store. Raises Refused("store-cannot-write")."""
    try:
        return recorder.submit(work)
    except StoreError as error:
        raise Refused("store-cannot-write") from error


async def settled(storing: asyncio.Future[None]) -> None:
    """Wait until it is durable. Raises Refused: outcome-unknown, already-answered,
    store-cannot-write."""
    try:
        async with asyncio.timeout(COMMIT_SECONDS):
            await asyncio.shield(storing)
    except (StoreUnknown, TimeoutError) as error:
        raise Refused("outcome-unknown") from error
    except StoreRepeat as error:
        raise Refused("already-answered") from error
    except StoreInvalid as error:
        _log.error("asked.invalid", reason=str(error))
        raise Refused("store-cannot-write") from error
    except StoreError as error:
        raise Refused("store-cannot-write") from error
