"""What proves a person: the table of the orders sheet, section 2, as one function.

A machine's receipt, an automatic answer and a caller's number prove nothing (guard rule 23). What
is neither a proof nor a machine goes to a person at the desk.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.domain.code import is_code
from bridge.domain.delivery import A, ChannelKind, Received, Says
from bridge.domain.order import Attempt
from bridge.domain.unit import VOICE, Unit


class Verdict(StrEnum):
    """What is to be done with something received."""

    PROVEN = "a person of that unit, about that order"
    CODE = "a person if the code is right"
    MACHINE = "a machine wrote it: it never counts"
    LOOK = "a person at the desk must look"


@dataclass(frozen=True, slots=True)
class Need:
    """What a channel must bring for a proof."""

    known_unit: bool  # signed in, PIN, or a registered source
    code: bool
    named_order: bool  # by the page, the call or the link itself


NEEDS: dict[ChannelKind, tuple[Need, ...]] = {
    # the signed-in user of the unit presses a button on the order's page
    ChannelKind.TERMINAL: (Need(known_unit=True, code=False, named_order=True),),
    # our call to the registered number and its key; or their call with PIN and code
    ChannelKind.PHONE: (
        Need(known_unit=True, code=False, named_order=True),
        Need(known_unit=True, code=True, named_order=False),
    ),
    # status or text from a registered set, after the order reached it
    ChannelKind.RADIO: (Need(known_unit=True, code=False, named_order=True),),
    ChannelKind.SMS: (Need(known_unit=True, code=True, named_order=False),),
    # the returned sheet: it names its order itself
    ChannelKind.FAX: (
        Need(known_unit=False, code=True, named_order=True),
        Need(known_unit=True, code=True, named_order=False),
    ),
    # the link's POST (signed: it names the attempt), or the code from an address of the unit
    ChannelKind.MAIL: (
        Need(known_unit=False, code=False, named_order=True),
        Need(known_unit=True, code=True, named_order=False),
    ),
}

_REACHED = frozenset({A.SENT, A.DELIVERED, A.READ, A.UNKNOWN, A.ACKNOWLEDGED, A.WITHDRAWN})


def judge(told: Received, unit: Unit | None, attempt: Attempt | None) -> Verdict:
    """What a received thing is worth. `unit`: whose source or sign-in it is, or None; `attempt`:
    the one it answers. Total: every channel and every `says` has an answer.
    """
    if told.automatic:
        return Verdict.MACHINE
    if told.says is Says.NOTHING:
        return Verdict.LOOK
    named = told.order is not None or attempt is not None
    if told.channel is ChannelKind.RADIO and not _reached(attempt):
        return Verdict.LOOK
    if told.channel is ChannelKind.RADIO and told.source.startswith(VOICE):
        # keys on an open channel, from any set: the order's code alone tells who has heard it
        return Verdict.CODE if unit is not None and told.code is not None else Verdict.LOOK
    if told.channel is ChannelKind.MAIL and told.attempt is None:
        named = False  # only the signed link names an attempt; a reply's words may be anybody's
    for need in NEEDS[told.channel]:
        if need.known_unit and unit is None:
            continue
        if need.named_order and not named:
            continue
        if not need.code:
            return Verdict.PROVEN
        if told.code is not None and is_code(told.code):
            return Verdict.CODE
        if told.code is not None and unit is not None:
            return Verdict.CODE  # a wrong one: it is compared, found wrong and counted
    return Verdict.LOOK


def _reached(attempt: Attempt | None) -> bool:
    return attempt is not None and attempt.state in _REACHED
