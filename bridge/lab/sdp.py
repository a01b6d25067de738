"""Session descriptions (RFC 8866) of one G.711 stream with telephone events, and the answer to an
offer (RFC 3264). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from bridge.lab.sip import SipError

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS: Final[tuple[Direction, ...]] = ("sendrecv", "sendonly", "recvonly", "inactive")
PCMU: Final = 0
PCMA: Final = 8
"""Static payload types (RFC 3551, table 4)."""
EVENTS: Final = 101
"""Our own dynamic payload type for telephone events (RFC 4733)."""

_MIRROR: Final[dict[Direction, Direction]] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
_LINE: Final = re.compile(r"([a-z])=(.*)")
_EVENT_MAP: Final = re.compile(r"rtpmap:(\d{1,3}) telephone-event/8000", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Session:
    """Where one party wants its audio, and in which forms, best first."""

    host: str
    port: int
    codecs: tuple[int, ...] = (PCMA, PCMU)
    events: int | None = EVENTS
    direction: Direction = "sendrecv"


def build(session: Session, version: int = 1) -> bytes:
    """The description; `version` grows with each change within a call."""
    types = [*session.codecs, *([] if session.events is None else [session.events])]
    names = {PCMU: "PCMU", PCMA: "PCMA"}
    lines = [
        "v=0",
        f"o=lab 1 {version} IN IP4 {session.host}",
        "s=lab",
        f"c=IN IP4 {session.host}",
        "t=0 0",
        f"m=audio {session.port} RTP/AVP {' '.join(map(str, types))}",
        *(f"a=rtpmap:{codec} {names[codec]}/8000" for codec in session.codecs),
    ]
    if session.events is not None:
        lines += [f"a=rtpmap:{session.events} telephone-event/8000"]
        lines += [f"a=fmtp:{session.events} 0-15"]
    lines += ["a=ptime:20", f"a={session.direction}", ""]
    return "\r\n".join(lines).encode("ascii")


def parse(data: bytes) -> Session:
    """The first audio stream. Raises SipError when there is none, or none in G.711."""
    host, port, events = "", -1, None
    types: list[int] = []
    direction: Direction = "sendrecv"
    kind = "session"
    for line in data.decode("utf-8", "replace").splitlines():
        if not (match := _LINE.fullmatch(line)):
            continue
        letter, value = match[1], match[2].strip()
        if letter == "m":
            kind = "audio" if value.startswith("audio ") and port < 0 else "other"
            if kind == "audio":
                port, types = _media(value)
        elif kind == "other":
            continue
        elif letter == "c" and (words := value.split())[:2] == ["IN", "IP4"] and len(words) == 3:
            host = words[2]
        elif letter == "a":
            direction = next((d for d in DIRECTIONS if d == value), direction)
            if (mapped := _EVENT_MAP.fullmatch(value)) and int(mapped[1]) in types:
                events = int(mapped[1])
    codecs = tuple(t for t in types if t in (PCMA, PCMU))
    if port < 0 or not host or not codecs:
        raise SipError("no audio stream in G.711 in the session description")
    return Session(host, port, codecs, events, direction)


def _media(value: str) -> tuple[int, list[int]]:
    words = value.split()
    if len(words) < 4 or not words[1].isdigit() or int(words[1]) > 65535:
        raise SipError(f"m={value[:60]!r}")
    return int(words[1]), [int(word) for word in words[3:] if word.isdigit() and int(word) < 128]


def answer(offer: Session, own: Session) -> Session:
    """Our side of `offer`: its best form that we have, its number for telephone events, and the
    direction that fits both sides. Raises SipError when no form is common."""
    common = next((codec for codec in offer.codecs if codec in own.codecs), None)
    if common is None:
        raise SipError("no codec in common")
    theirs = _MIRROR[offer.direction]
    sends = "send" in own.direction and "send" in theirs
    hears = "recv" in own.direction and "recv" in theirs
    words: dict[tuple[bool, bool], Direction] = {
        (True, True): "sendrecv",
        (True, False): "sendonly",
        (False, True): "recvonly",
        (False, False): "inactive",
    }
    return Session(own.host, own.port, (common,), offer.events, words[sends, hears])


def sends(direction: Direction) -> bool:
    """Whether who describes itself so may send audio."""
    return direction in ("sendrecv", "sendonly")
