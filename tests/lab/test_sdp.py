"""Session descriptions: offers, answers, and what is no description."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.lab.sdp import DIRECTIONS, PCMA, PCMU, Direction, Session, answer, build, parse, sends
from bridge.lab.sip import SipError

sessions = st.builds(
    Session,
    host=st.from_regex(r"127\.0\.0\.[1-9]", fullmatch=True),
    port=st.integers(0, 65535),
    codecs=st.sampled_from([(PCMA,), (PCMU,), (PCMA, PCMU), (PCMU, PCMA)]),
    events=st.one_of(st.none(), st.integers(96, 127)),
    direction=st.sampled_from(DIRECTIONS),
)


@given(sessions)
def test_a_description_is_read_as_it_was_written(session: Session) -> None:
    assert parse(build(session)) == session


@given(sessions, sessions)
def test_an_answer_has_one_common_codec_and_sends_only_to_who_listens(
    offer: Session, own: Session
) -> None:
    common = [codec for codec in offer.codecs if codec in own.codecs]
    if not common:
        with pytest.raises(SipError, match="no codec in common"):
            answer(offer, own)
        return
    made = answer(offer, own)
    assert made.codecs == (common[0],)
    assert made.events == offer.events
    assert (made.host, made.port) == (own.host, own.port)
    listens = offer.direction in ("sendrecv", "recvonly")
    assert sends(made.direction) == (sends(own.direction) and listens)


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ("sendrecv", "sendrecv"),
        ("sendonly", "recvonly"),
        ("recvonly", "sendonly"),
        ("inactive", "inactive"),
    ],
)
def test_a_hold_is_answered_with_its_counterpart(offered: Direction, answered: Direction) -> None:
    offer = Session("127.0.0.1", 1, direction=offered)
    assert answer(offer, Session("127.0.0.1", 2)).direction == answered


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "c=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 8",
        "c=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 18 101",
        "c=IN IP4 127.0.0.1\nm=audio 99999 RTP/AVP 8",
        "c=IN IP4 127.0.0.1\nm=audio x RTP/AVP 8",
        "m=audio 9 RTP/AVP 8",
        "c=IN IP6 ::1\nm=audio 9 RTP/AVP 8",
    ],
)
def test_without_an_audio_stream_in_g711_there_is_nothing_to_answer(lines: str) -> None:
    with pytest.raises(SipError):
        parse(lines.replace("\n", "\r\n").encode())


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader_otherwise_than_with_its_own_error(data: bytes) -> None:
    try:
        session = parse(data)
    except SipError:
        return
    assert session.codecs


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_a_second_stream_changes_nothing_of_the_first(kind: str) -> None:
    first = ["c=IN IP4 127.0.0.1", "m=audio 9 RTP/AVP 8", "a=sendonly"]
    second = [f"m={kind} 5 RTP/AVP 0", "c=IN IP4 1.2.3.4", "a=inactive"]
    text = "\r\n".join([*first, *second, ""])
    assert parse(text.encode()) == Session("127.0.0.1", 9, (PCMA,), None, "sendonly")
