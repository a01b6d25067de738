"""The case document: what we write is as published, and what others write is read or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from bridge.domain.shared_case import (
    MAX_ATTACHMENTS,
    Attachment,
    CaseStatus,
    Feedback,
    SharedCase,
    said,
)
from bridge.wire.case_document import MAX_BYTES, DocumentError, decode, document, encode
from bridge.wire.case_schema import case_schema
from tests.domain.cases import CALM, cases
from tests.domain.test_shared_case import NOW

SCHEMA = Draft202012Validator(case_schema(), format_checker=FormatChecker())
CASE = SharedCase(
    "C-1",
    "linyi",
    "URGENT",
    place="某路",
    words="水管爆裂\n积水",
    changed_at=NOW,
    changed_by="linyi",
)


def spoiled(**members: object) -> bytes:
    return json.dumps({**document(CASE), **members}).encode()


@CALM
@given(cases())
def test_what_is_written_is_as_published_and_read_back(case: SharedCase) -> None:
    data = encode(case)
    SCHEMA.validate(json.loads(data))
    assert decode(data, peer="12345") == case
    assert encode(decode(data, peer="12345")) == data


def test_the_schema_itself_is_sound() -> None:
    Draft202012Validator.check_schema(case_schema())


@pytest.mark.req("LY-09")
@pytest.mark.parametrize(
    "version", ["bridge110.case/1", "bridge110.case/1.0", "bridge110.case/1.12"]
)
def test_any_version_of_the_major_is_spoken(version: str) -> None:
    newer = {"schema": version, "urgency_score": 7, "status": "on-hold", "nested": {"x": [1]}}
    case = decode(spoiled(**newer), peer="12345")
    assert case.place == "某路"
    assert case.status is CaseStatus.HANDLING  # a status of a later version: it is in hand


@pytest.mark.parametrize(
    "version", ["bridge110.case/2", "bridge110.case/10", "bridge110.case/1.", "", None, 1]
)
def test_another_major_is_refused(version: object) -> None:
    with pytest.raises(DocumentError, match="schema"):
        decode(spoiled(schema=version), peer="12345")


def test_a_short_document_of_a_plain_peer_is_enough() -> None:
    case = decode(b'{"schema":"bridge110.case/1","case":"5-7"}', peer="12345")
    assert (case.id, case.revision) == ("12345/5-7", None)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"case": ""}, "case"),
        ({"case": "../x"}, "case"),
        ({"case": None}, "case"),
        ({"class": "RED"}, "class"),
        ({"words": "a\x00b"}, "words"),
        ({"words": "a\x1bb"}, "words"),
        ({"words": "a\ud800"}, "words"),
        ({"place": "a\nb"}, "place"),
        ({"place": 7}, "place"),
        ({"words": "x" * 4001}, "words"),
        ({"place": "x" * 201}, "place"),
        ({"caller": []}, "caller"),
        ({"caller": {"number": "110&119"}}, "caller.number"),
        ({"caller": {"number": "１１０"}}, "caller.number"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "2026-03-01T08:00:00"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"handoff": {"accepted_at": 7}}, "handoff.accepted_at"),
        ({"feedback": {}}, "feedback"),
        ({"feedback": [1]}, "feedback.0"),
        ({"feedback": [{"words": "x"}]}, "feedback.0.at"),
        ({"feedback": [{"at": "2026-03-01T08:00:00Z"}] * 201}, "feedback"),
        ({"attachments": [{"sha256": "0" * 64, "url": "file:///etc/passwd"}]}, "attachments.0.url"),
        ({"attachments": [{"sha256": "x", "url": "https://a"}]}, "attachments.0.sha256"),
        (
            {"attachments": [{"sha256": "0" * 64, "url": "https://[x/y"}]},
            "attachments.0.url",
        ),
        ({"revision": 0}, "revision"),
        ({"revision": True}, "revision"),
        ({"revision": 1.5}, "revision"),
        ({"revision": 10**12}, "revision"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(members: dict[str, Any], place: str) -> None:
    with pytest.raises(DocumentError) as found:
        decode(spoiled(**members), peer="12345")
    assert found.value.place == place
    assert place in str(found.value)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b"{", b"\xff", b'{"schema":NaN}', b"[" * 50_000, b" " * 60_001]
)
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError):
        decode(data, peer="12345")


@CALM
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["schema", "case", "caller", "number", "feedback", "at", "handoff", "x"]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_read_or_refused(said: Any) -> None:
    if isinstance(said, dict):
        said["schema"] = "bridge110.case/1"
    data = json.dumps(said).encode()
    try:
        case = decode(data, peer="12345")
    except DocumentError:
        return
    SCHEMA.validate(json.loads(encode(case)))


def test_the_fullest_document_fits_into_one_post() -> None:
    line = "長" * 200
    case = replace(
        CASE,
        words="長" * 4000,
        category=line,
        area=line,
        place=line,
        received_by=line,
        ticket=line,
        attachments=[
            Attachment(f"{n:064}", line, "https://" + "a" * 500) for n in range(MAX_ATTACHMENTS)
        ],
    )
    for number in range(60):
        line_of = Feedback(NOW.replace(minute=number), "progress", "長" * 300, "x" * 50)
        case = replace(case, feedback=said(case, line_of))
    assert len(case.feedback) < 60
    assert len(encode(case)) < MAX_BYTES
