"""One SIP dialog (RFC 3261, section 12) as a telephone sees it: who is who, and what comes next in
number. Pure but for chance. Route sets are not kept: nothing stands between us and the switch."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.lab.sip import ALLOW, MAGIC, VERSION, SipMessage, address, request


def new_tag() -> str:
    return secrets.token_hex(6)


def new_branch() -> str:
    return MAGIC + secrets.token_hex(8)


@dataclass(slots=True)
class Dialog:
    """`local` and `remote` are From and To as we would write them, tags included."""

    at: tuple[str, int]
    user: str
    local: str
    remote: str
    target: str
    call_id: str = field(default_factory=lambda: secrets.token_hex(10) + "@lab")
    sequence: int = 0

    @classmethod
    def of_invite(cls, invite: SipMessage, at: tuple[str, int], user: str) -> Dialog:
        """The dialog that an incoming INVITE would make."""
        return cls(
            at=at,
            user=user,
            local=f"{invite.headers['To']};tag={new_tag()}",
            remote=invite.headers["From"],
            target=address(invite.headers.get("Contact", invite.headers["From"])),
            call_id=invite.call_id,
        )

    @property
    def tag(self) -> str:
        """Our own tag."""
        return self.local.rpartition(";tag=")[2]

    @property
    def contact(self) -> tuple[str, str]:
        """Our Contact field."""
        return "Contact", f"<sip:{self.user}@{self.at[0]}:{self.at[1]}>"

    def request(
        self, method: str, fields: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> SipMessage:
        """The next request in this dialog, with a new branch and number."""
        self.sequence += 1
        more = [self.contact, ("Allow", ALLOW)] if method in ("INVITE", "UPDATE") else []
        return request(
            method,
            self.target,
            [*self._base(self.sequence, method, new_branch()), *more, *fields],
            body,
        )

    def ack(self, number: int, body: bytes = b"") -> SipMessage:
        """The ACK of a 2xx to our INVITE `number`: a transaction of its own."""
        return request("ACK", self.target, self._base(number, "ACK", new_branch()), body)

    def cancel(self, invite: SipMessage) -> SipMessage:
        """The CANCEL of our `invite`: its branch, its number (RFC 3261, section 9.1)."""
        fields = [(n, invite.headers[n]) for n in ("Via", "From", "To", "Call-ID")]
        return request("CANCEL", invite.uri, [*fields, ("CSeq", f"{invite.cseq[0]} CANCEL")])

    def established(self, response: SipMessage) -> None:
        """Take the other side's tag and target from a 2xx to INVITE."""
        self.remote = response.headers["To"]
        if contact := response.headers.get("Contact"):
            self.target = address(contact)

    def _base(self, number: int, method: str, branch: str) -> list[tuple[str, str]]:
        host, port = self.at
        return [
            ("Via", f"{VERSION}/UDP {host}:{port};rport;branch={branch}"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
        ]
