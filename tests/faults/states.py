"""Brings calls into the states of the table, one call in each, all at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from bridge.domain.conversation import S
from bridge.lab.phone import Behaviour
from bridge.lab.tones import HOLD, RINGING
from tests.faults.stage import ANSWER_S, PRESSES_1, SEATS, UNITS, Stage, Talk

WITHOUT_SEAT = (S.QUEUED, S.ALERTING)


async def bring(stage: Stage, states: Sequence[S]) -> list[Talk]:
    """One call in each of `states`, in that order. Raises TimeoutError when one does not come."""
    talking = [state for state in states if state not in WITHOUT_SEAT]
    made = await talk_with_seats(stage, len(talking))
    found = dict(zip(talking, made, strict=True))
    await asyncio.gather(
        *(_ENTER[state](talk) for state, talk in found.items() if state is not S.ENDING)
    )
    for state in (S.ALERTING, S.QUEUED):
        if state in states:
            found[state] = await (_alerting if state is S.ALERTING else _queued)(stage)
    if S.ENDING in found:
        await _ending(found[S.ENDING])
    return [found[state] for state in states]


async def talk_with_seats(stage: Stage, count: int) -> list[Talk]:
    """Citizens who talk with a seat each; those seats take no other call of the queue."""
    seats = SEATS[:count]
    await stage.only_ready(seats)
    talks = [await stage.dial(UNITS[n]) for n in range(count)]
    by_number = {talk.number: talk for talk in talks}

    async def take(seat: str) -> None:
        phone = stage.phones[seat]
        while (call := await phone.wait_call(ANSWER_S)).caller not in by_number:
            await call.hangup()  # of an earlier round, whose BYE was lost
        await call.wait_answered(ANSWER_S)
        by_number[call.caller].seat = phone

    await asyncio.gather(*(take(seat) for seat in seats))
    await asyncio.gather(*(established(talk) for talk in talks))
    await asyncio.gather(*(stage.not_ready(seat) for seat in seats))
    return talks


async def established(talk: Talk) -> None:
    """The desk shows the citizen with a seat, and they hear each other."""
    assert talk.seat is not None
    talk.id = (await talk.state("established"))["id"]
    await talk.citizen.wait_hears({talk.seat.tone}, ANSWER_S)


async def asked(talk: Talk, service: str, **body: Any) -> None:
    """Ask and be told that it is under way."""
    reply = await talk.ask(service, **body)
    if reply is None or not reply.ok:
        raise RuntimeError(f"{service}: {reply}")


async def _nothing(talk: Talk) -> None:
    pass


async def _conferenced(talk: Talk) -> None:
    assert talk.seat is not None
    await asked(talk, "three-way", to=talk.third.user)
    await talk.state("conferenced")
    await talk.citizen.wait_hears({talk.seat.tone, talk.third.tone}, ANSWER_S)


async def _held(talk: Talk) -> None:
    await asked(talk, "hold")
    await talk.state("held")
    await talk.citizen.wait_hears({HOLD}, ANSWER_S)


async def _consulting(talk: Talk) -> None:
    assert talk.seat is not None
    await asked(talk, "consult", to=talk.third.user)
    await talk.state("consulting")
    at_third = talk.at(talk.third)
    assert at_third is not None
    await at_third.wait_hears({talk.seat.tone}, ANSWER_S)


async def _alternated(talk: Talk) -> None:
    assert talk.seat is not None
    await _consulting(talk)
    await asked(talk, "alternate")
    await talk.state("alternated")
    await talk.citizen.wait_hears({talk.seat.tone}, ANSWER_S)


async def _waiting(talk: Talk) -> None:
    assert talk.seat is not None
    talk.third.behaviour = Behaviour("ring")
    await asked(talk, "three-way", to=talk.third.user)
    await talk.third.wait_call(ANSWER_S)
    at_seat = talk.at(talk.seat)
    assert at_seat is not None
    await at_seat.hangup()
    await talk.state("waiting")


async def _ending(talk: Talk) -> None:
    at_seat = talk.at(talk.seat)
    assert at_seat is not None
    await at_seat.hangup()
    await talk.state("ending")


async def _alerting(stage: Stage) -> Talk:
    seat = stage.phones[SEATS[-1]]
    seat.behaviour = Behaviour("ring")
    await stage.only_ready([seat.user])
    talk = await stage.dial(UNITS[-1])
    talk.seat = seat
    await seat.wait_call(ANSWER_S)
    talk.id = (await talk.state("alerting"))["id"]
    return talk


async def _queued(stage: Stage) -> Talk:
    talk = await stage.dial(UNITS[-2])
    await talk.citizen.wait_hears({RINGING}, ANSWER_S)
    talk.id = (await talk.state("queued"))["id"]
    return talk


_ENTER = {
    S.TALKING: _nothing,
    S.CONFERENCED: _conferenced,
    S.HELD: _held,
    S.CONSULTING: _consulting,
    S.ALTERNATED: _alternated,
    S.WAITING: _waiting,
    S.ENDING: _nothing,
}

__all__ = ["PRESSES_1", "bring", "established", "talk_with_seats"]
