"""What flows need of the outside world, as Protocols. Edges implement them, the simulation too."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from bridge.domain.acts import Act
from bridge.domain.agent import AgentAct
from bridge.domain.delivery import ChannelKind, Job, Progress, Received
from bridge.domain.journal import Entry, Fact, Json

Table = Literal[
    "case", "case_file", "call", "leg", "handoff", "seat", "order", "attempt", "peer_case"
]


@dataclass(frozen=True, slots=True)
class Row:
    """The present state of one record, as it stands after the facts of the same transaction."""

    table: Table
    id: str
    case: str | None
    state: str
    doc: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Message:
    """One outgoing message; `key` makes a repeat harmless at the receiver."""

    channel: str
    key: str
    body: Mapping[str, Json]
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message to send now. `lease` counts the attempts; an older one is refused."""

    id: int
    key: str
    channel: str
    body: Mapping[str, Json]
    due_at: datetime
    lease: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command with an idempotency key was answered; the same key gets the same answer."""

    key: str
    status: int
    body: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Transaction:
    """State, journal and outbox of one decision: all of it is stored, or nothing."""

    facts: Sequence[Fact] = ()
    rows: Sequence[Row] = ()
    messages: Sequence[Message] = ()
    answer: Answer | None = None
    cursors: Mapping[str, str] = field(default_factory=dict)
    """Named positions in outside files (CEL), moved in the same transaction as what they gave."""
    urgent: bool = False
    """Orders and hang-ups: may use the space kept in reserve when the disk is full."""


class StoreError(Exception):
    """The store did not take the transaction: it certainly has not happened."""


class StoreInvalid(StoreError):
    """The store refuses this transaction for what it contains: trying again is of no use."""


class StoreFull(StoreError):
    """No space left. Reads work; writes work again as soon as there is space."""


class StoreRepeat(StoreInvalid):
    """A command with this key was answered before: read its answer, the work was not done again."""


class StoreUnknown(StoreError):
    """The commit may or may not have happened (guard rule 2). Re-read before telling anybody:
    `entries` are what it would have added to the journal; `Store.happened` finds out."""

    def __init__(self, words: str, entries: Sequence[Entry] = ()) -> None:
        super().__init__(words)
        self.entries = tuple(entries)


class FileMissing(Exception):
    """A file that the journal names is not there, or is not what it was."""


class Files(Protocol):
    """Files beside the journal, by the hash of their content (`domain.attachment`)."""

    async def keep(self, data: bytes, kind: str) -> str:
        """Store it; gives its name, durable when this returns. Raises StoreError."""
        ...

    async def read(self, name: str) -> bytes:
        """The octets of a file. Raises FileMissing."""
        ...


class Store(Protocol):
    """Durable memory. `commit` returns after the sync; nothing is shown before (guard rule 1)."""

    def commit(self, work: Transaction) -> Awaitable[Sequence[Entry]]:
        """Store all of `work`, synced. Raises StoreFull, StoreUnknown or StoreError."""
        ...

    def happened(self, entries: Sequence[Entry]) -> Awaitable[bool]:
        """Whether these entries of a StoreUnknown are in the journal, synced; those that are have
        been published. Raises StoreError while the store cannot tell."""
        ...


class Outbox(Protocol):
    """Messages that wait, claimed for a limited time. Every call is one durable step and raises
    StoreError as `Store.commit` does."""

    def claim(self, channel: str, now: datetime, most: int = 16) -> Awaitable[Sequence[Claimed]]:
        """Take up to `most` due messages of a channel, oldest first, for the time of a lease."""
        ...

    def done(self, message: Claimed, now: datetime) -> Awaitable[bool]:
        """The message arrived. False when the lease had run out and another worker has it."""
        ...

    def failed(self, message: Claimed, error: str, due_at: datetime) -> Awaitable[bool]:
        """The attempt failed; give the message back until `due_at`. False as in `done`."""
        ...


class Clock(Protocol):
    """The only source of time for flows."""

    def now(self) -> datetime:
        """Wall clock, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step, for intervals."""
        ...


class ActError(Exception):
    """An act on the switch that did not simply succeed."""


class ActRefused(ActError):
    """The switch refused: it was certainly not done. `code` is a refusal of domain.errors."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class ActUnknown(ActError):
    """It may have been done. Look at the live state; never repeat it (guard rule 4)."""


