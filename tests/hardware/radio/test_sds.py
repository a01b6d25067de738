"""SDS-TL: every golden vector of the PEI sheet, and what may never happen to a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.radio import gsm7, lip, sds, sms_pdu
from hardware.radio.map27_net import Address
from hardware.radio.map27_text import messages
from hardware.radio.pei_lines import (
    CallLine,
    LineError,
    Registration,
    Sds,
    SdsSent,
    is_ssi,
    parse_call,
    parse_registration,
    parse_sds,
    parse_sent,
    parse_signal,
    same_identity,
)
from hardware.radio.sds import (
    Ack,
    Part,
    Raw,
    Report,
    Short,
    Simple,
    Stamp,
    StatusClass,
    StoreForward,
    Text,
    Transfer,
    Want,
)
from hardware.radio.texts import TextRefused

TEST = b"testmessage"
FROM = "+CTSDSR: 12,1234567,0,2345678,0,"


def got(header: str, digits: str) -> tuple[Sds, sds.Pdu]:
    found = parse_sds(header, digits)
    return found, sds.decode(found.data)


@pytest.mark.parametrize(
    ("bits", "digits", "pdu", "text"),
    [
        (104, "0201746573746D657373616765", Simple(2, b"\x01" + TEST), Text("testmessage", 1)),
        (16, "0201", Simple(2, b"\x01"), Text("", 1)),
        (104, "0901746573746D657373616765", Simple(9, b"\x01" + TEST), Text("testmessage", 1)),
        (
            120,
            "82029C01746573746D657373616765",
            Transfer(0x82, 0x9C, b"\x01" + TEST),
            Text("testmessage", 1),
        ),
        (
            120,
            "89029C01746573746D657373616765",
            Transfer(0x89, 0x9C, b"\x01" + TEST),
            Text("testmessage", 1),
        ),
        (
            152,
            "82039C5101020301746573746D657373616765",
            Transfer(
                0x82, 0x9C, b"\x01" + TEST, forward=StoreForward(10, 1, bytes.fromhex("010203"))
            ),
            Text("testmessage", 1),
        ),
        (
            144,
            "82029C81045A8F746573746D657373616765",
            Transfer(0x82, 0x9C, b"\x81\x04\x5a\x8f" + TEST),
            Text("testmessage", 1, Stamp(0, 4, 11, 10, 15)),
        ),
        (
            192,
            "8A02C981045A8F050003C90201746573746D657373616765",
            Transfer(0x8A, 0xC9, b"\x81\x04\x5a\x8f\x05\x00\x03\xc9\x02\x01" + TEST),
            Text("testmessage", 1, Stamp(0, 4, 11, 10, 15), Part(0xC9, 2, 1)),
        ),
        (
            192,
            "8A02CA81045A8F050003C90202746573746D657373616765",
            Transfer(0x8A, 0xCA, b"\x81\x04\x5a\x8f\x05\x00\x03\xc9\x02\x02" + TEST),
            Text("testmessage", 1, Stamp(0, 4, 11, 10, 15), Part(0xC9, 2, 2)),
        ),
        (32, "821000C9", Report(0x82, 0, 0xC9), None),
        (32, "821800CA", Report(0x82, 0, 0xCA, wants_ack=True), None),
        (32, "822001C9", Ack(0x82, 1, 0xC9), None),
    ],
)
def test_received_vectors(bits: int, digits: str, pdu: sds.Pdu, text: Text | None) -> None:
    found, decoded = got(f"{FROM}{bits}", digits)
    assert (found.source, found.target, found.cut) == ("1234567", "2345678", False)
    assert decoded == pdu
    assert sds.text_of(decoded) == text
    assert sds.encode(decoded).hex().upper() == digits
    if text is not None:
        assert sds.encode_text(text) == (pdu.data if isinstance(pdu, Transfer | Simple) else b"")


@pytest.mark.parametrize(
    ("header", "digits", "source", "text", "want", "reference"),
    [
        (
            "+CTSDSR: 12,23404,0,23401,0,112",
            "82040801476A61746A616A676A61",
            "23404",
            Text("Gjatjajgja", 1),
            Want.RECEIVED,
            8,
        ),
        ("+CTSDSR:12,1033,0,3130,0,64", "8204010574657374", "1033", Text("test", 5), 1, 1),
        (
            "+CTSDSR: 12,2269001,0,1001,0,80",
            "82040A1A5DF252308FBE",
            "2269001",
            Text("已到达", 26),
            1,
            10,
        ),
        (
            "+CTSDSR: 12,2269001,0,1001,0,88",
            "82020B9A0BAC055230573A",
            "2269001",
            Text("到场", 26, Stamp(0, 11, 21, 16, 5)),
            0,
            11,
        ),
    ],
)
def test_received_texts_of_terminals(
    header: str, digits: str, source: str, text: Text, want: int, reference: int
) -> None:
    found, decoded = got(header, digits)
    assert isinstance(decoded, Transfer)
    assert (found.source, decoded.want, decoded.reference) == (source, want, reference)
    assert sds.text_of(decoded) == text
    assert sds.encode(decoded).hex().upper() == digits


def test_a_status_and_addresses_as_tsi() -> None:
    status = parse_sds("+CTSDSR: 13,1234567,0,2345678,0,16", "8004")
    assert (status.service, int.from_bytes(status.data, "big")) == (13, 0x8004)
    long = parse_sds("+CTSDSR: 12,262100101234567,1,262100102345678,1,808,1", "82" * 101)
    assert (long.source, long.target, long.cut) == ("1234567", "2345678", False)
    assert parse_sds("+CTSDSR: 13,2345678,16", "8004").target == "2345678"
    assert parse_sds("+CTSDSR: 13,2345678,0,16", "8004").source == ""


@pytest.mark.parametrize(
    ("digits", "bits", "octets", "cut"),
    [
        ("0A112853A9FF4D4FFFE810", 84, 11, False),  # Motorola: zero filled
        ("0A112853A9FF4D4FFFE81", 84, 11, False),  # Sepura: odd number of digits
        ("82040A1A5DF2", 80, 6, True),
        ("", 0, 0, False),
    ],
)
def test_digits_and_announced_bits_may_differ(
    digits: str, bits: int, octets: int, cut: bool
) -> None:
    found = parse_sds(f"+CTSDSR: 12,1,0,2,0,{bits}", digits)
    assert (len(found.data), found.cut) == (octets, cut)


@pytest.mark.parametrize(
    "line",
    ["+CTSDSR: 12,1,0,2,0", "+CTSDSR: 12,1", "+CTSDSR: x,1,0,2,0,8", "+CTSDSR: 12,a,0,2,0,8"],
)
def test_a_header_of_another_shape_is_refused(line: str) -> None:
    with pytest.raises(LineError):
        parse_sds(line, "82")


@pytest.mark.parametrize(
    ("text", "want", "reference", "immediate", "validity", "bits", "digits"),
    [
        (
            "出警：中山路12号",
            3,
            0x4D,
            False,
            0,
            176,
            "820E4D1A51FA8B66FF1A4E2D5C718DEF0031003253F7",
        ),
        (
            "请速到人民路8号处置纠纷，到场回告",
            1,
            0x4E,
            False,
            0,
            304,
            "82064E1A8BF7901F52304EBA6C118DEF003853F759047F6E7EA07EB7FF0C5230573A56DE544A",
        ),
        ("收到请回复", 2, 0x4F, False, 0, 112, "820A4F1A653652308BF756DE590D"),
        ("紧急", 3, 0x51, True, 0, 64, "890E511A7D276025"),
    ],
)
def test_sent_vectors(
    text: str, want: int, reference: int, immediate: bool, validity: int, bits: int, digits: str
) -> None:
    (made,) = sds.transfers(
        sds.pieces(text, 2047), [reference], want=Want(want), immediate=immediate, validity=validity
    )
    octets = sds.encode(made)
    assert octets.hex().upper() == digits
    assert len(octets) * 8 == bits


def test_more_vectors_that_are_sent() -> None:
    hello = Transfer(0x82, 1, sds.encode_text(Text("HELLO D", 1)), Want.RECEIVED, standard=False)
    assert sds.encode(hello).hex().startswith("8204010148454c4c4f2044")
    kept = Transfer(
        0x82, 0x50, sds.encode_text(Text("A", 26)), Want.RECEIVED, True, StoreForward(13)
    )
    assert sds.encode(kept).hex().upper() == "8207506F1A0041"
    assert sds.validity_seconds(13) == 1800
    assert sds.encode(Report(0x82, 0, 8)).hex() == "82100008"
    parts = sds.transfers(["一二三", "四五六"], [0x21, 0x22], want=Want.RECEIVED)
    assert [sds.encode(p).hex().upper() for p in parts] == [
        "8A06211A0500032102014E004E8C4E09",
        "8A06221A050003210202" + "56DB4E94516D",
    ]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0),
        (6, 60),
        (7, 120),
        (10, 300),
        (11, 600),
        (16, 3600),
        (17, 7200),
        (21, 21600),
        (22, 43200),
        (24, 86400),
        (25, 172800),
        (30, 12 * 86400),
        (31, None),
    ],
)
def test_validity_periods(value: int, seconds: int | None) -> None:
    assert sds.validity_seconds(value) == seconds


def test_short_reports_are_statuses() -> None:
    assert [sds.encode_short_report(kind, 0x4D) for kind in Short] == [
        0x7C4D,
        0x7D4D,
        0x7E4D,
        0x7F4D,
    ]
    assert sds.short_report(0x7E4D) == (Short.RECEIVED, 0x4D)
    assert sds.short_report(0x7ACA) is None
    assert sds.short_report(0x8004) is None


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (0x00, StatusClass.SUCCESS),
        (0x06, StatusClass.SUCCESS),
        (0x21, StatusClass.TEMPORARY),
        (0x40, StatusClass.FAILED),
        (0x5F, StatusClass.FAILED),
        (0x60, StatusClass.FLOW),
        (0x80, StatusClass.OTHER),
    ],
)
def test_classes_of_delivery_status(status: int, meaning: StatusClass) -> None:
    assert sds.status_class(status) is meaning


@pytest.mark.parametrize(
    ("digits", "lat", "lon", "error", "speed", "direction", "reason"),
    [
        ("0A00893E12472C51026810", 51.255448, 12.062323, 20, 1, 67.5, 129),
        ("0A112853A9FF4D4FFFE810", 44.938642, 26.044346, None, None, 337.5, 129),
        ("0A0BA7D5B95BC50AFFE160", 30.565692, -97.748891, 200, None, 337.5, 22),
        ("0A0088BD4247F737FFE810", 51.325099, 12.018099, None, None, 337.5, 129),
        ("0A06D0103EC61871000810", -27.589266, 153.286818, 20, 0, 0, 129),
    ],
)
def test_location_vectors(
    digits: str,
    lat: float,
    lon: float,
    error: int | None,
    speed: float | None,
    direction: float,
    reason: int,
) -> None:
    pdu = bytes.fromhex(digits)
    found = lip.decode_short(pdu[1:])
    assert found is not None
    assert (found.error_m, found.speed_kmh, found.direction) == (error, speed, direction)
    assert found.reason == reason
    assert found.latitude == pytest.approx(lat, abs=1e-6)
    assert found.longitude == pytest.approx(lon, abs=1e-6)
    again = lip.decode_short(lip.encode_short(found)[1:])
    assert again == found


def test_other_location_messages_stay_raw() -> None:
    assert lip.decode_short(bytes.fromhex("4DD400000000000000005FE0002308517A100060")) is None
    assert lip.decode_short(b"") is None


def test_a_long_chinese_text_fits_the_practical_limit() -> None:
    assert len(sds.pieces("警" * 39, 668)) == 1
    parts = sds.pieces("警" * 300, 668)
    assert [len(p) for p in parts] == [36] * 8 + [12]
    for pdu in sds.transfers(parts, list(range(len(parts)))):
        assert len(sds.encode(pdu)) * 8 <= 668


texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="\u202a\u202b")
    | st.sampled_from("𠮷警A€é"),
    max_size=1000,
).filter(lambda t: not any("\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u2069" for c in t))


@given(texts, st.sampled_from([160, 400, 668, 2047]))
def test_texts_of_every_length_come_back_whole_from_their_parts(text: str, bits: int) -> None:
    try:
        parts = sds.pieces(text, bits)
    except TextRefused:
        assert len(text) * 4 > 99 * (bits // 8 - 12)
        return
    made = [sds.encode(p) for p in sds.transfers(parts, list(range(len(parts))))]
    assert all(len(p) * 8 <= bits for p in made)
    read = [sds.text_of(sds.decode(p)) for p in made]
    assert "".join(t.text for t in read if t is not None) == text
    if len(parts) > 1:
        assert [t.part for t in read if t is not None] == [
            Part(0, len(parts), n) for n in range(1, len(parts) + 1)
        ]


def test_texts_of_every_length_up_to_a_thousand_are_divided_without_loss() -> None:
    text = "警𠮷a" * 334
    for length in range(1001):
        wanted = text[:length]
        for parts in (sds.pieces(wanted, 668), sms_pdu.pieces(wanted)):
            assert "".join(parts) == wanted
        whole = messages(wanted, Address(31, 2001), "gb18030", True)
        assert all(len(message.data) <= 88 for message in whole)


@pytest.mark.parametrize("bad", ["\x00", "\r", "\n", "\x1a", "\x1b", "\ud842", "\u202e", "\u2028"])
def test_characters_that_may_not_be_sent_are_refused_with_their_place(bad: str) -> None:
    with pytest.raises(TextRefused, match="character 3"):
        sds.pieces(f"到场{bad}AT+CTOM=1", 668)


@given(st.binary(max_size=300))
def test_any_octets_decode_to_something_and_encode_to_the_same(data: bytes) -> None:
    decoded = sds.decode(data)
    sds.text_of(decoded)
    if isinstance(decoded, Simple):
        lip.decode_short(decoded.data)
    again = sds.encode(decoded)
    if isinstance(decoded, Raw | Simple):
        assert again == data
    else:
        assert sds.decode(again) == decoded


@given(st.binary(max_size=200))
def test_gsm_7_bit_goes_there_and_back(data: bytes) -> None:
    codes = [b & 0x7F for b in data]
    assert gsm7.unpack(gsm7.pack(codes), len(codes)) == codes
    assert gsm7.unpack(gsm7.pack(codes, 3), len(codes), 3) == codes


def test_gsm_7_bit_text() -> None:
    codes = gsm7.septets("Hi {€}")
    assert codes is not None
    assert gsm7.text_of(codes) == "Hi {€}"
    assert gsm7.septets("警") is None
    pdu = Transfer(0x82, 1, sds.encode_text(Text("hello12", 0)))
    assert sds.text_of(pdu) == Text("hello12", 0)


@pytest.mark.parametrize(
    ("line", "call"),
    [
        (
            "+CTICN: 1,0,0,5,09011638300023404,1,1,0,1,1,5,09011638300000001,0",
            CallLine("CTICN", 1, 0, "23404", "1", 0),
        ),
        ("+CTICN: 1,0,0,5,23404,1,1,0,1,1,5,1000,0", CallLine("CTICN", 1, 0, "23404", "1000", 0)),
        (
            "+CTICN:0,0,0,0,255,1,1,0,1,1,1,216216300000300,3",
            CallLine("CTICN", 0, 0, "255", "300", 3),
        ),
        ("+CTICN:46,0,7,0,2,1,1,0,4,0", CallLine("CTICN", 46, 0, "2", "", 0)),
        ("+CTOCP: 1,0,0,1,0", CallLine("CTOCP", 1, 0)),
        ("+CTCC:0,1,1,0,0,1,1,3", CallLine("CTCC", 0, 1)),
        ("+CTXG:0,3,0,0,0,255", CallLine("CTXG", 0, 3, "255")),
        ("+CTXG: 1,3,0,0,3,09011638300023404", CallLine("CTXG", 1, 3, "23404")),
        ("+CTXG: 1,0,0,0", CallLine("CTXG", 1, 0)),
        ("+CDTXC:0,0", CallLine("CDTXC", 0, 0)),
        ("+CTCR: 1,13", CallLine("CTCR", 1, 13)),
    ],
)
def test_call_lines(line: str, call: CallLine) -> None:
    assert parse_call(line) == call


def test_other_lines() -> None:
    assert parse_sent("+CMGS: 0,4,7") == SdsSent(0, 4, 7)
    assert parse_sent("+CMGS: 0,5") == SdsSent(0, 5, None)
    assert parse_registration("+CREG: 1,1,90109999") is Registration.HOME
    assert parse_signal("+CSQ: 20,99") == -73
    assert parse_signal("+CSQ: 99,99") is None
    assert same_identity("09011638300023404", "23404")
    assert same_identity("262100102345678", "0262100102345678")
    assert not same_identity("262100102345678", "262100202345678")
    for line in ("+CREG: x", "+CREG: 9", "+CSQ:", "+CMGS: 1", "+CMGS: 1,2,3,4"):
        with pytest.raises(LineError):
            (
                parse_sent
                if "CMGS" in line
                else parse_signal
                if "CSQ" in line
                else parse_registration
            )(line)


@pytest.mark.parametrize("address", ["", "0", "16777216", "12a", "١٢", "123456789", "-1", " 1"])
def test_an_address_that_is_no_ssi(address: str) -> None:
    assert not is_ssi(address)
