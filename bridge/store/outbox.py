"""Messages to others: claimed for a limited time, so that a crash gives them back by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from bridge.domain.journal import iso, parse_iso
from bridge.flows.ports import Claimed
from bridge.store.prepare import Bindings
from bridge.store.session import Session
from bridge.store.writer import Writer

LEASE = timedelta(seconds=30)
"""How long a claimed message belongs to its worker."""

ERROR_LENGTH = 500
"""Characters kept of why an attempt failed."""


class Outbox:
    """Claims, finishes and postpones messages. Every call is one durable step."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def claim(self, channel: str, now: datetime, most: int = 16) -> Sequence[Claimed]:
        """Take up to `most` due messages of a channel, oldest first, for the time of a lease."""
        bindings: Bindings = {
            "channel": channel,
            "now": iso(now),
            "until": iso(now + LEASE),
            "most": most,
        }

        def act(session: Session) -> list[Claimed]:
            rows = session.run("claim_messages", bindings)
            return sorted((_claimed(row) for row in rows), key=lambda one: (one.due_at, one.id))

        return await self._writer.submit(act)

    async def done(self, message: Claimed, now: datetime) -> bool:
        """The message arrived. False when the lease had run out and another worker has it."""
        bindings: Bindings = {"id": message.id, "lease": message.lease, "now": iso(now)}
        return await self._writer.submit(lambda session: _hit(session, "finish_message", bindings))

    async def failed(self, message: Claimed, error: str, due_at: datetime) -> bool:
        """The attempt failed; give the message back until `due_at`. False as in `done`."""
        bindings: Bindings = {
            "id": message.id,
            "lease": message.lease,
            "due_at": iso(due_at),
            "error": error[:ERROR_LENGTH].encode("utf-8", "replace").decode(),
        }
        return await self._writer.submit(
            lambda session: _hit(session, "postpone_message", bindings)
        )


def _hit(session: Session, name: str, bindings: Bindings) -> bool:
    return bool(session.run(name, bindings))


def _claimed(row: Sequence[object]) -> Claimed:
    number, key, channel, body, due_at, attempts = row
    return Claimed(
        id=int(str(number)),
        key=str(key),
        channel=str(channel),
        body=json.loads(str(body)),
        due_at=parse_iso(str(due_at)),
        lease=int(str(attempts)),
    )
