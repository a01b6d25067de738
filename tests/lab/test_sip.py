"""SIP messages: round trips, hostile bytes, what the parts of a message mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.lab.sip import (
    MAX_HEADERS,
    Headers,
    SipError,
    SipMessage,
    address,
    name_address,
    parameter,
    parse,
    request,
    response,
    serialise,
    user_part,
)

NEEDED = [
    ("Via", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKa"),
    ("From", '"张三" <sip:138@127.0.0.1>;tag=f1'),
    ("To", "<sip:110@127.0.0.1>"),
    ("Call-ID", "c1@lab"),
    ("CSeq", "7 INVITE"),
]
# What a header field may hold: any text but line breaks and NUL, not edged with white space; and
# half of a surrogate pair is how a byte that is no UTF-8 is kept.
values = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]),
        st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"]),
    ),
    min_size=1,
    max_size=40,
)
names = st.from_regex(r"X-[A-Za-z]{1,12}", fullmatch=True)


def invite(*more: tuple[str, str], body: bytes = b"") -> SipMessage:
    return request("INVITE", "sip:110@127.0.0.1", [*NEEDED, *more], body)


@given(st.lists(st.tuples(names, values), max_size=10), st.binary(max_size=300))
def test_what_is_written_is_read_again_whatever_bytes_it_is_made_of(
    more: list[tuple[str, str]], body: bytes
) -> None:
    data = serialise(invite(*more, body=body))
    again = parse(data)
    assert again.body == body
    assert [pair for pair in again.headers if pair[0].startswith("X-")] == _as_bytes(more)
    assert serialise(again) == data


def _as_bytes(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Kept bytes that happen to be UTF-8 together come back as the sign they are."""
    return [
        (name, value.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"))
        for name, value in pairs
    ]


@given(st.binary(max_size=400))
def test_no_datagram_breaks_the_reader_otherwise_than_with_its_own_error(data: bytes) -> None:
    try:
        message = parse(data)
    except SipError:
        return
    assert message.status or message.method


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"\r\n\r\n", b"\r\n", "no empty line"),
        (b"INVITE sip", b"invite sip", "neither request nor status line"),
        (b"SIP/2.0\r\n", b"SIP/3.0\r\n", "neither request nor status line"),
        (b"Call-ID: c1@lab\r\n", b"", "no Call-ID"),
        (b"7 INVITE", b"-7 INVITE", "CSeq"),
        (b"7 INVITE", b"99999999999 INVITE", "CSeq"),
        (b"Content-Length: 0", b"Content-Length: 9", "Content-Length"),
        (b"Content-Length: 0", b"Content-Length: x", "Content-Length"),
        (b"Max-Forwards: 70", b"Max-Forwards 70", "not a header field"),
    ],
)
def test_a_broken_message_is_refused_saying_what_is_wrong(
    old: bytes, new: bytes, words: str
) -> None:
    data = serialise(invite())
    assert data.count(old) >= 1
    with pytest.raises(SipError, match=words):
        parse(data.replace(old, new, 1))


def test_more_header_fields_than_any_telephone_sends_are_refused() -> None:
    with pytest.raises(SipError, match=f"at most {MAX_HEADERS}"):
        parse(serialise(invite(*[("X-A", "1")] * MAX_HEADERS)))


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b"])
def test_a_value_never_adds_a_header_field(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        serialise(invite(("X-A", value)))


def test_compact_and_folded_fields_are_read_as_the_long_ones() -> None:
    data = (
        b"OPTIONS sip:x SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bKb\r\nf: <sip:a@h>;tag=1\r\n"
        b"t: <sip:b@h>\r\ni: id\r\nCSeq: 1 OPTIONS\r\nSubject: one\r\n two\r\nl: 0\r\n\r\n"
    )
    message = parse(data)
    assert (message.method, message.branch, message.from_tag) == ("OPTIONS", "z9hG4bKb", "1")
    assert message.call_id == "id"
    assert message.headers["s"] == "one two"


def test_a_response_keeps_what_names_the_transaction_and_adds_our_tag_once() -> None:
    asked = invite(("Record-Route", "<sip:p1>"), ("Record-Route", "<sip:p2>"))
    answer = parse(serialise(response(asked, 486, "us")))
    assert (answer.status, answer.reason) == (486, "Busy Here")
    assert (answer.method, answer.cseq) == ("INVITE", (7, "INVITE"))
    assert (answer.branch, answer.from_tag, answer.to_tag) == ("z9hG4bKa", "f1", "us")
    assert answer.headers.all("Record-Route") == ["<sip:p1>", "<sip:p2>"]
    known = [(name, "<sip:b>;tag=x") if name == "To" else (name, v) for name, v in asked.headers]
    within = SipMessage(asked.start, Headers(tuple(known)))
    assert response(within, 200, "other").headers["To"] == "<sip:b>;tag=x"


def test_the_cause_is_that_of_q850_among_several_reasons() -> None:
    bye = invite(("Reason", 'SIP;cause=200;text="x"'), ("Reason", "Q.850;cause=44;text=dead"))
    assert bye.q850 == 44
    assert invite(("Reason", "SIP;cause=200")).q850 is None


def test_a_parameter_is_not_looked_for_inside_the_address() -> None:
    value = '"a;tag=no" <sip:138@h;tag=no>;x=1;TAG=yes'
    assert parameter(value, "tag") == "yes"
    assert (address(value), user_part(value)) == ("sip:138@h;tag=no", "138")
    assert user_part("<tel:138>") == ""


def test_a_display_name_of_gbk_bytes_and_quotes_goes_out_as_it_is() -> None:
    shown = "张三".encode("gbk") + b'"\\'
    data = serialise(invite(("X-From", name_address("sip:138@h", shown))))
    assert b'X-From: "' + "张三".encode("gbk") + b'\\"\\\\" <sip:138@h>\r\n' in data
