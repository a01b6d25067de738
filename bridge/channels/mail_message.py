"""An order as a mail: own words in the header, everything else in the body. Pure.

What was produced is parsed again before it is sent: a header that we did not make is an error of
ours, never a mail (guard S14; stock Python writes injected headers, guard section 2.6).
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime
from typing import Final

from bridge.domain.attachment import media_of
from bridge.domain.delivery import OrderSheet
from bridge.domain.paper import Paper
from bridge.wire.ack_link import short_mac

ADDRESS: Final = re.compile(
    r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,188}[A-Za-z0-9])?"
)
OWN_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
"""Order numbers and attempts as they may stand in a header."""
HEADERS: Final = frozenset(
    {
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "auto-submitted",
        "x-auto-response-suppress",
        "mime-version",
        "content-type",
    }
)
_MESSAGE_ID: Final = re.compile(
    r"<?b110\.([A-Za-z0-9._:=-]{1,200})\.([0-9a-f]{16})@[^<>@\s]{1,255}>?"
)


class MessageError(ValueError):
    """The order cannot be put into a mail; the text says why."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail ready to go: its octets with CRLF, and whom it is for."""

    message_id: str
    sender: str
    recipients: Sequence[str]
    data: bytes


def message_id(attempt: str, sender: str, key: bytes) -> str:
    """The same for the same attempt, so that a mail sent twice is known as one."""
    if OWN_WORD.fullmatch(attempt) is None:
        raise MessageError(f"attempt {attempt!r} cannot stand in a header")
    return f"<b110.{attempt}.{short_mac(key, attempt)}@{sender.rpartition('@')[2]}>"


def attempt_of(identifier: str, keys: Sequence[bytes]) -> str | None:
    """The attempt that a Message-ID of ours names, or None where it is not ours."""
    found = _MESSAGE_ID.fullmatch(identifier.strip())
    if found is None or found[2] not in [short_mac(key, found[1]) for key in keys]:
        return None
    return found[1]


def letter(
    sheet: OrderSheet,
    paper: Paper,
    *,
    attempt: str,
    sender: str,
    recipients: Sequence[str],
    link: str,
    key: bytes,
    now: datetime,
    files: Sequence[tuple[str, bytes]] = (),
    left_out: int = 0,
) -> Letter:
    """The mail of one attempt; `left_out` attachments are too large or gone.

    Raises MessageError.
    """
    for address in (sender, *recipients):
        if ADDRESS.fullmatch(address) is None:
            raise MessageError(f"{address!r} is no mail address")
    if not recipients:
        raise MessageError("nobody to send it to")
    if OWN_WORD.fullmatch(sheet.order) is None:
        raise MessageError(f"order number {sheet.order!r} cannot stand in a header")
    mail = EmailMessage(policy=policy.SMTP)
    identifier = message_id(attempt, sender, key)
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = subject(sheet)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = identifier
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: asks machines not to answer
    mail["X-Auto-Response-Suppress"] = "All"
    more = f"另有 {left_out} 个附件未能随信发送,请在终端查看或致电中心。\n" if left_out else ""
    mail.set_content(f"{paper.text}\n{more}{_invitation(link)}\n{link}\n", cte="base64")
    mail.add_alternative(_with_link(paper.html, link), subtype="html", cte="base64")
    mail.add_attachment(
        paper.pdf, maintype="application", subtype="pdf", filename=f"order-{sheet.order}.pdf"
    )
    for number, (name, content) in enumerate(files, 1):
        kind = name.rpartition(".")[2]
        main, _, sub = media_of(name).partition("/")
        mail.add_attachment(content, main, sub, filename=f"{sheet.order}-{number}.{kind}")
    data = mail.as_bytes()
    _prove(data)
    return Letter(identifier, sender, tuple(recipients), data)


def subject(sheet: OrderSheet) -> str:
    """Words of ours and the order's number, nothing that anybody has written."""
    marks = ["演练"] if sheet.drill else []
    marks += ["紧急"] if sheet.klass == "URGENT" else []
    marks += [f"第{sheet.reminder}次催办"] if sheet.reminder else []
    marks += ["可能重复"] if sheet.repeat else []
    return "".join(f"【{mark}】" for mark in marks) + f"联动指令 {sheet.order}"


def _invitation(link: str) -> str:
    return "签收请打开下面的链接并按“签收”;也可以回复本邮件并写上回执码。" if link else ""


def _with_link(page: str, link: str) -> str:
    if not link:
        return page
    before, end, after = page.rpartition("</body>")
    words = html.escape(_invitation(link))
    address = html.escape(link, quote=True)
    return f'{before}<p>{words}<br><a href="{address}">{address}</a></p>\n{end}{after}'


def _prove(data: bytes) -> None:
    """The header has the fields we made, each once, and every line ends in CRLF."""
    made = BytesParser(policy=policy.compat32).parsebytes(data)
    names = [name.lower() for name, _ in made.items()]
    if len(names) != len(set(names)) or set(names) != HEADERS:
        raise MessageError(f"the header came out as {sorted(names)}")
    if re.search(rb"(?<!\r)\n|\r(?!\n)", data):
        raise MessageError("a line does not end in CRLF")
