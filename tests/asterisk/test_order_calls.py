"""Order calls over the link: what is sent, what is never sent, and what events mean."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.asterisk.cel import Row
from bridge.asterisk.fastagi import FastAgiServer
from bridge.asterisk.nonces import Nonces
from bridge.asterisk.order_calls import PREFIX, OrderCalls
from bridge.asterisk.report_calls import PATH, TOTAL_S, Caller, ReportCalls
from bridge.flows.ports import ActRefused, OrderCall, PhoneSeen
from bridge.wire.ami import Message
from tests.asterisk.ami_peer import AmiPeer
from tests.asterisk.watched import running, settings

ATTEMPT = "20261124-0001-01.2"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
CALL = OrderCall(
    attempt=ATTEMPT,
    dial="PJSIP/05391234567@trunk",
    words="/var/spool/asterisk/spoken/0af3",
    seat="8001",
    number="7110",
    ring_s=35,
)


def event(name: str, **headers: str) -> Message:
    pairs = [("Event", name), ("Timestamp", "1795494325.403506"), *headers.items()]
    return Message.of(pairs)


async def test_the_call_is_known_by_its_attempt_and_asks_for_the_plan_of_orders() -> None:
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        for action in ("Originate", "Setvar"):
            peer.answers[action] = lambda connection, asked: connection.respond(asked)
        calls = OrderCalls(watched.link, lambda: NOW)
        await calls.call(CALL)
        (sent,) = peer.asked("Originate")
        assert sent.get("ChannelId") == PREFIX + ATTEMPT
        assert (sent.get("Context"), sent.get("Timeout")) == ("order-call", "35000")
        variables = sent.getall("Variable")
        assert f"ATTEMPT={ATTEMPT}" in variables
        assert "SEAT=8001" in variables
        assert "NUMBER=05391234567" in variables


@pytest.mark.parametrize(
    "bad",
    [
        {"dial": "PJSIP/1&PJSIP/2"},
        {"dial": "Local/110@from-trunk"},
        {"dial": "PJSIP/1@a/n"},
        {"words": "/x,y"},
        {"words": "a&b"},
        {"words": "${SHELL(id)}"},
    ],
)
async def test_what_must_never_reach_the_switch_does_not(bad: dict[str, str]) -> None:
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        for action in ("Originate", "Setvar"):
            peer.answers[action] = lambda connection, asked: connection.respond(asked)
        calls = OrderCalls(watched.link, lambda: NOW)
        fields: dict[str, Any] = {
            name: getattr(CALL, name)
            for name in ("attempt", "dial", "words", "seat", "number", "ring_s")
        }
        with pytest.raises(ActRefused):
            await calls.call(OrderCall(**{**fields, **bad}))
        assert peer.asked("Originate") == []


def heard(*events: Message, rows: tuple[Row, ...] = ()) -> list[PhoneSeen]:
    seen: list[PhoneSeen] = []
    calls = OrderCalls(None, lambda: NOW)  # type: ignore[arg-type]
    calls.see = seen.append
    calls.spawn_later = lambda _, late: seen.append(late)
    for one in events:
        calls.event(one)
    for row in rows:
        calls.row(row)
    return seen


def test_events_of_its_channel_are_what_happened() -> None:
    unique = PREFIX + ATTEMPT
    seen = heard(
        event("Newstate", Uniqueid=unique, ChannelState="5"),
        event("UserEvent", UserEvent="OrderAnswered", Uniqueid=unique, Attempt=ATTEMPT),
        event(
            "UserEvent",
            UserEvent="OrderKey",
            Uniqueid=unique,
            Attempt=ATTEMPT,
            Key="1",
            Number="6001",
        ),
        event("UserEvent", UserEvent="OrderSeat", Uniqueid="1.7", Linkedid=unique, Seat="8001"),
        event("Hangup", Uniqueid=unique, Cause="16"),
        event("OriginateResponse", Uniqueid=unique, Response="Failure", Reason="5"),
    )
    assert {one.call for one in seen} == {unique}
    assert [one.number for one in seen if one.what == "seat"] == ["8001"]
    assert [(one.what, one.key, one.cause) for one in seen] == [
        ("rang", "", 0),
        ("answered", "", 0),
        ("key", "1", 0),
        ("seat", "", 0),
        ("ended", "", 16),
        ("ended", "", 17),
    ]
    assert seen[0].at == datetime.fromtimestamp(1795494325.403506, UTC)


@pytest.mark.parametrize(
    "foreign",
    [
        event("Hangup", Uniqueid="1795494325.0", Cause="16"),
        event("Hangup", Uniqueid=PREFIX, Cause="16"),
        event("Hangup", Uniqueid=PREFIX + "x y.1", Cause="16"),
        event("UserEvent", UserEvent="OrderKey", Uniqueid=PREFIX + ATTEMPT, Attempt="other.1"),
        event("OriginateResponse", Uniqueid=PREFIX + ATTEMPT, Response="Success"),
        event("UserEvent", UserEvent="OrderSeat", Uniqueid="1.7", Linkedid="1.6", Seat="8001"),
        event("UserEvent", UserEvent="OrderSeat", Linkedid=PREFIX + ATTEMPT, Seat="../x"),
    ],
)
def test_other_channels_and_borrowed_names_mean_nothing(foreign: Message) -> None:
    assert heard(foreign) == []


def test_the_switchs_own_log_tells_the_same_afterwards() -> None:
    def row(kind: str, user: str = "", extra: str = "", unique: str = PREFIX + ATTEMPT) -> Row:
        return Row(kind, NOW, unique, PREFIX + ATTEMPT, "PJSIP/6001-00000001", user, extra)

    seen = heard(
        rows=(
            row("ANSWER"),
            row("USER_DEFINED", "ORDER", f'{{"extra":"{ATTEMPT}/3/6001"}}'),
            row("USER_DEFINED", "ORDERSEAT", '{"extra":"8001"}', unique="1.7"),
            row("HANGUP", extra='{"hangupcause":16}'),
        )
    )
    assert [(one.what, one.key, one.number, one.cause) for one in seen] == [
        ("answered", "", "", 0),
        ("key", "3", "6001", 0),
        ("seat", "", "8001", 0),
        ("ended", "", "", 16),
    ]
    assert all(one.learnt for one in seen)


class Line:
    """Answers of the report line, as the flow would give them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    async def entered(self, call: str, number: str, code: str, pin: str) -> str:
        self.asked.append(("entered", call, number, code, pin))
        return "ok"

    async def said(self, call: str, key: str, date: str, file: str, at: datetime) -> str:
        self.asked.append(("said", call, key, date, file))
        return "stored"

    def heard(self, call: str, at: datetime) -> None:
        self.asked.append(("heard", call))

    def left(self, call: str, at: datetime) -> None:
        self.asked.append(("left", call))


