"""Messages on their way: which report belongs to which, and what is proven of each. Pure.

A report carries only an 8-bit reference and its sender (PEI sheet, 9.8), so messages are known by
(address, reference) and no reference to the same address is used again while it is outstanding.
Reports may be late, doubled, in any order or for nothing we know: what is known of a message only
ever grows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hardware.radio.events import Delivery, RadioRefused, Stage, Why

REFERENCES: Final = 256
KEEP_S: Final = 86_400.0
"""Seconds that a message waits for reports: the longest validity we ask for is a day."""
MAX_OUTSTANDING: Final = 4096
"""Messages that are remembered; the oldest one is forgotten for a new one."""

_RANK: Final = {
    Stage.QUEUED: 0,
    Stage.SENDING: 1,
    Stage.UNKNOWN: 2,
    Stage.SENT: 3,
    Stage.FAILED: 4,
    Stage.DELIVERED: 5,
    Stage.READ: 6,
}
"""A message is as far as its hindmost part. A report of success outweighs a failure told before."""


@dataclass(slots=True)
class _Piece:
    reference: int | None
    stage: Stage = Stage.QUEUED
    instance: int | None = None
    why: Why | None = None
    detail: str = ""
    stored: bool = False


@dataclass(slots=True)
class _Message:
    key: str
    address: str
    since: float
    pieces: list[_Piece]
    told: Stage = Stage.QUEUED
    told_stored: bool = False


@dataclass(slots=True)
class _Turn:
    message: _Message
    piece: _Piece


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one message, to be kept over a restart."""

    key: str
    address: str
    references: Sequence[int | None]
    stage: Stage


