"""Orders on their way: the judging, and a cut of the matrix with real Asterisk and real SMTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.faults.fax_wire import FaxWire
from tests.faults.order_matrix import Carried, OrderFault, OrderLine, order_kills, unmarked
from tests.faults.order_wires import MailWire, PhoneWire
from tests.faults.radio_wire import RadioWire
from tests.faults.worker import Job, Result, run_jobs

CALL: Final = {"channel": "phone", "addresses": ["PJSIP/6001"]}
STRUCK: Final = (OrderFault.KILLED, OrderFault.ASTERISK, OrderFault.SMTP_HALF, OrderFault.PORTS)
STEPS: Final = (
    ("phone signs", "after-action", "Originate"),
    ("phone signs", "before-commit", "order.acknowledged"),
    ("mail sent", "committed", "attempt.sending"),
    ("radio shown", "committed", "attempt.sending"),
)
SCENES: Final = sum(len(wire.scenes) for wire in (PhoneWire, MailWire, RadioWire, FaxWire))
SLACK_S: Final = 30.0
"""The machine may be busy with other things."""


def attempts(*states: str) -> list[dict[str, Any]]:
    return [{"id": f"o.{n}", "state": state, **CALL} for n, state in enumerate(states, 1)]


def test_what_came_again_after_an_unseen_outcome_must_say_so() -> None:
    first, again = Carried("o.1", marked=False), Carried("o.2", marked=True)
    assert unmarked([first, again], attempts("unknown", "acknowledged")) == []
    plain = Carried("o.2", marked=False)
    assert unmarked([first, plain], attempts("failed", "acknowledged")) == [], "it was busy"
    assert unmarked([first, plain], attempts("unknown", "acknowledged")) == [
        "o.2 came unmarked after o.1"
    ]
    assert unmarked([first, first], attempts("sent")) == ["o.1 came 2 times"]
    assert unmarked([first], attempts("unknown", "delivered")) == [
        "o.2 is delivered and never came"
    ], "what came without the mark is held to be the first"
    strange = unmarked([Carried("x.1", marked=False)], attempts("sent"))
    assert strange == ["x.1 is no attempt of ours"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"on_s": None}, "the order did not go on"),
        ({"on_s": 41.0}, "signed after 41.0 s > 40"),
        ({"acks_lost": 1}, "1 signatures lost"),
        ({"unmarked": 2}, "2 repeated without the mark"),
    ],
)
def test_each_broken_promise_is_told(change: dict[str, Any], words: str) -> None:
    line: dict[str, Any] = {"scene": "phone ringing", "fault": "AMI cut", "on_s": 2.0}
    assert OrderLine(**line).broken == ()
    assert OrderLine(**{**line, **change}).broken == (words,)


Seen = Mapping[tuple[str, str], Result]


@pytest.fixture(scope="module")
def seen() -> Seen:
    kills = list(order_kills())
    jobs = [Job("order", (list(OrderFault).index(fault),)) for fault in STRUCK]
    jobs += [
        Job("order-kill", (n,))
        for n, kill in enumerate(kills)
        if (kill.story.title, kill.place, kill.what) in STEPS
    ]
    return {(one.line["order"], one.line["fault"]): one for one in run_jobs(jobs, 2)}


@pytest.mark.live
@pytest.mark.timeout(300)
def test_orders_go_on_and_nothing_is_lost_or_repeated_unmarked(seen: Seen) -> None:
    assert len(seen) == SCENES * len(STRUCK) + len(STEPS), sorted(seen)
    for result in seen.values():
        line = result.line
        assert line["on_s"] is not None, line
        assert line["on_s"] < 40 + SLACK_S, line
        assert (line["acks_lost"], line["unmarked"]) == (0, 0), line


@pytest.mark.live
@pytest.mark.timeout(300)
def test_what_died_with_the_switch_comes_again_with_the_mark(seen: Seen) -> None:
    for scene in ("phone ringing", "phone listening"):
        told = seen[scene, OrderFault.ASTERISK.value].line["detail"]
        assert told == "phone unknown; phone acknowledged repeat", scene
    told = seen["mail in DATA", OrderFault.KILLED.value].line["detail"]
    assert told == "mail unknown; mail acknowledged repeat"
    told = seen["mail sent", OrderFault.KILLED.value].line["detail"]
    assert told == "mail acknowledged", "the server had taken it: not sent again"


@pytest.mark.live
@pytest.mark.timeout(300)
def test_a_page_that_died_with_the_port_process_is_sent_again_with_the_mark(seen: Seen) -> None:
    told = seen["fax on the line", OrderFault.PORTS.value].line["detail"]
    assert told.startswith("fax unknown; fax delivered repeat")
    told = seen["fax on the line", OrderFault.KILLED.value].line["detail"]
    assert told.startswith("fax delivered"), "the modem went on without the daemon"
