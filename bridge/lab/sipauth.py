"""Digest authentication with MD5 (RFC 2617, RFC 3261 section 22), as telephones do it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import md5

from bridge.lab.sip import SipError, SipMessage

_PAIR = re.compile(r'([a-zA-Z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks in WWW-Authenticate or Proxy-Authenticate."""

    realm: str
    nonce: str
    opaque: str
    qop: bool
    proxy: bool


def challenge(message: SipMessage) -> Challenge:
    """The MD5 challenge of a 401 or 407. Raises SipError when there is none."""
    proxy = message.status == 407
    name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
    for value in message.headers.all(name):
        scheme, _, rest = value.partition(" ")
        pairs = {key.lower(): quoted or plain for key, quoted, plain in _PAIR.findall(rest)}
        if scheme.lower() != "digest" or pairs.get("algorithm", "MD5").upper() != "MD5":
            continue
        if "realm" not in pairs or "nonce" not in pairs:
            raise SipError(f"{name} without realm or nonce")
        qop = "auth" in [word.strip() for word in pairs.get("qop", "").split(",")]
        return Challenge(pairs["realm"], pairs["nonce"], pairs.get("opaque", ""), qop, proxy)
    raise SipError(f"{message.status} without an MD5 challenge in {name}")


def credentials(
    asked: Challenge, user: str, secret: str, method: str, uri: str, cnonce: str
) -> tuple[str, str]:
    """Name and value of the header field that answers `asked`, for the first use of its nonce."""
    first = _hash(f"{user}:{asked.realm}:{secret}")
    second = _hash(f"{method}:{uri}")
    parts = [
        f'username="{user}"',
        f'realm="{asked.realm}"',
        f'nonce="{asked.nonce}"',
        f'uri="{uri}"',
        "algorithm=MD5",
    ]
    if asked.qop:
        middle = f"{asked.nonce}:00000001:{cnonce}:auth"
        parts += ["qop=auth", "nc=00000001", f'cnonce="{cnonce}"']
    else:
        middle = asked.nonce
    parts.append(f'response="{_hash(f"{first}:{middle}:{second}")}"')
    if asked.opaque:
        parts.append(f'opaque="{asked.opaque}"')
    name = "Proxy-Authorization" if asked.proxy else "Authorization"
    return name, "Digest " + ", ".join(parts)


def _hash(text: str) -> str:
    return md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
