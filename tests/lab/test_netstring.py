"""Netstrings of JSON: whole however the bytes come, refused where they are not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.lab.netstring import MAX_LENGTH, NetstringDecoder, NetstringError, encode

messages = st.lists(st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4))


@given(messages, st.integers(min_value=1, max_value=40))
def test_the_same_messages_come_out_in_pieces_of_any_size(
    sent: list[dict[str, str]], size: int
) -> None:
    data = b"".join(map(encode, sent))
    decoder = NetstringDecoder()
    got = [m for at in range(0, len(data), size) for m in decoder.feed(data[at : at + size])]
    assert got == sent


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"x:{},", "not a length"),
        (b"1234567", "not a length"),
        (b"%d:" % (MAX_LENGTH + 1), "not a length"),
        (b'2:{}"', "no comma"),
        (b"3:abc,", "not JSON"),
        (b"2:[],", "not a JSON object"),
        (b"6000:" + b"[" * 6000 + b",", "not JSON"),
    ],
)
def test_what_is_no_netstring_of_an_object_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(NetstringError, match=words):
        NetstringDecoder().feed(data)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder_otherwise_than_with_its_own_error(data: bytes) -> None:
    try:
        got = NetstringDecoder().feed(data)
    except NetstringError:
        return
    assert all(isinstance(message, dict) for message in got)


def test_a_command_is_ascii_so_that_its_length_counts_bytes() -> None:
    text = encode({"command": "dial", "params": "张三"})
    length, _, rest = text.partition(b":")
    assert int(length) == len(rest) - 1
    assert json.loads(rest[:-1])["params"] == "张三"
