"""One attempt is taken back by a person; the ladder goes on as if it had failed."""

from __future__ import annotations

from functools import partial

import pytest

from bridge.domain.delivery import A, Cause, ChannelKind
from bridge.domain.errors import Refused
from bridge.domain.order_decide import cancel
from bridge.domain.order_work import Send, Withdraw
from bridge.domain.take_back import take_back
from tests.domain.order_story import OrderStory, begin


def at_the_fax() -> tuple[OrderStory, str]:
    story = begin()
    story.fail(story.attempt(1).id, Cause.OFFLINE)
    story.fail(story.attempt(2).id, Cause.REJECTED)
    assert story.attempt(3).channel is ChannelKind.FAX
    return story, story.attempt(3).id


@pytest.mark.parametrize("before", [(), (A.SENDING,), (A.SENDING, A.SENT)])
def test_it_is_told_to_stop_and_the_next_wire_begins_when_it_has(before: tuple[A, ...]) -> None:
    story, fax = at_the_fax()
    story.tell(fax, *before)
    assert story.do(lambda work: take_back(work, fax, "号码有误")) == [Withdraw(fax)]
    assert (story.attempt(3).stopping, story.attempt(3).detail) == (True, "号码有误")
    assert len(story.order.attempts) == 3, "it may still be answered"
    assert story.tell(fax, A.WITHDRAWN) == [Send(story.attempt(4).id)]
    assert story.attempt(4).channel is not ChannelKind.FAX


def test_a_page_that_went_through_all_the_same_counts() -> None:
    story, fax = at_the_fax()
    story.tell(fax, A.SENDING)
    story.do(lambda work: take_back(work, fax, "号码有误"))
    story.tell(fax, A.DELIVERED)
    assert story.attempt(3).state is A.DELIVERED


def test_a_try_that_was_due_does_not_come() -> None:
    story, fax = at_the_fax()
    story.fail(fax, Cause.BUSY)
    assert story.attempt(3).retry_at is not None
    assert story.do(lambda work: take_back(work, fax, "号码有误")) == [Send(story.attempt(4).id)]
    assert story.attempt(3).retry_at is None
    assert story.attempt(4).channel is not ChannelKind.FAX


def test_it_is_refused_where_it_cannot_be_done() -> None:
    story, fax = at_the_fax()
    for attempt, reason, code in (
        (fax, " ", "reason-missing"),
        ("x.9", "误发", "no-such-attempt"),
        (story.attempt(1).id, "误发", "wrong-state"),
    ):
        with pytest.raises(Refused, match=code):
            story.do(partial(take_back, attempt=attempt, reason=reason))
    story.do(lambda work: take_back(work, fax, "误发"))
    with pytest.raises(Refused, match="wrong-state"):
        story.do(lambda work: take_back(work, fax, "误发"))
    other, second = at_the_fax()
    other.do(lambda work: cancel(work, "误派"))
    with pytest.raises(Refused, match="wrong-state"):
        other.do(lambda work: take_back(work, second, "误发"))
