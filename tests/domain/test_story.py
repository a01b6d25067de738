"""Calls told to the pure domain: who has the citizen, who answers for the matter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bridge.domain.acts import (
    Bring,
    Clear,
    DialSeat,
    DialThird,
    Hold,
    HoldThird,
    Private,
    Release,
    Target,
    WithoutRadio,
)
from bridge.domain.call import Role
from bridge.domain.conversation import E, S
from bridge.domain.errors import Refused
from bridge.domain.handoff import UNSEEN, H
from bridge.domain.observe import is_over
from bridge.domain.seen import Keyed, Noted
from tests.domain.story import CALL, WITH_FALLBACK, Story


def test_a_call_is_queued_rings_and_talks() -> None:
    story = Story()
    story.arrive()
    assert story.state() is S.QUEUED
    story.born("s1", "seat-8001", Role.SEAT)
    story.rang("s1")
    assert story.state() is S.ALERTING
    story.answered("s1")
    story.enter("b1", CALL, "s1")
    assert story.state() is S.TALKING
    assert story.call.seat == "8001"
    story.check()


def test_a_seat_that_does_not_answer_gives_the_call_back_to_the_queue() -> None:
    story = Story()
    story.arrive()
    story.born("s1", "seat-8001", Role.SEAT)
    story.rang("s1")
    story.gone("s1", 19)
    assert story.state() is S.QUEUED


@pytest.mark.req("LY-08")
def test_the_matter_is_handed_over_when_the_seat_leaves_after_12345_joined() -> None:
    story = Story().three()
    assert story.state() is S.CONFERENCED
    assert story.handoff("h-THREE_WAY").state is H.JOINED
    assert story.ask(E.LEAVE) == [Clear(CALL, "s1", "PJSIP/s1-00000001")]
    story.exit("b1", "s1")
    story.gone("s1")
    assert story.state() is S.TALKING
    assert story.handoff("h-THREE_WAY").state is H.TAKEN
    story.exit("b1", CALL)
    story.gone(CALL)
    assert story.call.outcome == "citizen_left"
    assert story.call.handoffs["h-THREE_WAY"].outcome == "completed"
    assert set(story.call.handoffs["h-THREE_WAY"].times) == {
        "requested",
        "ringing",
        "answered",
        "accepted",
        "joined",
        "taken",
        "ended",
    }
    story.check()


@pytest.mark.req("LY-08")
def test_a_transfer_lets_the_seat_go_only_when_a_person_has_joined() -> None:
    story = Story().talking()
    acts = story.ask(E.TRANSFER)
    assert [type(act) for act in acts] == [DialThird]
    leg = "leg-TRANSFER"
    story.born(leg, "hotline", Role.HOTLINE, "h-TRANSFER")
    story.rang(leg)
    story.answered(leg)
    assert not [act for act in story.acts if isinstance(act, Clear)]
    story.accepted(leg)
    assert story.enter("b1", leg) == [Clear(CALL, "s1", "PJSIP/s1-00000001")]


def test_leaving_before_anybody_accepted_becomes_leave_when_accepted() -> None:
    story = Story().talking()
    story.ask(E.THREE_WAY)
    assert story.ask(E.LEAVE) == []
    assert story.call.handoffs["h-THREE_WAY"].leave
    leg = "leg-THREE_WAY"
    story.born(leg, "hotline", Role.HOTLINE, "h-THREE_WAY")
    story.answered(leg)
    story.accepted(leg)
    assert [type(act) for act in story.enter("b1", leg)] == [Clear]


def test_a_second_third_is_refused_while_one_is_called() -> None:
    story = Story().talking()
    story.ask(E.THREE_WAY)
    with pytest.raises(Refused) as refused:
        story.ask(E.TRANSFER, new_leg="x", new_handoff="y")
    assert refused.value.code == "third-already-called"


@pytest.mark.parametrize(("cause", "outcome"), [(17, "busy"), (19, "no_answer"), (21, "rejected")])
@pytest.mark.req("LY-08")
def test_a_third_that_fails_leaves_the_citizen_with_the_seat(cause: int, outcome: str) -> None:
    story = Story().talking()
    story.ask(E.THREE_WAY)
    leg = "leg-THREE_WAY"
    story.born(leg, "hotline", Role.HOTLINE, "h-THREE_WAY")
    story.rang(leg)
    acts = story.gone(leg, cause)
    assert story.state() is S.TALKING
    assert story.call.handoffs["h-THREE_WAY"].outcome == outcome
    assert [type(act) for act in acts] == [Release]
    story.ask(E.THREE_WAY, new_leg="again", new_handoff="h2")


def test_answered_and_nobody_presses_is_no_person() -> None:
    story = Story().talking()
    story.ask(E.THREE_WAY)
    leg = "leg-THREE_WAY"
    story.born(leg, "hotline", Role.HOTLINE, "h-THREE_WAY")
    story.answered(leg)
    story.gone(leg)
    assert story.call.handoffs["h-THREE_WAY"].outcome == "not_accepted"


def test_the_fallback_trunk_is_tried_once_within_the_same_handoff() -> None:
    story = Story().talking()
    story.ask(E.THREE_WAY, target=WITH_FALLBACK)
    first = story.gone("leg-THREE_WAY", 38)
    assert [type(act) for act in first] == [DialThird]
    again: Any = first[0]
    assert again.fallback
    assert again.leg != "leg-THREE_WAY"
    assert again.handoff == "h-THREE_WAY"
    second = story.gone(again.leg, 38)
    assert [type(act) for act in second] == [Release]
    assert story.call.handoffs["h-THREE_WAY"].outcome == "unreachable"


def test_take_back_ends_with_the_seat_having_the_citizen() -> None:
    story = Story().three()
    story.ask(E.LEAVE)
    story.exit("b1", "s1")
    story.gone("s1")
    acts = story.ask(E.JOIN)
    assert [type(act) for act in acts] == [DialSeat]
    story.born("leg-JOIN", "seat-8001", Role.SEAT)
    story.answered("leg-JOIN")
    story.enter("b1", "leg-JOIN")
    assert story.handoff("h-THREE_WAY").state is H.JOINED
    story.ask(E.CLEAR_PARTY, leg="leg-THREE_WAY", confirm=True)
    story.exit("b1", "leg-THREE_WAY")
    story.gone("leg-THREE_WAY")
    assert story.call.handoffs["h-THREE_WAY"].outcome == "taken_back"
    assert story.state() is S.TALKING
    assert story.call.seat == "8001"


def test_a_consultation_waits_for_the_seat_before_it_calls() -> None:
    story = Story().talking()
    assert [type(act) for act in story.ask(E.CONSULT)] == [Hold]
    story.exit("b1", CALL, "s1")
    story.note(E.CITIZEN_HELD, CALL)
    assert story.state() is S.HELD
    acts: list[Any] = list(story.note(E.SEAT_WAITS, "s1"))
    assert [type(act) for act in acts] == [DialThird]
    assert acts[0].private_with == "PJSIP/s1-00000001"
    story.born("leg-CONSULT", "hotline", Role.HOTLINE, "h-CONSULT")
    story.answered("leg-CONSULT")
    story.accepted("leg-CONSULT")
    story.enter("b2", "leg-CONSULT", "s1")
    assert story.state() is S.CONSULTING
    # swap to the citizen and back
    assert [type(act) for act in story.ask(E.ALTERNATE)] == [HoldThird]
    story.exit("b2", "s1", "leg-CONSULT")
    story.note(E.PARTY_HELD, "leg-CONSULT")
    story.enter("b3", "s1", CALL)
    assert story.state() is S.ALTERNATED
    assert [type(act) for act in story.ask(E.ALTERNATE)] == [Hold]
    story.exit("b3", CALL, "s1")
    story.note(E.CITIZEN_HELD, CALL)
    assert [type(act) for act in story.note(E.SEAT_WAITS, "s1")] == [Private]
    story.enter("b4", "leg-CONSULT", "s1")
    assert story.state() is S.CONSULTING
    # merge
    assert [type(act) for act in story.ask(E.CONFERENCE)] == [Bring]
    story.exit("b4", "s1", "leg-CONSULT")
    story.enter("b5", "s1", CALL, "leg-CONSULT")
    assert story.state() is S.CONFERENCED
    story.check()


def alternated() -> Story:
    """The seat has gone back to the citizen, the consulted third is held."""
    story = Story().talking()
    story.ask(E.CONSULT)
    story.exit("b1", CALL, "s1")
    story.note(E.CITIZEN_HELD, CALL)
    story.note(E.SEAT_WAITS, "s1")
    story.born("leg-CONSULT", "hotline", Role.HOTLINE, "h-CONSULT")
    story.answered("leg-CONSULT")
    story.accepted("leg-CONSULT")
    story.enter("b2", "leg-CONSULT", "s1")
    story.ask(E.ALTERNATE)
    story.exit("b2", "s1", "leg-CONSULT")
    story.note(E.PARTY_HELD, "leg-CONSULT")
    story.enter("b3", "s1", CALL)
    assert story.state() is S.ALTERNATED
    return story


def test_a_consultation_that_began_unseen_is_one() -> None:
    """After a restart: first who is in which bridge, then that the citizen is held."""
    story = Story().talking()
    story.ask(E.CONSULT)
    story.exit("b1", CALL, "s1")
    story.born("leg-CONSULT", "hotline", Role.HOTLINE, "h-CONSULT")
    story.enter("b2", "leg-CONSULT", "s1")
    story.note(E.CITIZEN_HELD, CALL)
    assert story.state() is S.CONSULTING
    assert story.handoff("h-CONSULT").state is H.JOINED


def test_when_the_held_third_has_gone_another_may_be_called() -> None:
    story = alternated()
    story.gone("leg-CONSULT")
    assert story.state() is S.TALKING
    assert [type(act) for act in story.ask(E.THREE_WAY)] == [DialThird]
    story.check()


def test_a_consultation_given_up_before_the_call_brings_the_seat_back() -> None:
    story = Story().talking()
    story.ask(E.CONSULT)
    story.ask(E.CANCEL)
    story.gone("leg-CONSULT")
    story.exit("b1", CALL, "s1")
    story.note(E.CITIZEN_HELD, CALL)
    assert [type(act) for act in story.note(E.SEAT_WAITS, "s1")] == [Bring]


def test_leaving_the_citizen_alone_needs_a_confirmation() -> None:
    story = Story().talking()
    with pytest.raises(Refused, match="would-leave-citizen-alone"):
        story.ask(E.LEAVE)
    assert [type(act) for act in story.ask(E.LEAVE, confirm=True)] == [Clear]


def test_ending_the_call_clears_the_citizen_last() -> None:
    story = Story().three()
    acts: list[Any] = story.ask(E.CLEAR_CALL, confirm=True)
    assert acts[-1].leg == CALL
    assert {act.leg for act in acts} == {CALL, "s1", "leg-THREE_WAY"}
    for leg in ("s1", "leg-THREE_WAY", CALL):
        story.gone(leg)
    assert story.call.outcome == "ended_by_desk"
    assert story.call.handoffs["h-THREE_WAY"].outcome == "ended_by_desk"


@pytest.mark.parametrize(("who", "outcome"), [("s1", "ended_by_seat"), ("third", "ended_by_peer")])
def test_a_goodbye_is_told_by_whoever_said_it(who: str, outcome: str) -> None:
    story = Story().talking() if who == "s1" else Story().three()
    if who == "third":
        story.ask(E.LEAVE)
        story.exit("b1", "s1")
        story.gone("s1")
    last = "s1" if who == "s1" else "leg-THREE_WAY"
    story.exit("b1", last, CALL)
    story.gone(last)
    story.note(E.GOODBYE, CALL)
    assert story.state() is S.ENDING
    story.gone(CALL)
    assert story.call.outcome == outcome


def test_who_joins_while_goodbye_is_said_has_the_citizen() -> None:
    story = Story().talking()
    story.exit("b1", "s1", CALL)
    story.gone("s1")
    story.note(E.GOODBYE, CALL)
    assert story.state() is S.ENDING
    story.born("s2", "seat-8002", Role.SEAT)
    story.answered("s2")
    story.enter("b2", "s2", CALL)
    assert story.state() is S.TALKING
    story.gone(CALL)
    assert story.call.outcome == "citizen_left", "the goodbye before says nothing of this end"
    story.check()


def test_legs_cleared_one_after_the_other_are_no_conversation() -> None:
    story = Story().three()
    story.ask(E.CLEAR_CALL, confirm=True)
    story.exit("b1", "leg-THREE_WAY")
    assert story.state() is S.ENDING
    story.gone("leg-THREE_WAY")
    story.exit("b1", "s1", CALL)
    story.gone("s1")
    assert story.state() is S.ENDING
    story.gone(CALL)
    assert story.call.outcome == "ended_by_desk"


def test_a_dead_telephone_gives_the_citizen_a_sound_and_may_come_back() -> None:
    story = Story().talking()
    assert [type(act) for act in story.note(E.PHONE_STILL, "s1")] == [Hold]
    story.exit("b1", CALL, "s1")
    story.note(E.CITIZEN_HELD, CALL)
    assert story.note(E.PHONE_BACK, "s1") == [Bring(CALL, "PJSIP/s1-00000001")]


def test_the_citizens_own_silence_ends_nothing() -> None:
    story = Story().talking()
    assert story.note(E.PHONE_STILL, CALL) == []
    assert story.state() is S.TALKING


def test_a_leg_nobody_saw_again_is_unknown_and_not_called_twice() -> None:
    story = Story().talking()
    story.ask(E.THREE_WAY)
    before = len(story.acts)
    story.gone("leg-THREE_WAY", UNSEEN)
    assert story.call.handoffs["h-THREE_WAY"].outcome == "unknown"
    assert not [act for act in story.acts[before:] if isinstance(act, DialThird)]


def test_with_asterisk_lost_every_number_is_on_the_desk_for_a_call_back() -> None:
    story = Story().three()
    story.note(E.SWITCH_LOST)
    assert story.call.outcome == "lost_with_asterisk"
    assert story.call.callback
    assert story.call.handoffs["h-THREE_WAY"].outcome == "lost_with_asterisk"


def test_seeing_everything_again_changes_nothing() -> None:
    story = Story().three()
    count = len(story.facts)
    story.rang("s1")
    story.answered("s1")
    story.accepted("leg-THREE_WAY")
    story.enter("b1", CALL, "s1", "leg-THREE_WAY")
    story.arrive()
    assert len(story.facts) == count


@pytest.mark.parametrize("step", range(8))
def test_the_citizen_may_hang_up_at_every_step(step: int) -> None:
    story = Story().talking()
    leg = "leg-THREE_WAY"
    steps: list[Callable[[], object]] = [
        lambda: story.ask(E.THREE_WAY),
        lambda: story.born(leg, "hotline", Role.HOTLINE, "h-THREE_WAY"),
        lambda: story.rang(leg),
        lambda: story.answered(leg),
        lambda: story.accepted(leg),
        lambda: story.enter("b1", leg),
        lambda: story.ask(E.LEAVE),
        lambda: story.gone("s1"),
    ]
    for do in steps[:step]:
        do()
    story.gone(CALL)
    assert story.call.outcome == "citizen_left"
    assert all(h.state is H.ENDED for h in story.call.handoffs.values())
    story.check()


def test_when_the_citizen_has_gone_everything_ends_also_what_only_rings() -> None:
    story = Story().talking()
    story.ask(E.THREE_WAY)
    story.born("leg-THREE_WAY", "hotline", Role.HOTLINE, "h-THREE_WAY")
    story.rang("leg-THREE_WAY")
    cleared = {act.leg for act in story.gone(CALL) if isinstance(act, Clear)}
    assert cleared == {"s1", "leg-THREE_WAY"}


def test_a_seat_left_alone_in_a_bridge_is_brought_to_its_citizen() -> None:
    story = Story().three()
    story.exit("b1", CALL, "leg-THREE_WAY")
    story.enter("b9", CALL, "leg-THREE_WAY")
    assert story.note(E.SEAT_ALONE, "s1") == [Bring(CALL, "PJSIP/s1-00000001")]


def test_a_seat_that_is_about_to_consult_is_left_alone() -> None:
    story = Story().talking()
    story.ask(E.CONSULT)
    story.exit("b1", CALL, "s1")
    story.note(E.CITIZEN_HELD, CALL)
    assert story.note(E.SEAT_ALONE, "s1") == []


def test_a_key_of_a_seat_is_a_handoff_like_any_other() -> None:
    story = Story().talking()
    story.see(Keyed(**story.common(), leg="s1", handoff="key-1"))
    story.born("k1", "hotline", Role.HOTLINE, "key-1")
    story.rang("k1")
    with pytest.raises(Refused, match="third-already-called"):
        story.ask(E.THREE_WAY)
    story.answered("k1")
    story.accepted("k1")
    story.enter("b1", "k1")
    assert story.handoff("key-1").state is H.JOINED
    assert story.call.handoffs["key-1"].actor == "seat:8001"
    story.check()


def test_an_end_that_was_asked_for_and_did_not_come_leaves_the_call_as_it_is() -> None:
    story = Story().three()
    story.ask(E.CLEAR_CALL, confirm=True)
    assert story.state() is S.ENDING
    story.note(E.NOT_ENDED, CALL)
    assert story.state() is S.CONFERENCED
    assert story.call.ended_by is None
    story.note(E.NOT_ENDED, CALL)
    assert story.state() is S.CONFERENCED
    story.check()


@pytest.mark.parametrize("why", ["refused", "gone"])
def test_a_consultation_whose_seat_never_waits_ends_its_handoff_and_calls_nobody(why: str) -> None:
    story = Story().talking()
    assert story.ask(E.CONSULT, target=WITH_FALLBACK) == [
        Hold(CALL, story.call.channel, "PJSIP/s1-00000001")
    ]
    if why == "refused":
        story.note(E.NOT_HELD, "s1")
    else:
        story.exit("b1", "s1")
        story.gone("s1")
    assert story.handoff("h-CONSULT").outcome == "unreachable"
    assert story.call.called() is None
    assert not [act for act in story.acts if isinstance(act, DialThird)]
    story.check()


def test_a_leg_that_comes_after_it_was_given_up_is_known_and_hung_up() -> None:
    """The seat hangs up in the instant its consultation is dialled."""
    story = Story().talking()
    story.ask(E.CONSULT)
    story.note(E.CITIZEN_HELD, CALL)
    dialled = story.note(E.SEAT_WAITS, "s1")
    assert [type(act) for act in dialled] == [DialThird]
    story.exit("b1", CALL, "s1")
    story.gone("s1")
    assert story.handoff("h-CONSULT").outcome == "unreachable"
    story.born("leg-CONSULT", "hotline", Role.HOTLINE, "h-CONSULT")
    assert story.call.legs["leg-CONSULT"].live
    assert story.acts[-1] == Clear(CALL, "leg-CONSULT", "PJSIP/leg-CONSULT-00000001")
    story.gone("leg-CONSULT")
    assert not story.call.legs["leg-CONSULT"].live
    assert story.kinds.count("leg.late") == 1
    story.check()


def test_a_leg_that_comes_late_to_a_call_that_is_over_is_hung_up_and_changes_nothing() -> None:
    story = Story().talking()
    story.ask(E.THREE_WAY)
    story.gone("leg-THREE_WAY", UNSEEN)
    story.gone("s1")
    story.gone(CALL)
    before = len(story.facts)
    story.born("leg-THREE_WAY", "hotline", Role.HOTLINE, "h-THREE_WAY")
    assert isinstance(story.acts[-1], Clear)
    assert len(story.facts) == before
    assert is_over(story.call)


RADIO = Target("7801", "电台组", "PJSIP/radio1", Role.RADIO, "radio-7801", "answer")


def _with_radio() -> Story:
    """A citizen, the seat and a radio group in one bridge."""
    story = Story().talking()
    story.ask(E.THREE_WAY, target=RADIO)
    leg = "leg-THREE_WAY"
    story.born(leg, "radio-7801", Role.RADIO, "h-THREE_WAY")
    story.answered(leg)
    story.accepted(leg)
    assert story.enter("b1", leg) == []
    return story


@pytest.mark.parametrize(("cause", "said"), [(16, True), (44, False)])
@pytest.mark.req("LL-09")
def test_radio_groups_leave_with_the_last_person_and_by_the_same_cause(
    cause: int, said: bool
) -> None:
    story = _with_radio()
    story.exit("b1", "s1")
    goodbye = [WithoutRadio(CALL, "PJSIP/trunk-1")] if said else []
    assert story.gone("s1", cause) == [
        *goodbye,
        Clear(CALL, "leg-THREE_WAY", "PJSIP/leg-THREE_WAY-00000001", cause),
    ]
    assert story.call.handoffs["h-THREE_WAY"].state is not H.TAKEN
    assert story.call.last_left == "seat"


@pytest.mark.req("LL-09")
def test_a_radio_group_that_joins_an_abandoned_citizen_leaves_again() -> None:
    story = Story().talking()
    story.ask(E.THREE_WAY, target=RADIO)
    leg = "leg-THREE_WAY"
    story.born(leg, "radio-7801", Role.RADIO, "h-THREE_WAY")
    story.exit("b1", "s1")
    story.gone("s1")
    story.exit("b1", CALL)
    story.answered(leg)
    assert story.enter("b2", CALL, leg) == [Clear(CALL, leg, f"PJSIP/{leg}-00000001", 44)]


@pytest.mark.req("LL-09")
def test_a_radio_group_takes_no_call_and_is_no_company() -> None:
    story = Story().talking()
    with pytest.raises(Refused) as refused:
        story.ask(E.TRANSFER, target=RADIO)
    assert refused.value.code == "group-takes-no-call"
    story = _with_radio()
    with pytest.raises(Refused) as refused:
        story.ask(E.LEAVE)
    assert refused.value.code == "would-leave-citizen-alone"
    assert [type(act) for act in story.ask(E.LEAVE, confirm=True)] == [Clear]


def test_a_third_whose_key_was_not_seen_is_the_keys_and_ends_with_its_lock() -> None:
    """What the desk asks for is stored first, so a handoff that nobody knows is the key's."""
    story = Story().talking()
    story.born("k1", "hotline", Role.HOTLINE, "key-1764000000-1")
    called = story.call.called()
    assert called is not None
    assert (called.kind, called.seat, called.leg) == ("key", "8001", "k1")
    with pytest.raises(Refused, match="third-already-called"):
        story.ask(E.THREE_WAY)
    story.gone("k1", 17)
    assert story.handoff("key-1764000000-1").outcome == "busy"
    assert story.acts[-1] == Release(CALL, story.call.channel, by_key=True)
    story.check()


