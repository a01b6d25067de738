"""Frames and HDLC against octets seen on the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.fax.bits import to_octets
from hardware.fax.hdlc import (
    FCD,
    HdlcDecoder,
    Unshield,
    checked,
    ecm_block,
    fcs,
    shield,
    stuffed,
    with_fcs,
)
from hardware.fax.rates import (
    ALL_RATES,
    V17_14400,
    V27TER_2400,
    V29_9600,
    Rate,
    dis_of_rates,
    rates_of_dis,
)
from hardware.fax.t30_ecm import BlockCollector, parse_pps, ppr_map
from hardware.fax.t30_frames import (
    Chosen,
    Coding,
    Fcf,
    build_dcs,
    build_dis,
    build_frame,
    decode_identity,
    encode_identity,
    parse_dcs,
    parse_dis,
    parse_frame,
)

ECM_14400 = Chosen(V17_14400, True, Coding.MMR, 0, True, 256, 1728)
GOLDEN = {
    "FF 13 84 EA 7D": build_frame(Fcf.CFR, x=False),
    "FF 13 44 E6 BB": build_frame(Fcf.FTT, x=False),
    "FF 13 8C A2 F1": build_frame(Fcf.MCF, x=False),
    "FF 13 4C AE 37": build_frame(Fcf.RTN, x=False),
    "FF 13 CC A6 B3": build_frame(Fcf.RTP, x=False),
    "FF 13 2F 33 66": build_frame(Fcf.EOP, x=True),
    "FF 13 4F 35 05": build_frame(Fcf.MPS, x=True),
    "FF 13 8F 39 C3": build_frame(Fcf.EOM, x=True),
    "FF 13 FB 9A F6": build_frame(Fcf.DCN, x=True),
    "FF 13 6F 37 24": build_frame(Fcf.RR, x=True),
    "FF 13 BF 2F 00 00 4C A2 CD": build_frame(Fcf.PPS, b"\x2f\0\0\x4c", x=True),
    "FF 13 83 00 62 F8 44 9C DD": build_frame(Fcf.DCS, build_dcs(ECM_14400), x=True),
}
"""With check sequence, as iaxmodem and HylaFAX exchanged them."""


@pytest.mark.parametrize("line", GOLDEN)
def test_frames_seen_on_the_line(line: str) -> None:
    octets = bytes.fromhex(line)
    assert with_fcs(GOLDEN[line]) == octets
    assert checked(octets) == GOLDEN[line]
    frame = parse_frame(GOLDEN[line])
    assert frame is not None
    assert frame.final
    assert build_frame(Fcf(frame.fcf), frame.fif, x=frame.x) == GOLDEN[line]


def test_check_sequence_of_the_usual_nine_digits() -> None:
    assert fcs(b"123456789") == b"\x6e\x90"
    assert checked(bytes.fromhex("FF 13 84 EA 7C")) is None
    assert checked(b"\xff") is None


def test_identity_is_sent_backwards() -> None:
    assert encode_identity("+86571110").startswith(bytes.fromhex("30 31 31 31 37 35 36 38 2B 20"))
    assert decode_identity(encode_identity("+86571110")) == "+86571110"
    for bad in ("FAX", "1" * 21, "12\r\n"):
        with pytest.raises(ValueError, match="fax identity"):
            encode_identity(bad)
    assert decode_identity(b"\x07" * 20) == ""


def test_dis_of_spandsp_and_of_an_old_machine() -> None:
    can = parse_dis(bytes.fromhex("00 EE F8 C4 80 91 80 80 80 18"))
    assert can is not None
    assert (can.receives, can.fine, can.mr, can.ecm, can.t6) == (True, True, True, True, True)
    assert can.rates[0] == V17_14400
    assert can.scan_ms(fine=True) == 0
    old = parse_dis(bytes.fromhex("00 4E 30"))
    assert old is not None
    assert (old.ecm, old.t6, old.mr, old.fine) == (False, False, False, True)
    assert old.rates[0] == V29_9600
    assert (old.scan_ms(fine=False), old.scan_ms(fine=True)) == (20, 10)
    assert parse_dis(b"\0\2") is None


def test_our_dis_says_what_we_can() -> None:
    assert build_dis(ALL_RATES, ecm=True, t6=True) == bytes.fromhex("00 EE F8 44")
    assert build_dis(ALL_RATES, ecm=False, t6=True) == bytes.fromhex("00 EE 78")
    assert rates_of_dis(dis_of_rates((V29_9600,))) == rates_of_dis(0x04)
    assert rates_of_dis(dis_of_rates((V27TER_2400,)))[0] == V27TER_2400


@pytest.mark.parametrize("rate", ALL_RATES)
@pytest.mark.parametrize("coding", Coding)
def test_dcs_comes_back(rate: Rate, coding: Coding) -> None:
    ecm = coding is not Coding.MH
    chosen = Chosen(rate, True, coding, 0 if ecm else 10, ecm, 256, 1728)
    if coding is not Coding.MMR or ecm:
        assert parse_dcs(build_dcs(chosen)) == chosen


@given(st.lists(st.binary(min_size=256, max_size=256), min_size=1, max_size=12), st.integers(1, 99))
def test_ecm_frames_come_back_however_the_octets_arrive(data: list[bytes], piece: int) -> None:
    block = ecm_block(dict(enumerate(data)), 40)
    decoder = HdlcDecoder()
    pieces = [block[at : at + piece] for at in range(0, len(block), piece)]
    frames = [frame for part in pieces for frame in decoder.feed(part)]
    assert [f[4:] for f in frames if f[2] == FCD] == data
    assert [f.hex() for f in frames[-3:]] == ["ff0386"] * 3


def test_flags_that_share_a_zero_part_frames_too() -> None:
    body = with_fcs(bytes.fromhex("FF 03 86"))
    bits = "0" + "1111110" * 5 + stuffed(body) + "01111110" + "1111110" + stuffed(body) + "01111110"
    assert HdlcDecoder().feed(to_octets(bits + "0" * 8)) == [body[:-2]] * 2


@given(st.binary(max_size=300), st.integers(1, 50))
def test_shielding_comes_off_however_the_octets_arrive(data: bytes, piece: int) -> None:
    line = shield(data) + b"\x10\x03" + b"\r\nOK\r\n"
    unshield = Unshield()
    got, rest = b"", b""
    for at in range(0, len(line), piece):
        part = line[at : at + piece]
        if unshield.ended:
            rest += part
        else:
            got += unshield.feed(part)
            rest += unshield.rest
    assert (got, rest) == (data, b"\r\nOK\r\n")


def test_unknown_shielded_codes_are_dropped() -> None:
    unshield = Unshield()
    assert unshield.feed(b"a\x10\x1ab\x10\x55c\x10\x10") == b"a\x10\x10bc\x10"


def test_the_map_of_wanted_frames_is_the_one_measured() -> None:
    assert ppr_map([5, 9, 76])[:10] == bytes.fromhex("20 02 00 00 00 00 00 00 00 10")


def test_blocks_of_a_page_numbered_again_after_a_new_training_are_not_doubled() -> None:
    one, two, three = (bytes([n]) * 256 for n in (1, 2, 3))
    blocks = BlockCollector()

    def block(number: int, data: bytes) -> None:
        pps = parse_pps(bytes((0, 0, number, 0)))
        assert pps is not None
        blocks.carrier()
        blocks.feed(ecm_block({0: data}, 10))
        assert not blocks.again(pps)
        assert blocks.missing(pps) == []
        blocks.complete(pps)

    block(0, one)
    block(1, two)
    block(2, three)
    blocks.retrained()
    block(0, one)
    block(1, two)
    assert blocks.next_page() == one + two
