"""Reads what comes back by mail: a person's reply, or what a machine wrote. Pure.

A reply counts only by its code, and only by what its writer wrote anew: the text that mail
programs quote below holds our own code (orders sheet, section 2). Bounces, receipts and automatic
answers never count; a bounce or receipt of a mail of ours is told as what became of its attempt.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses
from enum import StrEnum
from html.parser import HTMLParser
from typing import Final

from bridge.channels.mail_message import ADDRESS, attempt_of
from bridge.domain.code import codes_in
from bridge.domain.delivery import ChannelKind, Received, Says

MAX_TEXT: Final = 20_000
"""Characters looked at."""
MAX_WORDS: Final = 2_000
"""Characters kept of what a person wrote."""
MAX_PARTS: Final = 50


class ReplyKind(StrEnum):
    """What a mail in our mailbox is."""

    PERSON = "person"
    AUTOMATIC = "automatic"
    BOUNCE = "bounce"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Reply:
    """A mail, read. `attempt`: of a bounce or receipt, where it names a mail of ours."""

    kind: ReplyKind
    source: str
    key: str
    words: str
    codes: Sequence[str] = ()
    attempt: str | None = None
    reason: str = ""

    def received(self, at: datetime) -> Received:
        """For the desk. Without exactly one code a person must look."""
        automatic = self.kind is not ReplyKind.PERSON
        code = self.codes[0] if len(self.codes) == 1 and not automatic else None
        return Received(
            channel=ChannelKind.MAIL,
            source=self.source,
            at=at,
            key=self.key,
            says=Says.SIGN if code is not None else Says.NOTHING,
            code=code,
            words=self.words,
            automatic=automatic,
        )


def read_mail(data: bytes, keys: Sequence[bytes]) -> Reply:
    """Read one mail. Never raises for what stands in it; `keys` know our own Message-IDs.

    What the parser fails on (parts nested too deep, say) is a person's to look at.
    """
    try:
        return _read(data, keys)
    except Exception as error:  # noqa: BLE001  anybody can send one: it must end nothing
        words = "邮件无法解析,请在信箱中查看 / this mail cannot be read; look into the mailbox"
        return Reply(ReplyKind.PERSON, "", _key(data), words, reason=type(error).__name__)


def _read(data: bytes, keys: Sequence[bytes]) -> Reply:
    mail = BytesParser(policy=policy.compat32).parsebytes(data)
    source = _source(mail)
    key = _key(data)
    kind, reason = _machine(mail)
    attempt = None
    if kind in _ABOUT_OURS:
        attempt = next(filter(None, (attempt_of(one, keys) for one in _named(mail))), None)
    text = _own_words(_text(mail))
    words = "".join(one if one.isprintable() or one == "\n" else "〓" for one in text).strip()
    codes: list[str] = []
    if kind is ReplyKind.PERSON:
        codes = codes_in(re.sub(r"(?<![0-9])([0-9]{4})[ -]([0-9]{4})(?![0-9])", r"\1\2", words))
    return Reply(kind, source, key, words[:MAX_WORDS], codes, attempt, reason)


_ABOUT_OURS: Final = frozenset(
    {ReplyKind.BOUNCE, ReplyKind.DELAYED, ReplyKind.DELIVERED, ReplyKind.READ}
)


def _source(mail: Message) -> str:
    """The one address it says it is from, small letters; empty where that is not clear."""
    found = getaddresses([str(one) for one in mail.get_all("From", [])])
    if len(found) != 1 or ADDRESS.fullmatch(found[0][1]) is None:
        return ""
    return found[0][1].lower()


def _key(data: bytes) -> str:
    """The same for the same mail read twice; by its Message-ID one mail could hide another."""
    return f"mail-{hashlib.sha256(data).hexdigest()[:32]}"


# Machines


_AUTO_HEADERS: Final = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-response",
    "x-mail-autoreply",
    "x-failed-recipients",
    "list-id",
    "list-unsubscribe",
    "feedback-id",
)
_AUTO_PRECEDENCE: Final = frozenset({"bulk", "junk", "list", "auto_reply"})
_AUTO_SENDERS: Final = re.compile(
    r"(?:mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?|autoreply)(?:[+.@-]|$)", re.I
)
_AUTO_SUBJECTS: Final = re.compile(
    r"自动(?:回复|答复|应答)|不在办公室|外出|休假|系统退信|退信|已读[::回]|阅读回执|"
    r"auto(?:matic)?[- ]?(?:reply|response)|out of (?:the )?office|undeliver|delivery (?:status|"
    r"failure)|returned mail|mail delivery|read(?: receipt)?:|vacation",
    re.I,
)


def _machine(mail: Message) -> tuple[ReplyKind, str]:
    """Whether a machine wrote it, and by what that is seen (RFC 3834, 3464, 8098)."""
    report = str(mail.get_param("report-type", "") or "").lower()
    if mail.get_content_type() == "multipart/report":
        if report == "disposition-notification":
            return ReplyKind.READ, "report: disposition"
        if report == "delivery-status":
            return _delivery(mail), "report: delivery status"
        return ReplyKind.AUTOMATIC, f"report: {report[:40]}"
    submitted = str(mail.get("Auto-Submitted", "no")).partition(";")[0].strip().lower()
    if submitted != "no":
        return ReplyKind.AUTOMATIC, f"Auto-Submitted: {submitted[:40]}"
    if str(mail.get("Precedence", "")).strip().lower() in _AUTO_PRECEDENCE:
        return ReplyKind.AUTOMATIC, "Precedence"
    if named := [name for name in _AUTO_HEADERS if mail.get(name) is not None]:
        return ReplyKind.AUTOMATIC, named[0]
    if str(mail.get("Return-Path", "-")).strip() in ("<>", ""):
        return ReplyKind.AUTOMATIC, "empty return path"
    if _AUTO_SENDERS.match(_source(mail)):
        return ReplyKind.AUTOMATIC, "sender"
    if _AUTO_SUBJECTS.search(_subject(mail)):
        return ReplyKind.AUTOMATIC, "subject"
    return ReplyKind.PERSON, ""


def _delivery(mail: Message) -> ReplyKind:
    """RFC 3464: the worst that any recipient's `Action` says."""
    actions = {
        str(block.get("Action", "")).strip().lower()
        for part in _parts(mail)
        if part.get_content_type() == "message/delivery-status"
        for block in _blocks(part)
    }
    if "failed" in actions:
        return ReplyKind.BOUNCE
    if actions & {"delivered", "relayed", "expanded"}:
        return ReplyKind.DELIVERED
    return ReplyKind.DELAYED if "delayed" in actions else ReplyKind.BOUNCE


