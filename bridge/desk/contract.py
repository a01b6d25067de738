"""The events' contract, AsyncAPI 3.0 with JSON Schema 2020-12, made from the table of events.

Tests check every message that is sent against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from bridge.desk import shapes
from bridge.desk.bodies import Do, DoOrder, Hello, Subscribe
from bridge.domain.case_file import Mode
from bridge.domain.delivery import A, ChannelKind
from bridge.domain.onward import AFTER, DURING
from bridge.domain.order_state import O
from bridge.domain.shared_case import CaseStatus
from bridge.flows.cti_events import CALL_EVENTS, EVENT_TYPES, SEAT_EVENTS
from bridge.flows.order_events import ORDER_EVENTS

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
TRUTH: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "integer"}
TIME: Schema = {"type": "string", "format": "date-time"}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _object(members: Mapping[str, Schema], optional: Sequence[str] = ()) -> Schema:
    return {
        "type": "object",
        "properties": dict(members),
        "required": [name for name in members if name not in optional],
    }


LEG_LINE = _object(
    {
        "leg": TEXT,
        "role": {"enum": ["citizen", "seat", "hotline", "unit", "leader", "radio"]},
        "seat": _or_null(TEXT),
        "number": TEXT,
        "state": {"enum": ["null", "initiated", "alerting", "connected", "hold"]},
        "since": _or_null(TIME),
        "talking": TRUTH,
        "muted": TRUTH,
    }
)
_PARTY = {"role": _or_null(TEXT), "number": _or_null(TEXT), "handoff": _or_null(TEXT)}
_STATE = {
    "from": _or_null(TEXT),
    "why": _or_null(TEXT),
    "legs": {"type": "array", "items": LEG_LINE},
    "possible": {"type": "array", "items": TEXT},
}
_HANDOFF = {
    "handoff": TEXT,
    "kind": _or_null(TEXT),
    "target": _or_null(TEXT),
    "from": _or_null(TEXT),
    "outcome": _or_null(TEXT),
    "learnt": TRUTH,
}
_AGENT = {
    "state": TEXT,
    "agent": TEXT,
    "reason": TEXT,
    "since": _or_null(TIME),
    "next_state": _or_null(TEXT),
    "until": _or_null(TIME),
    "phone": TEXT,
}
_LINK = {
    "state": {"enum": ["up", "degraded", "down"]},
    "detail": TEXT,
    "since": TIME,
}
_ALARM = {"alarm": TEXT, "words": TEXT, "since": TIME}

_TEXTS = {"type": "array", "items": TEXT}
_ORDER = {
    "order": TEXT,
    "unit": TEXT,
    "state": {"enum": [state.value for state in O]},
    "overdue": _TEXTS,
    "disputed": TRUTH,
    "drill": TRUTH,
}
_ATTEMPT = {
    "attempt": TEXT,
    "channel": {"enum": [channel.value for channel in ChannelKind]},
    "whom": TEXT,
    "number": NUMBER,
    "attempt_state": {"enum": [state.value for state in A]},
    "cause": _or_null(TEXT),
    "detail": TEXT,
    "repeat": TRUTH,
    "next_try_at": _or_null(TIME),
}
_OF_ORDER: dict[str, dict[str, Schema]] = {
    "order.created": {"confirmation_asked": TRUTH},
    "order.dispatched": {"round": NUMBER},
    "order.reminded": {"round": NUMBER, "reminder": NUMBER},
    "order.step": {"step": NUMBER, "due": _or_null(TIME), "whom": _or_null(TEXT)},
    "order.acknowledged": {"by": TEXT, "channel": TEXT, "proof": TEXT, "again": TRUTH},
    "order.inHand": {"by": TEXT, "reference": TEXT},
    "order.disputed": {"by": TEXT, "words": TEXT},
    "order.disputeDecided": {"by": TEXT, "outcome": TEXT, "words": TEXT},
    "order.reported": {
        "report": TEXT,
        "says": TEXT,
        "by": TEXT,
        "channel": TEXT,
        "words": TEXT,
        "incomplete": TRUTH,
        "happened_at": TIME,
        "promised_at": _or_null(TIME),
        "equipment": TEXT,
        "delay_reason": TEXT,
        "attachments": _TEXTS,
    },
    "order.onward": {
        "whom": TEXT,
        "stage": {"enum": [DURING, AFTER]},
        "words": TEXT,
        "by": TEXT,
        "new_order": TEXT,
    },
    "order.lateReport": {"says": TEXT, "by": TEXT, "channel": TEXT, "words": TEXT},
    "order.informed": {"who": {"enum": ["centre", "citizen"]}, "channel": TEXT},
    "order.cancelled": {"reason": TEXT},
    "order.redirected": {"channel": TEXT, "number": TEXT, "reason": TEXT},
    "order.closed": {"missing": _TEXTS},
    "clock.started": {"clock": TEXT, "limit_s": NUMBER, "start": TEXT, "due": TIME},
    "clock.met": {"clock": TEXT, "met_at": TIME, "late_s": {"type": "number"}},
    "clock.missed": {"clock": TEXT, "limit_s": NUMBER},
}

_GIVEN = {
    "klass": TEXT,
    "category": TEXT,
    "grade": NUMBER,
    "area": TEXT,
    "place": TEXT,
    "words": TEXT,
    "caller_name": TEXT,
    "drill": TRUTH,
}
_COMMAND = {
    "by": TEXT,
    "from": TEXT,
    "mode": {"enum": [mode.value for mode in Mode]},
    "holder": TEXT,
    "plan": TEXT,
    "body": TEXT,
    "reported_at": _or_null(TIME),
    "orders": _TEXTS,
    "why": TEXT,
}

_PEER_CASE = {
    "id": TEXT,
    "status": {"enum": [status.value for status in CaseStatus]},
    "from": _or_null(TEXT),
    "to": _TEXTS,
    "ticket": TEXT,
    "document": {"type": "object"},
}

_OF_CALL: dict[str, dict[str, Schema]] = {
    "call.offered": {
        "caller": _object({"number": TEXT, "display": TEXT, "verified": TRUTH}),
        "dialled": TEXT,
        "back": _or_null(TEXT),
    },
    "call.originated": {
        "role": TEXT,
        "name": TEXT,
        "to": TEXT,
        "handoff": _or_null(TEXT),
        "mode": _or_null(TEXT),
    },
    "leg.muted": {"on": TRUTH},
    "call.state": _STATE,
    "call.conferenced": _STATE,
    "call.queued": _STATE,
    "call.alone": {"cause": _or_null(NUMBER)},
    "call.ending": {"by": TEXT},
    "call.callback": {"number": TEXT, "reason": TEXT},
    "call.unobserved": {"from": TIME, "to": TIME},
    "call.connectionCleared": {
        "cause": _or_null(NUMBER),
        "left": {"type": "array", "items": TEXT},
        "next": {"enum": ["stays", "ended", None]},
    },
    "call.cleared": {"outcome": TEXT, "cause": _or_null(NUMBER)},
    "recording.closed": {},
    "call.transferred": _HANDOFF,
}


def data_schema(type: str) -> Schema:
    """The schema of `data` in events of that type."""
    if type in SEAT_EVENTS:
        return _object(_AGENT)
    if type.startswith("link."):
        return _object(_LINK)
    if type.startswith("alarm."):
        return _object(_ALARM)
    if type == "fax.board":
        return {"$ref": "#/components/schemas/FaxBoard"}
    if type == "heartbeat":
        return _object({"now": TIME, "seq": NUMBER})
    if type in ORDER_EVENTS:
        own = _ATTEMPT if type.startswith("attempt.") else _OF_ORDER.get(type, {})
        return _object({**_ORDER, **own})
    if type == "peer.case":
        return _object(_PEER_CASE)
    if type == "peer.delivered":
        return _object({"id": TEXT, "peer": TEXT, "delay_ms": NUMBER})
    if type == "case.described":
        return _object({"by": TEXT, **_GIVEN}, optional=[*_GIVEN])
    if type == "case.attached":
        return _object({"by": TEXT, "attachments": _TEXTS})
    if type == "paper.printed":
        return _object({"by": TEXT, "paper": TEXT, "kind": TEXT, "title": TEXT, "pages": NUMBER})
    if type == "case.command":
        return _object(_COMMAND)
    if type == "leg.talking":
        return _object({"on": TRUTH})
    if type == "radio.ptt":
        return _object({"leg": TEXT, "group": TEXT, "on": TRUTH, "why": TEXT})
    if type not in {name for name, _ in CALL_EVENTS.values()}:
        return _object({})
    members = _HANDOFF if type.startswith("handoff.") else _OF_CALL.get(type, _PARTY)
    return _object({**members, "state": TEXT, "learnt_at": TIME}, optional=["learnt_at"])


def event_schema(type: str) -> Schema:
    """The envelope of softphone sheet 7.4 around that data."""
    cause = {
        "anyOf": [{"type": "null"}, _object({"command": TEXT, "code": TEXT})],
    }
    return _object(
        {
            "v": {"const": 1},
            "epoch": TEXT,
            "seq": {"type": "integer", "minimum": 0},
            "at": TIME,
            "type": {"const": type},
            "case": _or_null(TEXT),
            "call": _or_null(TEXT),
            "leg": _or_null(TEXT),
            "seat": _or_null(TEXT),
            "cause": cause,
            "data": data_schema(type),
        }
    ) | {"additionalProperties": False}


def _dialogue() -> dict[str, Schema]:
    """Messages with `op` that the server sends."""
    problem = {"$ref": "#/components/schemas/ProblemDoc"}
    return {
        "welcome": _object(
            {
                "op": {"const": "welcome"},
                "epoch": TEXT,
                "seq": NUMBER,
                "now": TIME,
                "heartbeat_s": {"type": "number"},
                "name": TEXT,
                "role": {"enum": ["T", "L", "E", "U", "A", "P"]},
                "seat": _or_null(TEXT),
                "snapshot": {"$ref": "#/components/schemas/Snapshot"},
            },
            optional=["snapshot"],
        ),
        "accepted": _object(
            {
                "op": {"const": "accepted"},
                "id": TEXT,
                "status": NUMBER,
                "answer": {"type": "object"},
            }
        ),
        "refused": _object({"op": {"const": "refused"}, "id": _or_null(TEXT), "problem": problem}),
    }


def asyncapi() -> Schema:
    """The whole document, as served at /api/v1/asyncapi.json."""
    sent = {**{type: event_schema(type) for type in EVENT_TYPES}, **_dialogue()}
    _, received = models_json_schema(
        [(kind, "validation") for kind in (Hello, Do, DoOrder, Subscribe)],
        ref_template="#/components/schemas/{model}",
    )
    _, answered = models_json_schema(
        [(shapes.Snapshot, "serialization"), (shapes.ProblemDoc, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    schemas = {**received["$defs"], **answered["$defs"]}
    taken = {name.lower(): {"$ref": f"#/components/schemas/{name}"} for name in _TAKEN}
    messages = {
        name: {"name": name, "payload": schema} for name, schema in {**sent, **taken}.items()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "bridge110 events", "version": "1.0.0"},
        "defaultContentType": "application/json",
        "channels": {
            "cti": {"address": "/cti", "messages": _refs("components/messages", messages)}
        },
        "operations": {
            "onEvents": _operation("send", sent),
            "onMessages": _operation("receive", taken),
        },
        "components": {"messages": messages, "schemas": schemas},
    }


_TAKEN = ("Hello", "Do", "DoOrder", "Subscribe")


def _refs(where: str, names: Mapping[str, Any]) -> dict[str, Schema]:
    return {name: {"$ref": f"#/{where}/{name}"} for name in names}


def _operation(action: str, names: Mapping[str, Any]) -> Schema:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/cti"},
        "messages": list(_refs("channels/cti/messages", names).values()),
    }
