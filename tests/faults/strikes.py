"""How each trouble is made and mended. Each function returns when the trouble is over."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from bridge.domain.conversation import S
from bridge.lab.call import Call
from bridge.lab.phone import Behaviour, Manner, Phone
from bridge.lab.ports import HOST
from bridge.store.connection import open_writing
from bridge.store.open import Options
from tests.faults.matrix import Fault, Party, Trouble
from tests.faults.proxy import Mode
from tests.faults.stage import Stage, Talk

DOWN_S: Final = 2.0
DOWN_DEAF_S: Final = 4.0
"""Long enough for `rtp_timeout` to do its work while the daemon is away."""
ROAD_S: Final[Mapping[Mode, float]] = {"refuse": 2.5, "dead": 4.0, "late": 4.0}
STORE_S: Final = 3.0
FLOOD_S: Final = 4.0
FLOOD_EVENTS: Final = 60
"""Every 20 ms: three thousand a second, some fifty busy rooms."""
RESTART_S: Final = 0.25
"""The service manager's (systemd/bridge110.service, RestartSec)."""
PEER_S: Final = 45.0
SILENT_S: Final = 21.0
"""A third is rung for 20 s (settings of the laboratory)."""
ASKS: Final[Mapping[S, str]] = {
    S.TALKING: "three-way",
    S.CONFERENCED: "leave",
    S.HELD: "retrieve",
    S.CONSULTING: "conference",
    S.ALTERNATED: "conference",
    S.WAITING: "cancel",
}
"""What a call-taker asks for while something is wrong."""

Talks = Mapping[S, Talk]


async def ask_all(talks: Talks) -> None:
    """Every call-taker asks for something now; answers are taken as they come."""

    async def one(talk: Talk, service: str) -> None:
        body = {"to": talk.third.user} if service == "three-way" else {}
        with contextlib.suppress(LookupError, RuntimeError):
            await talk.ask(service, **body)

    await asyncio.gather(
        *(one(talks[state], service) for state, service in ASKS.items() if state in talks)
    )


def telephone(talk: Talk, party: Party) -> Call | None:
    """That party's connection in the call."""
    if party is Party.CITIZEN:
        return talk.citizen
    return talk.at(talk.seat if party is Party.SEAT else talk.third)


async def party_acts(stage: Stage, talks: Sequence[Talk], fault: Fault) -> None:
    """What the fault's telephone does, in every call at the same time."""
    party, act = fault.party, fault.act
    if party is None:
        return

    async def one(talk: Talk) -> None:
        if act is Trouble.DIES:
            found = {Party.CITIZEN: talk.phone, Party.SEAT: talk.seat, Party.THIRD: talk.third}
            phone = found[party]
            assert phone is not None
            await stage.die(phone)
            return
        call = telephone(talk, party)
        if call is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    await call.hangup()

    await asyncio.gather(*(one(talk) for talk in talks))


async def restart(stage: Stage, after: float = RESTART_S) -> float:
    """As the service manager would; returns when the new daemon was started, not yet up."""
    await asyncio.sleep(after)
    await stage.world.daemon.start(wait_up=False)
    return time.monotonic()


async def _killed(stage: Stage, talks: Talks, fault: Fault) -> float:
    stage.world.daemon.kill()
    await asyncio.sleep(0.2)
    await party_acts(stage, list(talks.values()), fault)
    return await restart(stage, DOWN_DEAF_S if fault.act is Trouble.DIES else DOWN_S)


async def _stopped(stage: Stage, talks: Talks, fault: Fault) -> float:
    await stage.world.daemon.stop()
    return await restart(stage)


def _road(mode: Mode) -> Strike:
    async def strike(stage: Stage, talks: Talks, fault: Fault) -> float:
        await stage.ami.be(mode)
        await asyncio.sleep(0.2)
        await party_acts(stage, list(talks.values()), fault)
        asking = asyncio.ensure_future(ask_all(talks) if fault.party is None else asyncio.sleep(0))
        await asyncio.sleep(ROAD_S[mode])
        await stage.ami.be("open")
        at = time.monotonic()
        await asking
        return at

    return strike


async def _flooded(stage: Stage, talks: Talks, fault: Fault) -> float:
    site = stage.world.switch.site
    reader, writer = await asyncio.open_connection(HOST, site.ports.ami)
    login = (
        f"Action: Login\r\nUsername: bridge110\r\nSecret: {site.ami_secret}\r\nEvents: off\r\n\r\n"
    )
    writer.write(login.encode())
    event = b"Action: UserEvent\r\nUserEvent: Flood\r\nWords: " + b"x" * 200 + b"\r\n\r\n"

    async def swallow() -> None:
        while await reader.read(65536):
            pass

    swallowing = asyncio.ensure_future(swallow())
    asking = asyncio.ensure_future(ask_all(talks))
    ends = time.monotonic() + FLOOD_S
    while time.monotonic() < ends:
        writer.write(event * FLOOD_EVENTS)
        await writer.drain()
        await asyncio.sleep(0.02)
    at = time.monotonic()
    swallowing.cancel()
    writer.transport.abort()
    await asking
    return at


async def _bad_secret(stage: Stage, talks: Talks, fault: Fault) -> float:
    """The secret is refused until a person has set it right and started the daemon again."""
    await stage.ami.be("wrong-secret")
    await ask_all(talks)
    await asyncio.sleep(2.0)
    await stage.ami.be("open")
    await stage.world.daemon.stop()
    return await restart(stage)


async def _asterisk(stage: Stage, talks: Talks, fault: Fault) -> float:
    await stage.world.switch.kill()
    await asyncio.sleep(0.5)
    await stage.world.switch.start()
    return time.monotonic()