def _named(mail: Message) -> Iterator[str]:
    """Message-IDs that a report says it is about."""
    for part in _parts(mail):
        kind = part.get_content_type()
        if kind == "message/disposition-notification":
            for block in _blocks(part):
                yield str(block.get("Original-Message-ID", ""))
        elif kind in ("message/rfc822", "text/rfc822-headers"):
            if kind == "message/rfc822":
                for inner in _blocks(part):
                    yield str(inner.get("Message-ID", ""))
            else:
                headers = BytesParser(policy=policy.compat32).parsebytes(_bytes(part))
                yield str(headers.get("Message-ID", ""))


def _blocks(part: Message) -> list[Message]:
    inside = part.get_payload()
    return [one for one in inside if isinstance(one, Message)] if isinstance(inside, list) else []


def _parts(mail: Message) -> Iterator[Message]:
    for number, part in enumerate(mail.walk()):
        if number >= MAX_PARTS:
            return
        yield part


# What a person wrote


def _text(mail: Message) -> str:
    """The first plain text, else the first HTML without its tags."""
    plain = page = None
    for part in _parts(mail):
        if part.get_filename() or part.is_multipart():
            continue
        if plain is None and part.get_content_type() == "text/plain":
            plain = _words(part)
        elif page is None and part.get_content_type() == "text/html":
            page = _words(part)
    if plain is not None and plain.strip():
        return plain
    return _without_tags(page or "")


