"""The published JSON Schema of the case document (2020-12). Pure."""

from __future__ import annotations

from typing import Any, Final

from bridge.domain.shared_case import MAX_ATTACHMENTS, MAX_FEEDBACK, CaseStatus
from bridge.wire.case_document import MAX_LINE, MAX_WORDS

ID: Final = "urn:bridge110:schema:case:1"
_CONTROLS: Final = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_LINE: Final = {
    "type": "string",
    "maxLength": MAX_LINE,
    "pattern": f"^[^{_CONTROLS}]*$",
}
_WORDS: Final = {
    "type": "string",
    "maxLength": MAX_WORDS,
    "pattern": r"^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]*$",
}
_NAME: Final = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}
_TIME: Final = {"type": ["string", "null"], "format": "date-time"}


def case_schema() -> dict[str, Any]:
    """The schema of `bridge110.case/1`. Members not named here are allowed and ignored."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "bridge110.case/1",
        "description": "求助件在两个平台之间的文档;不认识的成员忽略,同一主版本互通 / one case "
        "between two platforms; unknown members are ignored, any version of the major is spoken",
        "type": "object",
        "required": ["schema", "case"],
        "properties": {
            "schema": {"type": "string", "pattern": r"^bridge110\.case/1(\.[0-9]{1,4})?$"},
            "case": {**_NAME, "description": "案件编号,由受理方编定 / number at the origin"},
            "origin": {**_NAME, "description": "最初受理的站点 / where the case was opened"},
            "class": {"enum": ["", "POLICE", "URGENT", "GENERAL"]},
            "category": _LINE,
            "area": _LINE,
            "place": _LINE,
            "words": _WORDS,
            "caller": {
                "type": "object",
                "properties": {
                    "number": {"type": "string", "pattern": r"^\+?[0-9]{0,20}$"},
                    "name": _LINE,
                },
            },
            "occurred_at": _TIME,
            "received_by": _LINE,
            "call": {**_LINE, "description": "来电振铃中 X-Case-Id 的值 / X-Case-Id of the ring"},
            "handoff": {
                "type": "object",
                "properties": {
                    "id": _LINE,
                    "requested_at": _TIME,
                    "accepted_at": _TIME,
                    "by": _LINE,
                },
            },
            "status": {**_LINE, "examples": [status.value for status in CaseStatus]},
            "feedback": {
                "type": "array",
                "maxItems": MAX_FEEDBACK,
                "items": {
                    "type": "object",
                    "required": ["at"],
                    "properties": {
                        "at": {"type": "string", "format": "date-time"},
                        "kind": _LINE,
                        "words": _WORDS,
                        "by": _LINE,
                    },
                },
            },
            "ticket": {**_LINE, "description": "对方工单号 / the other desk's own number"},
            "attachments": {
                "type": "array",
                "maxItems": MAX_ATTACHMENTS,
                "items": {
                    "type": "object",
                    "required": ["sha256", "url"],
                    "properties": {
                        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                        "type": _LINE,
                        "url": {"type": "string", "pattern": r"^https?://[!-~]{1,500}$"},
                    },
                },
            },
            "revision": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1_000_000_000,
                "description": "每次修改加一;不写则视为最新 / counts changes; without it the "
                "document is taken as the newest",
            },
            "changed_at": _TIME,
            "changed_by": _LINE,
        },
    }
