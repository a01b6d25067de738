"""AGI lines: read however they arrive, written so that nothing can be added to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.agi import (
    MAX_ANSWER_BYTES,
    MAX_COMMAND_BYTES,
    MAX_ENVIRONMENT_BYTES,
    AgiCommandError,
    AgiPeerError,
    Answer,
    AnswerDecoder,
    Hangup,
    encode_command,
    parse_environment,
    parse_target,
)

ENVIRONMENT = (
    b"agi_network: yes\n"
    b"agi_network_script: accept?case=1732.5&nonce=ab12\n"
    b"agi_request: agi://127.0.0.1:4573/accept?case=1732.5&nonce=ab12\n"
    b"agi_channel: PJSIP/hotline-00000003\n"
    b"agi_callerid: 13800001111\n"
    b"agi_calleridname: \xd5\xc5\xc8\xfd\n"
    b"agi_dnid: unknown\n"
    b"agi_accountcode: \n"
    b"agi_arg_1: a: b\n"
    b"\n"
)

ANSWERS = (
    b"100 Trying...\n"
    b"200 result=1\n"
    b"200 result=49 endpos=1760\n"
    b"200 result=12 (timeout)\n"
    b"200 result=1 (\xe5\xbc\xa0\xe4\xb8\x89 (x) hangup)\n"
    b"HANGUP\n"
    b"510 Invalid or unknown command\n"
    b"511 Command Not Permitted on a dead channel or intercept routine\n"
    b"520-Invalid command syntax.  Proper usage follows:\n"
    b"Usage: SAY DIGITS <number> <escape digits>\n"
    b" 200 result=0 is returned\n"
    b"520 End of proper usage.\n"
    b"520 Invalid command syntax.  Proper usage not available.\n"
)


def read_as_asterisk_does(line: bytes) -> list[str]:
    """`parse_args` of res_agi.c, as far as it matters here."""
    words: list[str] = []
    quoted = escaped = False
    between = True
    for sign in line.decode().removesuffix("\n"):
        if sign == '"' and not escaped:
            quoted = not quoted
            if quoted and between:
                words.append("")
                between = False
        elif sign in " \t" and not quoted and not escaped:
            between = True
        elif sign == "\\" and not escaped:
            escaped = True
            continue
        else:
            if between:
                words.append("")
                between = False
            words[-1] += sign
        escaped = False
    return words


def test_environment_keeps_every_header_and_replaces_what_is_not_utf8() -> None:
    headers = parse_environment(ENVIRONMENT)
    assert headers["agi_channel"] == "PJSIP/hotline-00000003"
    assert headers["agi_accountcode"] == ""
    assert headers["agi_arg_1"] == "a: b"
    assert "�" in headers["agi_calleridname"]
    assert len(headers) == 9


@pytest.mark.parametrize(
    "line",
    [b"GET / HTTP/1.1", b"agi_channel", b"agi_channel: again", b"AGI_X: 1", b"", b"agi_a:b"],
)
def test_environment_with_a_strange_line_is_refused(line: bytes) -> None:
    with pytest.raises(AgiPeerError, match="environment line 3"):
        parse_environment(b"agi_network: yes\nagi_channel: x\n" + line + b"\nagi_uniqueid: 1\n\n")


def test_environment_over_64_kib_is_refused() -> None:
    fits = b"agi_channel: " + b"x" * (MAX_ENVIRONMENT_BYTES - 15) + b"\n\n"
    assert len(parse_environment(fits)["agi_channel"]) == MAX_ENVIRONMENT_BYTES - 15
    with pytest.raises(AgiPeerError, match="at most 65536"):
        parse_environment(b"x" + fits)


@pytest.mark.parametrize(
    "script",
    ["accept?case=1.2&nonce=ab", "/accept?case=1.2&nonce=ab", "//accept/?nonce=ab&case=1.2"],
)
def test_path_and_query_are_read_however_the_url_was_written(script: str) -> None:
    target = parse_target({"agi_network_script": script})
    assert target.path == "accept"
    assert dict(target.query) == {"case": "1.2", "nonce": "ab"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"agi_network_script": "accept?nonce=a&nonce=b"},
        {"agi_network_script": "accept?" + "&".join(f"k{i}=1" for i in range(17))},
    ],
)
def test_unclear_target_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(AgiPeerError):
        parse_target(headers)


def test_answers_of_every_kind_are_read() -> None:
    trying_left_out = AnswerDecoder().feed(ANSWERS)
    assert trying_left_out == [
        Answer(200, "1"),
        Answer(200, "49", endpos=1760),
        Answer(200, "12", "timeout", timed_out=True),
        Answer(200, "1", "张三 (x) hangup"),
        Hangup(),
        Answer(510, text="Invalid or unknown command"),
        Answer(511, text="Command Not Permitted on a dead channel or intercept routine"),
        Answer(
            520,
            text="Invalid command syntax.  Proper usage follows:\n"
            "Usage: SAY DIGITS <number> <escape digits>\n 200 result=0 is returned",
        ),
        Answer(520, text="Invalid command syntax.  Proper usage not available."),
    ]


@pytest.mark.parametrize("size", range(1, 40))
def test_the_same_answers_come_out_however_the_bytes_arrive(size: int) -> None:
    decoder = AnswerDecoder()
    pieces = [ANSWERS[i : i + size] for i in range(0, len(ANSWERS), size)]
    assert [item for piece in pieces for item in decoder.feed(piece)] == AnswerDecoder().feed(
        ANSWERS
    )


def test_hangup_between_usage_lines_does_not_shift_the_answers() -> None:
    got = AnswerDecoder().feed(b"520-Usage\nHANGUP\nmore\n520 End of proper usage.\n")
    assert got == [Hangup(), Answer(520, text="Usage\nmore")]


@pytest.mark.parametrize(
    "line",
    [b"", b"hello", b"200 result=1 (first line", b"200", b"2000 result=1", b"200result=1"],
)
def test_what_is_no_answer_is_refused(line: bytes) -> None:
    with pytest.raises(AgiPeerError, match="not an AGI answer"):
        AnswerDecoder().feed(line + b"\n")


@pytest.mark.parametrize(
    ("head", "piece"),
    [(b"200 result=1 (", b"x" * 100), (b"520-usage\n", b"x" * 99 + b"\n"), (b"520-\n", b"\n")],
)
def test_answer_without_end_is_refused_at_the_bound(head: bytes, piece: bytes) -> None:
    decoder = AnswerDecoder()
    fits = (MAX_ANSWER_BYTES - len(head)) // len(piece)
    assert decoder.feed(head + piece * fits) == []
    with pytest.raises(AgiPeerError):
        decoder.feed(piece * 3)


@given(st.binary(max_size=300))
def test_any_bytes_give_answers_or_the_one_error(data: bytes) -> None:
    try:
        items = AnswerDecoder().feed(data)
    except AgiPeerError:
        return
    assert all(isinstance(item, Answer | Hangup) for item in items)


@pytest.mark.parametrize(
    ("result", "digit"),
    [("49", "1"), ("42", "*"), ("35", "#"), ("0", ""), ("-1", ""), ("", ""), ("10", ""), ("a", "")],
)
def test_key_is_read_from_its_code(result: str, digit: str) -> None:
    assert Answer(200, result).digit == digit


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_asterisk_reads_back_exactly_the_arguments_that_were_given(arguments: list[str]) -> None:
    try:
        line = encode_command(*arguments)
    except AgiCommandError:
        unsafe = any(sign in argument for argument in arguments for sign in "\r\n\0")
        assert unsafe or not arguments[0]
        return
    assert line.count(b"\n") == 1
    assert read_as_asterisk_does(line) == arguments


@pytest.mark.parametrize(
    "argument", ['x"\nEXEC System "id', "a\rb", "a\0b", "\ud800", "x" * MAX_COMMAND_BYTES]
)
def test_argument_that_would_be_a_second_command_is_refused(argument: str) -> None:
    with pytest.raises(AgiCommandError):
        encode_command("SET", "VARIABLE", "X", argument)


def test_command_without_a_name_is_refused() -> None:
    with pytest.raises(AgiCommandError, match="needs a name"):
        encode_command("", "x")
