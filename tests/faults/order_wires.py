"""The wires on which orders are struck: how an attempt is brought into a state, how a person signs,
and what the far side saw. Others join as further classes with the same methods.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
from aiosmtpd.smtp import SMTP, Envelope, Session

from bridge.lab.call import Call
from bridge.lab.phone import Behaviour
from bridge.lab.ports import HOST
from tests.channels.mail_kit import smtp_server
from tests.faults.order_matrix import Carried
from tests.faults.proxy import Road
from tests.faults.stage import Stage

SIGNS: Final = Behaviour("auto", keys="1", keys_after=1.0)
COMES_S: Final = 30.0
OTHER_WAY_S: Final = 10
"""A wire that cannot be had is given up then: after the fault, when people sign what comes."""
MAIL_KEY: Final = "mail-link-key"
LINK_BASE: Final = "http://desk.example"
_LINK: Final = re.compile(LINK_BASE + r"(/ack/[A-Za-z0-9._=-]+)")
_ATTEMPT: Final = re.compile(r"<b110\.(.+)\.[0-9a-f]{16}@")
Doc = Mapping[str, Any]


class Wire(Protocol):
    """One kind of way to a unit."""

    @property
    def name(self) -> str: ...

    @property
    def scenes(self) -> Sequence[str]:
        """States in which an attempt can be held."""
        ...

    def units(self) -> str:
        """Units of this wire (TOML): one named `<wire>-<scene>`, spaces as `-`, for each scene."""
        ...

    def prepare(self, scene: str) -> None:
        """Let the far side behave so that an attempt comes to that state."""
        ...

    async def reached(self, scene: str) -> None:
        """Until the far side itself shows that state. Raises TimeoutError."""
        ...

    async def at_the_fault(self, scene: str) -> None:
        """What a person does in the moment of the fault."""
        ...

    def mend(self) -> None:
        """The far side is well; from now on people there sign what comes."""
        ...

    async def sign(self, scene: str) -> None:
        """A person signs what came before the fault, where that is possible; again and again."""
        ...

    def signed(self, scene: str, order: Doc) -> bool:
        """Whether a person's proof has gone through, as the far side knows."""
        ...

    def carried(self, scene: str, order: Doc) -> list[Carried]:
        """What came there, in order."""
        ...


class PhoneWire:
    """Duty phones of the laboratory; Asterisk's own log says which attempt a call was."""

    name = "phone"
    scenes = ("ringing", "listening", "key pressed", "busy")
    PHONES: Final = {"ringing": "6001", "listening": "6002", "key pressed": "6003", "busy": "6004"}
    LEADER: Final = "6008"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @classmethod
    def directory(cls) -> str:
        """Units of this wire."""
        return "".join(
            f'[units.{unit_of(cls.name, scene)}]\nname = "{scene}"\ntier = 1\n'
            f'duty_phone = ["PJSIP/{phone}"]\nleader_phone = ["PJSIP/{cls.LEADER}"]\n'
            f"[units.{unit_of(cls.name, scene)}.ladder]\nGENERAL = [\n"
            f'  {{ channels = ["phone"], over_s = {4 if scene == "busy" else 25} }},\n'
            '  { channels = ["phone"], over_s = 25, to = "leader" },\n]\n'
            for scene, phone in cls.PHONES.items()
        )

    def units(self) -> str:
        return self.directory()

    def prepare(self, scene: str) -> None:
        manner = {"ringing": Behaviour("ring"), "busy": Behaviour("busy")}
        self._phone(scene).behaviour = manner.get(scene, Behaviour())

    async def reached(self, scene: str) -> None:
        phone = self._phone(scene)
        async with asyncio.timeout(COMES_S):
            while not phone.invited:
                await asyncio.sleep(0.05)
            while scene in ("listening", "key pressed") and self._at(scene) is None:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)

    async def at_the_fault(self, scene: str) -> None:
        call = self._at(scene)
        if scene == "key pressed" and call is not None:
            await call.press("1")

    def mend(self) -> None:
        for user in (*self.PHONES.values(), self.LEADER):
            self._stage.phones[user].behaviour = SIGNS

    async def sign(self, scene: str) -> None:
        """Whoever still rings answers; whoever listens presses 1."""
        phone = self._phone(scene)
        for call in phone.calls:
            if call.end is not None or scene == "key pressed":
                continue
            with contextlib.suppress(TimeoutError, ValueError):
                if call.answered_at is None:
                    call.answer_now()
                    await asyncio.sleep(1.0)
                await call.press("1")

    def signed(self, scene: str, order: Doc) -> bool:
        ours = {attempt["id"] for attempt in order["attempts"]}
        return any(
            row[5] == "ORDER" and attempt in ours and f"{attempt}/1/" in row[6]
            for attempt, row in self._rows()
        )

    def carried(self, scene: str, order: Doc) -> list[Carried]:
        attempts = {attempt["id"]: attempt for attempt in order["attempts"]}
        came: dict[str, int] = {}
        sounds: dict[str, str] = {}
        for attempt, row in self._rows():
            if attempt in attempts and row[0] == "CHAN_START":
                came[attempt] = came.get(attempt, 0) + 1
            found = re.search(r"/spoken/([0-9a-f]{32})", row[6])
            if attempt in attempts and found:
                sounds[attempt] = found[1]
        plain = {sound for attempt, sound in sounds.items() if not attempts[attempt]["repeat"]}
        return [
            Carried(attempt, attempts[attempt]["repeat"] and sounds.get(attempt) not in plain)
            for attempt, times in came.items()
            for _ in range(times)
        ]

    def _phone(self, scene: str) -> Any:
        return self._stage.phones[self.PHONES[scene]]

    def _at(self, scene: str) -> Call | None:
        calls = [c for c in self._phone(scene).calls if c.end is None and c.answered_at]
        return calls[-1] if calls else None

    def _rows(self) -> list[tuple[str, list[str]]]:
        """Asterisk's log of calls to duty phones, by attempt."""
        with self._stage.world.switch.run.cel_file.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if len(row) > 6]
        return [(row[2].removeprefix("ord-"), row) for row in rows if row[2].startswith("ord-")]