def test_a_lock_that_the_key_has_taken_stays_when_another_third_ends() -> None:
    story = Story().talking()
    story.ask(E.THREE_WAY)
    story.born("leg-THREE_WAY", "hotline", Role.HOTLINE, "h-THREE_WAY")
    story.gone("leg-THREE_WAY", 17)
    assert story.acts[-1] == Release(CALL, story.call.channel, by_key=False)


def test_whoever_is_left_of_a_call_that_is_over_is_hung_up_when_the_link_is_back() -> None:
    story = Story().three()
    story.gone(CALL)
    story.acts.clear()
    story.note(E.CITIZEN_GONE, CALL)
    assert {act.leg for act in story.acts if isinstance(act, Clear)} == {"s1", "leg-THREE_WAY"}


def test_being_alone_is_no_news_once_a_later_look_found_somebody_there() -> None:
    story = Story().talking()
    before = story.now - timedelta(seconds=1)
    story.see(Noted(call=CALL, at=before, what=E.CITIZEN_ALONE, leg=CALL))
    assert story.state() is S.TALKING
    story.exit("b1", CALL, "s1")
    story.note(E.CITIZEN_ALONE, CALL)
    assert story.state() is S.QUEUED


def test_a_consultation_that_was_not_called_yet_ends_with_the_citizen() -> None:
    story = Story().talking()
    story.ask(E.CONSULT)
    story.gone(CALL)
    assert story.handoff("h-CONSULT").outcome == "citizen_left"
    story.gone("s1")
    assert is_over(story.call)
    story.check()
