"""The closing code: slips are told from guesses, guesses are counted and stopped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.code import CLOSED_FOR, Tries, codes_in, is_code, make_code, order_of_code

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def test_the_published_example_of_the_check_digit() -> None:
    assert make_code(572)[-4:] == "5724"  # Damm's own example: 572 has the check digit 4


@given(st.integers(0, 9_999_999), st.integers(0, 7), st.integers(1, 9))
def test_every_single_wrong_digit_is_found(number: int, place: int, off: int) -> None:
    code = make_code(number)
    assert is_code(code)
    wrong = code[:place] + str((int(code[place]) + off) % 10) + code[place + 1 :]
    assert not is_code(wrong)


@given(st.integers(0, 9_999_999), st.integers(0, 6))
def test_every_swap_of_neighbours_is_found(number: int, place: int) -> None:
    code = make_code(number)
    swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    assert swapped == code or not is_code(swapped)


@pytest.mark.parametrize(
    "text", ["", "1234567", "123456789", "1234567x", "12345 78", "１２３４５６７８"]
)
def test_what_is_no_code(text: str) -> None:
    assert not is_code(text)


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError):
        make_code(10**7)


def test_codes_in_a_reply_stand_alone_and_come_once() -> None:
    code = make_code(1234567)
    text = f"办结码 {code}。电话 1{code}2,再说一次{code}; 99999999"
    assert codes_in(text) == [code]


def test_the_code_finds_its_order_among_the_units_open_ones() -> None:
    open_orders = [("a", make_code(1)), ("b", make_code(2))]
    assert order_of_code(make_code(2), open_orders) == "b"
    assert order_of_code(make_code(3), open_orders) is None
    assert order_of_code("\ud800", open_orders) is None


def test_five_wrong_tries_within_an_hour_close_the_way_for_an_hour() -> None:
    tries = Tries()
    closes = [tries.note_wrong("water", NOW + timedelta(minutes=n)) for n in range(5)]
    assert closes == [False] * 4 + [True]
    last = NOW + timedelta(minutes=4)
    assert tries.is_closed("water", last + CLOSED_FOR - timedelta(seconds=1))
    assert not tries.is_closed("water", last + CLOSED_FOR)
    assert not tries.is_closed("fire", last)


def test_wrong_tries_over_more_than_an_hour_are_slips() -> None:
    tries = Tries()
    assert not any(tries.note_wrong("water", NOW + timedelta(minutes=20 * n)) for n in range(20))


def test_a_right_code_forgives_and_what_is_stored_comes_back() -> None:
    tries = Tries()
    for _ in range(4):
        tries.note_wrong("water", NOW)
    tries.note_right("water")
    assert not tries.note_wrong("water", NOW)
    for _ in range(4):
        tries.note_wrong("fire", NOW)
    tries.note_wrong("fire", NOW)
    again = Tries.from_doc(tries.as_doc())
    assert again == tries
    assert again.is_closed("fire", NOW)
