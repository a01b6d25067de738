"""A call that a laboratory telephone makes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.lab.call import ASK_S, Call
from bridge.lab.dialog import Dialog
from bridge.lab.media import Leg
from bridge.lab.sip import SipError, SipMessage
from bridge.lab.sipauth import challenge, credentials
from bridge.lab.sipnode import Address, SipNode


@dataclass(frozen=True, slots=True)
class Account:
    """Name and secret for digest authentication; an empty secret refuses every challenge."""

    user: str
    secret: str

    def answer(self, refusal: SipMessage, method: str, uri: str) -> tuple[str, str]:
        """The header field that answers a 401 or 407. Raises SipError without a usable one."""
        asked = challenge(refusal)
        return credentials(asked, self.user, self.secret, method, uri, secrets.token_hex(8))


class OutgoingCall(Call):
    """From our INVITE on."""

    def __init__(
        self, node: SipNode, dialog: Dialog, leg: Leg, peer: Address, account: Account
    ) -> None:
        super().__init__(node, dialog, leg, peer)
        self._account = account
        self._fields: list[tuple[str, str]] = []
        self._invite: SipMessage | None = None
        self._authenticated = False
        self._provisional = False
        self._abandoned = False

    def begin(self, fields: Mapping[str, str]) -> None:
        """Send the INVITE, with these header fields more."""
        self._fields = list(fields.items())
        self._send([])

    def _send(self, more: list[tuple[str, str]]) -> None:
        body = self._description()
        self._invite = self.dialog.request("INVITE", [*self._fields, *more], body)
        self.headers = self._invite.headers
        self.node.request(self._invite, self.peer, self._take_response)

    def _take_response(self, message: SipMessage | None) -> None:
        if message is None:
            self.finish("nobody", 408)
        elif message.status < 200:
            self._take_provisional(message)
        elif message.status < 300:
            self._take_answered(message)
        elif message.status in (401, 407) and self._account.secret and not self._authenticated:
            self._authenticate(message)
        else:
            self.finish("us" if self._abandoned else "them", message.status, message.q850)

    def _authenticate(self, refusal: SipMessage) -> None:
        self._authenticated = True
        try:
            field = self._account.answer(refusal, "INVITE", self.dialog.target)
        except SipError:
            self.finish("them", refusal.status)
            return
        self._send([field])

    def _take_provisional(self, message: SipMessage) -> None:
        self._provisional = True
        if message.status in (180, 183) and self.ringing_at is None:
            self.ringing_at = time.monotonic()
        if self._abandoned:
            self._cancel()
        self._wake()

    def _take_answered(self, message: SipMessage) -> None:
        self.dialog.established(message)
        ack = self.dialog.ack(message.cseq[0])
        self.node.acknowledge(message.branch, ack, self.peer)
        self.answered_at = time.monotonic()
        try:
            self._take_answer(message.body)
        except SipError:
            self._abandoned = True
        if self._abandoned or self.end is not None:  # answered while we cancelled
            self.node.request(self.dialog.request("BYE"), self.peer, lambda _: None)
            self.finish("us", 0)
        self._wake()

    async def _abandon(self) -> bool:
        """CANCEL, as soon as a provisional response allows it (RFC 3261, section 9.1)."""
        self._abandoned = True
        if self._provisional:
            self._cancel()
        try:
            await self.wait_ended(ASK_S)
        except TimeoutError:
            self.finish("us", 408)
            return False
        return True

    def _cancel(self) -> None:
        if self._invite is not None:
            cancel = self.dialog.cancel(self._invite)
            self.node.request(cancel, self.peer, lambda _: None)


def make_call(
    node: SipNode,
    leg: Leg,
    peer: Address,
    account: Account,
    number: str,
    identity: str,
) -> OutgoingCall:
    """A call to `number` at `peer`; `identity` is From without a tag. Not begun yet."""
    host, port = peer
    target = f"sip:{number}@{host}:{port}"
    local = f"{identity};tag={secrets.token_hex(6)}"
    dialog = Dialog(node.address, account.user, local, f"<{target}>", target)
    return OutgoingCall(node, dialog, leg, peer, account)
