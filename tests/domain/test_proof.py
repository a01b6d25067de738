"""What proves a person: every channel with everything that can be said over it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from bridge.domain.code import make_code
from bridge.domain.delivery import A, ChannelKind, Received, Says
from bridge.domain.order import Attempt
from bridge.domain.proof import NEEDS, Verdict, judge
from tests.domain.order_story import WATER

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
CODE = make_code(42)
T, P, R, S, F, M = ChannelKind


def told(channel: ChannelKind, says: Says = Says.SIGN, **more: Any) -> Received:
    return Received(channel=channel, source="x", at=NOW, key="k", says=says, **more)


def attempt(channel: ChannelKind, state: A) -> Attempt:
    return Attempt("o.1", channel, "water", ("x",), 1, 0, state=state)


@pytest.mark.parametrize(("channel", "says"), list(product(ChannelKind, Says)))
def test_what_a_machine_wrote_never_counts(channel: ChannelKind, says: Says) -> None:
    sent = attempt(channel, A.SENT)
    everything = told(channel, says, code=CODE, order="o", attempt="o.1", automatic=True)
    assert judge(everything, WATER, sent) is Verdict.MACHINE


@pytest.mark.parametrize("channel", ChannelKind)
def test_an_unticked_box_goes_to_a_person(channel: ChannelKind) -> None:
    ticked = told(channel, Says.NOTHING, code=CODE, order="o")
    assert judge(ticked, WATER, attempt(channel, A.SENT)) is Verdict.LOOK


@pytest.mark.parametrize("channel", sorted(set(ChannelKind) - {M, F}))
def test_a_code_without_a_known_unit_goes_to_a_person(channel: ChannelKind) -> None:
    sent = attempt(channel, A.SENT)
    assert judge(told(channel, code=CODE, attempt="o.1"), None, sent) is Verdict.LOOK


def test_a_signed_in_user_signs_on_the_page_of_the_order() -> None:
    assert judge(told(T, order="o"), WATER, None) is Verdict.PROVEN
    assert judge(told(T), WATER, None) is Verdict.LOOK


def test_our_call_needs_the_key_their_call_needs_the_code() -> None:
    assert judge(told(P, attempt="o.1"), WATER, attempt(P, A.SENT)) is Verdict.PROVEN
    assert judge(told(P, code=CODE), WATER, None) is Verdict.CODE
    assert judge(told(P), WATER, None) is Verdict.LOOK


@pytest.mark.parametrize(
    ("state", "verdict"),
    [(A.SENT, Verdict.PROVEN), (A.QUEUED, Verdict.LOOK), (A.FAILED, Verdict.LOOK)],
)
def test_a_radio_status_counts_once_the_order_has_reached_the_set(
    state: A, verdict: Verdict
) -> None:
    assert judge(told(R, order="o"), WATER, attempt(R, state)) is verdict


def test_a_text_message_needs_code_and_registered_number() -> None:
    assert judge(told(S, code=CODE), WATER, None) is Verdict.CODE
    assert judge(told(S), WATER, None) is Verdict.LOOK


def test_a_returned_sheet_names_its_order_and_needs_its_code() -> None:
    assert judge(told(F, order="o", code=CODE), None, None) is Verdict.CODE
    assert judge(told(F, order="o"), None, None) is Verdict.LOOK


def test_a_reply_needs_the_code_the_links_post_does_not() -> None:
    assert judge(told(M, attempt="o.1"), None, attempt(M, A.SENT)) is Verdict.PROVEN
    assert judge(told(M, order="o"), WATER, None) is Verdict.LOOK
    assert judge(told(M, code=CODE), WATER, None) is Verdict.CODE
    assert judge(told(M, code="12345678"), WATER, None) is Verdict.CODE, "compared and counted"
    assert judge(told(M, code="12345678"), None, None) is Verdict.LOOK


def test_every_channel_has_its_row() -> None:
    assert set(NEEDS) == set(ChannelKind)


def test_keys_on_an_open_channel_need_the_order_s_code() -> None:
    sent = attempt(R, A.SENT)
    keys = Received(
        channel=R, source="voice:7801", at=NOW, key="k", says=Says.SIGN, attempt="o.1", code=CODE
    )
    assert judge(keys, WATER, sent) is Verdict.CODE
    assert judge(keys, None, sent) is Verdict.LOOK
    assert judge(keys, WATER, attempt(R, A.SENDING)) is Verdict.LOOK
    assert judge(replace(keys, code=None), WATER, sent) is Verdict.LOOK
