"""Orders under independent eyes: after a person's proof nothing more leaves; no kill loses a mail.

The packets of Asterisk's SIP port are watched on the wire, the post office is a real SMTP server
with TLS, and the daemon that is killed is the whole product.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from bridge.lab.child import free_port
from bridge.lab.phone import Behaviour
from bridge.lab.ports import HOST
from bridge.lab.sipp import DUTY_PHONE, register, start_sipp
from bridge.lab.tones import UNIT
from tests.channels.mail_kit import UNIT as MAILBOX
from tests.channels.mail_kit import PostOffice
from tests.live.conftest import NewSwitch
from tests.live.observers import SipWatch, watched_mail
from tests.live.ordering import duty, ordering

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

PHONE_S, MAIL_S = 8, 6
LADDER = f"""
[units.water]
name = "市供水集团"
tier = 1
duty_phone = ["PJSIP/6001", "PJSIP/6002"]
leader_phone = ["PJSIP/6003"]
mail = ["{MAILBOX}"]
terminal = {{ users = ["unit-6001"] }}
[units.water.ladder]
GENERAL = [
    {{ channels = ["terminal"], over_s = 2 }},
    {{ channels = ["phone"], over_s = {PHONE_S} }},
    {{ channels = ["mail"], over_s = {MAIL_S} }},
    {{ channels = ["phone"], over_s = 8, to = "leader" }},
]
"""
MAIL_ALONE = f"""
[units.water]
name = "市供水集团"
tier = 1
mail = ["{MAILBOX}"]
[units.water.ladder]
GENERAL = [{{ channels = ["mail"], over_s = 120 }}]
"""


@pytest.mark.req("SB-11")
async def test_the_key_1_of_a_foreign_phone_ends_the_ladder_and_nothing_more_is_sent(
    new_switch: NewSwitch, tmp_path: Path
) -> None:
    office = PostOffice()
    async with (
        watched_mail(tmp_path, office) as mail,
        ordering(new_switch, LADDER, mail) as room,
        SipWatch(room.world.ports.sip).watching() as sip,
    ):

        async def checked() -> bool:
            return office.begun > 0

        await room.desk.wait_for(checked, 60, "the check of the unit's wires: no mail, only RCPT")
        checks = office.begun
        await duty(room.people, "6001", Behaviour("busy"))
        leader = await duty(room.people, "6003", Behaviour("ring"))
        site = room.world.switch.site
        server, port = (HOST, site.ports.sip), free_port()
        await register(room.world.switch.root, server, "6002", site.sip_secret, port)
        values: dict[str, str | int] = {"press_ms": 1500, "talk_ms": 20000}
        async with start_sipp(
            room.world.switch.root, DUTY_PHONE, server, values=values, tone=UNIT, port=port
        ) as sipp:
            order = await room.give()
            signed = await room.until(order, "acknowledged")
            proven = time.monotonic()
            report = await sipp.wait_ended(30)
            assert report.successful == 1, report.errors
        story = [(a["channel"], a["state"], a["cause"]) for a in signed["attempts"]]
        assert story == [
            ("terminal", "failed", "offline"),
            ("phone", "failed", "busy"),
            ("phone", "acknowledged", None),
        ]
        await asyncio.sleep(PHONE_S + MAIL_S + 2)  # both steps that would have followed
        dialled = [(at < proven, uri.partition("@")[0]) for at, uri, _ in sip.invites]
        assert dialled == [(True, "sip:6001"), (True, "sip:6002")]
        assert (office.begun, office.mails) == (checks, [])
        # the observers do see: another order, which nobody signs, goes on to mail and leader
        before = len(sip.invites)
        other = await room.give()
        await leader.wait_call(60)
        assert "sip:6003" in {uri.partition("@")[0] for _, uri, _ in sip.invites[before:]}
        assert other in str(office.read()["Subject"])
        assert office.begun == checks + 1


@pytest.mark.parametrize("point", ["rcpt", "data"])
async def test_the_daemon_killed_while_a_mail_is_going_out_sends_it_and_marks_a_second(
    new_switch: NewSwitch, tmp_path: Path, point: str
) -> None:
    """The server has the mail, or not yet, and never says so: SIGKILL, and a new life."""
    office = PostOffice(hold_rcpt=point == "rcpt", hold_data=point == "data")
    async with (
        watched_mail(tmp_path, office) as mail,
        ordering(new_switch, MAIL_ALONE, mail) as room,
    ):
        order = await room.give()
        await asyncio.wait_for(office.entered.wait(), 20)
        room.world.daemon.kill()
        assert len(office.mails) == (point == "data")
        office.hold_rcpt = office.hold_data = False
        await room.world.daemon.start()
        last = await room.attempt(order, "mail", "sent", within=30)
        assert last["repeat"]
        subjects = [str(office.read(n)["Subject"]) for n in range(len(office.mails))]
        assert len(subjects) == (2 if point == "data" else 1)
        assert all(order in subject for subject in subjects)
        assert ["可能重复" in subject for subject in subjects] == [False, True][-len(subjects) :]
        states = [a["state"] for a in (await room.order(order))["attempts"]]
        assert states == ["unknown", "sent"]