async def _party(stage: Stage, talks: Talks, fault: Fault) -> float:
    await party_acts(stage, list(talks.values()), fault)
    at = time.monotonic()
    if fault.party is Party.CITIZEN and fault.act is Trouble.DIES:
        await _wait_no_citizen(stage)
        at = time.monotonic()
    return at


async def _wait_no_citizen(stage: Stage) -> None:
    """Asterisk itself clears a citizen whose telephone is dead (`rtp_timeout`, 30 s)."""
    ends = time.monotonic() + 40
    while time.monotonic() < ends:
        if "PJSIP/trunk-" not in await stage.world.switch.console("core show channels concise"):
            return
        await asyncio.sleep(0.5)


Called = tuple[Talk, Phone]
"""A citizen, and the telephone of the third party that is called into the case."""


def _called(stage: Stage, talks: Talks) -> list[Called]:
    """Where a third is there already, 12345 is the next."""
    return [
        (talk, stage.phones["hotline"] if state is S.CONFERENCED else talk.third)
        for state, talk in talks.items()
    ]


def _peer(manner: Manner) -> Strike:
    async def strike(stage: Stage, talks: Talks, fault: Fault) -> float:
        called = _called(stage, talks)
        for _, phone in called:
            phone.behaviour = Behaviour(manner)
        await _three_way(called)
        await asyncio.gather(*(_until_over(stage, *one) for one in called))
        return time.monotonic()

    return strike


async def _three_way(called: Sequence[Called]) -> None:
    async def one(talk: Talk, phone: Phone) -> None:
        to = "12345" if phone.user == "hotline" else phone.user
        await talk.ask("three-way", to=to)

    await asyncio.gather(*(one(*each) for each in called))


async def _until_over(stage: Stage, talk: Talk, phone: Phone) -> None:
    """Until the third's telephone is at rest again, or Asterisk has given it up."""
    began = time.monotonic()
    limit = SILENT_S if phone.behaviour.manner == "silent" else PEER_S
    while time.monotonic() < began + limit:
        calls = list(stage.incoming(phone, talk.number))
        if calls and all(call.end is not None for call in calls):
            return
        await asyncio.sleep(0.1)


def _agi(mode: Mode) -> Strike:
    """The third answers; the daemon's words cannot be had. A person presses 1 when asked."""

    async def strike(stage: Stage, talks: Talks, fault: Fault) -> float:
        await stage.agi.be(mode)
        called = _called(stage, talks)
        await _three_way(called)
        await asyncio.gather(*(_until_joined(*one) for one in called))
        at = time.monotonic()
        await stage.agi.be("open")
        return at

    return strike


async def _until_joined(talk: Talk, phone: Phone) -> None:
    began = time.monotonic()
    while time.monotonic() < began + PEER_S:
        at_third = talk.at(phone)
        if at_third is not None and talk.citizen.leg.tone in at_third.hears():
            return
        if at_third is not None and time.monotonic() > (at_third.answered_at or 0) + 2:
            with contextlib.suppress(TimeoutError, ValueError):
                await at_third.press("1")
        await asyncio.sleep(0.5)


async def _locked(stage: Stage, talks: Talks, fault: Fault) -> float:
    connection = await asyncio.to_thread(open_writing, stage.store, Options().pragmas)
    try:
        connection.execute("BEGIN IMMEDIATE")
        asking = asyncio.ensure_future(ask_all(talks))
        await asyncio.sleep(STORE_S)
        connection.execute("ROLLBACK")
    finally:
        connection.close()
    at = time.monotonic()
    await asking
    return at


def _disk(*, full: bool) -> Strike:
    async def strike(stage: Stage, talks: Talks, fault: Fault) -> float:
        stage.orders.give(full=full, failing=not full)
        await party_acts(stage, list(talks.values()), fault)
        asking = asyncio.ensure_future(ask_all(talks) if fault.party is None else asyncio.sleep(0))
        await asyncio.sleep(STORE_S)
        stage.orders.give()
        at = time.monotonic()
        await asking
        return at

    return strike


def _clock(seconds: int) -> Strike:
    async def strike(stage: Stage, talks: Talks, fault: Fault) -> float:
        stage.orders.give(step_s=seconds)
        at = time.monotonic()
        await ask_all(talks)
        return at

    return strike


Strike = Callable[[Stage, Talks, Fault], Awaitable[float]]
"""Makes the trouble and mends it; returns the monotonic second at which it was over."""

STRIKES: Final[Mapping[Trouble, Strike]] = {
    Trouble.KILLED: _killed,
    Trouble.STOPPED: _stopped,
    Trouble.CUT: _road("refuse"),
    Trouble.HALF_OPEN: _road("dead"),
    Trouble.STALLED: _road("late"),
    Trouble.FLOODED: _flooded,
    Trouble.BAD_SECRET: _bad_secret,
    Trouble.ASTERISK: _asterisk,
    Trouble.HANGS_UP: _party,
    Trouble.DIES: _party,
    Trouble.PEER_BUSY: _peer("busy"),
    Trouble.PEER_REJECTS: _peer("reject"),
    Trouble.PEER_SILENT: _peer("silent"),
    Trouble.PEER_MACHINE: _peer("auto"),
    Trouble.AGI_DEAD: _agi("refuse"),
    Trouble.AGI_HOLE: _agi("dead"),
    Trouble.STORE_LOCKED: _locked,
    Trouble.STORE_FULL: _disk(full=True),
    Trouble.STORE_FAILS: _disk(full=False),
    Trouble.CLOCK_ON: _clock(3600),
    Trouble.CLOCK_BACK: _clock(-3600),
}
