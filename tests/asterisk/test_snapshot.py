"""The difference between the switch and the book: what happened unseen is seen by it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bridge.asterisk.snapshot import Channel, differences
from bridge.asterisk.translate import Translator
from bridge.domain.call import Role
from bridge.domain.conversation import E, S
from tests.domain.story import CALL, Story

NOW = datetime(2026, 11, 24, 3, 5, tzinfo=UTC)


def channel(unique: str, name: str, bridge: str, context: str, leg: str) -> Channel:
    variables = {"CASE": CALL, "LEG": leg}
    return Channel(unique, name, True, False, bridge, context, 9.0, variables)


def after(story: Story, *channels: Channel) -> S:
    """The state once everything that differs has been seen."""
    translator = Translator({"8001"}.__contains__, lambda: NOW)
    for seen in list[Any](differences(story.book, channels, translator, NOW)):
        story.see(seen)
    return story.state()


def consulting() -> Story:
    story = Story().talking()
    story.ask(E.CONSULT)
    story.exit("b1", CALL, "s1")
    story.note(E.CITIZEN_HELD, CALL)
    story.born("leg-CONSULT", "hotline", Role.HOTLINE, "h-CONSULT")
    story.enter("b2", "leg-CONSULT", "s1")
    assert story.state() is S.CONSULTING
    return story


def test_a_swap_that_nobody_watched_is_seen_by_where_the_third_is() -> None:
    there = (
        channel(CALL, "PJSIP/trunk-1", "b3", "citizen-held", "citizen"),
        channel("s1", "PJSIP/s1-00000001", "b3", "join-case", "seat-8001"),
        channel("leg-CONSULT", "PJSIP/leg-CONSULT-00000001", "", "party-held", "hotline"),
    )
    assert after(consulting(), *there) is S.ALTERNATED


def test_a_held_third_that_went_unseen_leaves_the_two_talking() -> None:
    story = consulting()
    story.exit("b2", "s1", "leg-CONSULT")
    story.note(E.PARTY_HELD, "leg-CONSULT")
    story.enter("b3", "s1", CALL)
    there = (
        channel(CALL, "PJSIP/trunk-1", "b3", "citizen-held", "citizen"),
        channel("s1", "PJSIP/s1-00000001", "b3", "join-case", "seat-8001"),
    )
    assert story.state() is S.ALTERNATED
    assert after(story, *there) is S.TALKING
