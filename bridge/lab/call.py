"""A call of a laboratory telephone, its signalling. What it hears is in `hearing.py`; how it begins
in `outgoing.py` and `incoming.py`."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from bridge.lab import sdp
from bridge.lab.dialog import Dialog
from bridge.lab.hearing import Hearing
from bridge.lab.media import Leg
from bridge.lab.ports import HOST
from bridge.lab.sdp import Direction, Session
from bridge.lab.sip import ALLOW, Headers, SipError, SipMessage, response
from bridge.lab.sipnode import Address, SipNode

ASK_S: Final = 5.0
"""Deadline of a request within a call."""
GLARE_S: Final = 0.5
"""Pause after 491, when both sides changed the call at once."""
TRIES: Final = 3
MAX_INFO: Final = 100
Who = Literal["us", "them", "nobody"]


class CallError(RuntimeError):
    """The call is not, or no longer, in the state that was asked for."""


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call ended: by whom ("nobody": no answer came), the SIP status if one ended it (0 for
    BYE), the Q.850 cause if a Reason field told one, and when."""

    who: Who
    status: int
    cause: int | None
    at: float


class Call(Hearing, ABC):
    """Common to both directions. Times are monotonic seconds, None while not yet."""

    def __init__(self, node: SipNode, dialog: Dialog, leg: Leg, peer: Address) -> None:
        super().__init__(leg)
        self.node = node
        self.dialog = dialog
        self.peer = peer
        self.headers = Headers()
        """Header fields of the INVITE that began the call."""
        self.invite_at = time.monotonic()
        self.ringing_at: float | None = None
        self.answered_at: float | None = None
        self.end: CallEnd | None = None
        self.info: list[str] = []
        """Bodies of the last INFO requests that came, at most MAX_INFO."""
        self.on_end: Callable[[Call], None] = lambda _: None
        self._changed = asyncio.Event()
        self._version = 0
        self._direction: Direction = "sendrecv"
        self._changing = False

    @property
    def ended_at(self) -> float | None:
        return None if self.end is None else self.end.at

    # --- waiting ---

    async def wait_ringing(self, timeout: float) -> float:
        """When it rang. Raises TimeoutError, or CallError when it ended before."""
        return await self._wait("ringing", lambda: self.ringing_at or self.answered_at, timeout)

    async def wait_answered(self, timeout: float) -> float:
        """When it was answered. Raises TimeoutError, or CallError when it ended before."""
        return await self._wait("answered", lambda: self.answered_at, timeout)

    async def wait_ended(self, timeout: float) -> CallEnd:
        """How it ended. Raises TimeoutError."""
        try:
            async with asyncio.timeout(timeout):
                while self.end is None:
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"call not ended in {timeout:g} s") from None
        return self.end

    async def _wait(self, what: str, asked: Callable[[], float | None], timeout: float) -> float:
        try:
            async with asyncio.timeout(timeout):
                while (moment := asked()) is None:
                    if self.end is not None:
                        raise CallError(f"call ended before it was {what}: {self.end}")
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"call not {what} in {timeout:g} s") from None
        return moment

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # --- acts ---

    async def hangup(self, cause: int | None = None) -> bool:
        """End the call in whatever state it is; `cause` goes into a Reason field. True when the
        other side confirmed, False when it was silent or the call had ended already."""
        if self.end is not None:
            return False
        if self.answered_at is None:
            return await self._abandon()
        fields = [] if cause is None else [("Reason", f"Q.850;cause={cause}")]
        bye = self.dialog.request("BYE", fields)
        self.finish("us", 0, cause)
        try:
            return (await self.node.ask(bye, self.peer, ASK_S)).status < 300
        except TimeoutError:
            return False

    @abstractmethod
    async def _abandon(self) -> bool:
        """End it before the answer."""

    async def hold(self, direction: Direction = "sendonly") -> None:
        """Hold by re-INVITE. Raises CallError when it is refused, TimeoutError without answer."""
        await self._change(direction)

    async def unhold(self) -> None:
        """Take back what `hold` did. Raises as `hold`."""
        await self._change("sendrecv")

    async def _change(self, direction: Direction) -> None:
        if self.answered_at is None or self.end is not None:
            raise CallError("only a call that stands can be held")
        before, self._direction, self._changing = self._direction, direction, True
        try:
            for _ in range(TRIES):
                invite = self.dialog.request("INVITE", body=self._description())
                final = await self.node.ask(invite, self.peer, ASK_S)
                if final.status < 300:
                    ack = self.dialog.ack(invite.cseq[0])
                    self.node.acknowledge(invite.branch, ack, self.peer)
                    self._take_answer(final.body)
                    return
                if final.status != 491:
                    break
                await asyncio.sleep(GLARE_S)
            self._direction = before
            raise CallError(f"hold refused: {final.status} {final.reason}")
        finally:
            self._changing = False

    # --- media ---

    def _own(self) -> Session:
        return Session(HOST, self.leg.port, direction=self._direction)

    def _description(self) -> bytes:
        """Our offer."""
        self._version += 1
        return sdp.build(self._own(), self._version)

    def _take_answer(self, body: bytes) -> None:
        """The other side's answer to our offer. Raises SipError when it is none."""
        theirs = sdp.parse(body)
        self.leg.connect(theirs.host, theirs.port, theirs.codecs[0], theirs.events)
        self.leg.sending = sdp.sends(sdp.answer(theirs, self._own()).direction)

    def _answer_to(self, body: bytes) -> bytes:
        """Our answer to the other side's offer, taken into effect. Raises SipError."""
        offer = sdp.parse(body)
        ours = sdp.answer(offer, self._own())
        self.leg.connect(offer.host, offer.port, ours.codecs[0], ours.events)
        self.leg.sending = sdp.sends(ours.direction)
        self._version += 1
        return sdp.build(ours, self._version)

    # --- what the other side does within the call ---

    def take(self, message: SipMessage, source: Address) -> None:
        """A request within this dialog."""
        if message.method == "INVITE":
            self._take_invite(message, source)
        elif message.method == "BYE":
            self._reply(message, source, 200)
            self.finish("them", 0, message.q850)
        elif message.method == "UPDATE" and message.body:
            self._reply(message, source, *self._safe_answer(message.body))
        elif message.method in ("UPDATE", "OPTIONS", "NOTIFY", "INFO"):
            if message.method == "INFO":
                text = message.body.decode("utf-8", "replace")
                self.info = [*self.info[1 - MAX_INFO :], text]
            self._reply(message, source, 200)
        else:
            self._reply(message, source, 405)

    def _take_invite(self, message: SipMessage, source: Address) -> None:
        if self._changing:
            self.node.respond_until_ack(message, response(message, 491), source, lambda _: None)
            return
        late_offer = not message.body
        status, body = (200, self._description()) if late_offer else self._safe_answer(message.body)
        fields = [self.dialog.contact, ("Allow", ALLOW)]
        answer = response(message, status, self.dialog.tag, fields, body)
        self.node.respond_until_ack(
            message, answer, source, self._take_late_answer if late_offer else lambda _: None
        )

    def _safe_answer(self, body: bytes) -> tuple[int, bytes]:
        try:
            return 200, self._answer_to(body)
        except SipError:
            return 488, b""

    def _take_late_answer(self, ack: SipMessage | None) -> None:
        if ack is not None and ack.body:
            self._take_answer(ack.body)

    def _reply(self, to: SipMessage, source: Address, status: int, body: bytes = b"") -> None:
        fields = [self.dialog.contact, ("Allow", ALLOW)]
        self.node.respond(to, response(to, status, self.dialog.tag, fields, body), source)

    def finish(self, who: Who, status: int, cause: int | None = None) -> None:
        """The call has ended: no media any more, waiters wake. The first end counts."""
        if self.end is None:
            self.end = CallEnd(who, status, cause, time.monotonic())
            self.leg.sending = False
            self.leg.close()
            self.on_end(self)
            self._wake()
