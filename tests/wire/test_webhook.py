"""Only the peer's own posts of the last five minutes are taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.webhook import ClockError, SignatureError, headers, verify
from tests.domain.cases import CALM

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
KEY, NEXT = b"k" * 32, b"n" * 40
BODY = '{"words":"水"}'.encode()


def signed(**more: object) -> dict[str, str]:
    made = headers(KEY, "peer-00000001", NOW, BODY)
    return {name.lower(): value for name, value in made.items()} | {
        name.replace("_", "-"): str(value) for name, value in more.items()
    }


def test_a_post_of_the_peer_is_taken_with_either_key() -> None:
    assert verify(signed(), BODY, [KEY], NOW).id == "peer-00000001"
    assert verify(signed(), BODY, [NEXT, KEY], NOW).at == int(NOW.timestamp())
    both = f"v1,bad v1a,x {signed()['webhook-signature']}"
    assert verify(signed(webhook_signature=both), BODY, [KEY], NOW).id == "peer-00000001"


def test_the_signature_is_the_one_others_compute() -> None:
    """The recipe of orders sheet 5, by hand: HMAC-SHA256 of id.timestamp.body, base64."""
    import base64
    import hashlib
    import hmac

    material = b"peer-00000001." + str(int(NOW.timestamp())).encode() + b"." + BODY
    mac = base64.b64encode(hmac.new(KEY, material, hashlib.sha256).digest()).decode()
    assert signed()["webhook-signature"] == f"v1,{mac}"


@pytest.mark.parametrize("seconds", [-300, -1, 0, 300])
def test_five_minutes_either_way_are_taken(seconds: int) -> None:
    verify(signed(), BODY, [KEY], NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_an_old_or_early_one_is_a_matter_of_clocks(seconds: int) -> None:
    with pytest.raises(ClockError):
        verify(signed(), BODY, [KEY], NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "more",
    [
        {"webhook_id": "peer-00000002"},
        {"webhook_id": "short"},
        {"webhook_id": "a\r\nb-12345678"},
        {"webhook_timestamp": int(NOW.timestamp()) + 1},
        {"webhook_timestamp": "now"},
        {"webhook_timestamp": "1e9"},
        {"webhook_signature": ""},
        {"webhook_signature": "v1,"},
        {"webhook_signature": "v2,AAAA"},
        {"webhook_signature": "v1,é"},
        {"webhook_signature": " ".join(["v1,x"] * 50)},
    ],
)
def test_anything_altered_is_refused(more: dict[str, object]) -> None:
    with pytest.raises(SignatureError):
        verify(signed(**more), BODY, [KEY, NEXT], NOW)


def test_another_body_or_key_is_refused() -> None:
    for body, keys in ((BODY + b" ", [KEY]), (BODY, [NEXT]), (BODY, []), (BODY, [b"short"])):
        with pytest.raises(SignatureError):
            verify(signed(), body, keys, NOW)
    with pytest.raises(SignatureError):
        verify({}, BODY, [KEY], NOW)


@CALM
@given(
    st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
        st.text(max_size=60),
    )
)
def test_no_headers_are_right_by_chance(found: dict[str, str]) -> None:
    with pytest.raises(SignatureError):
        verify(found, BODY, [KEY], NOW)


def test_short_keys_and_odd_ids_are_errors_of_ours() -> None:
    for key, identifier in ((b"short", "peer-00000001"), (KEY, "x"), (KEY, "a b c d e f")):
        with pytest.raises(ValueError, match="32 bytes"):
            headers(key, identifier, NOW, BODY)
