"""An order goes out by mail through a real server, and ends with what a person writes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.app.orders import Post
from bridge.channels.email import EmailChannel
from bridge.channels.mail_reply import read_mail
from bridge.documents.service import Documents
from bridge.domain.delivery import A, ChannelKind
from bridge.domain.ladder import Step
from bridge.domain.order_state import O
from tests.channels.mail_kit import KEY, UNIT, PostOffice, mail_server, no_file, smtp_server
from tests.channels.replies import mail, quoted
from tests.documents.papers import ZONE
from tests.domain.order_story import UNITS
from tests.orders.order_kit import Kit, life

LADDER = {"GENERAL": (Step((ChannelKind.MAIL,), 900),)}
WATER = replace(UNITS["water"], mail=(UNIT,), ladders=LADDER)


@pytest.fixture(scope="module")
def papers() -> Any:
    made = Documents(ZONE)
    yield made
    made.close()


@contextlib.asynccontextmanager
async def posting(
    directory: Path, office: PostOffice, papers: Documents
) -> AsyncIterator[tuple[Kit, Callable[[bytes], Coroutine[Any, Any, None]]]]:
    """Orders with a real mail channel; the second gives the desk a mail that came back."""
    async with (
        smtp_server(office) as port,
        life(directory, channels=frozenset(), units={**UNITS, "water": WATER}) as kit,
    ):
        post = Post(kit.orders, kit.inbox)

        def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
            kit.tasks.create_task(work, name=f"work:{name}")

        server = mail_server(port)
        kit.orders.use(EmailChannel(server, papers.paper, post, kit.clock, spawn, no_file))

        async def back(data: bytes) -> None:
            reply = read_mail(data, [KEY])
            await post.received(reply.received(kit.clock.now()))
            await kit.settled()

        yield kit, back


async def sent(kit: Kit, order: str, state: A) -> None:
    """Until the last attempt is in that state."""
    async with asyncio.timeout(60):
        while True:
            await kit.settled()
            attempts = [*(await kit.order(order)).attempts.values()]
            if attempts and attempts[-1].state is state:
                return
            await asyncio.sleep(0.01)


async def test_a_code_in_a_reply_signs_and_an_automatic_answer_never_does(
    tmp_path: Path, papers: Documents
) -> None:
    office = PostOffice()
    async with posting(tmp_path, office, papers) as (kit, back):
        (order,) = await kit.send("water")
        await sent(kit, order, A.SENT)
        got = office.read()
        assert str(got["Subject"]).endswith(order)
        text = got.get_body(("plain",))
        assert text is not None
        code = (await kit.order(order)).code
        assert f"{code[:4]} {code[4:]}" in text.get_content()
        whole = quoted(text.get_content())
        await back(mail(f"我不在办公室\n{whole}", "Auto-Submitted: auto-replied"))
        await back(mail(f"好的\n{whole}"))  # no code of its own: a person looks
        await back(mail(f"收到 {code}", source="somebody@else.example"))  # no address of the unit
        assert (await kit.order(order)).state is O.DISPATCHED
        await back(mail(f"收到,马上派人。{code}\n\n{whole}"))
        assert (await kit.order(order)).state is O.ACKNOWLEDGED
        await kit.later(3_600)
        assert len(office.mails) == 1  # the ladder has stopped


async def test_a_deferral_is_tried_again_when_its_time_has_come(
    tmp_path: Path, papers: Documents
) -> None:
    office = PostOffice(data="451 later")
    async with posting(tmp_path, office, papers) as (kit, _):
        (order,) = await kit.send("water")
        await sent(kit, order, A.FAILED)
        assert office.mails == []
        office.data = "250 taken"
        await kit.later(61)
        await sent(kit, order, A.SENT)
        assert len(office.mails) == 1
