"""Random walks of orders: whatever channels and people do, the promises hold at every step.

An order that no person has signed for is never silent: something is under way or due, or it has
raised its alarm. One that a person has signed for sends nothing more by itself.
"""

from __future__ import annotations

import contextlib
import random

import pytest

from bridge.domain.delivery import A, Cause, ChannelKind, Says
from bridge.domain.errors import Refused
from bridge.domain.ladder import GENERAL, URGENT, WAITS
from bridge.domain.onward import ask_onward
from bridge.domain.order_decide import send_reminder
from bridge.domain.order_state import OPEN, WANTS_PERSON, O
from bridge.domain.order_work import Alarm, Send
from tests.domain.order_story import OrderStory, begin, centre

STEPS = 60
MOST_ATTEMPTS = 6 * max(wait.tries for wait in WAITS.values()) * 4
"""Six wires, their repeats, the leader and the unit above, and marked repeats."""


def one_step(story: OrderStory, rng: random.Random) -> str:
    """Something happens; its name."""
    attempts = list(story.order.attempts.values())
    what = rng.choices(
        ("progress", "time", "unknown", "sign", "report", "remind", "late", "onward"),
        (50, 25, 8, 3, 3, 2, 9, 2),
    )[0]
    if not attempts and what in ("progress", "late", "unknown"):
        return "nothing to tell of"
    if what in ("progress", "late"):
        running = story.order.running() or attempts
        attempt = rng.choice(running if what == "progress" else attempts or running)
        state = rng.choice(list(A))
        if state is A.ACKNOWLEDGED:
            state = A.READ  # only people acknowledge
        cause = rng.choice(list(Cause)) if state is A.FAILED else None
        story.tell(attempt.id, state, cause=cause)
    elif what == "time" and story.order.next_due() is not None:
        story.due()
    elif what == "unknown":
        story.unknown(rng.choice(attempts).id)
    elif what == "sign" and story.state() in OPEN:
        story.says(rng.choice([Says.SIGN, Says.IN_HAND, Says.DISPUTE]))
    elif what == "report" and story.state() in OPEN:
        story.says(rng.choice([Says.ARRIVED, Says.PROGRESS, Says.PROMISE]), words="现场")
    elif what == "onward":
        with contextlib.suppress(Refused):
            story.do(lambda work: ask_onward(work, "housing", "", "张三", "next"))
    elif what == "remind" and story.state() in OPEN:
        story.do(send_reminder)
    return what


def never_silent(story: OrderStory) -> bool:
    alarmed = any(isinstance(effect, Alarm) and effect.words for effect in story.effects)
    due = story.order.next_due() is not None
    return bool(story.order.running()) or due or alarmed


@pytest.mark.req("LL-27")
@pytest.mark.req("LL-31")
@pytest.mark.parametrize("seed", range(80))
def test_the_promises_hold_on_a_random_walk(seed: int) -> None:
    rng = random.Random(seed)
    wires = frozenset(rng.sample(list(ChannelKind), rng.randint(0, 6)))
    story = begin(
        unit=rng.choice(["water", "housing", "silent"]),
        around=centre(wires),
        klass=rng.choice([URGENT, GENERAL]),
    )
    for _ in range(STEPS):
        signed = story.order.acknowledged is not None
        sent = len(story.order.attempts)
        what = one_step(story, rng)
        assert never_silent(story) or story.state() not in WANTS_PERSON, what
        if signed and what != "remind":
            assert len(story.order.attempts) == sent, f"{what} after a person had signed"
        assert story.state() not in (O.CLOSED, O.CANCELLED, O.DRAFT)
        assert len(story.order.attempts) <= MOST_ATTEMPTS * (1 + story.order.reminder)
    queued = [effect.attempt for effect in story.effects if isinstance(effect, Send)]
    assert len(queued) == len(set(queued)), "no attempt is begun twice"
    repeats = [a for a in story.order.attempts.values() if a.repeat]
    followed = [a for a in story.order.attempts.values() if a.state is A.UNKNOWN and a.followed]
    assert len(repeats) >= len(followed), "an unseen outcome is repeated with the mark alone"


@pytest.mark.parametrize("seed", range(8))
def test_left_alone_every_order_comes_to_a_person_or_an_alarm(seed: int) -> None:
    """Nobody answers anything: time alone brings the alarm, in a bounded time."""
    rng = random.Random(seed)
    story = begin(klass=rng.choice([URGENT, GENERAL]))
    begun = story.now
    while story.state() is O.DISPATCHED:
        story.due()
    assert (story.now - begun).total_seconds() <= 3600
    assert any(isinstance(effect, Alarm) for effect in story.effects)
