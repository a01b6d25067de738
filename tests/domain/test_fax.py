"""What the switch's words about a fax call mean: every phrase of the library that says them."""

from __future__ import annotations

import ctypes
import re

import pytest

from bridge.domain.delivery import A, Cause
from bridge.domain.fax import FaxSent, outcome_of, parse_in, parse_sent

SAID = "20261126-0001-01.1/05398110119/1/{resolution}/{confirmed}/14400/audio/{status}/{words}/110"
SENDERS_LAST = 22
"""T30_ERR_TX_T5EXP: phrases up to there are for a sender; 23 to 40 for a receiver."""


def phrases() -> list[str]:
    """All phrases of the installed libspandsp, in its order, as the plan passes them on."""
    said = ctypes.CDLL("libspandsp.so.2").t30_completion_code_to_str
    said.restype = ctypes.c_char_p
    found: list[str] = []
    for code in range(100):
        words = said(code).decode()
        if words == "???":
            return found
        found.append(re.sub(r"[^A-Za-z]", "", words))
    raise AssertionError("no end")


def sent(
    words: str = "NOERROR",
    status: str = "FAILED",
    resolution: str = "8031x7700",
    confirmed: int | str = 0,
) -> FaxSent:
    said = SAID.format(words=words, status=status, resolution=resolution, confirmed=confirmed)
    found = parse_sent(said)
    assert found is not None, said
    return found


def test_delivered_is_only_what_was_confirmed() -> None:
    assert outcome_of(sent(status="SUCCESS", confirmed=1)) == (A.DELIVERED, None)
    assert outcome_of(sent(status="SUCCESS", confirmed=0)) == (A.UNKNOWN, None)
    assert outcome_of(sent(status="FAILED", confirmed=1)) == (A.UNKNOWN, None)


@pytest.mark.req("SB-11")
def test_every_phrase_ends_an_attempt_truly() -> None:
    """None is delivered; after a page was or may have been sent, none is a plain failure unless
    the phrase itself says that no page was."""
    unknown_at_any_time = set()
    for number, words in enumerate(phrases()):
        if number == 0:
            continue
        before = outcome_of(sent(words, resolution="0x0"))
        after = outcome_of(sent(words))
        assert A.DELIVERED not in (before[0], after[0]), words
        assert outcome_of(sent(words, confirmed=1)) == (A.UNKNOWN, None), words
        if before[0] is A.UNKNOWN:
            unknown_at_any_time.add(words)
        else:
            assert before[1] is not None, words
        if SENDERS_LAST < number <= 40:
            assert after == (A.UNKNOWN, None), words
    assert len(unknown_at_any_time) == 7
    assert "Noresponseaftersendingapage" in unknown_at_any_time


@pytest.mark.parametrize(
    ("words", "resolution", "far", "outcome"),
    [
        ("Thecalldroppedprematurely", "0x0", "", (A.FAILED, Cause.VOICE_ANSWERED)),
        ("Thecalldroppedprematurely", "0x0", "110", (A.FAILED, Cause.CUT)),
        ("Thecalldroppedprematurely", "8031x7700", "110", (A.UNKNOWN, None)),
        ("TNEGERROR", "", "", (A.FAILED, Cause.VOICE_ANSWERED)),
        ("", "", "", (A.FAILED, Cause.VOICE_ANSWERED)),
        ("Timedoutwaitingforthefirstmessage", "0x0", "", (A.FAILED, Cause.VOICE_ANSWERED)),
        ("Failedtotrainwithanyofthecompatiblemodems", "8031x7700", "",
         (A.FAILED, Cause.TRAINING_FAILED)),
        ("Farendisnotabletoreceive", "0x0", "", (A.FAILED, Cause.REJECTED)),
        ("INITERROR", "", "", (A.FAILED, Cause.ERROR)),
        ("somethingnew", "0x0", "", (A.FAILED, Cause.TRAINING_FAILED)),
        ("somethingnew", "8031x7700", "", (A.UNKNOWN, None)),
    ],
)  # fmt: skip
def test_what_hung_up(
    words: str, resolution: str, far: str, outcome: tuple[A, Cause | None]
) -> None:
    said = f"1.1/800/1/{resolution}/0/14400/T38/FAILED/{words}/{far}"
    found = parse_sent(said)
    assert found is not None
    assert outcome_of(found) == outcome


@pytest.mark.parametrize(
    "said",
    [
        "", "1.1", "1.1/800/1/0x0/0/14400/T38/SUCCESS/OK/110/more",
        "1.1/800/1/0x0/0/14400/T38/SUCCESS/OK/1\n0", "../1.1/800/1/0x0/0/1/T38/SUCCESS/OK/1",
        "1.1/800/x/0x0/0/14400/T38/SUCCESS/OK/1", "1.1/８/1/0x0/0/14400/T38/SUCCESS/OK/1",
    ],
)  # fmt: skip
def test_other_words_are_none_of_ours(said: str) -> None:
    assert parse_sent(said) is None


def test_a_call_that_came_in() -> None:
    whole = parse_in("1795677308.1/05398110119/2/9600/audio/SUCCESS/NOERROR/0539811")
    assert whole is not None
    assert (whole.call, whole.caller, whole.pages, whole.whole, whole.far) == (
        "1795677308.1", "05398110119", 2, True, "0539811",
    )  # fmt: skip
    cut = parse_in("1795677308.1/////FAILED/Thecalldroppedprematurely/")
    assert cut is not None
    assert not cut.whole
    assert parse_in("../../etc/x/1/1/1/audio/SUCCESS/OK/1") is None