class Switch(Protocol):
    """The telephone switch, as flows use it."""

    async def carry_out(self, act: Act) -> None:
        """Do one act. Raises ActRefused or ActUnknown."""
        ...

    async def agent(self, act: AgentAct) -> None:
        """Tell the queue about a seat. Raises ActRefused or ActUnknown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCall:
    """Our call to a duty phone. `dial` is one channel, `words` the sound to be said (a name or a
    path without suffix), `seat` whom key 4 connects to, or empty; `number` is shown there."""

    attempt: str
    dial: str
    words: str
    seat: str
    number: str
    ring_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSeen:
    """Something happened on such a call. `what`: rang, answered, key, silent (nobody pressed a
    key), seat (`number` was connected by key 4), ended. `call` is its id on the switch; `cause` is
    Q.850; `number` the one that was dialled; `learnt`: only afterwards."""

    attempt: str
    what: Literal["rang", "answered", "key", "silent", "seat", "ended"]
    at: datetime
    call: str = ""
    key: str = ""
    number: str = ""
    cause: int = 0
    learnt: bool = False


class Phones(Protocol):
    """Orders by telephone, carried out by the switch. All raise ActRefused or ActUnknown."""

    async def call(self, call: OrderCall) -> None:
        """Begin to ring. What happens is seen afterwards."""
        ...

    async def hang_up(self, attempt: str) -> None:
        """End the call where it still is; nothing where it is not."""
        ...

    async def stored(self, attempt: str, counted: bool) -> None:
        """What was pressed is durable, and whether it counts: the plan may say so."""
        ...

    async def is_up(self, attempt: str) -> bool:
        """Whether that call is there, once everything earlier has been seen."""
        ...


RadioWhat = Literal["waits", "spoken", "code", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioSeen:
    """Something happened on `call`, to a gateway's line. `waits`: it is ready for an over; `code`:
    keys of a set on `way`, unchecked; `learnt`: only afterwards."""

    attempt: str
    what: RadioWhat
    at: datetime
    call: str
    code: str = ""
    way: str = ""
    learnt: bool = False


class Gateways(Protocol):
    """Orders spoken into radio channels, carried out by the switch. All raise ActRefused or
    ActUnknown."""

    async def call(self, attempt: str, dial: str, way: str, tones: str, words: str) -> None:
        """Call the gateway's line; it waits for `go` before each over."""
        ...

    async def go(self, attempt: str) -> None:
        """The key is down: speak."""
        ...

    async def hang_up(self, attempt: str) -> bool:
        """End the call; whether there was one."""
        ...


class TalkLines(Protocol):
    """What radio groups need of the switch. All raise ActRefused or ActUnknown."""

    async def listen(self, channel: str) -> None:
        """Tell from now on when this channel begins and ends to talk."""
        ...

    async def deaf(self, channel: str) -> None:
        """Tell it no longer."""
        ...

    async def left(self, citizen: str) -> None:
        """No radio group is with this citizen any more."""
        ...

    async def live_for(self, channel: str, seconds: int) -> None:
        """Let the channel end by itself after that time, unless this is said again."""
        ...


class Keys(Protocol):
    """Keys of voice gateways (`channels.ports_client`)."""

    def press(self, ident: str, gateway: str, group: str = "", *, override: bool = False) -> bool:
        """Hold a key down under our `ident`. False: nothing is keyed, the process is away."""
        ...

    def release(self, ident: str) -> None:
        """Let go."""
        ...


class Channel(Protocol):
    """One wire for orders. What becomes of a job is told through the `tell` it was made with."""

    kind: ChannelKind

    async def send(self, job: Job) -> None:
        """Begin to carry a job; returns when it has been taken over. The same attempt again does
        nothing. Everything that follows is told as `Progress`."""
        ...

    async def withdraw(self, attempt: str) -> None:
        """Stop an attempt where that is still possible; its true outcome is told as ever."""
        ...

    async def look(self, attempt: str) -> Progress | None:
        """What is known of an attempt whose outcome was not seen; None: nothing is known."""
        ...

    async def test(self, addresses: Sequence[str]) -> str:
        """Check the way to a unit without an order. Empty words: it works (LL-09)."""
        ...


class FromChannel(Protocol):
    """Where channels tell what happened. Returns after the fact is durable: only then may a
    channel let go of what it received (ack to the modem, the mailbox, the peer)."""

    async def progress(self, progress: Progress) -> None: ...

    async def received(self, received: Received) -> object:
        """False: it did not count (wrong code, order cancelled); whoever still listens is told."""
        ...
