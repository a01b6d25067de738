"""Telephones that call each other directly, over the loopback, with no switch between them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.lab.call import Call, CallError
from bridge.lab.incoming import IncomingCall
from bridge.lab.media import MEDIA
from bridge.lab.phone import Behaviour, Phone
from bridge.lab.ports import HOST
from bridge.lab.rtp import pack
from bridge.lab.sipnode import Address
from bridge.lab.tones import CITIZEN, HOTLINE, SEAT


class Pair:
    """`caller` calls `called` directly; further callers may join."""

    def __init__(self, called: Phone, caller: Phone) -> None:
        self.called = called
        self.caller = caller
        self.others: list[Phone] = []

    async def another(self, tone: int) -> Phone:
        phone = Phone("13900000002", "", self.called.node.address, tone=tone)
        await phone.start()
        self.others.append(phone)
        return phone

    async def talk(self) -> tuple[Call, IncomingCall]:
        """A call that both hear."""
        mine = await self.caller.dial("110", wait=True)
        theirs = await self.called.wait_call(2)
        await theirs.wait_acknowledged(2)
        await asyncio.gather(mine.wait_hears({SEAT}, 3), theirs.wait_hears({CITIZEN}, 3))
        return mine, theirs


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    nowhere: Address = (HOST, 9)
    called = Phone("8001", "", nowhere, tone=SEAT)
    await called.start()
    caller = Phone("13900000001", "", called.node.address, tone=CITIZEN)
    await caller.start()
    made = Pair(called, caller)
    yield made
    for phone in (caller, called, *made.others):
        await phone.stop()


async def test_two_telephones_hear_each_other_and_both_know_when(pair: Pair) -> None:
    begun = time.monotonic()
    mine, theirs = await pair.talk()
    now = time.monotonic()
    assert (theirs.caller, theirs.dialled) == ("13900000001", "110")
    assert mine.heard(begun, now) == {SEAT}
    assert theirs.heard(begun, now) == {CITIZEN}
    [tone] = mine.tones(begun, now)
    assert mine.answered_at is not None
    assert mine.answered_at <= tone.start < mine.answered_at + 0.15
    assert min(mine.rtp_sent, mine.rtp_received, theirs.rtp_sent, theirs.rtp_received) >= 5


async def test_a_goodbye_is_known_on_both_sides_with_its_cause(pair: Pair) -> None:
    mine, theirs = await pair.talk()
    assert await theirs.hangup(44)
    end = await mine.wait_ended(2)
    assert (end.who, end.cause) == ("them", 44)
    assert theirs.end is not None
    assert theirs.end.who == "us"
    assert not await mine.hangup()


@pytest.mark.parametrize(("manner", "status"), [("busy", 486), ("reject", 603)])
async def test_a_refusal_reaches_the_caller_with_its_status(
    pair: Pair, manner: str, status: int
) -> None:
    pair.called.behaviour = Behaviour("busy" if manner == "busy" else "reject")
    mine = await pair.caller.dial("110")
    with pytest.raises(CallError, match=str(status)):
        await mine.wait_answered(3)
    assert mine.end is not None
    assert (mine.end.who, mine.end.status) == ("them", status)


async def test_a_call_given_up_while_it_rings_is_cancelled(pair: Pair) -> None:
    pair.called.behaviour = Behaviour("ring")
    mine = await pair.caller.dial("110")
    await mine.wait_ringing(2)
    theirs = await pair.called.wait_call(2)
    assert await mine.hangup()
    end = await theirs.wait_ended(2)
    assert (end.who, end.status) == ("them", 487)
    assert mine.end is not None
    assert (mine.end.who, mine.end.status) == ("us", 487)
    assert theirs.answered_at is None


async def test_an_answer_comes_after_the_delay_that_was_asked_for(pair: Pair) -> None:
    pair.called.behaviour = Behaviour("auto", delay=0.3)
    mine = await pair.caller.dial("110")
    answered = await mine.wait_answered(3)
    assert 0.3 <= answered - mine.invite_at < 1.5
    assert mine.ringing_at is not None
    assert mine.ringing_at < answered - 0.2


async def test_header_fields_and_raw_display_bytes_arrive_as_sent(pair: Pair) -> None:
    raw = "张三".encode("gbk").decode("utf-8", "surrogateescape")
    await pair.caller.dial(
        "110",
        headers={"X-Case-Id": "1795496543.0", "P-Asserted-Identity": "<sip:138@h>"},
        identity=f'"{raw}" <sip:138@h>',
    )
    theirs = await pair.called.wait_call(2)
    assert theirs.headers["X-Case-Id"] == "1795496543.0"
    assert theirs.headers["P-Asserted-Identity"] == "<sip:138@h>"
    assert "张三".encode("gbk") in theirs.headers["From"].encode("utf-8", "surrogateescape")
    assert theirs.caller == "138"


async def test_keys_are_heard_in_order_and_the_tone_goes_on_after_them(pair: Pair) -> None:
    mine, theirs = await pair.talk()
    await mine.press("*1")
    await mine.press("11#")
    pressed = time.monotonic()
    async with asyncio.timeout(2):
        while theirs.keys_heard != "*111#":
            await asyncio.sleep(0.01)
    assert await theirs.wait_hears({CITIZEN}, 2) > pressed - 0.2
    with pytest.raises(ValueError, match="keys"):
        await mine.press("x")


async def test_keys_of_a_behaviour_are_pressed_by_themselves_after_the_answer(pair: Pair) -> None:
    pair.called.behaviour = Behaviour(keys="1", keys_after=0.1)
    mine, _ = await pair.talk()
    async with asyncio.timeout(2):
        while not mine.leg.keys:
            await asyncio.sleep(0.01)
    at, key = mine.leg.keys[0]
    assert mine.answered_at is not None
    assert key == "1"
    assert 0.1 <= at - mine.answered_at < 1.5


async def test_a_telephone_that_stops_sending_is_a_gap_as_long_as_it_lasts(pair: Pair) -> None:
    mine, theirs = await pair.talk()
    begun = time.monotonic()
    theirs.mute_rtp(True)
    await mine.wait_hears_not({SEAT}, 2)
    muted = mine.rtp_received
    assert mine.hears() == frozenset() or time.monotonic() - begun < 0.15
    assert theirs.hears() == {CITIZEN}
    theirs.mute_rtp(False)
    again = await mine.wait_hears({SEAT}, 2)
    gap = mine.longest_gap(begun, again + 0.1)
    assert gap == pytest.approx(again - begun, abs=0.1)
    assert mine.longest_silence(begun, again + 0.1) == pytest.approx(gap, abs=0.05)
    assert mine.rtp_received > muted


async def test_a_steady_call_has_no_gap(pair: Pair) -> None:
    mine, theirs = await pair.talk()
    begun = time.monotonic()
    async with asyncio.timeout(5):
        while mine.rtp_received < 60:
            await asyncio.sleep(0.02)
    now = time.monotonic()
    for call in (mine, theirs):
        assert call.longest_gap(begun, now) < 0.06 + 2 * MEDIA.worst_late_s
        assert call.longest_silence(begun, now) < 0.08 + 2 * MEDIA.worst_late_s


async def test_a_busy_event_loop_neither_delays_the_tone_nor_blurs_the_gap(pair: Pair) -> None:
    mine, theirs = await pair.talk()
    begun = time.monotonic()
    while time.monotonic() < begun + 0.6:
        sum(range(1000))
    now = time.monotonic()
    for call in (mine, theirs):
        assert call.longest_gap(begun, now - 0.1) < 0.06 + 2 * MEDIA.worst_late_s


async def test_a_packet_arrived_when_the_kernel_had_it_not_when_it_was_read() -> None:
    leg = MEDIA.leg(0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(pack(8, False, 1, 160, 7, bytes(160)), (HOST, leg.port))
            sent = time.monotonic()
            sum(range(10_000_000))  # one call of the interpreter: nobody else runs meanwhile
            stood_still = time.monotonic() - sent
        async with asyncio.timeout(2):
            while not leg.ear.received:
                await asyncio.sleep(0.01)
        [packet] = leg.ear.tail(0.0)
    finally:
        leg.close()
    assert stood_still > 0.04
    assert abs(packet.at - sent) < stood_still / 2


async def test_a_dead_telephone_says_no_word_and_sends_no_packet(pair: Pair) -> None:
    mine, _ = await pair.talk()
    died = time.monotonic()
    pair.called.die()
    await mine.wait_hears_not({SEAT}, 2)
    assert mine.end is None
    assert mine.longest_gap(died, time.monotonic()) > 0.15
    await pair.called.start()
    pair.caller.server = pair.called.node.address
    again = await pair.caller.dial("110", wait=True)
    await again.wait_hears({SEAT}, 3)
    assert mine.end is None
    pair.caller.die()  # else it waits for answers of the dead


async def test_held_the_one_who_holds_is_not_sent_to_and_then_is_again(pair: Pair) -> None:
    mine, theirs = await pair.talk()
    await theirs.hold("inactive")
    await mine.wait_hears_not({SEAT}, 2)
    await theirs.wait_hears_not({CITIZEN}, 2)
    await theirs.unhold()
    await asyncio.gather(mine.wait_hears({SEAT}, 2), theirs.wait_hears({CITIZEN}, 2))
    await mine.hold("sendonly")
    await mine.wait_hears_not({SEAT}, 2)
    assert theirs.hears() == {CITIZEN}


async def test_one_telephone_takes_many_calls_and_each_is_its_own(pair: Pair) -> None:
    other = await pair.another(HOTLINE)
    one, two = await pair.caller.dial("110", wait=True), await other.dial("12345", wait=True)
    theirs = [await pair.called.wait_call(2) for _ in range(2)]
    await theirs[0].wait_hears({CITIZEN}, 3)
    await theirs[1].wait_hears({HOTLINE}, 3)
    assert [call.dialled for call in theirs] == ["110", "12345"]
    await one.hangup()
    await theirs[0].wait_ended(2)
    assert two.end is None
    await theirs[1].wait_hears({HOTLINE}, 1)


async def test_the_first_rtp_numbers_are_those_that_were_asked_for(pair: Pair) -> None:
    pair.called.numbers = (30000, 5, 77)
    mine, _ = await pair.talk()
    first = mine.leg.ear.tail(0.0)[0]
    assert 30000 <= first.sequence < 30060
    assert first.timestamp % 160 == 5


async def test_a_repeated_invite_is_one_call(pair: Pair) -> None:
    seen = bytearray()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.setblocking(False)
        pair.called.behaviour = Behaviour("ring")
        me = f"{HOST}:{sock.getsockname()[1]}"
        invite = (
            f"INVITE sip:110@h SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKsame\r\n"
            f"From: <sip:a@{me}>;tag=1\r\nTo: <sip:110@h>\r\nCall-ID: same\r\nCSeq: 1 INVITE\r\n"
            f"Contact: <sip:a@{me}>\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        loop = asyncio.get_running_loop()
        for _ in range(3):
            sock.sendto(invite, pair.called.node.address)
            seen += await asyncio.wait_for(loop.sock_recv(sock, 4096), 2)
    assert seen.count(b"SIP/2.0 180 Ringing") == 3
    assert len(pair.called.calls) == 1
    assert pair.called.node.repeats == 2


async def test_rubbish_on_the_sip_port_is_counted_and_harms_nothing(pair: Pair) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for data in (b"\0\1\2", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"x" * 60000):
            sock.sendto(data, pair.called.node.address)
    await pair.talk()
    assert pair.called.node.malformed == 3


async def test_who_waits_in_vain_is_told_what_was_heard_instead(pair: Pair) -> None:
    mine, _ = await pair.talk()
    with pytest.raises(TimeoutError, match=r"\[1000\] not heard in 0.3 s; .*700 Hz"):
        await mine.wait_hears({HOTLINE}, 0.3)
    with pytest.raises(TimeoutError, match=r"\[700\] heard after 0.3 s"):
        await mine.wait_hears_not({SEAT}, 0.3)
    with pytest.raises(TimeoutError, match="no call came to 8001"):
        await pair.called.wait_call(0.05)


async def test_no_answer_at_all_ends_as_nobody(pair: Pair) -> None:
    pair.called.behaviour = Behaviour("silent")
    mine = await pair.caller.dial("110")
    with pytest.raises(TimeoutError, match="not answered"):
        await mine.wait_answered(0.3)
    assert mine.end is None
    assert mine.ringing_at is None
    pair.caller.die()  # else it waits for an answer to CANCEL


async def test_when_the_last_call_is_over_the_media_thread_ends(pair: Pair) -> None:
    mine, theirs = await pair.talk()
    assert "media" in {thread.name for thread in threading.enumerate()}
    await mine.hangup()
    await theirs.wait_ended(2)
    async with asyncio.timeout(2):
        while "media" in {thread.name for thread in threading.enumerate()}:
            await asyncio.sleep(0.01)
    assert MEDIA.worst_late_s < 5