def tickets() -> Nonces[Caller]:
    return Nonces(asyncio.get_running_loop().time)


async def test_the_report_lines_questions_are_answered_on_their_channel() -> None:
    async with (
        AmiPeer() as peer,
        running(settings(peer.port)) as watched,
        asyncio.TaskGroup() as tasks,
    ):
        await watched.wait_up()
        for action in ("Originate", "Setvar"):
            peer.answers[action] = lambda connection, asked: connection.respond(asked)
        line = Line()

        def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
            tasks.create_task(work, name=name)

        reports = ReportCalls(watched.link, line, spawn, lambda: NOW, tickets())
        common = {"Channel": "PJSIP/6001-0000000a", "Uniqueid": "1.5", "Number": "6001"}
        reports.event(event("UserEvent", UserEvent="ReportHeard", **common))
        reports.event(
            event("UserEvent", UserEvent="ReportSaid", Key="2", Date="", File="../x.wav", **common)
        )
        reports.event(event("UserEvent", UserEvent="ReportSaid", Channel="Local/x", Key="1"))
        reports.event(event("Hangup", Uniqueid="1.5"))
        await peer.wait_asked("Setvar", 1)
        answers = [(one.get("Channel"), one.get("Value")) for one in peer.asked("Setvar")]
        assert answers == [("PJSIP/6001-0000000a", "stored")]
        assert ("heard", "1.5") in line.asked
        assert ("said", "1.5", "2", "", "") in line.asked, "a path is no file of ours"
        assert line.asked.count(("left", "1.5")) == 1


async def keyed(
    uniqueid: str, answers: list[bytes], number: str = "6001"
) -> tuple[Line, list[str]]:
    """One caller on the report line, by the real server; what was asked, what was commanded."""
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        peer.answers["Setvar"] = lambda connection, asked: connection.respond(asked)
        line, stop = Line(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:

            def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
                tasks.create_task(work, name=name)

            reports = ReportCalls(
                watched.link,
                line,
                spawn,
                lambda: NOW,
                tickets(),
            )
            server = FastAgiServer(reports.tickets.authorize, port=0)
            server.add_route(PATH, reports.handle, TOTAL_S)
            tasks.create_task(server.run(stop))
            await server.listening.wait()
            asks = {"Channel": "PJSIP/6001-0000000a", "Uniqueid": "1.5", "Number": number}
            reports.event(event("UserEvent", UserEvent="ReportAsks", **asks))
            await peer.wait_asked("Setvar", 1)
            ticket = peer.asked("Setvar")[0].get("Value")
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            head = f"agi_network_script: {PATH}?nonce={ticket}\nagi_uniqueid: {uniqueid}\n\n"
            writer.write(b"agi_network: yes\n" + head.encode())
            commands: list[str] = []
            async with asyncio.timeout(5):
                while said := await reader.readline():
                    commands.append(said.decode().strip())
                    writer.write(answers.pop(0) if answers else b"200 result=1\n")
            writer.close()
            assert not reports.tickets.authorize(ticket), "it holds once"
            stop.set()
    return line, commands


async def test_code_and_pin_come_by_fastagi_and_only_the_verdict_goes_back() -> None:
    digits = [b"200 result=12345674\n", b"200 result=43*21 (timeout)\n"]
    line, commands = await keyed("1.5", digits, number="x6001&")
    assert line.asked == [("entered", "1.5", "6001", "12345674", "4321")]
    assert commands == [
        "GET DATA bridge110/report-code 5000 8",
        "GET DATA bridge110/report-pin 5000 12",
        "SET VARIABLE ENTERED ok",
    ]


async def test_a_ticket_is_of_no_use_to_another_channel_and_a_hangup_asks_nobody() -> None:
    line, commands = await keyed("1.6", [])
    assert (line.asked, commands) == ([], [])
    line, _ = await keyed("1.5", [b"HANGUP\n200 result=-1\n", b"511 x\n"])
    assert line.asked == []
