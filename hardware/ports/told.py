"""What drivers tell, as the bodies of messages to the owner. Pure."""

from __future__ import annotations

import base64
from typing import Any

from hardware.radio.events import (
    CallChange,
    Delivery,
    EmergencyIn,
    FaxBoard,
    FaxPageIn,
    Health,
    LocationIn,
    RadioEvent,
    RawIn,
    StatusIn,
    TextIn,
    UnreadableIn,
)

Body = dict[str, Any]


def channel_of(driver: str) -> str:
    """The wire of an order that a driver's received things belong to."""
    return driver if driver in ("sms", "fax") else "radio"


def thing(seq: int, body: Body) -> Body:
    """What is said until it is acknowledged."""
    return {"type": "thing", "seq": seq, "body": body}


def kept(event: RadioEvent) -> Body | None:
    """What came in and is kept until the owner has stored it; None for what is not."""
    match event:
        case TextIn(source, target, text, _, _, whole):
            names = {"source": source, "target": target, "text": text, "whole": whole}
            return {"kind": "text"} | names
        case UnreadableIn(source, data, why, _):
            return {"kind": "unreadable", "source": source, "hex": data[:256].hex(), "why": why}
        case StatusIn(source, _, value, False):
            return {"kind": "status", "source": source, "value": value}
        case FaxPageIn(source, document, page, of, whole, tiff, spool):
            names = {"source": source, "document": document, "page": page, "of": of}
            names |= {"spool": spool} if spool else {}
            octets = base64.b64encode(tiff).decode()
            return {"kind": "fax"} | names | {"whole": whole, "tiff": octets}
        case EmergencyIn(source, how):
            return {"kind": "emergency", "source": source, "how": how}
    return None


def progress(key: str, event: Delivery) -> Body:
    """A step of a job."""
    return {
        "kind": "progress",
        "key": key,
        "stage": event.stage,
        "why": event.why,
        "detail": event.detail,
        "stored": event.stored,
        "data": dict(event.data),
    }


def health(gateway: str, event: Health) -> Body:
    """How a gateway is now."""
    names = {"usable": event.usable, "words": event.words, "dbm": event.dbm}
    return {"type": "health", "gateway": gateway} | names


def board(gateway: str, event: FaxBoard) -> Body:
    """The modems of a gateway now."""
    rows = {"modems": list(event.modems), "waiting": list(event.waiting), "paused": event.paused}
    return {"type": "board", "gateway": gateway} | rows


def passing(gateway: str, event: RadioEvent) -> Body | None:
    """What is shown while it happens and not kept; None for everything else."""
    body: Body = {"type": "event", "gateway": gateway}
    match event:
        case Health():
            return health(gateway, event)
        case FaxBoard():
            return board(gateway, event)
        case CallChange(state=state, peer=peer):
            return body | {"kind": "call", "state": state, "peer": peer}
        case LocationIn(source, place):
            where = {"latitude": place.latitude, "longitude": place.longitude}
            return body | {"kind": "location", "source": source} | where
        case RawIn(source, data, why):
            return body | {"kind": "raw", "source": source, "hex": data[:256].hex(), "why": why}
    return None