@dataclass
class Office:
    """A post office (aiosmtpd) that keeps some mails waiting in DATA and defers others."""

    hold: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)
    """Whom for, and the mail: also where our side never heard that it was taken."""
    entered: set[str] = field(default_factory=set)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        whom = envelope.rcpt_tos[0]
        self.entered.add(whom)
        if whom in self.later:
            return "451 later"
        mail = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.taken.append((whom, mail))
        while whom in self.hold:
            await asyncio.sleep(0.05)
        return "250 taken"


class MailWire:
    """A real SMTP server at the end of a road that can be cut; the person presses the link's
    button. A unit whose mail does not come is rung, where it signs."""

    name = "mail"
    scenes = ("in DATA", "sent", "deferred")
    PHONES: Final = {"in DATA": "6005", "sent": "6006", "deferred": "6007"}

    def __init__(self, stage: Stage, office: Office, road: Road) -> None:
        self._stage = stage
        self.office = office
        self.road = road

    @classmethod
    def directory(cls) -> str:
        """Units of this wire."""
        return "".join(
            f'[units.{unit_of(cls.name, scene)}]\nname = "{scene}"\ntier = 1\n'
            f'mail = ["{cls.address(scene)}"]\nduty_phone = ["PJSIP/{phone}"]\n'
            f"[units.{unit_of(cls.name, scene)}.ladder]\nGENERAL = [\n"
            f'  {{ channels = ["mail"], over_s = {OTHER_WAY_S if scene == "deferred" else 25} }},\n'
            '  { channels = ["phone"], over_s = 25 },\n]\n'
            for scene, phone in cls.PHONES.items()
        )

    def units(self) -> str:
        return self.directory()

    @classmethod
    def address(cls, scene: str) -> str:
        """Where that scene's unit gets its mail."""
        return f"{scene.replace(' ', '-')}@unit.example"

    def prepare(self, scene: str) -> None:
        self._stage.phones[self.PHONES[scene]].behaviour = Behaviour("ring")
        self.office.taken = [one for one in self.office.taken if one[0] != self.address(scene)]
        self.office.entered.discard(self.address(scene))
        if scene == "in DATA":
            self.office.hold.add(self.address(scene))
        if scene == "deferred":
            self.office.later.add(self.address(scene))

    async def reached(self, scene: str) -> None:
        async with asyncio.timeout(COMES_S):
            while self.address(scene) not in self.office.entered:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)

    async def at_the_fault(self, scene: str) -> None:
        pass

    def mend(self) -> None:
        self.office.hold.clear()
        self.office.later.clear()
        for user in self.PHONES.values():
            self._stage.phones[user].behaviour = SIGNS

    async def sign(self, scene: str) -> None:
        """The button of the newest mail's link, until the page says that it is signed."""
        mails = self._mails(scene)
        if scene == "deferred" or not mails:
            return
        text = mails[-1].get_body(("plain",))
        found = _LINK.search(text.get_content()) if text is not None else None
        assert found is not None, "a mail without a link"
        site = f"http://{HOST}:{self._stage.world.ports.http}"
        with contextlib.suppress(httpx.HTTPError):
            async with httpx.AsyncClient(timeout=3) as client:
                await client.post(site + found[1], data={"says": "sign"}, headers={"Origin": site})

    def signed(self, scene: str, order: Doc) -> bool:
        return False

    def carried(self, scene: str, order: Doc) -> list[Carried]:
        return [
            Carried(found[1], "可能重复" in str(mail["Subject"]))
            for mail in self._mails(scene)
            if (found := _ATTEMPT.match(str(mail["Message-ID"])))
            and found[1].startswith(f"{order['id']}.")
        ]

    def _mails(self, scene: str) -> list[EmailMessage]:
        return [mail for whom, mail in self.office.taken if whom == self.address(scene)]


def told_apart(order: Doc, channel: str, marks: Sequence[bool]) -> list[Carried]:
    """Which attempt each of these was that came on a wire, where the far side sees the order and
    the mark alone."""
    tries = [one for one in order["attempts"] if one["channel"] == channel]
    plain = [one["id"] for one in tries if not one["repeat"]]
    again = [one["id"] for one in tries if one["repeat"]]
    found = []
    for marked in marks:
        ids = again if marked else plain
        ident = ids.pop(0) if len(ids) > 1 else ids[0] if ids else f"{order['id']}.?"
        found.append(Carried(ident, marked))
    return found


def unit_of(wire: str, scene: str) -> str:
    """The unit that plays a scene."""
    return f"{wire}-{scene.replace(' ', '-')}".lower()


def mail_toml(port: int, key: Path) -> str:
    """Settings of the mail wire, to stand after those of [orders]; makes the key's file."""
    key.write_text("k" * 40)
    key.chmod(0o600)
    return (
        f'link_base = "{LINK_BASE}"\n\n[mail]\nhost = "{HOST}"\nport = {port}\n'
        'encryption = "none"\n'
        f'sender = "orders@desk.example"\nlink_key_file = "{key}"\n'
    )


@contextlib.asynccontextmanager
async def post_office() -> AsyncIterator[tuple[Office, Road]]:
    """A server, and the road to it."""
    office = Office()
    async with smtp_server(office) as port:  # type: ignore[arg-type]
        road = Road(port)
        await road.start()
        try:
            yield office, road
        finally:
            await road.stop()
