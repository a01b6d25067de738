"""Order calls over the link: what is sent, what is never sent, and what events mean."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.asterisk.cel import Row
from bridge.asterisk.order_calls import PREFIX, OrderCalls
from bridge.asterisk.report_calls import ReportCalls
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
        event("Hangup", Uniqueid=unique, Cause="16"),
        event("OriginateResponse", Uniqueid=unique, Response="Failure", Reason="5"),
    )
    assert [(one.what, one.key, one.cause) for one in seen] == [
        ("rang", "", 0),
        ("answered", "", 0),
        ("key", "1", 0),
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
    ],
)
def test_other_channels_and_borrowed_names_mean_nothing(foreign: Message) -> None:
    assert heard(foreign) == []


def test_the_switchs_own_log_tells_the_same_afterwards() -> None:
    def row(kind: str, user: str = "", extra: str = "") -> Row:
        return Row(kind, NOW, PREFIX + ATTEMPT, "1.1", "PJSIP/6001-00000001", user, extra)

    seen = heard(
        rows=(
            row("ANSWER"),
            row("USER_DEFINED", "ORDER", f'{{"extra":"{ATTEMPT}/3/6001"}}'),
            row("HANGUP", extra='{"hangupcause":16}'),
        )
    )
    assert [(one.what, one.key, one.number, one.cause) for one in seen] == [
        ("answered", "", "", 0),
        ("key", "3", "6001", 0),
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

    def left(self, call: str) -> None:
        self.asked.append(("left", call))


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

        reports = ReportCalls(watched.link, line, spawn, lambda: NOW)
        common = {"Channel": "PJSIP/6001-0000000a", "Uniqueid": "1.5", "Number": "6001"}
        reports.event(
            event("UserEvent", UserEvent="ReportEntered", Code="12345674", Pin="43x21", **common)
        )
        reports.event(
            event("UserEvent", UserEvent="ReportSaid", Key="2", Date="", File="../x.wav", **common)
        )
        reports.event(event("UserEvent", UserEvent="ReportSaid", Channel="Local/x", Key="1"))
        reports.event(event("Hangup", Uniqueid="1.5"))
        await peer.wait_asked("Setvar", 2)
        answers = {(one.get("Channel"), one.get("Value")) for one in peer.asked("Setvar")}
        assert answers == {("PJSIP/6001-0000000a", "ok"), ("PJSIP/6001-0000000a", "stored")}
        assert ("entered", "1.5", "6001", "12345674", "4321") in line.asked
        assert ("said", "1.5", "2", "", "") in line.asked, "a path is no file of ours"
        assert line.asked.count(("left", "1.5")) == 1
