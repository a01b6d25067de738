"""The AT dialogue: every rule on bytes and moments alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.at import (
    MAX_LINE,
    Answer,
    AtBusy,
    AtDialect,
    AtDialogue,
    AtInjection,
    Broken,
    Command,
    Dead,
    Echo,
    End,
    Noise,
    Output,
    Raw,
    TwoLines,
    Unsolicited,
    Write,
    fields,
)

PEI = AtDialect(
    unsolicited={"+CTSDSR:": TwoLines(), "+CMGS:": None, "+CREG:": None, "+CTXG:": None},
    end=b"\r\n",
)
SMS = AtDialect(unsolicited={"+CMTI:": None, "+CDS:": TwoLines(), "RING": None}, prompt=True)
CREG = Command(text="AT+CREG?", direct=(r"\+CREG: ?\d+,\d+,\d+",), timeout_s=2)


def answers(outputs: list[Output]) -> list[Answer]:
    return [o for o in outputs if isinstance(o, Answer)]


def test_a_direct_result_and_its_final_make_the_answer() -> None:
    at = AtDialogue(PEI)
    assert at.start(CREG, 0.0) == [Write(b"AT+CREG?\r\n")]
    out = at.feed(b"\r\n+CREG: 1,1,90109999\r\n\r\nOK\r\n", 0.1)
    assert out == [Answer(CREG, End.OK, "OK", None, ("+CREG: 1,1,90109999",))]
    assert at.ready
    assert at.deadline is None


@pytest.mark.parametrize(
    ("line", "end", "code"),
    [
        ("ERROR", End.ERROR, None),
        ("+CME ERROR: 42", End.ERROR, 42),
        ("+CME ERROR:38", End.ERROR, 38),
        ("+CMS ERROR: 331", End.ERROR, 331),
        ("+CME ERROR: SIM busy", End.ERROR, None),
        ("BUSY", End.OTHER, None),
        ("NO CARRIER", End.OTHER, None),
    ],
)
def test_finals_are_told_apart(line: str, end: End, code: int | None) -> None:
    at = AtDialogue(PEI)
    at.start(CREG, 0.0)
    (answer,) = answers(at.feed(f"\r\n{line}\r\n".encode(), 0.1))
    assert (answer.end, answer.final, answer.code) == (end, line, code)


def test_one_command_is_outstanding_at_a_time() -> None:
    at = AtDialogue(PEI)
    at.start(CREG, 0.0)
    with pytest.raises(AtBusy):
        at.start(CREG, 0.0)


def test_unsolicited_lines_come_through_between_a_command_and_its_result() -> None:
    at = AtDialogue(PEI)
    command = Command(text="AT+CMGS=1001,16", payload="8004", direct=(r"\+CMGS: ?\d+",))
    assert at.start(command, 0.0) == [Write(b"AT+CMGS=1001,16\r\n8004\x1a")]
    out = at.feed(
        b"\r\n+CTXG: 1,3,0,0\r\n\r\n+CMGS: 0,4,7\r\n\r\n+CMGS: 0\r\n"
        b"\r\n+CTSDSR: 12,1,0,2,0,32\r\n821000C9\r\n\r\nOK\r\n",
        0.1,
    )
    assert out == [
        Unsolicited("+CTXG: 1,3,0,0"),
        Unsolicited("+CMGS: 0,4,7"),
        Unsolicited("+CTSDSR: 12,1,0,2,0,32", "821000C9"),
        Answer(command, End.OK, "OK", None, ("+CMGS: 0",), True),
    ]


def test_a_header_without_its_second_line_is_broken_by_time_or_by_another_line() -> None:
    at = AtDialogue(PEI)
    assert at.feed(b"\r\n+CTSDSR: 12,1,0,2,0,32\r\n", 10.0) == []
    assert at.deadline == 12.0
    assert at.tick(12.0) == [Broken("+CTSDSR: 12,1,0,2,0,32")]
    out = at.feed(b"\r\n+CTSDSR: 12,1,0,2,0,32\r\n\r\n+CREG: 2\r\n", 20.0)
    assert out == [Broken("+CTSDSR: 12,1,0,2,0,32"), Unsolicited("+CREG: 2")]
    assert at.deadline is None


def test_echo_is_dropped_also_of_the_payload() -> None:
    at = AtDialogue(PEI)
    command = Command(text="AT+CMGS=1001,16", payload="8004", direct=(r"\+CMGS: ?\d+",))
    at.start(command, 0.0)
    *echo, answer = at.feed(b"AT+CMGS=1001,16\r\n8004\r\n\r\n+CMGS: 0\r\n\r\nOK\r\n", 0.1)
    assert isinstance(answer, Answer)
    assert answer.lines == ("+CMGS: 0",)
    assert echo == [Echo("AT+CMGS=1001,16"), Echo("8004")]


def test_the_payload_waits_for_the_prompt_where_the_dialect_has_one() -> None:
    at = AtDialogue(SMS)
    command = Command(text="AT+CMGS=32", payload="0011", direct=(r"\+CMGS: ?\d+",))
    assert at.start(command, 0.0) == [Write(b"AT+CMGS=32\r")]
    assert at.feed(b"\r\n>", 0.1) == []
    assert at.feed(b" ", 0.2) == [Write(b"0011\x1a")]
    (answer,) = answers(at.feed(b"\r\n+CMGS: 5\r\n\r\nOK\r\n", 3.0))
    assert (answer.lines, answer.sent_payload) == (("+CMGS: 5",), True)


def test_an_error_before_the_prompt_says_that_nothing_was_sent() -> None:
    at = AtDialogue(SMS)
    at.start(Command(text="AT+CMGS=32", payload="0011"), 0.0)
    (answer,) = answers(at.feed(b"\r\n+CMS ERROR: 331\r\n", 0.1))
    assert (answer.end, answer.sent_payload) == (End.ERROR, False)
    assert at.feed(b"\r\n> ", 0.2) == []


def test_a_settable_gap_stands_between_command_and_payload() -> None:
    at = AtDialogue(AtDialect(gap_s=0.1))
    command = Command(text="AT+CMGS=1,16", payload="8004", timeout_s=2)
    assert at.start(command, 5.0) == [Write(b"AT+CMGS=1,16\r")]
    assert at.deadline == pytest.approx(5.1)
    assert at.tick(5.1) == [Write(b"8004\x1a")]
    assert at.deadline == pytest.approx(7.1)


def test_a_time_out_is_told_as_unknown_and_late_answers_go_to_nobody() -> None:
    at = AtDialogue(PEI)
    at.start(CREG, 0.0)
    assert at.deadline == 2.0
    out = at.tick(2.0)
    assert out == [Answer(CREG, End.TIMEOUT), Write(b"\x1b\rAT\r")]
    assert not at.ready
    late = at.feed(b"\r\n+CREG: 1,1,90109999\r\n\r\nOK\r\n", 2.5)
    assert answers(late) == []
    at.feed(b"\r\nOK\r\n", 2.55)  # the probe's own answer, within the silence that is waited for
    assert not at.ready
    at.tick(at.deadline or 0)
    assert at.ready


def test_a_device_that_answers_no_probe_is_dead_and_may_be_asked_again() -> None:
    at = AtDialogue(PEI)
    at.start(CREG, 0.0)
    now, probes = 2.0, 0
    out = at.tick(now)
    while Dead() not in out:
        probes += out.count(Write(b"\x1b\rAT\r"))
        now = at.deadline or 0.0
        out = at.tick(now)
    assert probes == 5
    assert at.ready


def test_garbage_is_noise_and_the_next_line_is_read() -> None:
    at = AtDialogue(PEI)
    at.start(CREG, 0.0)
    out = at.feed(b"\xff\x00\x80garb\r\nnonsense\r\n\x01\r\n+CREG: 1,1,9\r\nOK\r\n", 0.1)
    assert out[:3] == [Noise(b"\xff\x00\x80garb"), Noise(b"nonsense"), Noise(b"\x01")]
    assert answers(out)[0].lines == ("+CREG: 1,1,9",)


def test_a_line_without_end_is_bounded() -> None:
    at = AtDialogue(PEI)
    out: list[Output] = []
    for _ in range(100):
        out += at.feed(b"A" * 1000, 0.0)
    assert len(out) == 1
    assert at.feed(b"\r\n+CREG: 2\r\n", 0.0) == [Unsolicited("+CREG: 2")]
    assert at.feed(b"B" * (MAX_LINE + 1) + b"\r\n", 0.0) == [Noise(b"\x00overlong")]


@pytest.mark.parametrize("bad", ["\r", "\n", "\x1a", "\x1b", "\x00", "出警", "\u2028"])
def test_no_text_can_bring_a_second_command_onto_the_line(bad: str) -> None:
    at = AtDialogue(PEI)
    with pytest.raises(AtInjection):
        at.start(Command(text=f"AT+CMGS=1{bad}AT+CTOM=1"), 0.0)
    with pytest.raises(AtInjection):
        at.start(Command(text="AT+CMGS=1,8", payload=f"82{bad}"), 0.0)
    assert at.ready


def test_a_free_answer_keeps_lines_without_prefix() -> None:
    at = AtDialogue(SMS)
    at.start(Command(text="AT+CMGR=1", free=True), 0.0)
    (answer,) = answers(at.feed(b"\r\n+CMGR: 1,,24\r\n07911326\r\n\r\nOK\r\n", 0.1))
    assert answer.lines == ("+CMGR: 1,,24", "07911326")


@pytest.mark.parametrize("cut", range(1, 30))
def test_after_connect_the_line_is_a_stream_until_it_is_ended(cut: int) -> None:
    at = AtDialogue(AtDialect())
    at.start(Command(text="AT+FRH=3", finals=("CONNECT",), raw=True), 0.0)
    data = b"\r\nCONNECT\r\n\nOK\r\n\x10\x03"
    out = at.feed(data[:cut], 0.1) + at.feed(data[cut:], 0.1)
    assert answers(out)[0].final == "CONNECT"
    assert b"".join(o.data for o in out if isinstance(o, Raw)) == b"\nOK\r\n\x10\x03"
    at.end_raw()
    at.start(Command(text="AT"), 1.0)
    assert answers(at.feed(b"\r\nOK\r\n", 1.1))[0].end is End.OK


def test_a_lost_line_ends_the_command_as_unknown() -> None:
    at = AtDialogue(PEI)
    at.start(CREG, 0.0)
    at.feed(b"\r\n+CRE", 0.1)
    assert answers(at.lost())[0].end is End.LOST
    at.start(CREG, 1.0)
    assert answers(at.feed(b"\r\nOK\r\n", 1.1))[0].lines == ()


SESSION = (
    b"\x00\xff\r\n+CREG: 2\r\nAT+CREG?\r\r\n+CREG: 1,1,9\r\n\r\n+CTSDSR: 12,1,0,2,0,16\r\n"
    b"8004\r\n\r\n+CTSDSR:12,1,0,2,0,16\r\nzz\r\n\r\nOK\r\n\r\n+CTXG: 1\n\n\n+CMGS: 0,4,7\r"
)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=200))
def test_the_same_outputs_come_however_the_bytes_arrive(sizes: list[int]) -> None:
    whole = AtDialogue(PEI)
    whole.start(CREG, 0.0)
    expected = whole.feed(SESSION, 0.1)
    pieces = AtDialogue(PEI)
    pieces.start(CREG, 0.0)
    got: list[Output] = []
    at = 0
    while at < len(SESSION):
        size = sizes[at % len(sizes)]
        got += pieces.feed(SESSION[at : at + size], 0.1)
        at += size
    assert got == expected


@given(st.lists(st.binary(max_size=60), max_size=40), st.booleans())
def test_no_bytes_break_it_and_a_command_always_ends(chunks: list[bytes], prompt: bool) -> None:
    at = AtDialogue(SMS if prompt else PEI)
    at.start(Command(text="AT+CMGS=1,8", payload="82", direct=(r"\+CMGS: ?\d+",)), 0.0)
    now, ended = 0.0, 0
    for chunk in chunks:
        ended += len(answers(at.feed(chunk, now)))
    while at.deadline is not None:
        now = at.deadline
        ended += len(answers(at.tick(now)))
    assert ended == 1
    assert at.ready


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("+CREG: 1,1,90109999", ["1", "1", "90109999"]),
        ('+CMGL: 1,"REC, READ","+86",,', ["1", "REC, READ", "+86", "", ""]),
        ("+CTSDSR:12,1033,0", ["12", "1033", "0"]),
        ("+GMM", [""]),
        ('+X: "a', ['"a']),
    ],
)
def test_fields_are_cut_at_commas_outside_quotes(line: str, values: list[str]) -> None:
    assert fields(line) == values
