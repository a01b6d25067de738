"""RTP packets and telephone events."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.lab.rtp import KEYS, KeyFrame, key_at_end, key_frames, pack, unpack


@given(
    st.integers(0, 71),
    st.booleans(),
    st.integers(0, 1 << 17),
    st.integers(0, 1 << 33),
    st.integers(0, (1 << 32) - 1),
    st.binary(max_size=200),
)
def test_a_packet_is_read_as_it_was_written_its_numbers_wrapped(
    kind: int, marker: bool, sequence: int, timestamp: int, source: int, payload: bytes
) -> None:
    packet = unpack(pack(kind, marker, sequence, timestamp, source, payload), 1.5)
    assert packet is not None
    assert (packet.at, packet.kind, packet.payload) == (1.5, kind, payload)
    assert packet.sequence == sequence % (1 << 16)
    assert packet.timestamp == timestamp % (1 << 32)


def test_contributors_extension_and_padding_are_no_sound() -> None:
    head = struct.pack(">BBHII", 0x80 | 0x20 | 0x10 | 2, 8, 1, 160, 9)
    data = head + bytes(8) + b"\xbe\xde\x00\x01" + bytes(4) + b"sound" + b"\0\0\x03"
    packet = unpack(data, 0.0)
    assert packet is not None
    assert packet.payload == b"sound"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x08" + bytes(9),
        b"\x40\x08" + bytes(10),
        b"\x80\xc8" + bytes(26),
        b"\x90\x08" + bytes(10),
        b"\xa0\x08" + bytes(10) + b"\xff",
    ],
    ids=["empty", "short", "version 1", "RTCP", "cut extension", "padding beyond"],
)
def test_what_is_no_rtp_packet_is_left_out(data: bytes) -> None:
    assert unpack(data, 0.0) is None


@given(st.binary(max_size=64))
def test_no_datagram_breaks_the_reader(data: bytes) -> None:
    packet = unpack(data, 0.0)
    assert packet is None or len(packet.payload) < len(data)


@given(st.text(KEYS, min_size=1, max_size=10))
def test_each_key_ends_once_however_often_its_end_is_told(keys: str) -> None:
    heard, told, timestamp, last = "", 0, 0, -1
    for number, frame in enumerate(key_frames(keys)):
        if not isinstance(frame, KeyFrame):
            continue
        timestamp = number if frame.first else timestamp
        packet = unpack(pack(101, frame.first, number, timestamp, 1, frame.payload), 0.0)
        assert packet is not None
        if key := key_at_end(packet):
            told += 1
            heard, last = (heard if timestamp == last else heard + key), timestamp
    assert heard == keys
    assert told == 3 * len(keys)


@pytest.mark.parametrize("keys", ["", "x", "1 ", "1" * 65])
def test_what_is_no_key_is_refused(keys: str) -> None:
    with pytest.raises(ValueError, match="keys"):
        key_frames(keys)
