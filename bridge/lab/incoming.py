"""A call that comes to a laboratory telephone."""

from __future__ import annotations

import asyncio
import time

from bridge.lab.call import Call, CallError
from bridge.lab.dialog import Dialog
from bridge.lab.media import Leg
from bridge.lab.sip import ALLOW, SipError, SipMessage, response, user_part
from bridge.lab.sipnode import Address, SipNode


class IncomingCall(Call):
    """From somebody's INVITE on."""

    def __init__(
        self, node: SipNode, dialog: Dialog, leg: Leg, source: Address, invite: SipMessage
    ) -> None:
        super().__init__(node, dialog, leg, source)
        self.headers = invite.headers
        self.invite = invite
        self._source = source
        self._acknowledged = asyncio.Event()

    @property
    def caller(self) -> str:
        """The number in From."""
        return user_part(self.headers["From"])

    @property
    def dialled(self) -> str:
        """The number or name that was called: user part of the Request-URI."""
        return user_part(self.invite.uri)

    def ring(self) -> None:
        """180 Ringing."""
        if self.end is None and self.answered_at is None:
            self.ringing_at = self.ringing_at or time.monotonic()
            self._reply(self.invite, self._source, 180)
            self._wake()

    def answer_now(self) -> None:
        """200 OK, without waiting; nothing when it is answered or over."""
        if self.end is not None or self.answered_at is not None:
            return
        try:
            body = self._answer_to(self.invite.body) if self.invite.body else self._description()
        except SipError:
            self._refuse(488)
            return
        fields = [self.dialog.contact, ("Allow", ALLOW)]
        answer = response(self.invite, 200, self.dialog.tag, fields, body)
        self.answered_at = time.monotonic()
        self.node.respond_until_ack(self.invite, answer, self._source, self._take_ack)
        self._wake()

    async def answer(self, timeout: float = 5.0) -> None:
        """Answer and wait for the ACK. Raises CallError when the call is over, TimeoutError."""
        self.answer_now()
        if self.answered_at is None or self.end is not None:
            raise CallError(f"cannot be answered: {self.end}")
        await self.wait_acknowledged(timeout)

    async def wait_acknowledged(self, timeout: float) -> None:
        """Until the ACK of our answer. Raises TimeoutError."""
        try:
            async with asyncio.timeout(timeout):
                await self._acknowledged.wait()
        except TimeoutError:
            raise TimeoutError(f"no ACK in {timeout:g} s") from None

    def reject(self, status: int = 486) -> None:
        """Refuse with a status from 400 to 699. Raises CallError when it is too late."""
        if not 400 <= status <= 699:
            raise ValueError(f"status {status}: 400 to 699")
        if self.end is not None or self.answered_at is not None:
            raise CallError("too late to refuse")
        self._refuse(status)

    def _refuse(self, status: int) -> None:
        answer = response(self.invite, status, self.dialog.tag)
        self.node.respond_until_ack(self.invite, answer, self._source, lambda _: None)
        self.finish("us", status)

    async def _abandon(self) -> bool:
        self._refuse(480)
        return True

    def cancelled(self, cancel: SipMessage, source: Address) -> None:
        """The caller gives up: 200 to CANCEL, 487 to INVITE; too late after the answer."""
        self._reply(cancel, source, 200)
        if self.end is None and self.answered_at is None:
            gone = response(self.invite, 487, self.dialog.tag)
            self.node.respond_until_ack(self.invite, gone, self._source, lambda _: None)
            self.finish("them", 487, cancel.q850)

    def _take_ack(self, ack: SipMessage | None) -> None:
        if ack is None:
            self.node.request(self.dialog.request("BYE"), self.peer, lambda _: None)
            self.finish("nobody", 408)
            return
        if not self.invite.body:
            self._take_late_answer(ack)
        self._acknowledged.set()
        self._wake()
