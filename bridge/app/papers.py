"""Papers and mail of one daemon, put together."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from bridge.app.fax import sent_folder
from bridge.app.orders import Around, OrderService
from bridge.channels.fax import sent_copy
from bridge.channels.mail import MailParts, open_mail
from bridge.desk.papers import papers
from bridge.desk.printed import printed
from bridge.documents.files import png_of
from bridge.documents.service import Documents, FontError, TemplateError
from bridge.documents.typeface import DEFAULT_FONT
from bridge.domain.shared_case import SharedCase
from bridge.flows.case_desk import CaseDesk
from bridge.flows.paper_desk import PaperDesk
from bridge.flows.ports import Files
from bridge.settings.model import Settings, SettingsError

ACK_PATH = "/ack/"
"""Where the page of an acknowledgement link is (bridge/desk/unit_pages.py)."""


def open_documents(settings: Settings) -> Documents:
    """The site's papers, each template proven. Takes half a second; not on the event loop.

    Raises SettingsError: a template or the typeface cannot be used.
    """
    own = settings.documents
    try:
        return Documents(settings.site.tz, own.templates, own.font or DEFAULT_FONT)
    except (FontError, TemplateError) as error:
        raise SettingsError(str(error)) from error


class Papers:
    """Documents, and the mail channel where the site has one."""

    def __init__(
        self, documents: Documents, mail: MailParts | None, desk: PaperDesk, sent: Path | None
    ) -> None:
        """`sent`: where copies of faxes are."""
        self.documents = documents
        self.mail = mail
        copies = functools.partial(sent_copy, sent) if sent is not None else _none_kept
        self.doors = [papers(documents.paper, png_of, copies), printed(desk)]

    async def run(self) -> None:
        """Until cancelled: replies are read where the site has a mailbox for them."""
        try:
            if self.mail is not None and self.mail.replies is not None:
                await self.mail.replies.run()
            await asyncio.Event().wait()
        finally:
            self.documents.close()


async def open_papers(
    around: Around,
    orders: OrderService,
    cases: CaseDesk,
    files: Files,
    shared: Callable[[str], SharedCase | None],
    environment: Mapping[str, str] = os.environ,
) -> Papers:
    """Everything of [documents] and [mail]. Raises SettingsError."""
    settings = around.settings
    documents = await asyncio.to_thread(open_documents, settings)
    targets = settings.targets()
    desk = PaperDesk(
        orders=orders.orders,
        cases=cases,
        memory=around.store.reader,
        files=files,
        recorder=around.recorder,
        make=documents.paper,
        title_of=lambda desk: targets[desk].title if desk in targets else desk,
        shared=shared,
    )
    mail = None
    if settings.mail is not None:
        base = settings.orders.link_base if settings.orders is not None else None
        mail = open_mail(
            settings.mail,
            link_base=f"{base}{ACK_PATH}" if base else "",
            paper=documents.paper,
            tell=orders.post,
            clock=around.clock,
            spawn=around.spawn,
            environment=environment,
            read=files.read,
            alarm=around.view.alarm,
        )
    sent = sent_folder(settings.fax) if settings.fax is not None else None
    return Papers(documents, mail, desk, sent)


def _none_kept(_: str) -> bytes:
    """Of a site without fax."""
    return b""
