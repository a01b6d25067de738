"""The conversation of a call: every state, every event, one table.

All changes of a call's state live here and nowhere else. The states are facts about the call; the
events are named after who did what. `step` looks up one pair and returns what the table says; it
carries out nothing. Each pair is answered: the call moves, the event is ignored by a named rule,
or the command is refused with a code. `diagram` draws the table (dialplans/README.md shows it).

Who *answers* for the matter is another question: see `handoff.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum


class S(StrEnum):
    """States of a conversation (CSTA call states where CSTA has a word)."""

    QUEUED = "queued"  # the citizen waits for a seat, hearing ringing or words
    ALERTING = "alerting"  # a seat's telephone rings for this citizen
    TALKING = "established"  # the citizen talks with exactly one other party
    CONFERENCED = "conferenced"  # the citizen talks with two or more others
    PARTED = "parted"  # the others have just left; the dialplan is deciding (milliseconds)
    HELD = "held"  # the citizen hears the hold sound; a seat holds or is about to consult
    CONSULTING = "consulting"  # a seat talks with the third alone, the citizen is held
    ALTERNATED = "alternated"  # a seat talks with the citizen, the third is held
    WAITING = "waiting"  # the seat has left, the third is being called, the citizen hears a sound
    ENDING = "ending"  # goodbye is being said, or everybody is being cleared
    CLEARED = "cleared"  # the end


class E(StrEnum):
    """Events: what was seen on the switch, and what somebody asked for."""

    # seen on the switch
    SEAT_ALERTING = "seat alerting"
    SEAT_GAVE_UP = "seat did not answer"
    PAIR = "citizen with one other"
    MANY = "citizen with two or more others"
    APART = "citizen with nobody"
    CITIZEN_HELD = "hold sound begins"
    CITIZEN_WAITS = "waiting sound begins"
    CITIZEN_ALONE = "citizen alone, the walk begins"
    PRIVATE = "seat and third alone"
    PARTY_HELD = "third is held"
    HELD_GONE = "held third's leg cleared"
    SEAT_WAITS = "seat waits"
    SEAT_ALONE = "seat alone in a bridge"
    PHONE_STILL = "a telephone sends nothing"
    PHONE_BACK = "the telephone sends again"
    GOODBYE = "goodbye is said"
    NOT_ENDED = "the end that was asked for did not come"
    NOT_HELD = "the hold that was asked for was refused"
    CITIZEN_GONE = "citizen's leg cleared"
    SWITCH_LOST = "Asterisk itself went away"
    # asked for (CSTA services)
    THREE_WAY = "SingleStepConferenceCall"
    TRANSFER = "SingleStepTransferCall"
    CONSULT = "ConsultationCall"
    ALTERNATE = "AlternateCall"
    RECONNECT = "ReconnectCall"
    CONFERENCE = "ConferenceCall"
    HOLD = "HoldCall"
    RETRIEVE = "RetrieveCall"
    LEAVE = "ClearConnection (own leg)"
    CLEAR_PARTY = "ClearConnection (other leg)"
    CANCEL = "CancelCall (third being called)"
    JOIN = "JoinCall"
    INTRUDE = "IntrudeCall"
    MUTE = "SetMicrophoneMute"
    CLEAR_CALL = "ClearCall"


COMMANDS = frozenset(list(E)[list(E).index(E.THREE_WAY) :])


class F(Enum):
    """Effects a pair may ask for; `decide.py` turns them into acts with their arguments."""

    DIAL_THIRD = "call the third into the conversation"
    DIAL_PRIVATE = "hold the citizen, then call the third for the seat alone"
    HOLD_CITIZEN = "give the citizen the hold sound, the seat waits"
    GO_ON = "the seat waits: go on with what it intends"
    BRING_SEAT = "bring the seat back to the citizen"
    HOLD_THIRD = "seat to the citizen, third held"
    BRING_THIRD = "bring the held third into the conversation"
    CLEAR_THIRD = "clear the third's leg"
    CLEAR_OWN = "clear the seat's own leg"
    LEAVE_LATER = "leave as soon as a person has accepted"
    CLEAR_NAMED = "clear the named leg"
    CLEAR_ALL = "clear every leg, the citizen last"
    DIAL_SEAT = "call the seat back into the case"
    DIAL_LEADER = "connect the shift leader"
    SET_MUTE = "mute or unmute the named leg"
    SOUND_FOR_DEAD_PHONE = "a telephone died: the citizen gets a sound"


class G(Enum):
    """Conditions a command needs; the value is the code of the refusal."""

    NOBODY_CALLED = "third-already-called"
    SOMEBODY_CALLED = "nobody-being-called"
    OTHERS_STAY = "would-leave-citizen-alone"
    OWN_LEG = "not-in-this-call"
    NOT_IN_CALL = "already-in-this-call"
    NAMED_LEG = "no-such-leg"
    CONFIRMED = "needs-confirmation"


@dataclass(frozen=True, slots=True)
class Go:
    """The call moves to `state` (None: stays), after which `effects` are to be carried out."""

    state: S | None = None
    effects: tuple[F, ...] = ()
    needs: tuple[G, ...] = ()


@dataclass(frozen=True, slots=True)
class Ignore:
    """An event that changes nothing here, with the rule that says why."""

    rule: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """A command that is not possible here; `code` is stable, the desk shows its sentence."""

    code: str = "wrong-state"


Step = Go | Ignore | Refuse

ECHO = Ignore("echo: the call is there already")
LATE = Ignore("late: the call is over")
NOT_HERE = Ignore("says nothing new in this state")

# What holds in every living state unless the state's own row says otherwise.
COMMON: dict[E, Step] = {
    E.SEAT_ALERTING: NOT_HERE,
    E.SEAT_GAVE_UP: NOT_HERE,
    E.PAIR: Go(S.TALKING),
    E.MANY: Go(S.CONFERENCED),
    E.APART: Go(S.PARTED),
    E.CITIZEN_HELD: Go(S.HELD),
    E.CITIZEN_WAITS: Go(S.WAITING),
    E.CITIZEN_ALONE: Go(S.QUEUED),
    E.PRIVATE: NOT_HERE,
    E.PARTY_HELD: NOT_HERE,
    E.HELD_GONE: NOT_HERE,
    E.SEAT_WAITS: NOT_HERE,
    E.SEAT_ALONE: Go(None, (F.BRING_SEAT,)),
    E.PHONE_STILL: NOT_HERE,
    E.PHONE_BACK: NOT_HERE,
    E.GOODBYE: Go(S.ENDING),
    E.NOT_ENDED: NOT_HERE,
    E.NOT_HELD: NOT_HERE,
    E.CITIZEN_GONE: Go(S.CLEARED),
    E.SWITCH_LOST: Go(S.CLEARED),
    E.THREE_WAY: Refuse(),
    E.TRANSFER: Refuse(),
    E.CONSULT: Refuse(),
    E.ALTERNATE: Refuse(),
    E.RECONNECT: Refuse(),
    E.CONFERENCE: Refuse(),
    E.HOLD: Refuse(),
    E.RETRIEVE: Refuse(),
    E.LEAVE: Refuse(),
    E.CLEAR_PARTY: Go(None, (F.CLEAR_NAMED,), (G.NAMED_LEG, G.CONFIRMED)),
    E.CANCEL: Go(None, (F.CLEAR_THIRD,), (G.SOMEBODY_CALLED,)),
    E.JOIN: Go(None, (F.DIAL_SEAT,), (G.NOT_IN_CALL,)),
    E.INTRUDE: Refuse(),
    E.MUTE: Go(None, (F.SET_MUTE,), (G.NAMED_LEG,)),
    E.CLEAR_CALL: Go(S.ENDING, (F.CLEAR_ALL,), (G.CONFIRMED,)),
}

_ADD_THIRD: dict[E, Step] = {
    E.THREE_WAY: Go(None, (F.DIAL_THIRD,), (G.NOBODY_CALLED,)),
    E.TRANSFER: Go(None, (F.DIAL_THIRD, F.LEAVE_LATER), (G.NOBODY_CALLED,)),
    E.INTRUDE: Go(None, (F.DIAL_LEADER,)),
}

OWN: dict[S, dict[E, Step]] = {
    S.QUEUED: {
        E.SEAT_ALERTING: Go(S.ALERTING),
        E.APART: ECHO,
        E.CITIZEN_ALONE: ECHO,
    },
    S.ALERTING: {
        E.SEAT_ALERTING: ECHO,
        E.SEAT_GAVE_UP: Go(S.QUEUED),
        E.APART: NOT_HERE,
        E.CITIZEN_ALONE: Ignore("a seat rings already"),
    },
    S.TALKING: {
        E.PAIR: ECHO,
        E.PARTY_HELD: Go(S.ALTERNATED),
        E.SEAT_WAITS: Go(None, (F.GO_ON,)),
        E.PHONE_STILL: Go(None, (F.SOUND_FOR_DEAD_PHONE,)),
        **_ADD_THIRD,
        E.CONSULT: Go(None, (F.DIAL_PRIVATE,), (G.OWN_LEG, G.NOBODY_CALLED)),
        E.HOLD: Go(None, (F.HOLD_CITIZEN,), (G.OWN_LEG, G.NOBODY_CALLED)),
        E.LEAVE: Go(None, (F.CLEAR_OWN,), (G.OWN_LEG, G.OTHERS_STAY)),
    },
    S.CONFERENCED: {
        E.MANY: ECHO,
        **_ADD_THIRD,
        E.LEAVE: Go(None, (F.CLEAR_OWN,), (G.OWN_LEG, G.OTHERS_STAY)),
    },
    S.PARTED: {
        E.APART: ECHO,
        E.SEAT_WAITS: Go(None, (F.GO_ON,)),
        E.SEAT_ALERTING: Go(S.ALERTING),
        E.JOIN: Go(None, (F.DIAL_SEAT,), (G.NOT_IN_CALL,)),
    },
    S.HELD: {
        E.APART: NOT_HERE,
        E.CITIZEN_HELD: ECHO,
        E.PRIVATE: Go(S.CONSULTING),
        E.SEAT_WAITS: Go(None, (F.GO_ON,)),
        E.SEAT_ALONE: Ignore("the seat is about to consult"),
        E.PHONE_BACK: Go(None, (F.BRING_SEAT,)),
        E.RETRIEVE: Go(None, (F.BRING_SEAT, F.CLEAR_THIRD), (G.OWN_LEG,)),
        E.RECONNECT: Go(None, (F.BRING_SEAT, F.CLEAR_THIRD), (G.OWN_LEG,)),
        E.INTRUDE: Go(None, (F.DIAL_LEADER,)),
        E.SEAT_ALERTING: Go(S.ALERTING),
    },
    S.CONSULTING: {
        E.APART: NOT_HERE,
        E.CITIZEN_HELD: ECHO,
        E.PRIVATE: ECHO,
        E.PARTY_HELD: Go(S.ALTERNATED),
        E.ALTERNATE: Go(None, (F.HOLD_THIRD,), (G.OWN_LEG,)),
        E.RECONNECT: Go(None, (F.CLEAR_THIRD,), (G.OWN_LEG,)),
        E.RETRIEVE: Go(None, (F.CLEAR_THIRD,), (G.OWN_LEG,)),
        E.CONFERENCE: Go(None, (F.BRING_SEAT,), (G.OWN_LEG,)),
        E.LEAVE: Go(None, (F.CLEAR_OWN,), (G.OWN_LEG,)),
        E.INTRUDE: Go(None, (F.DIAL_LEADER,)),
        E.SEAT_ALERTING: Go(S.ALERTING),
    },
    S.ALTERNATED: {
        E.PAIR: ECHO,
        E.APART: NOT_HERE,
        E.PARTY_HELD: ECHO,
        E.HELD_GONE: Go(S.TALKING),
        E.CITIZEN_HELD: Go(S.HELD),
        E.PRIVATE: Go(S.CONSULTING),
        E.SEAT_WAITS: Go(None, (F.GO_ON,)),
        E.PHONE_STILL: Go(None, (F.SOUND_FOR_DEAD_PHONE,)),
        E.ALTERNATE: Go(None, (F.HOLD_CITIZEN,), (G.OWN_LEG,)),
        E.RECONNECT: Go(None, (F.CLEAR_THIRD,), (G.OWN_LEG,)),
        E.CONFERENCE: Go(None, (F.BRING_THIRD,), (G.OWN_LEG,)),
        E.INTRUDE: Go(None, (F.DIAL_LEADER,)),
    },
    S.WAITING: {
        E.APART: NOT_HERE,
        E.CITIZEN_WAITS: ECHO,
        E.SEAT_ALERTING: Go(S.ALERTING),
    },
    S.ENDING: {
        **{e: Ignore("the call is ending") for e in E if e not in COMMANDS},
        **{e: Refuse("call-is-ending") for e in COMMANDS},
        E.NOT_ENDED: Go(S.PARTED),
        E.PAIR: Go(S.TALKING),  # somebody joined while goodbye was being said
        E.MANY: Go(S.CONFERENCED),
        E.CITIZEN_GONE: Go(S.CLEARED),
        E.SWITCH_LOST: Go(S.CLEARED),
        E.CLEAR_CALL: Go(None, (F.CLEAR_ALL,), (G.CONFIRMED,)),
    },
    S.CLEARED: {
        **{e: LATE for e in E if e not in COMMANDS},
        **{e: Refuse("call-is-over") for e in COMMANDS},
    },
}


def step(state: S, event: E) -> Step:
    """What the table says of this pair. Total: answers every pair of `S` and `E`."""
    own = OWN[state].get(event)
    return own if own is not None else COMMON[event]


def diagram() -> str:
    """The table as a Mermaid state diagram: moves only, commands that keep the state left out."""
    lines = ["stateDiagram-v2", "    [*] --> queued"]
    for state in S:
        moves: dict[S, list[str]] = {}
        for event in E:
            found = step(state, event)
            if isinstance(found, Go) and found.state is not None and found.state is not state:
                moves.setdefault(found.state, []).append(event.name)
        for target, events in moves.items():
            lines.append(f"    {state.value} --> {target.value}: {', '.join(events)}")
    lines.append("    cleared --> [*]")
    return "\n".join(lines)


if __name__ == "__main__":
    print(diagram())