def _bytes(part: Message) -> bytes:
    found = part.get_payload(decode=True)
    return found if isinstance(found, bytes) else b""


def _words(part: Message) -> str:
    data = _bytes(part)[: 4 * MAX_TEXT]
    charset = str(part.get_content_charset() or "utf-8")
    charset = "gb18030" if charset in ("gb2312", "gbk") else charset
    try:
        return data.decode(charset, "replace")[:MAX_TEXT]
    except LookupError:
        return data.decode("utf-8", "replace")[:MAX_TEXT]


def _subject(mail: Message) -> str:
    """Encoded words and plain octets as text; read for nothing but answering machines."""
    raw = next((str(value) for name, value in mail.raw_items() if name.lower() == "subject"), "")
    octets = raw[:1_000].encode("utf-8", "surrogateescape")
    try:
        plain = octets.decode("utf-8")
    except UnicodeDecodeError:
        plain = octets.decode("gb18030", "replace")
    try:
        parts = decode_header(re.sub(r"[\r\n]+\s*", " ", plain))
        return "".join(
            part if isinstance(part, str) else part.decode(charset or "utf-8", "replace")
            for part, charset in parts
        )
    except (ValueError, LookupError, HeaderParseError):
        return plain


class _Page(HTMLParser):
    """The words of a page until its first quotation."""

    QUOTES = frozenset({"blockquote"})
    SILENT = frozenset({"script", "style", "head", "title"})
    LINES = frozenset({"p", "div", "br", "tr", "li", "hr"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._silent = 0
        self._quoted = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = " ".join(value or "" for name, value in attrs if name in ("id", "class"))
        if tag in self.QUOTES or re.search(
            r"gmail_quote|divRplyFwdMsg|isReplyContent|quote", names
        ):
            self._quoted = True
        self._silent += tag in self.SILENT
        if tag in self.LINES:
            self.handle_data("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in self.SILENT))
        if tag in self.LINES:
            self.handle_data("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent and not self._quoted:
            self.words.append(data)


def _without_tags(page: str) -> str:
    reader = _Page()
    reader.feed(page)
    return "".join(reader.words)


_QUOTED_FROM: Final = re.compile(
    r"\s*(?:"
    r"[>|》]"
    r"|-{2,}\s*(?:原始邮件|原邮件|转发邮件|回复的?邮件|original message|forwarded message).*"
    r"|_{5,}\s*"
    r"|(?:发件人|寄件者|发送时间|from|sent)\s*[:：].*"
    r"|(?:在|于)\s?.{0,200}(?:写道|写到|寫道)\s*[:：]?\s*"
    r"|.{0,200}(?:写道|寫道)\s*[:：]\s*"
    r"|on\b.{0,300}\bwrote\s*:\s*"
    r"|begin forwarded message.*"
    r")\Z",
    re.I,
)
_OURS: Final = ("回执码", "受令单位", "指令编号")
"""Labels of our own sheet: a line with one was copied from it."""


def _own_words(text: str) -> str:
    """What stands above the quotation; lines copied from our sheet are left out."""
    kept: list[str] = []
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines):
        two = f"{line} {lines[number + 1]}" if number + 1 < len(lines) else line
        if line.strip() and (_QUOTED_FROM.match(line) or _opens_two(line, two)):
            break
        if not any(label in line for label in _OURS):
            kept.append(line)
    return "\n".join(kept)


def _opens_two(line: str, two: str) -> bool:
    """`On … wrote:` broken over two lines."""
    opens = re.match(r"\s*(?:on\b|在|于)", line, re.I) is not None
    return opens and _QUOTED_FROM.match(two) is not None
