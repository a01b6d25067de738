"""Orders by radio and SMS: through the port process, which owns the gateways.

What a gateway proves of a message becomes the attempt's state; *delivered* and *read* are a
machine's words. A status or text that comes back is told as received, and judged elsewhere.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import structlog

from bridge.channels.ports_client import PortsAway, PortsRefused
from bridge.channels.radio_words import (
    MAP27_STATUS,
    STATUS_WORDS,
    TETRA_STATUS,
    code_in,
    meaning,
    order_text,
)
from bridge.domain.delivery import A, Cause, ChannelKind, Job, Progress, Received, Says
from bridge.flows.ports import Clock, FromChannel

_log = structlog.get_logger(__name__)

REMEMBERED: Final = 10_000
"""Attempts that this process knows; the same again does nothing."""
_STATES: Final = {
    "queued": A.QUEUED,
    "sending": A.SENDING,
    "sent": A.SENT,
    "delivered": A.DELIVERED,
    "read": A.READ,
    "failed": A.FAILED,
    "unknown": A.UNKNOWN,
}
_CAUSES: Final = {cause.value: cause for cause in Cause}
_WITHDRAWN: Final = "withdrawn"


class Ports(Protocol):
    """The way to the port process: `PortsClient`."""

    async def submit(self, body: dict[str, Any]) -> None: ...

    async def ask(self, kind: str, **values: Any) -> dict[str, Any]: ...


class GatewayChannel:
    """The wire `radio` or `sms`."""

    def __init__(self, kind: ChannelKind, client: Ports, tell: FromChannel, clock: Clock) -> None:
        self.kind = kind
        self._client = client
        self._tell = tell
        self._clock = clock
        self._known: OrderedDict[str, None] = OrderedDict()

    async def send(self, job: Job) -> None:
        """Hand the order over; returns when the port process has written it down."""
        if job.attempt in self._known:
            return
        self._known[job.attempt] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        body = {
            "key": job.attempt,
            "channel": self.kind.value,
            "urgent": job.urgent or job.sheet.green,
        }
        try:
            await self._client.submit(body | await self._carried(job))
        except PortsRefused as refused:
            cause = _CAUSES.get(refused.why, Cause.ERROR)
            await self._told(job.attempt, A.FAILED, cause, str(refused))
        except PortsAway as away:
            if away.begun:
                await self._told(job.attempt, A.UNKNOWN, None, str(away))
            else:
                await self._told(job.attempt, A.FAILED, Cause.DEVICE_GONE, str(away))

    async def _carried(self, job: Job) -> dict[str, str]:
        """What the gateway carries, and where to. Raises PortsRefused."""
        address = job.addresses[0]
        return {"address": address, "text": order_text(job.sheet)}

    async def withdraw(self, attempt: str) -> None:
        """Stop what has not gone out; what is on the air ends with its true outcome."""
        try:
            await self._client.ask("withdraw", key=attempt)
        except PortsAway as away:
            _log.warning("radio.not_withdrawn", attempt=attempt, reason=str(away))

    async def look(self, attempt: str) -> Progress | None:
        """What the port process knows; None where it has seen no outcome either."""
        try:
            found = await self._client.ask("look", key=attempt)
        except PortsAway:
            return None
        if told := found.get("told"):
            known = progress_of(told)
        else:
            state = _STATES.get(str(found.get("stage")), A.UNKNOWN)
            known = Progress(attempt=attempt, state=state, at=self._clock.now())
        return None if known.state is A.UNKNOWN else known

    async def test(self, addresses: Sequence[str]) -> str:
        """Whether a gateway would carry a message to each address now."""
        for address in addresses:
            try:
                found = await self._client.ask("test", channel=self.kind.value, address=address)
            except PortsAway as away:
                return str(away)
            if words := str(found.get("words", "")):
                return words
        return ""

    async def _told(self, attempt: str, state: A, cause: Cause | None, detail: str) -> None:
        await self._tell.progress(
            Progress(attempt=attempt, state=state, at=self._clock.now(), cause=cause, detail=detail)
        )


class FaxPages(Protocol):
    """Who keeps and reads pages that came by fax."""

    async def take(self, body: Mapping[str, Any], seq: int) -> None:
        """Durable when it returns."""
        ...


class GatewayPost:
    """Takes what the port process tells. Pass `take` to the PortsClient."""

    def __init__(
        self,
        tell: FromChannel,
        *,
        tetra: Mapping[int, Says] = TETRA_STATUS,
        map27: Mapping[int, Says] = MAP27_STATUS,
    ) -> None:
        self.tell = tell
        self._tetra = tetra
        self._map27 = map27
        self.fax: FaxPages | None = None
        """Takes pages that came by fax; set where the site keeps them."""

    async def take(self, body: Mapping[str, Any], seq: int) -> None:
        """Durable when it returns: only then is the thing acknowledged."""
        kind = body.get("kind")
        if kind == "progress":
            await self.tell.progress(progress_of(body))
        elif kind in ("text", "status"):
            await self.tell.received(self.received_of(body, seq))
        elif kind == "fax" and self.fax is not None:
            await self.fax.take(body, seq)
        elif kind == "emergency":
            await self.tell.received(
                _looked_at(body, seq, f"紧急报警 / emergency ({body.get('how')})")
            )
        elif kind == "unreadable":
            words = f"无法显示的消息 / not to be shown as text ({body['why']}): {body['hex'][:64]}"
            await self.tell.received(_looked_at(body, seq, words))
        else:
            _log.warning("ports.unknown_thing", kind=str(kind))

    def received_of(self, body: Mapping[str, Any], seq: int) -> Received:
        """A text or a status number as what somebody says. An arrival by number has no words: it
        lacks the situation (LL-54)."""
        channel = ChannelKind(body["channel"])
        source = str(body["source"])
        if body["kind"] == "status":
            table = self._map27 if "/" in source else self._tetra
            says, code = table.get(int(body["value"]), Says.NOTHING), None
            words = "" if says is Says.ARRIVED else _status_words(says, int(body["value"]), source)
        else:
            words = str(body["text"])
            says, code = meaning(words), code_in(words)
            if not body.get("whole", True):
                says, words = Says.NOTHING, f"(不完整 / parts are missing) {words}"
        return Received(
            channel=channel,
            source=source,
            at=_moment(body),
            key=_key(body, seq),
            says=says,
            code=code,
            words=words,
        )


def progress_of(body: Mapping[str, Any]) -> Progress:
    """A step of a message as the attempt's progress."""
    state = _STATES.get(str(body["stage"]), A.UNKNOWN)
    why = body.get("why")
    if state is A.FAILED and why == _WITHDRAWN:
        state = A.WITHDRAWN
    cause = _CAUSES.get(str(why), Cause.ERROR) if state is A.FAILED else None
    measured = {str(name): value for name, value in dict(body.get("data", {})).items()}
    return Progress(
        attempt=str(body["key"]),
        state=state,
        at=_moment(body),
        cause=cause,
        detail=str(body.get("detail", "")),
        data={"stored": bool(body.get("stored", False))} | measured,
    )


def _looked_at(body: Mapping[str, Any], seq: int, words: str) -> Received:
    """What says nothing about an order, so that a person looks at once."""
    return Received(
        channel=ChannelKind(body["channel"]),
        source=str(body["source"]),
        at=_moment(body),
        key=_key(body, seq),
        says=Says.NOTHING,
        words=words,
    )


def _status_words(says: Says, value: int, source: str) -> str:
    """What a status number stands for, and the number as its network writes it."""
    number = str(value) if "/" in source else f"{value:04X}"
    return f"{STATUS_WORDS.get(says, '状态')} ({number})"


def _moment(body: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(body["at"]))


def _key(body: Mapping[str, Any], seq: int) -> str:
    """The same for every telling of one thing: the journal's number and time."""
    return f"{body['gateway']}.{seq}.{body['at']}"
