"""Mails as programs and machines write them, for the tests of replies."""

from __future__ import annotations

from base64 import b64encode

from bridge.channels.mail_message import message_id
from bridge.domain.code import make_code
from tests.channels.mail_kit import KEY, SENDER, UNIT

CODE, OTHER = make_code(1234567), make_code(7654321)
WRONG = f"{CODE[:7]}{(int(CODE[7]) + 1) % 10}"
OURS = f"指令编号:1\n回执码:{CODE[:4]} {CODE[4:]}\n"
IDENTIFIER = message_id("a-1", SENDER, KEY)


def mail(
    text: str, *headers: str, source: str = UNIT, subject: str = "Re: order", html: bool = False
) -> bytes:
    """A mail of one part in UTF-8."""
    head = [f"From: {source}", f"To: {SENDER}", f"Subject: {subject}", *headers]
    kind = "html" if html else "plain"
    head += [f"Content-Type: text/{kind}; charset=utf-8", "Content-Transfer-Encoding: base64"]
    body = b64encode(text.encode()).decode()
    return ("\r\n".join(head) + "\r\n\r\n" + body + "\r\n").encode()


def quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.split("\n"))


def report(action: str, about: str = IDENTIFIER) -> bytes:
    """A delivery status notification (RFC 3464)."""
    return f"""From: MAILER-DAEMON@mail.example\r
To: {SENDER}\r
Return-Path: <>\r
Subject: Undelivered Mail Returned to Sender\r
Auto-Submitted: auto-replied\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
Your message {CODE} could not be delivered.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mail.example\r
\r
Final-Recipient: rfc822; {UNIT}\r
Action: {action}\r
Status: 5.1.1\r
\r
--b\r
Content-Type: message/rfc822\r
\r
From: {SENDER}\r
To: {UNIT}\r
Message-ID: {about}\r
Subject: order\r
\r
{OURS}\r
--b--\r
""".encode()


def receipt(about: str = IDENTIFIER) -> bytes:
    """A message disposition notification: somebody's program has shown it (RFC 8098)."""
    return f"""From: {UNIT}\r
To: {SENDER}\r
Subject: Read: order\r
Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
read {CODE}\r
--b\r
Content-Type: message/disposition-notification\r
\r
Final-Recipient: rfc822; {UNIT}\r
Original-Message-ID: {about}\r
Disposition: manual-action/MDN-sent-manually; displayed\r
\r
--b--\r
""".encode()
