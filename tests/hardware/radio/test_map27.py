"""MAP27: every golden frame and recorded session of the sheet, and the link layer's promises."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.radio import map27_link as dl
from hardware.radio import map27_net as net
from hardware.radio.map27_frame import START, FrameDecoder, encode_frame, frame_check
from hardware.radio.map27_link import Acked, Down, Map27Link, Packet, Put, Up
from hardware.radio.map27_net import (
    Ack,
    Address,
    Call,
    Condition,
    Data,
    Disconnect,
    Progress,
    Status,
)
from hardware.radio.map27_text import messages, text_of
from hardware.radio.texts import TextRefused

UNIT = Address(31, 2001)

FRAMES = {
    "LR N1=6 k=1": "16 10 02 01 06 01 01 10 03 6B C8",
    "LR N1=14": "16 10 02 01 0E 01 01 10 03 8A 09",
    "LR N1=255": "16 10 02 01 FF 01 01 10 03 F7 DC",
    "LA 1,1": "16 10 02 02 01 01 00 10 03 8F FB",
    "LA 2,1": "16 10 02 02 02 01 00 10 03 CB FB",
    "LA 3,1": "16 10 02 02 03 01 00 10 03 F6 3B",
    "LA 16 (doubling)": "16 10 02 02 10 10 01 00 10 03 73 F8",
    "LA 4,1": "16 10 02 02 04 01 00 10 03 43 FB",
    "LA 5,1": "16 10 02 02 05 01 00 10 03 7E 3B",
    "login": "16 10 02 04 01 01 00 00 B5 00 00 00 03 06 03 45 10 03 7A 67",
    "data octet 10": "16 10 02 04 02 01 00 00 9B 00 00 80 46 10 10 05 10 03 BB 82",
    "status, AR=0": "16 10 02 04 01 00 00 80 1F 07 D1 00 05 10 03 28 0A",
    "SST swapped": "16 10 02 04 02 00 00 81 1F D1 07 00 F7 54 4F 20 47 41 54 45 20 33 10 03 DC 40",
    "status": "16 10 02 04 01 01 00 80 1F 07 D1 00 05 10 03 79 CF",
    "ack ok": "16 10 02 04 01 01 00 C0 1F 07 D1 00 00 10 03 6D FE",
    "ack busy": "16 10 02 04 02 01 00 D0 1F 07 D1 00 02 10 03 C2 76",
    "ack out of reach": "16 10 02 04 02 01 00 E0 1F 07 D1 00 04 10 03 21 63",
    "status 16 (doubling)": "16 10 02 04 03 01 00 80 1F 07 D1 00 10 10 10 03 63 B3",
    "SST 出警": "16 10 02 04 04 01 00 81 1F 07 D1 00 87 B3 F6 BE AF 10 03 81 3E",
    "MST": "16 10 02 04 05 01 00 82 1F 07 D1 00 F7 50 4F 4C 49 43 45 20 54 4F 20 47 41 54 45 20 33"
    " 10 03 D0 4F",
    "setup": "16 10 02 04 06 01 00 A4 1F 07 D1 00 08 10 03 F1 93",
    "connected": "16 10 02 04 06 01 00 C4 1F 07 D1 00 00 10 03 76 79",
    "control": "16 10 02 04 07 01 00 B2 03 10 03 53 AF",
    "interrogation": "16 10 02 04 08 01 00 B0 00 10 03 5D 17",
    "cleared": "16 10 02 04 09 01 00 86 1F 07 D1 0B 10 03 64 CC",
    "disconnect": "16 10 02 04 09 01 00 86 1F 07 D1 07 10 03 A4 CF",
    "cancel": "16 10 02 04 09 01 00 A6 1F 07 D1 08 10 03 B5 0E",
}
BYTES = {name: bytes.fromhex(text) for name, text in FRAMES.items()}


def body(name: str) -> bytes:
    (found,) = FrameDecoder().feed(BYTES[name])
    return found


@pytest.mark.parametrize("name", FRAMES)
def test_golden_frames_decode_and_encode(name: str) -> None:
    assert encode_frame(body(name)) == BYTES[name]


def test_the_check_of_the_standard() -> None:
    assert frame_check(b"\x3b") == b"\x01\x6c"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("status", Status(UNIT, 5)),
        ("status 16 (doubling)", Status(UNIT, 16)),
        ("ack ok", Ack(0xC0, UNIT, 0)),
        ("ack busy", Ack(0xD0, UNIT, 2)),
        ("ack out of reach", Ack(0xE0, UNIT, 4)),
        ("SST 出警", Data(False, UNIT, net.BINARY, "出警".encode("gb18030"))),
        ("MST", Data(True, UNIT, net.PC_8, b"POLICE TO GATE 3")),
        ("setup", Call(False, UNIT, net.NO_PRIORITY)),
        ("connected", Progress(0xC4, UNIT, 0)),
        ("cleared", Disconnect(0x86, 31, 2001, 0x0B)),
        ("disconnect", Disconnect(0x86, 31, 2001, 7)),
        ("cancel", Disconnect(0xA6, 31, 2001, 8)),
        ("control", Condition(True, True)),
        ("interrogation", net.Interrogation(0)),
    ],
)
def test_golden_messages(name: str, message: net.Message) -> None:
    data = body(name)[4:]
    from_radio = name not in ("control", "interrogation")
    assert net.decode(data, from_radio=from_radio) == message
    assert net.encode(message) == data


def test_messages_from_the_radio_have_their_own_layouts() -> None:
    condition = Condition(False, False, True, 120)
    assert net.decode(net.encode(condition, from_radio=True)) == condition
    radio = net.Personality(31, 2001, 7, b"\xf0\x00\x00", 0xFF)
    assert net.decode(net.encode(radio)) == radio
    assert net.decode(b"\x80\x1f\x07\xd1\x00\x05extra") == Status(UNIT, 5)
    phone = Address(0, net.PSTN, 1, net.bcd("13800138000"))
    assert phone.more == bytes.fromhex("13800138000F")
    assert net.decode(net.encode(Call(False, phone, 8))) == Call(False, phone, 8)


@pytest.mark.parametrize(
    "address", ["", "31", "128/1", "31/0", "31/8192", "a/b", "31/2001/1", "٣/٣"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(net.Map27Error):
        net.parse_address(address)


SESSION = b"".join(BYTES.values())


@given(st.lists(st.integers(1, 13), min_size=1, max_size=50), st.binary(max_size=20))
def test_frames_come_out_however_they_arrive_and_whatever_stands_between(
    sizes: list[int], noise: bytes
) -> None:
    clean = noise.replace(b"\x16", b"")
    stream = clean.join(BYTES.values())
    decoder = FrameDecoder()
    got: list[bytes] = []
    at = 0
    while at < len(stream):
        size = sizes[at % len(sizes)]
        got += decoder.feed(stream[at : at + size])
        at += size
    assert got == [body(name) for name in FRAMES]


@given(st.binary(min_size=1, max_size=100))
def test_any_body_goes_there_and_back(data: bytes) -> None:
    assert FrameDecoder().feed(encode_frame(data)) == [data]


@given(st.binary(max_size=400))
def test_any_octets_are_survived(data: bytes) -> None:
    for found in FrameDecoder().feed(data + BYTES["LA 1,1"]):
        net.decode(found)
        net.decode(found, from_radio=False)


def test_nothing_but_beginnings_is_survived() -> None:
    decoder = FrameDecoder()
    decoder.feed(START * 50_000)
    assert len(decoder._buffer) < 10_000


def test_a_frame_without_end_is_given_up() -> None:
    decoder = FrameDecoder()
    for _ in range(20):
        decoder.feed(START + b"\x00" * 1000)
        decoder.feed(b"\x00" * 9000)
    assert len(decoder._buffer) < 20_000
    assert decoder.feed(BYTES["LA 1,1"])[-1] == body("LA 1,1")


def test_a_wrong_check_sum_is_dropped_unless_the_switch_for_it_is_on() -> None:
    spoilt = BYTES["connected"][:-1] + b"\x00"
    assert FrameDecoder().feed(spoilt + BYTES["LA 1,1"]) == [body("LA 1,1")]
    assert FrameDecoder(frozenset((0xC4,))).feed(spoilt) == [body("connected")]


# link layer


def put(outputs: list[dl.Output]) -> list[bytes]:
    return [o.data for o in outputs if isinstance(o, Put)]


def hear(link: Map27Link, data: bytes, now: float = 0.0) -> list[dl.Output]:
    return [out for b in FrameDecoder().feed(data) for out in link.frame(b, now)]


def test_recorded_session_a() -> None:
    """The radio offers N1=6, the DTE 14 and never lowers it; login and answers."""
    radio = Map27Link(19200, n1=6)
    assert put(radio.start(0.0)) == [BYTES["LR N1=6 k=1"]]
    assert put(hear(radio, BYTES["LR N1=14"])) == [BYTES["LR N1=6 k=1"]]
    assert hear(radio, BYTES["LA 1,1"])[:2] == [Put(BYTES["LA 1,1"]), Up(112)]
    out = hear(radio, BYTES["login"])
    assert out == [Put(BYTES["LA 2,1"]), Packet(body("login")[4:])]
    assert hear(radio, BYTES["data octet 10"])[1] == Packet(body("data octet 10")[4:])


def test_recorded_session_b() -> None:
    """DTE LR, RU LR, DTE LR, LA crosses LA; status, busy, success, status 16, SST, out of reach."""
    dte = Map27Link(9600, n1=6)
    assert put(dte.start(0.0)) == [BYTES["LR N1=6 k=1"]]
    assert put(hear(dte, BYTES["LR N1=6 k=1"])) == [BYTES["LR N1=6 k=1"]]
    out = hear(dte, BYTES["LA 1,1"])
    assert out == [Put(BYTES["LA 1,1"]), Up(112)]
    sent = dte.send(net.encode(Status(UNIT, 5)), 0.0)
    assert sent == [Put(BYTES["status"])]
    assert hear(dte, BYTES["LA 2,1"]) == [Acked(net.encode(Status(UNIT, 5)))]
    busy = b"\x04\x01\x01\x00" + net.encode(Ack(0xD0, UNIT, 2))
    assert put(hear(dte, encode_frame(busy))) == [BYTES["LA 2,1"]]
    done = b"\x04\x02\x01\x00" + net.encode(Ack(0xC0, UNIT, 0))
    assert put(hear(dte, encode_frame(done))) == [BYTES["LA 3,1"]]
    out = hear(dte, BYTES["status 16 (doubling)"])
    assert out == [Put(BYTES["LA 4,1"]), Packet(net.encode(Status(UNIT, 16)))]
    assert hear(dte, BYTES["LA 2,1"]) == [], "an LA is never answered by an LA"


def up(link: Map27Link, n1: int = 10) -> None:
    link.start(0.0)
    link.frame(bytes((dl.LR, n1, 1, 1)), 0.0)
    link.frame(bytes((dl.LA, 1, 1, 0)), 0.0)
    assert link.state is dl.S.READY


def test_the_lower_offer_counts_and_a_long_packet_is_refused() -> None:
    link = Map27Link(9600, n1=10)
    up(link, n1=6)
    assert link.room == 112
    with pytest.raises(dl.LinkRefused, match="113"):
        link.send(bytes(113), 0.0)


def test_both_may_begin_at_once() -> None:
    one, two = Map27Link(9600), Map27Link(9600)
    lines = {1: put(one.start(0.0)), 2: put(two.start(0.0))}
    for _ in range(4):
        from_one, from_two = lines[1], lines[2]
        lines = {
            1: [d for data in from_two for d in put(hear(one, data))],
            2: [d for data in from_one for d in put(hear(two, data))],
        }
    assert one.state is two.state is dl.S.READY
    assert lines == {1: [], 2: []}, "silence after the establishment"


def test_an_unanswered_packet_is_sent_again_and_then_the_link_has_failed() -> None:
    link = Map27Link(9600)
    up(link)
    link.send(b"\x80one", 0.0)
    link.send(b"\x80two", 0.0)
    now, tries = 0.0, 0
    while link.state is dl.S.READY:
        now = link.deadline or 0.0
        out = link.tick(now)
        tries += sum(b"one" in data for data in put(out))
    assert tries == dl.N2 - 1
    (down,) = [o for o in out if isinstance(o, Down)]
    assert (down.unclear, down.unsent) == ((b"\x80one",), (b"\x80two",))


def test_credit_zero_stops_the_sender_until_there_is_room() -> None:
    link = Map27Link(9600)
    up(link)
    link.frame(bytes((dl.LA, 1, 0, 0)), 0.1)
    assert link.send(b"\x80x", 0.2) == []
    assert len(put(link.frame(bytes((dl.LA, 1, 1, 0)), 0.3))) == 1


def test_no_room_here_is_told_and_ends() -> None:
    link = Map27Link(9600)
    up(link)
    link.set_busy(True, 0.0)
    out = link.frame(bytes((dl.LT, 1, 1, 0)) + b"\x80", 0.0)
    assert out == [Put(encode_frame(bytes((dl.LA, 1, 0, 0))))]
    assert put(link.set_busy(False, 0.0)) == [BYTES["LA 1,1"]]


def test_silence_is_a_failure_and_establishment_slows_down() -> None:
    link = Map27Link(9600)
    up(link)
    now = 0.0
    while link.state is dl.S.READY:
        now = link.deadline or 0.0
        link.tick(now)
    assert now == pytest.approx(dl.T4)
    waits = []
    for _ in range(12):
        later = link.deadline or 0.0
        waits.append(later - now)
        now = later
        link.tick(now)
    assert waits[0] == pytest.approx(0.1)
    assert waits[-1] == pytest.approx(15.0)


def test_an_acknowledgement_of_nothing_is_a_failure() -> None:
    link = Map27Link(9600)
    up(link)
    out = link.frame(bytes((dl.LA, 9, 1, 0)), 1.0)
    assert isinstance(out[0], Down)
    assert link.state is dl.S.RESET_WAIT


def test_the_other_side_may_begin_anew_at_any_time() -> None:
    link = Map27Link(9600)
    up(link)
    link.send(b"\x80x", 0.0)
    out = link.frame(bytes((dl.LR, 4, 1, 1)), 1.0)
    assert isinstance(out[0], Down)
    assert link.state is dl.S.LINK_WAIT
    assert link.n1 == 4


def test_surplus_offers_in_flight_do_not_tear_the_link_down_for_ever() -> None:
    one, two = Map27Link(9600), Map27Link(9600)
    offer = bytes((dl.LR, 10, 1, 1))
    lines = {1: [encode_frame(offer)] * 3, 2: [*put(one.start(0.0)), encode_frame(offer)]}
    now = 0.0
    for _ in range(200):
        now += 0.01
        from_one, from_two = lines[2], lines[1]
        lines = {
            1: [d for data in from_one for d in put(hear(two, data, now))],
            2: [d for data in from_two for d in put(hear(one, data, now))],
        }
    assert one.state is two.state is dl.S.READY
    assert lines == {1: [], 2: []}


def test_a_peer_that_never_negotiates_is_taken_at_our_values() -> None:
    link = Map27Link(9600, n1=6)
    link.start(0.0)
    for _ in range(dl.STUBBORN + 1):
        link.frame(bytes((dl.LR, 14, 1, 1)), 0.0)
    assert link.state is dl.S.READY
    assert link.n1 == 6


@given(st.integers(0, 2**32), st.integers(0, 30))
def test_packets_arrive_once_and_in_order_over_a_line_that_loses_frames(
    seed: int, loss: int
) -> None:
    rng = random.Random(seed)
    sides = (Map27Link(9600), Map27Link(9600))
    wires: list[list[bytes]] = [put(sides[0].start(0.0)), put(sides[1].start(0.0))]
    wanted = [[b"\x80" + bytes((side, n)) for n in range(12)] for side in (0, 1)]
    left = [list(w) for w in wanted]
    got: list[list[bytes]] = [[], []]
    downs = 0
    now = 0.0
    for _ in range(4000):
        for side in (0, 1):
            frames, wires[side] = wires[side], []
            outs: list[dl.Output] = []
            for data in frames:
                if rng.randrange(100) >= loss:
                    for found in FrameDecoder().feed(data):
                        outs += sides[1 - side].frame(found, now)
            got[side] += [o.data for o in outs if isinstance(o, Packet)]
            downs += sum(isinstance(o, Down) for o in outs)
            wires[1 - side] += put(outs)
        for side in (0, 1):
            outs = []
            if sides[side].state is dl.S.READY and left[side]:
                outs = sides[side].send(left[side].pop(0), now)
            due = sides[side].deadline
            if due is not None and due <= now:
                outs += sides[side].tick(now)
            downs += sum(isinstance(o, Down) for o in outs)
            wires[side] += put(outs)
        now += 0.05
        if got[0] == wanted[0] and got[1] == wanted[1]:
            break
    for side in (0, 1):
        if downs == 0:
            assert got[side] == wanted[side]
        else:  # a failed link tells what is unclear; nothing ever comes twice or out of order
            assert got[side] == sorted(set(got[side]))


# texts


def test_a_chinese_text_goes_in_agreed_binary_and_comes_back() -> None:
    (short,) = messages("出警", UNIT, "gb18030", False)
    assert net.encode(short) == body("SST 出警")[4:]
    long = messages("请速到人民路处置" * 10, UNIT, "gb18030", True)
    assert all(len(m.data) <= 88 for m in long)
    back = [text_of(m, "gb18030") or "" for m in long]
    assert back[0].startswith(f"1/{len(long)} ")
    assert "".join(t.partition(" ")[2] for t in back) == "请速到人民路处置" * 10
    (plain,) = messages("GATE 3", UNIT, "none", True)
    assert (plain.coding, text_of(plain, "none")) == (net.PC_8, "GATE 3")


def test_chinese_without_agreement_is_refused_in_words() -> None:
    with pytest.raises(TextRefused, match="status numbers"):
        messages("出警", UNIT, "none", True)


@pytest.mark.parametrize(
    ("coding", "chinese", "padded", "text"),
    [
        (net.BINARY, "gb18030", "到场".encode("gb18030") + b"\0\0\0", "到场"),
        (net.BINARY, "ucs2", "到场".encode("utf_16_be") + b"\0\0\0", "到场"),
        (net.PC_8, "none", b"OK  \0\0", "OK"),
        (net.BINARY, "none", b"\x01\x02", None),
        (1, "gb18030", b"123", None),
    ],
)
def test_padding_of_the_radio_path_is_cut(
    coding: int, chinese: str, padded: bytes, text: str | None
) -> None:
    assert text_of(Data(True, UNIT, coding, padded), chinese) == text


@given(st.text(st.sampled_from("警𠮷A1"), max_size=1000), st.sampled_from(["gb18030", "ucs2"]))
def test_no_character_is_divided(text: str, chinese: str) -> None:
    try:
        parts = messages(text, UNIT, chinese, True)
    except TextRefused:
        assert len(text) > 400
        return
    back = [text_of(m, chinese) or "" for m in parts]
    whole = back[0] if len(parts) == 1 else "".join(t.partition(" ")[2] for t in back)
    assert whole == text
