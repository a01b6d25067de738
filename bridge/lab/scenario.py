"""One whole call, played by robots on real telephones and the REST interface.

A citizen dials 110, a seat takes the call, sends units by radio and fax and brings 12345 in, 12345
presses 1, the seat leaves, citizen and 12345 talk on, 12345 hangs up, the citizen hears the end;
then the sheet comes back by fax, ticked. What telephones and machines saw is kept; `witness.py`
compares it with what the daemon wrote.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.lab import fax_play
from bridge.lab.call import Call, CallError
from bridge.lab.desk_client import DeskClient, leg_of
from bridge.lab.faxnet import FaxNetwork
from bridge.lab.incoming import IncomingCall
from bridge.lab.progress import say
from bridge.lab.radio_play import arrived, give
from bridge.lab.robots import CITIZEN_NUMBER, SEATS, Robots
from bridge.lab.tones import CITIZEN

TALK_S: Final = 1.0
"""Everybody together, and citizen and seat before that."""
ALONE_S: Final = 2.5
"""Citizen and 12345 without the seat: at least 2 s are to be seen by the telephones."""
STEP_S: Final = 10.0
"""Deadline of each step on a loaded machine."""
RECORD_S: Final = 20.0
"""Deadline of joining the tracks after the end."""


@dataclass
class Played:
    """What happened on the telephones. Calls are None, texts empty, where it did not get so far.
    Moments are monotonic seconds; `clock` added to them makes them seconds since 1970."""

    clock: float = field(default_factory=lambda: time.time() - time.monotonic())
    case: str = ""
    call: str = ""
    seat: str = ""
    order: str = ""
    fax: fax_play.FaxPlayed | None = None
    """The order by fax, where the laboratory has modems."""
    citizen: Call | None = None
    taker: IncomingCall | None = None
    hotline: IncomingCall | None = None
    hotline_tone: int = 0
    trouble: str = ""
    """Why the play stopped before its end."""
    began: float = 0.0
    over: float = 0.0

    @property
    def seat_tone(self) -> int:
        return SEATS.get(self.seat, 0)


async def play(robots: Robots, faxes: FaxNetwork | None = None) -> Played:
    """Play it to its end, or until something does not happen; then everything is hung up. With
    `faxes` an order goes out by fax, and its sheet comes back."""
    played = Played(hotline_tone=robots.hotline_tone, began=time.monotonic())
    for phone in robots.phones.values():
        phone.forget_calls()
    try:
        await _acts(robots, played, faxes)
    except (CallError, LookupError, OSError, RuntimeError, TimeoutError) as error:
        played.trouble = str(error) or type(error).__name__
    played.over = time.monotonic()
    for call in (played.citizen, played.taker, played.hotline):
        if call is not None and call.end is None:
            await call.hangup()
    if played.case:
        await _recorded(robots, played)
    if faxes is not None and played.fax is not None and not played.trouble:
        await _faxed_back(robots, played, played.fax, faxes)
    return played


async def _acts(robots: Robots, played: Played, faxes: FaxNetwork | None) -> None:
    say("市民拨打 110", "the citizen dials 110")
    citizen = played.citizen = await robots.phones[CITIZEN_NUMBER].dial("110")
    played.taker = await _taken(robots, played)
    desk = robots.access.desk(played.seat)
    call = await desk.wait_call(CITIZEN_NUMBER, "established", STEP_S)
    played.case, played.call = str(call["case"]), str(call["id"])
    await citizen.wait_hears({played.seat_tone}, STEP_S)
    say(f"坐席 {played.seat} 经电台派单", f"seat {played.seat} sends a unit by radio")
    played.order = await give(desk, played.case)
    if faxes is not None:
        say(f"坐席 {played.seat} 经传真派单", f"seat {played.seat} sends a unit by fax")
        played.fax = await fax_play.give(desk, played.case, faxes)
    await asyncio.sleep(TALK_S)
    await _three_way(robots, desk, played)
    say(f"坐席 {played.seat} 退出", f"seat {played.seat} leaves")
    call = await desk.wait_call(CITIZEN_NUMBER, "conferenced", STEP_S)
    await desk.leave(str(leg_of(call, f"seat-{played.seat}")["id"]))
    await played.taker.wait_ended(STEP_S)
    await citizen.wait_hears({robots.hotline_tone}, STEP_S)
    await asyncio.sleep(ALONE_S)
    say("12345 挂机,市民听到结束提示", "12345 hangs up, the citizen hears the goodbye")
    assert played.hotline is not None
    await played.hotline.hangup()
    await citizen.wait_ended(STEP_S)


async def _three_way(robots: Robots, desk: DeskClient, played: Played) -> None:
    say(f"坐席 {played.seat} 一键三方 12345", f"seat {played.seat}: three-way with 12345")
    assert played.citizen is not None
    await desk.act(played.call, "three-way", to="12345")
    played.hotline = await robots.phones["hotline"].wait_call(STEP_S)
    both = {played.seat_tone, robots.hotline_tone}
    await played.citizen.wait_hears(both, STEP_S)
    await played.hotline.wait_hears({CITIZEN, played.seat_tone}, STEP_S)
    await asyncio.sleep(TALK_S)


async def _taken(robots: Robots, played: Played) -> IncomingCall:
    """The call at whichever seat the queue chose. Raises TimeoutError."""
    waits = {
        asyncio.create_task(robots.phones[seat].wait_call(STEP_S), name=seat) for seat in SEATS
    }
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        first = done.pop()
        call = first.result()
        played.seat = first.get_name()
        say(f"坐席 {played.seat} 应答", f"seat {played.seat} answers")
        await call.wait_answered(STEP_S)
        return call
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _recorded(robots: Robots, played: Played) -> None:
    """Until the unit is on the spot and the call has left the snapshot: it is cleared and its
    recording is joined."""
    desk = robots.access.desk(played.seat)

    async def gone() -> bool:
        calls: list[Mapping[str, Any]] = (await desk.snapshot())["calls"]
        return all(call["id"] != played.call for call in calls)

    try:
        if played.order:
            await arrived(desk, played.order)
        await desk.wait_for(gone, RECORD_S, "the end of the call")
    except (OSError, RuntimeError, TimeoutError) as error:
        played.trouble = played.trouble or str(error)


async def _faxed_back(
    robots: Robots, played: Played, fax: fax_play.FaxPlayed, faxes: FaxNetwork
) -> None:
    """Until the returned sheet has closed its order."""
    try:
        await fax_play.send_back(robots.access.desk(played.seat), faxes, fax)
    except (OSError, RuntimeError, TimeoutError) as error:
        played.trouble = str(error) or type(error).__name__
