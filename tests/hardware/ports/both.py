"""Daemon and port process as processes of their own, an emulated radio and SMS modem between them
and the field; no switch. Either process can be killed and started again."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bridge.domain.call import Book
from bridge.domain.journal import Fact
from bridge.flows.ports import Transaction
from bridge.flows.rows import rows_after
from bridge.lab.desk_client import DeskClient
from bridge.lab.ports import HOST, LabPorts, spare_ports
from bridge.lab.process import DaemonProcess, PortsProcess
from bridge.lab.radios import ARRIVED
from bridge.lab.settings_file import (
    AMI_FILE,
    GATEWAYS_FILE,
    PORTS_SOCKET,
    STORE_FILE,
    TOKENS_FILE,
    UNITS_FILE,
    gateways_toml,
    lab_toml,
)
from bridge.store import Options, open_store
from bridge.tokens import TokenRecord, add_token, digest, new_token
from hardware.radio import sds
from hardware.rig.air import Air
from hardware.rig.pei_terminal import Behaviour, PeiTerminal
from hardware.rig.pty import PtyEnd
from hardware.rig.sms_modem import SmsModemRig
from tests.faults.steps import VARIABLE as DAEMON_STEP
from tests.hardware.ports import doomed
from tests.hardware.radio.radio_kit import on_pty, sms_modem

CASE: Final = "20261126-0001"
OFFICER: Final = "2269001"
DUTY_SMS: Final = "13900006001"
UNITS: Final = f"""
[units.water]
name = "市供水集团"
tier = 1
sms = ["{DUTY_SMS}"]
radio.ssi = ["{OFFICER}"]
[units.water.ladder]
GENERAL = [ {{ channels = ["radio"], over_s = 6 }}, {{ channels = ["sms"], over_s = 60 }} ]
"""
MODEL: Final = """words = "quick"
gap_s = 0.02
answer_s = 15.0
probe_s = 0.3
sent_wait_s = 5.0
init = ["ATZ", "ATE0", "AT+CTSP=1,3,130", "AT+CTSP=1,3,137", "AT+CTSP=1,3,138", "AT+CTSP=1,2,20"]
"""
WORDS: Final = "水管爆裂，路面积水已漫过人行道，请速到现场关阀抢修并回告。" * 3
MARK: Final = "可能重复"
PATIENCE_S: Final = 40.0
PLACES: Final = ("etc", "spool/monitor", "log/cel-custom", "data/sounds", "spoken")


@dataclass
class Both:
    """The two processes, and what stands outside of them: the air."""

    daemon: DaemonProcess
    owner: PortsProcess
    desk: DeskClient
    terminal: PeiTerminal
    pty: PtyEnd
    air: Air
    modem: SmsModemRig

    async def start(self, *, daemon_dies: str = "", ports_die: str = "") -> None:
        """Start what is not running; either may have a step at which it dies."""
        if not self.owner.running:
            self.owner.module = "tests.hardware.ports.doomed" if ports_die else "bridge"
            self.owner.environment = {doomed.VARIABLE: ports_die}
            await self.owner.start(wait_up=not ports_die)
        if not self.daemon.running:
            step = self.daemon.config.parent / "step"
            step.write_text(daemon_dies)
            self.daemon.module = "tests.faults.doomed" if daemon_dies else "bridge"
            self.daemon.environment = {DAEMON_STEP: str(step)}
            await self.daemon.start(wait_up=False)

    async def order(self, words: str, key: str = "") -> str:
        """Give the order, with one key for all tries; whoever dies is started again."""
        key = key or secrets.token_hex(12)
        body = {"units": ["water"], "words": words}
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    reply = await self.desk.request("POST", f"cases/{CASE}/orders", body, key)
                except OSError:
                    await self.start()
                else:
                    if reply.ok:
                        return str(reply.doc["orders"][0]["order"])
                    assert reply.status in (409, 503), reply
                await asyncio.sleep(0.05)

    async def until(self, ident: str, **wanted: Any) -> Mapping[str, Any]:
        """The order once its fields are so; whoever has died meanwhile is started again."""
        found: Mapping[str, Any] = {}
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not found or any(found[name] != value for name, value in wanted.items()):
                    await asyncio.sleep(0.05)
                    await self.start()
                    try:
                        found = await self.desk.must("GET", f"orders/{ident}")
                    except (OSError, RuntimeError):
                        found = {}
        except TimeoutError:
            raise AssertionError(f"{wanted} not seen; last {found}") from None
        return found

    async def attempt(self, ident: str, channel: str, state: str) -> Mapping[str, Any]:
        """The first attempt on that wire in that state."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                order = await self.until(ident)
                for attempt in order["attempts"]:
                    if (attempt["channel"], attempt["state"]) == (channel, state):
                        return dict(attempt)

    def shown(self) -> list[str]:
        """Texts that a set's display began to show, in order; whole or not."""
        found: list[str] = []
        for _, pdu in self.air.heard:
            text = sds.text_of(sds.decode(pdu))
            if text is None:
                continue
            if text.part is None or text.part.number == 1:
                found.append(text.text)
            elif found:
                found[-1] += text.text
        return found