@dataclass
class Outstanding:
    """The book of one gateway. Times are seconds of any steady clock."""

    rng: random.Random
    _messages: dict[str, _Message] = field(default_factory=dict)
    _by_reference: dict[tuple[str, int], _Turn] = field(default_factory=dict)
    _accepted: dict[int, list[_Turn]] = field(default_factory=dict)
    _next: dict[str, int] = field(default_factory=dict)

    def open(
        self, key: str, address: str, count: int, now: float, *, reports: bool = True
    ) -> list[int]:
        """References for a new message of `count` parts; 0 stands where there are none.

        Raises RadioRefused(QUEUE_FULL) when all references to this address are outstanding."""
        self.expire(now)
        if len(self._messages) >= MAX_OUTSTANDING:
            self._forget(next(iter(self._messages.values())))
        references = self._take(address, count) if reports else [0] * count
        pieces = [_Piece(reference if reports else None) for reference in references]
        self._put(_Message(key, address, now, pieces))
        return references

    def _put(self, message: _Message) -> None:
        self._messages[message.key] = message
        for piece in message.pieces:
            if piece.reference is not None:
                self._by_reference[message.address, piece.reference] = _Turn(message, piece)

    def _take(self, address: str, count: int) -> list[int]:
        start = self._next.setdefault(address, self.rng.randrange(REFERENCES))
        free = [
            number % REFERENCES
            for number in range(start, start + REFERENCES)
            if (address, number % REFERENCES) not in self._by_reference
        ]
        if len(free) < count:
            raise RadioRefused(
                Why.QUEUE_FULL, f"{address}: 未回执消息过多 / too many messages outstanding"
            )
        taken = free[:count]
        self._next[address] = (taken[-1] + 1) % REFERENCES
        return taken

    def restore(self, known: Known, now: float) -> None:
        """A message of before a restart, so that its late reports find it."""
        pieces = [_Piece(reference, known.stage) for reference in known.references]
        self._put(_Message(known.key, known.address, now, pieces, known.stage))

    def known(self, key: str) -> Known | None:
        """What is known of a message."""
        message = self._messages.get(key)
        if message is None:
            return None
        references = tuple(piece.reference for piece in message.pieces)
        return Known(key, message.address, references, message.told)

    def writing(self, key: str, number: int) -> list[Delivery]:
        """Part `number` goes out now."""
        return self._move(key, number, Stage.SENDING)

    def accepted(self, key: str, number: int, instance: int) -> None:
        """The device took the part under `instance`."""
        message = self._messages.get(key)
        if message is None:
            return
        piece = message.pieces[number]
        piece.instance = instance
        waiting = self._accepted.setdefault(instance, [])
        waiting.append(_Turn(message, piece))
        del waiting[:-REFERENCES]

    def waits_for_network(self, key: str, number: int) -> bool:
        """The part was accepted and the network has not said anything of it."""
        message = self._messages.get(key)
        return message is not None and _RANK[message.pieces[number].stage] < _RANK[Stage.SENT]

    def failed(self, key: str, number: int, why: Why, detail: str) -> list[Delivery]:
        """The part certainly did not go out."""
        return self._move(key, number, Stage.FAILED, why, detail)

    def unclear(self, key: str, number: int, detail: str) -> list[Delivery]:
        """Whether the part went out was not seen."""
        return self._move(key, number, Stage.UNKNOWN, None, detail)

    def delivered(self, key: str, number: int) -> list[Delivery]:
        """The addressed set has the part (networks that say so directly)."""
        return self._move(key, number, Stage.DELIVERED)

    def bind(self, key: str, number: int, reference: int) -> list[Delivery]:
        """The device gave the part this reference and the network took it; an older message with
        the same one can no longer be reported."""
        message = self._messages.get(key)
        if message is None:
            return []
        piece = message.pieces[number]
        piece.reference = reference
        self._by_reference[message.address, reference] = _Turn(message, piece)
        return self._grow(_Turn(message, piece), Stage.SENT)

    def progress(self, instance: int, ok: bool) -> list[Delivery]:
        """The device told of the oldest accepted part of `instance`: bound by instance and order,
        as its number need not be our reference (PEI sheet, 9.8)."""
        waiting = self._accepted.get(instance, [])
        if not waiting:
            return []
        turn = waiting.pop(0)
        if ok:
            return self._grow(turn, Stage.SENT)
        return self._grow(turn, Stage.FAILED, Why.REFUSED, "transmission failed")

    def reported(
        self,
        address: str,
        reference: int,
        stage: Stage,
        *,
        why: Why | None = None,
        detail: str = "",
    ) -> list[Delivery] | None:
        """A report from `address`; None where nothing of ours has that reference."""
        turn = self._by_reference.get((address, reference))
        if turn is None:
            return None
        return self._grow(turn, stage, why, detail)

    def stored(self, address: str, reference: int) -> list[Delivery] | None:
        """The network keeps the message: the terminal is away."""
        turn = self._by_reference.get((address, reference))
        if turn is None:
            return None
        turn.piece.stored = True
        return self._grow(turn, Stage.SENT)

    def _move(
        self, key: str, number: int, stage: Stage, why: Why | None = None, detail: str = ""
    ) -> list[Delivery]:
        message = self._messages.get(key)
        if message is None:
            return []
        return self._grow(_Turn(message, message.pieces[number]), stage, why, detail)

    def _grow(
        self, turn: _Turn, stage: Stage, why: Why | None = None, detail: str = ""
    ) -> list[Delivery]:
        piece, message = turn.piece, turn.message
        if _grows(piece.stage, stage):
            piece.stage, piece.why, piece.detail = stage, why, detail
        return self._tell(message)

    def _tell(self, message: _Message) -> list[Delivery]:
        """What is new about the message as a whole."""
        hindmost = min(message.pieces, key=lambda piece: _weight(piece.stage))
        stage = hindmost.stage
        if stage is Stage.QUEUED and any(p.stage is not Stage.QUEUED for p in message.pieces):
            stage = Stage.SENDING
        stored = any(piece.stored for piece in message.pieces) and stage is Stage.SENT
        if stage is message.told and stored == message.told_stored:
            return []
        if not _grows(message.told, stage) and stage is not message.told:
            return []
        message.told, message.told_stored = stage, stored
        return [Delivery(message.key, stage, hindmost.why, hindmost.detail, stored)]

    def forget(self, key: str) -> None:
        """No report of this message matters any more."""
        message = self._messages.get(key)
        if message is not None:
            self._forget(message)

    def expire(self, now: float) -> None:
        """Forget what is older than KEEP_S."""
        for message in list(self._messages.values()):
            if now - message.since < KEEP_S:
                break
            self._forget(message)

    def _forget(self, message: _Message) -> None:
        self._messages.pop(message.key, None)
        for piece in message.pieces:
            if piece.reference is not None:
                turn = self._by_reference.get((message.address, piece.reference))
                if turn is not None and turn.message is message:
                    del self._by_reference[message.address, piece.reference]
        for waiting in self._accepted.values():
            waiting[:] = [turn for turn in waiting if turn.message is not message]


def _weight(stage: Stage) -> float:
    """For the whole: a failed or unclear part outweighs others that are further or behind."""
    return {Stage.FAILED: -2, Stage.UNKNOWN: -1}.get(stage, _RANK[stage])


def _grows(now: Stage, new: Stage) -> bool:
    return _RANK[new] > _RANK[now]
