"""AMI events in the words of the domain; bytes as a real Asterisk 22.10.1 sent them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.asterisk.translate import Translator
from bridge.domain.call import Role
from bridge.domain.conversation import E
from bridge.domain.seen import (
    Accepted,
    Answered,
    AnySeen,
    Arrived,
    Born,
    Entered,
    Gone,
    Keyed,
    Noted,
    Rang,
)
from bridge.wire.ami import Message

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CASE = "1795494325.0"


def translate(name: str, *pairs: tuple[str, str]) -> list[AnySeen]:
    headers = [("Event", name), ("Timestamp", "1795494325.403506"), *pairs]
    translator = Translator({"8001"}.__contains__, lambda: NOW)
    return list(translator.translate(Message.of(headers)))


def leg(unique: str, channel: str, label: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [
        ("Uniqueid", unique),
        ("Channel", channel),
        ("ChanVariable", f"CASE={CASE}"),
        ("ChanVariable", f"LEG={label}"),
        ("ChanVariable", "HANDOFF="),
        *more,
    ]


def test_a_citizen_arrives_with_number_and_asterisks_own_time() -> None:
    (seen,) = translate(
        "UserEvent",
        ("UserEvent", "CitizenArrived"),
        ("Channel", "PJSIP/trunk-00000000"),
        ("Uniqueid", CASE),
        ("Case", CASE),
        ("Entry", "110"),
        ("Number", "13800138000"),
        ("Back", ""),
    )
    assert isinstance(seen, Arrived)
    assert (seen.number, seen.entry) == ("13800138000", "110")
    assert seen.at == datetime.fromtimestamp(1795494325.403506, UTC)


def test_a_seat_is_known_by_its_account_before_the_plan_has_named_its_leg() -> None:
    born, rang = translate(
        "Newstate", *leg("1.5", "PJSIP/8001-0000001a", "", ("ChannelState", "5"))
    )
    assert isinstance(born, Born)
    assert (born.role, born.name) == (Role.SEAT, "seat-8001")
    assert isinstance(rang, Rang)


def test_a_third_party_is_known_by_its_label() -> None:
    born, answered = translate(
        "Newstate", *leg("b110-x", "PJSIP/hotline-0000001b", "hotline", ("ChannelState", "6"))
    )
    assert isinstance(born, Born)
    assert born.role is Role.HOTLINE
    assert isinstance(answered, Answered)


def test_entering_a_bridge_and_hanging_up() -> None:
    *_, entered = translate(
        "BridgeEnter", *leg(CASE, "PJSIP/trunk-00000000", "citizen", ("BridgeUniqueid", "b-1"))
    )
    assert isinstance(entered, Entered)
    assert (entered.leg, entered.bridge) == (CASE, "b-1")
    *_, gone = translate("Hangup", *leg("1.5", "PJSIP/8001-0000001a", "seat-8001", ("Cause", "44")))
    assert isinstance(gone, Gone)
    assert gone.cause == 44


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("CitizenAlone", E.CITIZEN_ALONE),
        ("CitizenHeld", E.CITIZEN_HELD),
        ("CitizenWaits", E.CITIZEN_WAITS),
        ("CallEnded", E.GOODBYE),
        ("SeatWaits", E.SEAT_WAITS),
        ("PartyHeld", E.PARTY_HELD),
    ],
)
def test_the_plans_own_events_become_events_of_the_conversation(name: str, event: E) -> None:
    (seen,) = translate("UserEvent", ("UserEvent", name), ("Case", CASE), ("Uniqueid", "1.5"))
    assert isinstance(seen, Noted)
    assert (seen.what, seen.leg) == (event, "1.5")


def test_the_seats_key_and_an_acceptance() -> None:
    (keyed,) = translate(
        "UserEvent",
        ("UserEvent", "SeatKey"),
        ("Case", CASE),
        ("Uniqueid", "1.5"),
        ("Handoff", "key-1795494325-1234"),
    )
    assert isinstance(keyed, Keyed)
    (accepted,) = translate(
        "UserEvent", ("UserEvent", "LegAccepted"), ("Case", CASE), ("Uniqueid", "b110-x")
    )
    assert isinstance(accepted, Accepted)


@pytest.mark.parametrize(
    "case", ["", "x", "1.2.3; DROP", "1" * 40, "../1.2", "1795494325.0\x00", "${CASE}.1"]
)
def test_a_case_that_is_no_unique_id_is_nobodys(case: str) -> None:
    arrived = translate(
        "UserEvent",
        ("UserEvent", "CitizenArrived"),
        ("Channel", "PJSIP/trunk-00000000"),
        ("Uniqueid", case),
        ("Case", case),
    )
    assert arrived == []


def test_channels_that_are_no_telephone_are_nobodys_leg() -> None:
    for channel in ("Local/x@y-00000001;1", "Surrogate/PJSIP/8001", "PJSIP/8001", "Message/x"):
        found = translate("BridgeEnter", *leg("1.5", channel, "seat-8001", ("BridgeUniqueid", "b")))
        assert found == []


def test_outside_text_in_number_is_cut_to_digits() -> None:
    (seen,) = translate(
        "UserEvent",
        ("UserEvent", "CitizenArrived"),
        ("Channel", "PJSIP/trunk-00000000"),
        ("Uniqueid", CASE),
        ("Case", CASE),
        ("Entry", "<script>"),
        ("Number", "138<b>&00\u202e" + "9" * 99),
        ("Back", "../../etc"),
    )
    assert isinstance(seen, Arrived)
    assert seen.entry == "110"
    assert seen.number.isdigit()
    assert len(seen.number) <= 32
    assert "/" not in seen.back
