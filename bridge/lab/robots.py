"""The people of a laboratory: telephones that answer, and call-takers who are logged on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bridge.lab.desk_client import DeskClient
from bridge.lab.phone import Behaviour, Phone
from bridge.lab.ports import HOST
from bridge.lab.settings_file import FAXES, STORE_FILE
from bridge.lab.sipnode import Address
from bridge.lab.tones import CITIZEN, HOTLINE, LEADER, SEAT, SECOND_SEAT, UNIT

SEATS: Final[Mapping[str, int]] = {"8001": SEAT, "8002": SECOND_SEAT, "8003": LEADER}
"""Seat and the tone of its call-taker in Hz; no leader's robot is there to use LEADER's."""
UNITS: Final = ("6001", "6002")
CITIZEN_NUMBER: Final = "13800138000"


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a laboratory, out of its info file."""

    sip: Address
    http: Address
    sip_secret: str
    tokens: Mapping[str, str]
    store: Path
    recordings: Path
    air_log: Path
    faxes: Path

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> Access:
        """From `World.info()`. Raises KeyError or ValueError for another document."""
        http = urlsplit(info["http"])
        _, host, port = info["sip"].split(":")
        return cls(
            (host, int(port)),
            (http.hostname or HOST, http.port or 80),
            info["sip_secret"],
            dict(info["tokens"]),
            Path(info["run_dir"]) / STORE_FILE,
            Path(info["recordings"]),
            Path(info["air_log"]),
            Path(info["run_dir"]) / FAXES,
        )

    def desk(self, seat: str) -> DeskClient:
        """The program of that seat's call-taker. Raises KeyError for a seat without token."""
        return DeskClient(*self.http, self.tokens[seat], seat)


@dataclass
class Robots:
    """All telephones of one laboratory. They answer every call until `stop`."""

    access: Access
    hotline_tone: int = HOTLINE
    """0 for a 12345 that says nothing: no meeting with it may then be confirmed."""
    phones: dict[str, Phone] = field(default_factory=dict)
    """By account; the citizen's by number."""

    async def start(self) -> None:
        """Switch everything on, log the seats on and make them ready.

        Raises SipError or TimeoutError: not registered; RuntimeError or OSError: not logged on.
        """
        for seat, tone in SEATS.items():
            await self._phone(seat, tone, Behaviour(delay=0.3))
        await self._phone("hotline", self.hotline_tone, Behaviour(delay=0.3, keys="1"))
        for unit in UNITS:
            await self._phone(unit, UNIT, Behaviour(delay=0.5, keys="1"))
        self.phones[CITIZEN_NUMBER] = Phone(CITIZEN_NUMBER, "", self.access.sip, tone=CITIZEN)
        await self.phones[CITIZEN_NUMBER].start()
        for seat in SEATS:
            await self.access.desk(seat).log_on(agent=f"robot-{seat}")

    async def _phone(self, account: str, tone: int, behaviour: Behaviour) -> None:
        secret = self.access.sip_secret
        phone = Phone(account, secret, self.access.sip, tone=tone, behaviour=behaviour)
        self.phones[account] = phone
        await phone.start()

    async def stop(self) -> None:
        """Hang up, unregister and switch off, all at once."""
        await asyncio.gather(*(phone.stop() for phone in self.phones.values()))
