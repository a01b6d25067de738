"""An order's fax goes to another number: what waited is taken back, what follows goes there."""

from __future__ import annotations

import pytest

from bridge.domain.delivery import A, Cause, ChannelKind, Says
from bridge.domain.errors import Refused
from bridge.domain.order_decide import cancel
from bridge.domain.order_work import Send, Withdraw
from bridge.domain.redirect import redirect_fax
from tests.domain.order_story import ALL, OrderStory, begin, centre


def at_the_fax() -> OrderStory:
    """The third step of the ladder of a general order; its attempt is number 3."""
    story = begin()
    story.fail(story.attempt(1).id, Cause.OFFLINE)
    story.fail(story.attempt(2).id, Cause.REJECTED)
    assert story.attempt(3).channel is ChannelKind.FAX
    return story


def redirect(story: OrderStory, number: str = "7009", reason: str = "换号") -> list[object]:
    return [*story.do(lambda work: redirect_fax(work, number, reason))]


def test_what_waits_is_taken_back_and_the_sheet_goes_to_the_other_number() -> None:
    story = at_the_fax()
    effects = redirect(story)
    assert effects == [Withdraw(story.attempt(3).id), Send(story.attempt(4).id)]
    fourth = story.attempt(4)
    assert (fourth.channel, fourth.addresses, fourth.repeat) == (ChannelKind.FAX, ("7009",), False)
    said = next(fact for fact in story.facts if fact.kind == "order.redirected")
    assert said.data == {"channel": "fax", "number": "7009", "reason": "换号"}
    story.tell(story.attempt(3).id, A.WITHDRAWN)
    assert story.attempt(4).under_way, "the end of the first takes nothing from the second"


@pytest.mark.parametrize("state", [A.SENDING, A.DELIVERED, A.UNKNOWN])
def test_where_a_copy_may_lie_the_next_one_says_so(state: A) -> None:
    story = at_the_fax()
    story.tell(story.attempt(3).id, A.SENDING, *([state] if state is not A.SENDING else []))
    redirect(story)
    assert story.attempt(4).repeat


def test_a_repeat_goes_where_the_fax_was_sent_and_not_to_the_units_own_number() -> None:
    story = at_the_fax()
    redirect(story)
    story.tell(story.attempt(3).id, A.WITHDRAWN)
    story.fail(story.attempt(4).id, Cause.BUSY)
    assert story.attempt(4).retry_at is not None
    story.due()
    assert story.attempt(5).addresses == ("7009",)


def test_a_repeat_that_was_due_at_the_old_number_does_not_come() -> None:
    story = at_the_fax()
    story.fail(story.attempt(3).id, Cause.BUSY)
    assert story.attempt(3).retry_at is not None
    redirect(story)
    assert story.attempt(3).retry_at is None


def test_it_is_refused_where_it_cannot_be_done() -> None:
    story = at_the_fax()
    with pytest.raises(Refused, match="reason-missing"):
        redirect(story, reason=" ")
    without = begin(around=centre(ALL - {ChannelKind.FAX}))
    with pytest.raises(Refused, match="no-such-channel"):
        redirect(without)
    story.do(lambda work: cancel(work, "误派"))
    with pytest.raises(Refused, match="wrong-state"):
        redirect(story)


def test_one_who_has_signed_can_be_sent_the_sheet_all_the_same() -> None:
    story = at_the_fax()
    story.says(Says.SIGN)
    redirect(story)
    assert story.attempt(4).addresses == ("7009",)
