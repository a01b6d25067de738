"""A link's token: only ours, only whole, only in time."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.ack_link import AckToken, TokenError, TokenExpired, check, short_mac, sign
from tests.domain.cases import CALM

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
KEY, OTHER = b"a" * 32, b"b" * 32
TOKEN = AckToken("a-1", "20260301-1", "6001", NOW + timedelta(days=7))


def test_a_token_says_what_it_was_signed_for() -> None:
    assert check(sign(TOKEN, KEY), [KEY], NOW) == TOKEN
    assert check(sign(TOKEN, OTHER), [KEY, OTHER], NOW) == TOKEN  # while a key is changed


def test_its_time_ends() -> None:
    text = sign(TOKEN, KEY)
    assert check(text, [KEY], TOKEN.expires_at - timedelta(seconds=1)) == TOKEN
    with pytest.raises(TokenExpired):
        check(text, [KEY], TOKEN.expires_at)


def test_another_key_another_letter_or_another_spelling_is_refused() -> None:
    text = sign(TOKEN, KEY)
    with pytest.raises(TokenError):
        check(text, [OTHER], NOW)
    with pytest.raises(TokenError):
        check(text, [], NOW)
    for at in range(len(text)):
        altered = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(TokenError):
            check(altered, [KEY], NOW)
    for other in (text + "=", text + "\n", " " + text, text + ".x", "x" * 601, "", ".", "é"):
        with pytest.raises(TokenError):
            check(other, [KEY], NOW)


def test_a_body_with_another_tokens_signature_is_refused() -> None:
    other = AckToken("a-2", TOKEN.order, TOKEN.unit, TOKEN.expires_at)
    body, mac = sign(other, KEY).partition(".")[0], sign(TOKEN, KEY).rpartition(".")[2]
    with pytest.raises(TokenError):
        check(f"{body}.{mac}", [KEY], NOW)


@CALM
@given(st.text(max_size=80))
def test_no_text_is_a_token_by_chance(text: str) -> None:
    body = base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode()
    for guess in (text, f"{body}.{body}", f"{text}.{text}"):
        with pytest.raises(TokenError):
            check(guess, [KEY], NOW)


def test_short_keys_and_long_words_are_errors_of_ours() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        sign(TOKEN, b"short")
    with pytest.raises(ValueError, match="characters"):
        sign(AckToken("a" * 600, "o", "u", NOW), KEY)
    with pytest.raises(TokenError):
        check(sign(TOKEN, KEY), [b"short"], NOW)


def test_a_name_is_only_for_the_holder_of_the_key() -> None:
    assert short_mac(KEY, "a-1") == short_mac(KEY, "a-1")
    assert len({short_mac(KEY, "a-1"), short_mac(KEY, "a-2"), short_mac(OTHER, "a-1")}) == 3