async def _presses(room: Both, ident: str) -> None:
    """The officer reads the whole order and presses 到场, every now and then."""
    while True:
        if any(ident in text and WORDS in text for text in room.shown()):
            room.terminal.status_from(OFFICER, ARRIVED)
        await asyncio.sleep(1.5)


async def played(room: Both) -> None:
    """The order to its end, and what the field says of it. A status reaches nobody while nobody
    listens at the terminal: the officer presses again until he is heard."""
    ident = await room.order(WORDS)
    pressing = asyncio.ensure_future(_presses(room, ident))
    try:
        order = await room.until(ident, state="arrived")
    finally:
        pressing.cancel()
    shown = room.shown()
    assert any(ident in text and WORDS in text for text in shown), "lost"
    assert sum(MARK not in text for text in shown) <= 1, "twice without the mark"
    assert len(shown) <= 2, "the repeat is one"
    clocks = {clock["name"]: clock for clock in order["clocks"]}
    assert clocks["arrival"]["met_at"]
    assert not clocks["result"]["met_at"], "the 24 h clock runs on"


@asynccontextmanager
async def both(path: Path) -> AsyncIterator[Both]:
    """Prepared, not started; ended afterwards."""

    def make(write: Callable[[bytes], None], air: Air) -> PeiTerminal:
        return PeiTerminal(write, air, Behaviour())

    with spare_ports() as ports:
        async with (
            on_pty(path / "radio-1", make) as (terminal, pty, air),
            on_pty(path / "sms-1", sms_modem) as (modem, _, _),
        ):
            daemon, owner = await _made(path, ports)
            desk = DeskClient(HOST, ports.http, daemon.token, "8099")
            try:
                yield Both(daemon, owner, desk, terminal, pty, air, modem)
            finally:
                await daemon.stop()
                await owner.stop()


async def _made(path: Path, ports: LabPorts) -> tuple[DaemonProcess, PortsProcess]:
    for place in PLACES:
        (path / place).mkdir(parents=True)
    (path / AMI_FILE).write_text("no-switch-here")
    (path / AMI_FILE).chmod(0o600)
    token = new_token()
    record = TokenRecord(name="leader", role="L", seat="8099", sha256=digest(token))
    add_token(path / TOKENS_FILE, record)
    (path / UNITS_FILE).write_text(UNITS, encoding="utf-8")
    (path / "quick.toml").write_text(MODEL)
    gateways = {
        "radio-1": {
            "driver": "tetra-pei",
            "model": str(path / "quick.toml"),
            "port": str(path / "radio-1"),
        },
        "sms-1": {"driver": "sms", "port": str(path / "sms-1")},
    }
    (path / GATEWAYS_FILE).write_text(gateways_toml(gateways))
    config = path / "bridge.toml"
    config.write_text(lab_toml(ports, path, leaders=["8099"], gateways=True), encoding="utf-8")
    await _a_case(path / STORE_FILE)
    daemon = DaemonProcess(config, ports, token, log=path / "daemon.log")
    owner = PortsProcess(
        path / GATEWAYS_FILE, path / "ports", path / PORTS_SOCKET, log=path / "ports.log"
    )
    return daemon, owner


async def _a_case(store: Path) -> None:
    """A citizen has called and hung up."""
    begun = datetime.now(UTC)
    caller = {"channel": "PJSIP/trunk-1", "number": "13800138000", "entry": "110", "back": ""}
    facts = [
        Fact("call.offered", begun, CASE, "1.1", "1.1", "switch", dict(caller)),
        Fact("call.cleared", begun, CASE, "1.1", "1.1", "switch", {"outcome": "citizen_left"}),
    ]
    book = Book()
    async with open_store(
        store,
        site="lab",
        now=lambda: begun,
        monotonic=lambda: 0.0,
        publish=lambda _: None,
        options=Options(ballast_bytes=0),
    ) as opened:
        for one in facts:
            book.apply(one)
            await opened.commit(Transaction([one], rows_after(book, [one])))
