"""Digest authentication: the standard's own vectors, and challenges that cannot be met."""

from __future__ import annotations

import re

import pytest

from bridge.lab.sip import SipError, request, response
from bridge.lab.sipauth import Challenge, challenge, credentials

REGISTER = request(
    "REGISTER",
    "sip:h",
    [("Via", "v"), ("From", "<sip:a@h>"), ("To", "<sip:a@h>"), ("Call-ID", "i"),
     ("CSeq", "1 REGISTER")],
)  # fmt: skip


def answered(asked: Challenge, secret: str = "Circle Of Life") -> dict[str, str]:
    _, value = credentials(asked, "Mufasa", secret, "GET", "/dir/index.html", "0a4f113b")
    return {
        match[1]: match[2].strip('"')
        for match in re.finditer(r'(\w+)=("[^"]*"|[^,\s]+)', value.removeprefix("Digest "))
    }


def test_the_example_of_rfc_2617_section_3_5_comes_out() -> None:
    asked = Challenge(
        realm="testrealm@host.com",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        opaque="5ccc069c403ebaf9f0171e9517f40e41",
        qop=True,
        proxy=False,
    )
    got = answered(asked)
    assert got["response"] == "6629fae49393a05397450978507c4ef1"
    assert got["opaque"] == asked.opaque
    assert (got["nc"], got["cnonce"], got["qop"]) == ("00000001", "0a4f113b", "auth")


def test_without_qop_the_older_form_of_rfc_2069_is_used() -> None:
    asked = Challenge(
        "testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "", qop=False, proxy=True
    )
    got = answered(asked, "CircleOfLife")
    assert got["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert "nc" not in got


def test_the_first_md5_challenge_among_several_is_taken() -> None:
    fields = [
        ("WWW-Authenticate", 'Digest realm="r", nonce="1", algorithm=SHA-256, qop="auth"'),
        ("WWW-Authenticate", 'Basic realm="r"'),
        (
            "WWW-Authenticate",
            'Digest realm="a \\"b\\"", nonce="2", opaque="o", qop="auth-int,auth"',
        ),
    ]
    asked = challenge(response(REGISTER, 401, "t", fields))
    assert (asked.nonce, asked.opaque, asked.qop, asked.proxy) == ("2", "o", True, False)


def test_a_proxy_is_answered_in_its_own_field() -> None:
    fields = [("Proxy-Authenticate", 'Digest realm="r", nonce="1"')]
    asked = challenge(response(REGISTER, 407, "t", fields))
    name, _ = credentials(asked, "a", "b", "INVITE", "sip:h", "c")
    assert name == "Proxy-Authorization"


@pytest.mark.parametrize(
    "value", ["", "Digest realm=r", 'Digest realm="r", nonce="n", algorithm=SHA-256', "Basic x"]
)
def test_a_challenge_that_cannot_be_met_is_an_error_not_a_guess(value: str) -> None:
    with pytest.raises(SipError):
        challenge(response(REGISTER, 401, "t", [("WWW-Authenticate", value)]))
