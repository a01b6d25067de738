"""A mail's header holds what we made, whatever stands in an order."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.channels.mail_message import HEADERS, MessageError, attempt_of, letter, message_id
from bridge.documents.service import Documents
from bridge.domain.delivery import OrderSheet
from tests.channels.mail_kit import KEY, NOW, SENDER, UNIT
from tests.documents.papers import HOSTILE, order_sheet

EVIL = (
    *HOSTILE,
    "a\nBcc: z@y.example",
    "\r\n.\r\nMAIL FROM:<x@y.example>\r\n",
    "=?utf-8?b?YQ0KQmNjOiB6QHkuZXhhbXBsZQ==?=",
    ".\n.\n..\n",
)


def made(documents: Documents, sheet: OrderSheet) -> bytes:
    return letter(
        sheet,
        documents.make(sheet),
        attempt="a-1",
        sender=SENDER,
        recipients=[UNIT],
        link='https://desk.example/u/"><script>',
        key=KEY,
        now=NOW,
    ).data


@pytest.mark.parametrize("words", EVIL)
def test_no_words_of_an_order_reach_the_header(documents: Documents, words: str) -> None:
    data = made(
        documents,
        order_sheet(
            **dict.fromkeys(
                ("words", "place", "unit_name", "category", "squad", "case", "kind", "klass"), words
            )
        ),
    )
    mail = message_from_bytes(data, policy=policy.default)
    assert {name.lower() for name, _ in mail.items()} == HEADERS
    assert len(mail.items()) == len(HEADERS)
    assert mail["To"] == UNIT
    assert b"\r\n.\r\n" not in data
    assert data.replace(b"\r\n", b"").count(b"\n") == 0
    assert data.replace(b"\r\n", b"").count(b"\r") == 0
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "application/pdf",
    ]


def test_a_link_is_text_and_never_a_tag(documents: Documents) -> None:
    mail = message_from_bytes(made(documents, order_sheet()), policy=policy.default)
    page = mail.get_body(("html",))
    assert page is not None
    assert "<script>" not in page.get_content()
    assert "&lt;script&gt;" in page.get_content()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=40))
def test_only_own_words_can_be_number_attempt_or_address(documents: Documents, text: str) -> None:
    sheet = order_sheet()
    paper = documents.make(sheet)
    for attempt, address in ((text, UNIT), ("a-1", text), ("a-1", f"x@{text}")):
        try:
            mail = letter(
                sheet,
                paper,
                attempt=attempt,
                sender=SENDER,
                recipients=[address],
                link="",
                key=KEY,
                now=NOW,
            )
        except MessageError:
            continue
        names = [name.lower() for name, _ in message_from_bytes(mail.data).items()]
        assert sorted(names) == sorted(HEADERS)


def test_the_same_attempt_has_the_same_message_id_that_only_we_can_make() -> None:
    name = message_id("a-1", SENDER, KEY)
    assert name == message_id("a-1", SENDER, KEY) != message_id("a-2", SENDER, KEY)
    assert attempt_of(name, [b"x" * 32, KEY]) == "a-1"
    assert attempt_of(name.strip("<>"), [KEY]) == "a-1"
    assert attempt_of(name.replace("a-1", "a-2"), [KEY]) is None
    assert attempt_of(name, [b"x" * 32]) is None
    assert attempt_of("", [KEY]) is None


def test_nobody_and_nonsense_are_refused(documents: Documents) -> None:
    sheet = order_sheet()
    paper = documents.make(sheet)
    for recipients in ([], [""], ["a b@c.example"], ["a@b.example, c@d.example"], ["é@b.example"]):
        with pytest.raises(MessageError):
            letter(
                sheet,
                paper,
                attempt="a",
                sender=SENDER,
                recipients=recipients,
                link="",
                key=KEY,
                now=NOW,
            )
