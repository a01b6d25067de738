"""A ticket is good once, for its own leg, for a bounded time."""

from __future__ import annotations

from bridge.asterisk.nonces import LIFETIME_S, Nonces


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_ticket_gives_its_payload_once() -> None:
    nonces: Nonces[str] = Nonces(Time())
    first, second = nonces.issue("leg one"), nonces.issue("leg two")
    assert first != second
    assert nonces.authorize(first)
    assert nonces.take(first) == "leg one"
    assert not nonces.authorize(first)
    assert nonces.take(first) is None
    assert nonces.take(second) == "leg two"


def test_foreign_and_empty_tickets_are_refused() -> None:
    nonces: Nonces[str] = Nonces(Time())
    nonces.issue("leg")
    assert not nonces.authorize("")
    assert not nonces.authorize("0" * 32)


def test_ticket_expires() -> None:
    time = Time()
    nonces: Nonces[str] = Nonces(time)
    nonce = nonces.issue("leg")
    time.now += LIFETIME_S - 0.1
    assert nonces.authorize(nonce)
    time.now += 0.1
    assert not nonces.authorize(nonce)
    assert len(nonces) == 0


def test_at_the_bound_the_oldest_ticket_is_given_up() -> None:
    nonces: Nonces[int] = Nonces(Time(), limit=3)
    tickets = [nonces.issue(i) for i in range(5)]
    assert len(nonces) == 3
    assert [nonces.take(ticket) for ticket in tickets] == [None, None, 2, 3, 4]
