"""AMI codec: whatever arrives however, and nothing written that was not meant."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.ami import (
    MAX_LINE,
    AmiInjectionError,
    AmiProtocolError,
    Decoder,
    HeaderValue,
    Message,
    encode_action,
)

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
STREAM = (
    BANNER
    + b"Response: Success\r\nActionID: 1\r\nMessage: Authentication accepted\r\n\r\n"
    + "Event: Newchannel\r\nPrivilege: call,all\r\nCallerIDName: 张三丰报警110\r\n".encode()
    + b"AccountCode: \r\nChanVariable: CASE=1.2\r\nChanVariable: CITIZEN=PJSIP/t-1\r\n\r\n"
    + b"\r\n"  # a stray empty line
    + b"Event: UserEvent\r\nUserEvent: \xd5\xc5\xc8\xfd\r\nUser: a: b\r\nodd line\r\nLast: \r\n\r\n"
    + b"Event: Hangup\r\n\r\n"
)


def received(*pieces: bytes) -> list[list[tuple[str, str]]]:
    decoder = Decoder()
    return [message.items() for piece in pieces for message in decoder.feed(piece)]


WHOLE = received(STREAM)


def test_whole_stream_gives_every_header_in_order() -> None:
    assert [dict(items).get("Event", "") for items in WHOLE] == [
        "",
        "Newchannel",
        "UserEvent",
        "Hangup",
    ]
    assert ("CallerIDName", "张三丰报警110") in WHOLE[1]
    assert WHOLE[2][-2:] == [("odd line", ""), ("Last", "")]


@pytest.mark.parametrize("size", range(1, 12))
def test_same_messages_come_out_of_pieces_of_any_size(size: int) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    assert received(*pieces) == WHOLE


def test_same_messages_come_out_of_every_split_in_two() -> None:
    for cut in range(len(STREAM) + 1):
        assert received(STREAM[:cut], STREAM[cut:]) == WHOLE, cut


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_same_messages_come_out_of_random_pieces(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in itertools.pairwise(edges)]
    assert received(*pieces) == WHOLE


@given(st.binary(max_size=300), st.integers(1, 7))
def test_garbage_after_the_banner_is_read_alike_in_any_pieces(junk: bytes, size: int) -> None:
    stream = BANNER + junk + b"\r\n\r\nEvent: Hangup\r\n\r\n"
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    whole = received(stream)
    assert received(*pieces) == whole
    assert "Hangup" in [value for _, value in whole[-1]]


def test_headers_are_found_in_any_case_and_repeats_are_kept() -> None:
    decoder = Decoder()
    event = decoder.feed(STREAM)[1]
    assert event.name == "Newchannel"
    assert event.get("calleridname") == "张三丰报警110"
    assert event.get("Nothing", "-") == "-"
    assert event.get("ACCOUNTCODE", "-") == ""
    assert "accountcode" in event
    assert "Nothing" not in event
    assert event.getall("chanvariable") == ["CASE=1.2", "CITIZEN=PJSIP/t-1"]
    assert event.variables == {"CASE": "1.2", "CITIZEN": "PJSIP/t-1"}


def test_headers_that_shadow_attributes_or_repeat_are_plain_values() -> None:
    """libraries.md P19: Content, items, id, success, a second Event, mixed case repeats."""
    event = Message.of(
        [
            ("Event", "UserEvent"),
            ("Event", "Forged"),
            ("Content", "kept"),
            ("items", "1"),
            ("success", "no"),
            ("ChanVariable", "A=1"),
            ("chanvariable", "B=2=3"),
            ("Last", ""),
        ]
    )
    assert (event.name, event.get("Event")) == ("UserEvent", "UserEvent")
    assert (event.get("content"), event.get("items"), event.get("success")) == ("kept", "1", "no")
    assert event.variables == {"A": "1", "B": "2=3"}
    assert event.getall("last") == [""]


def test_bytes_that_are_not_utf8_are_replaced_and_cost_nothing_else() -> None:
    user = Decoder().feed(STREAM)[2]
    assert user.get("UserEvent").count("\ufffd") > 0
    assert user.get("User") == "a: b"


def test_banner_is_remembered_and_anything_else_refused() -> None:
    decoder = Decoder()
    assert decoder.feed(BANNER[:10]) == []
    assert decoder.version is None
    decoder.feed(BANNER[10:])
    assert decoder.version == "11.0.0"
    for wrong in (b"SSH-2.0-OpenSSH_9.2\r\n", b"H", BANNER[:-2] + b"1" * 200):
        with pytest.raises(AmiProtocolError):
            Decoder().feed(wrong)


@pytest.mark.parametrize("size", [1, 7, 64, 5000])
def test_message_of_the_limit_passes_and_one_byte_more_is_refused(size: int) -> None:
    limit = 200
    for extra, refused in ((0, False), (1, True)):
        body = b"Event: Big\r\nData: " + b"x" * (limit - 18 + extra)
        stream = BANNER + body + b"\r\n\r\nEvent: Next\r\n\r\n"
        decoder = Decoder(max_message=limit)
        names: list[str] = []
        try:
            for at in range(0, len(stream), size):
                names += [message.name for message in decoder.feed(stream[at : at + size])]
        except AmiProtocolError:
            names.append("refused")
        assert names[-1] == ("refused" if refused else "Next")


def test_action_is_written_as_asterisk_reads_it() -> None:
    data = encode_action(
        "Originate", {"Channel": "PJSIP/12345@hotline", "Variable": ("__CASE=1", "LEG=张")}, "b-7"
    )
    assert (
        data
        == (
            "Action: Originate\r\nActionID: b-7\r\nChannel: PJSIP/12345@hotline\r\n"
            "Variable: __CASE=1\r\nVariable: LEG=张\r\n\r\n"
        ).encode()
    )


@pytest.mark.parametrize(
    ("headers", "place"),
    [
        ({"Channel": "x\r\n\r\nAction: Originate"}, "Channel"),
        ({"Channel": "x\nAction: Command"}, "Channel"),
        ({"Variable": ("a=1", "b=\x00")}, "Variable"),
        ({"CallerID": "\x7f"}, "CallerID"),
        ({"Chan\r\nnel": "x"}, "Chan\r\nnel"),
        ({"Chan: nel": "x"}, "Chan: nel"),
        ({"": "x"}, ""),
        ({"ActionID": "9"}, "ActionID"),
        ({"action": "Command"}, "action"),
        ({"Exten": "1", "exten": "2"}, "exten"),
        ({"Exten": "\ud800"}, "Exten"),
        ({"Data": "x" * 2000}, "Data"),
        ({"Variable": ["a"] * 127}, "Ping"),
    ],
)
def test_unsafe_action_is_refused_naming_the_header(
    headers: dict[str, HeaderValue], place: str
) -> None:
    with pytest.raises(AmiInjectionError) as refused:
        encode_action("Ping", headers, "1")
    assert refused.value.header == place


def test_longest_line_that_asterisk_takes_is_written() -> None:
    fits = "x" * (MAX_LINE - len("Data: "))
    assert fits.encode() in encode_action("Ping", {"Data": fits}, "1")
    with pytest.raises(AmiInjectionError):
        encode_action("Ping", {"Data": fits + "x"}, "1")
    with pytest.raises(AmiInjectionError):
        encode_action("Ping", {"Data": fits[:-1] + "张"}, "1")


def test_action_takes_exactly_128_lines() -> None:
    assert encode_action("Ping", {"Variable": ["a"] * 126}, "1").count(b"\r\n") == 129


def lines_asterisk_sees(data: bytes) -> list[list[str]]:
    """Actions as manager.c cuts them: a bare LF ends a line, an empty line ends the action."""
    actions: list[list[str]] = [[]]
    for line in data.decode().replace("\r\n", "\n").split("\n"):
        if line:
            actions[-1].append(line)
        elif actions[-1]:
            actions.append([])
    return [action for action in actions if action]


anything = st.text(max_size=40) | st.text(
    alphabet=st.sampled_from("a:\r\n\0\x1a\x1b\x7f \t=,&张\ud800"), max_size=12
)


@given(st.dictionaries(anything, anything | st.lists(anything, max_size=3), max_size=5), anything)
def test_any_text_gives_exactly_the_intended_keys_or_is_refused(
    headers: dict[str, str | list[str]], name: str
) -> None:
    """guard.md S2."""
    try:
        data = encode_action(name, headers, "7")
    except AmiInjectionError:
        return
    meant = [f"Action: {name}", "ActionID: 7"]
    for header, value in headers.items():
        meant += [f"{header}: {item}" for item in ([value] if isinstance(value, str) else value)]
    assert lines_asterisk_sees(data) == [meant]


@given(st.text(alphabet="abc: =,&;/@|$(){}张三\"'\\", max_size=60))
def test_plain_text_is_never_refused_and_comes_back_whole(text: str) -> None:
    data = encode_action("UserEvent", {"Body": text}, "1")
    assert Message(data.removesuffix(b"\r\n\r\n")).get("Body") == text
