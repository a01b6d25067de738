"""The walk down the ladder: which wire when, how often, and what ends it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from bridge.domain.delivery import A, Cause, ChannelKind, Says
from bridge.domain.ladder import GENERAL, URGENT, WAITS, Step, ladder_of, steps_doc, steps_from
from bridge.domain.order_decide import cancel, send_reminder
from bridge.domain.order_ladder import on_time, resume
from bridge.domain.order_state import O
from bridge.domain.order_work import Look, Send
from bridge.domain.unit import Hours, Unit
from tests.domain.order_story import START, alarms, begin, centre, sends, withdrawn

T, P, R, S, F, M = ChannelKind


@pytest.mark.req("SB-11")
def test_a_general_order_goes_by_all_wires_one_after_another() -> None:
    story = begin()
    for wire in ("terminal", "radio", "fax", "phone", "mail"):
        assert story.sent()[-1] == (wire, "water")
        number = len(story.order.attempts)
        story.tell(story.attempt(number).id, A.SENDING, A.SENT)
        story.due()
    assert story.state() is O.EXHAUSTED
    steps = [f.data["due"] for f in story.facts if f.kind == "order.step"][:5]
    gaps = [START + timedelta(seconds=s) for s in (300, 480, 780, 1080, 1980)]
    assert steps == [gap.isoformat(timespec="microseconds") for gap in gaps]


def test_an_urgent_order_begins_on_two_wires_at_once() -> None:
    story = begin(klass=URGENT)
    assert story.sent() == [("terminal", "water"), ("phone", "water")]
    assert sends(story.effects) == [story.attempt(1).id, story.attempt(2).id]


def test_the_urgent_ladder_ends_with_the_leader_and_the_unit_above() -> None:
    story = begin(klass=URGENT)
    while story.state() is O.DISPATCHED:
        story.due()
    assert story.sent()[2:] == [
        ("radio", "water"),
        ("fax", "water"),
        ("phone", "water"),
        ("terminal", "housing"),
        ("phone", "housing"),
    ]
    assert story.attempt(5).addresses == ("PJSIP/6003",), "the shift leader of the unit"


@pytest.mark.req("SB-35")
def test_a_terminal_that_is_off_lets_the_next_wire_begin_at_once() -> None:
    story = begin()
    assert sends(story.fail(story.attempt(1).id, Cause.OFFLINE)) == [story.attempt(2).id]
    assert story.attempt(2).channel is R


def test_a_step_that_is_over_does_not_stop_its_running_attempt() -> None:
    story = begin()
    story.tell(story.attempt(1).id, A.SENDING, A.SENT, A.DELIVERED)
    effects = story.due()
    assert withdrawn(effects) == set()
    assert story.attempt(1).state is A.DELIVERED


@pytest.mark.parametrize(
    ("cause", "seconds", "tries"),
    [(Cause.BUSY, 20, 3), (Cause.NO_ANSWER, 40, 2), (Cause.CONGESTION, 5, 5)],
)
def test_the_phone_waits_by_its_cause(cause: Cause, seconds: int, tries: int) -> None:
    story = begin(unit="housing", around=centre(frozenset({P})))
    made = 1
    while True:
        story.fail(story.attempt(made).id, cause)
        retry = story.attempt(made).retry_at
        if retry is None:
            break
        assert retry - story.now == timedelta(seconds=seconds)
        story.do(on_time, seconds)
        made += 1
        assert story.attempt(made).number == made
    assert made == tries


def test_another_number_of_the_unit_is_tried_at_once() -> None:
    story = begin(around=centre(frozenset({P})))
    story.fail(story.attempt(1).id, Cause.BUSY)
    story.do(on_time)
    assert story.attempt(1).addresses[0] == "PJSIP/6001"
    assert story.attempt(2).addresses[0] == "PJSIP/6002"


@pytest.mark.parametrize("cause", [Cause.MACHINE, Cause.NOT_A_PERSON])
def test_a_machine_and_silence_are_no_people_and_are_not_tried_again(cause: Cause) -> None:
    story = begin(unit="housing", around=centre(frozenset({P})))
    effects = story.fail(story.attempt(1).id, cause)
    assert story.attempt(1).retry_at is None
    assert story.order.acknowledged is None
    assert alarms(effects), "no wire is left: never silence"


def test_mail_that_is_deferred_waits_as_long_as_the_server_says() -> None:
    story = begin(around=centre(frozenset({M})))
    later = START + timedelta(seconds=777)
    story.tell(story.attempt(1).id, A.SENDING, A.FAILED, cause=Cause.DEFERRED, retry_at=later)
    assert story.attempt(1).retry_at == later
    story.do(on_time, 778)
    story.fail(story.attempt(2).id, Cause.DEFERRED)
    assert story.attempt(2).retry_at == story.now + timedelta(seconds=300)


def test_every_wait_has_a_number_of_tries() -> None:
    assert all(wait.tries >= 1 and all(s >= 0 for s in wait.seconds) for wait in WAITS.values())


@pytest.mark.req("LL-09")
def test_a_unit_without_a_wire_is_an_alarm_at_once() -> None:
    story = begin(unit="silent")
    assert story.state() is O.EXHAUSTED
    assert alarms(story.effects)


def test_the_end_of_the_ladder_is_an_alarm_and_the_next_contact_never_silence() -> None:
    story = begin(around=centre(frozenset({T})))
    effects = story.fail(story.attempt(1).id, Cause.OFFLINE)
    assert story.state() is O.EXHAUSTED
    assert [alarm.words != "" for alarm in alarms(effects)] == [True]
    assert story.sent()[-1] == ("terminal", "housing")
    again = story.fail(story.attempt(2).id, Cause.OFFLINE)
    assert alarms(again), "still an alarm"
    assert len(story.order.attempts) == 2, "the next contact is called once a round"


def test_a_person_signs_also_after_the_end_of_the_ladder() -> None:
    story = begin(around=centre(frozenset({T})))
    story.fail(story.attempt(1).id, Cause.OFFLINE)
    effects = story.says(Says.SIGN, P)
    assert story.state() is O.ACKNOWLEDGED
    assert [alarm.words for alarm in alarms(effects)] == [""]


def test_the_first_human_proof_stops_everything() -> None:
    story = begin(klass=URGENT)
    story.tell(story.attempt(1).id, A.SENDING, A.SENT, A.DELIVERED)
    story.fail(story.attempt(2).id, Cause.BUSY)
    effects = story.says(Says.SIGN, T, attempt=story.attempt(1).id)
    assert story.attempt(1).state is A.ACKNOWLEDGED
    assert story.order.step_due is None
    assert all(attempt.retry_at is None for attempt in story.order.attempts.values())
    assert sends(effects) == []
    due = story.order.next_due()
    assert due is not None
    story.do(on_time, 600)
    assert len(story.order.attempts) == 2, "no step and no repeat after a person has signed"


def test_running_attempts_are_told_to_stop_and_end_with_their_true_outcome() -> None:
    story = begin(klass=URGENT)
    story.tell(story.attempt(2).id, A.SENDING, A.SENT)
    effects = story.says(Says.SIGN, T, attempt=story.attempt(1).id)
    assert withdrawn(effects) == {story.attempt(2).id}
    assert story.attempt(2).stopping
    story.tell(story.attempt(2).id, A.DELIVERED)
    assert story.attempt(2).state is A.DELIVERED, "it could not be stopped any more"


def test_a_late_failure_after_a_signature_begins_nothing() -> None:
    story = begin(klass=URGENT)
    story.says(Says.SIGN, T)
    assert sends(story.fail(story.attempt(2).id, Cause.BUSY)) == []


def test_an_unseen_outcome_is_looked_at_then_repeated_once_with_the_mark_then_the_next_wire() -> (
    None
):
    story = begin(unit="housing", around=centre(frozenset({P, M})))
    story.tell(story.attempt(1).id, A.SENDING)
    effects = story.tell(story.attempt(1).id, A.UNKNOWN)
    assert effects == [Look(story.attempt(1).id)]
    story.unknown(story.attempt(1).id)
    assert story.attempt(2).repeat
    assert story.unknown(story.attempt(1).id) == [], "never a second time"
    story.tell(story.attempt(2).id, A.SENDING, A.UNKNOWN)
    effects = story.unknown(story.attempt(2).id)
    assert len(story.order.attempts) == 2
    assert story.state() is O.EXHAUSTED, "no other wire: an alarm"


def test_after_an_unseen_outcome_every_later_try_of_the_chain_carries_the_mark() -> None:
    story = begin(unit="housing", around=centre(frozenset({P})))
    story.tell(story.attempt(1).id, A.SENDING, A.UNKNOWN)
    story.unknown(story.attempt(1).id)
    story.fail(story.attempt(2).id, Cause.BUSY)
    story.do(on_time, 20)
    assert [story.attempt(n).repeat for n in (1, 2, 3)] == [False, True, True]


def test_what_a_machine_confirmed_is_not_sent_again_because_nothing_more_is_known() -> None:
    story = begin(unit="housing", around=centre(frozenset({P, M})))
    story.tell(story.attempt(1).id, A.SENDING, A.DELIVERED)
    assert story.unknown(story.attempt(1).id) == []
    assert story.attempt(1).state is A.DELIVERED
    assert len(story.order.attempts) == 1


def test_after_a_start_what_was_never_begun_is_sent_and_the_rest_is_looked_at() -> None:
    story = begin(klass=URGENT)
    story.tell(story.attempt(2).id, A.SENDING)
    assert story.do(resume) == [Send(story.attempt(1).id), Look(story.attempt(2).id)]


def test_after_a_start_a_mail_that_the_server_took_is_not_sent_again() -> None:
    """Found by the fault matrix (order, mail sent × daemon killed): it came a second time."""
    story = begin(around=centre(frozenset({ChannelKind.MAIL})))
    mail = story.attempt(1).id
    story.tell(mail, A.SENDING)
    assert story.do(resume) == [Look(mail)], "cut off in DATA"
    story.tell(mail, A.SENT)
    assert story.do(resume) == []


def test_a_reminder_walks_the_ladder_again_and_carries_its_number() -> None:
    story = begin()
    story.fail(story.attempt(1).id, Cause.OFFLINE)
    effects = story.do(send_reminder)
    assert story.order.reminder == 1
    assert withdrawn(effects) == {story.attempt(2).id}
    assert story.sent()[-1] == ("terminal", "water")
    assert story.attempt(3).round == 2


def test_who_has_signed_is_reminded_on_the_first_wire_alone() -> None:
    story = begin()
    story.says(Says.SIGN)
    story.do(send_reminder)
    made = len(story.order.attempts)
    story.due()
    assert len(story.order.attempts) == made
    assert story.state() is O.ACKNOWLEDGED


def test_a_cancelled_order_stops_and_time_does_nothing_more_to_it() -> None:
    story = begin(klass=URGENT)
    effects = story.do(lambda work: cancel(work, "市民已撤回"))
    assert withdrawn(effects) == {story.attempt(1).id, story.attempt(2).id}
    assert story.order.next_due() is None


def test_steps_are_stored_whole() -> None:
    for klass in (URGENT, GENERAL):
        assert steps_from(steps_doc(ladder_of(klass))) == ladder_of(klass)


@pytest.mark.req("YJ-43")
def test_a_unit_has_its_own_ladder_by_class_and_hour_and_orders_go_at_every_hour() -> None:
    day = (Step((F,), 60),)
    night = (Step((P,), 60),)
    unit = Unit(
        id="u",
        name="u",
        ladders={GENERAL: day, f"{GENERAL}-off": night},
        hours=Hours(frozenset(range(5)), time(8), time(18)),
    )
    monday = datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert unit.ladder(GENERAL, monday) == day
    assert unit.ladder(GENERAL, monday.replace(hour=3)) == night
    assert unit.ladder(GENERAL, monday + timedelta(days=5)) == night
    for hour in range(24):
        assert unit.ladder(URGENT, monday.replace(hour=hour)) == ladder_of(URGENT)


def test_hours_may_go_over_midnight() -> None:
    hours = Hours(frozenset(range(7)), time(20), time(6))
    at = datetime(2026, 11, 23, tzinfo=UTC)
    assert [hours.holds(at.replace(hour=h)) for h in (19, 20, 23, 0, 5, 6)] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]
