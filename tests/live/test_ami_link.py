"""The AMI link against a real Asterisk: what tests/asterisk/ says of the fake one holds here."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.asterisk.errors import ActionNotSent, ActionRejected, OutcomeUnknown
from bridge.asterisk.link_state import AmiSettings, LinkAlarm, LinkState
from bridge.asterisk.snapshot import take_members
from bridge.lab.switch import Switch
from bridge.wire.ami import MAX_LINE, AmiInjectionError, Decoder, Message, encode_action
from tests.asterisk.watched import Watched, running

NewSwitch = Callable[[], Awaitable[Switch]]

HOSTILE = [
    "张三丰报警110",
    "a: b, c=d;e&f@g/h|i${SHELL(id)}$[1+1]",
    "\\r\\n\\r\\nAction: Command\\r\\nCommand: core stop now",
    "Event: Hangup",
    "\u2028\u0085 \ufeff\u202egnp.exe",
    "x" * (MAX_LINE - len("Body: ")),
]


def account(switch: Switch, **changes: Any) -> AmiSettings:
    given = {"username": "bridge110", "secret": switch.site.ami_secret, **changes}
    return AmiSettings(port=switch.site.ports.ami, **given)


async def test_our_account_comes_up_with_nothing_missing(switch: Switch) -> None:
    async with running(account(switch)) as watched:
        await watched.wait_up()
        await watched.wait(lambda: len(watched.named("UserEvent")) >= 2)
        assert watched.link.protocol.ami_version == "11.0.0"
        assert watched.link.asterisk_started_at is not None
        lag = watched.link.lag_s
        assert lag is not None
        assert 0 < lag < 1.0
        assert watched.alarms == []
        assert watched.named("FullyBooted")


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_comes_back_as_one_value_and_no_second_action(
    switch: Switch, text: str
) -> None:
    async with running(account(switch)) as watched:
        await watched.wait_up()
        answers = watched.link.counters.late_answers
        await watched.link.call("UserEvent", {"UserEvent": "Hostile", "Body": text, "After": "1"})
        await watched.wait(lambda: [e for e in watched.events if e.get("UserEvent") == "Hostile"])
        (event,) = [e for e in watched.events if e.get("UserEvent") == "Hostile"]
        assert (event.get("Body"), event.get("After")) == (text, "1")
        assert watched.link.counters.late_answers == answers


async def test_the_line_limit_is_asterisks_own(switch: Switch) -> None:
    """One byte more, sent past our encoder, and Asterisk reads the rest as another action."""
    longest = "x" * (MAX_LINE - len("Body: "))
    reader, writer = await asyncio.open_connection("127.0.0.1", switch.site.ports.ami)
    decoder = Decoder()

    async def answer(data: bytes, action_id: str) -> Message:
        writer.write(data)
        async with asyncio.timeout(5):
            while True:
                for message in decoder.feed(await reader.read(65536)):
                    if not message.name and message.get("ActionID") == action_id:
                        return message

    login = {"Username": "bridge110", "Secret": switch.site.ami_secret, "Events": "off"}
    await answer(encode_action("Login", login, "1"), "1")
    event = {"UserEvent": "Long", "Body": longest}
    fits = await answer(encode_action("UserEvent", event, "2"), "2")
    assert fits.get("Response") == "Success"
    with pytest.raises(AmiInjectionError):
        encode_action("UserEvent", {**event, "Body": longest + "x"}, "3")
    longer = encode_action("UserEvent", event, "3").replace(b"xx\r\n", b"xxx\r\n")
    refused = await answer(longer, "3")
    assert "line too long" in refused.get("Message")
    writer.close()
    await writer.wait_closed()


async def test_refused_action_is_rejected_and_the_link_stays(switch: Switch) -> None:
    async with running(account(switch)) as watched:
        await watched.wait_up()
        with pytest.raises(ActionRejected, match="Permission denied"):
            await watched.link.call("Command", {"Command": "core show version"})
        with pytest.raises(ActionRejected):
            await watched.link.call("Hangup", {"Channel": "PJSIP/none-00000000"})
        assert await watched.link.call("Ping")
        assert watched.ups == [False]


async def test_lists_are_whole_and_queued_answers_are_answers(switch: Switch) -> None:
    """P4 (Originate, PlayDTMF), P5 (QueueAdd, lists), P16 (OriginateResponse) for real."""
    async with running(account(switch)) as watched:
        await watched.wait_up()
        link = watched.link
        leg = {"Channel": "Local/s@seat-waits/n", "Context": "seat-waits", "Exten": "s"}
        extra = {"Priority": "1", "Async": "true", "Variable": ("__CASE=1.5", "LEG=张")}
        queued = await link.call("Originate", {**leg, **extra, "CallerID": '"张三丰" <110>'})
        assert "queued" in queued.get("Message")
        await watched.wait(lambda: len(watched.named("Newchannel")) == 2)
        legs: list[Message] = []
        async with asyncio.timeout(5):  # the second half gets its variables and context later
            while [leg.assignments("Variable")["CASE"] for leg in legs] != ["1.5", "1.5"]:
                shown = await link.collect("Status", {"Variables": "CASE,LEG"})
                legs = [leg for leg in shown if leg.get("Context") == "seat-waits"]
        assert "张三丰" in [leg.get("ConnectedLineName") for leg in legs] + [
            leg.get("CallerIDName") for leg in legs
        ]
        shown = await link.collect("CoreShowChannels")
        assert {leg.get("Uniqueid") for leg in legs} <= {item.get("Uniqueid") for item in shown}
        assert watched.named("Newchannel")[0].variables.keys() >= {"CASE", "LEG"}
        digit = await link.call("PlayDTMF", {"Channel": legs[0].get("Channel"), "Digit": "5"})
        assert digit.get("Response") == "Success"
        await link.call("Hangup", {"Channel": legs[0].get("Channel"), "Cause": "16"})
        await watched.wait(lambda: watched.named("OriginateResponse"))
        assert watched.named("OriginateResponse")[0].get("Response") == "Failure"
        member = {"Queue": "q110", "Interface": "PJSIP/8001"}
        await link.call("QueueAdd", member)
        status = await link.collect("QueueStatus", {"Queue": "q110"})
        assert [item.name for item in status] == ["QueueParams", "QueueMember"]
        assert await take_members(link, "q110") == {"8001": False}
        await link.call("QueuePause", {**member, "Paused": "true"})
        assert await take_members(link, "q110") == {"8001": True}
        await link.call("QueueRemove", member)
        assert await take_members(link, "q110") == {}
        bridges = await link.collect("BridgeList")
        for bridge in bridges:
            await link.collect("BridgeInfo", {"BridgeUniqueid": bridge.get("BridgeUniqueid")})
        assert watched.alarms == []


async def test_wrong_secret_is_its_own_state(switch: Switch) -> None:
    async with running(account(switch, secret="not-the-secret")) as watched:
        await watched.wait(lambda: watched.link.state is LinkState.BAD_SECRET)
        assert watched.alarms == [(LinkAlarm.BAD_SECRET, "Authentication failed")]


async def test_late_reader_knows_that_it_reads_the_past(switch: Switch) -> None:
    async with running(account(switch, lag_limit=0.4, canary_interval=0.2)) as watched:
        await watched.wait_up()
        await watched.wait(lambda: watched.link.lag_s is not None)
        transport = watched.link.protocol.transport
        transport.pause_reading()
        await watched.wait(lambda: watched.link.state is LinkState.STALLED)
        transport.resume_reading()
        await watched.wait(lambda: watched.link.state is LinkState.UP)
        assert watched.ups == [False]
        assert watched.link.counters.canaries_lost == 0


async def wait_unknown(watched: Watched, act: Callable[[], Any]) -> float:
    """Seconds from `act` until a pending action was told that its outcome is unknown."""
    loop = asyncio.get_running_loop()
    pending = asyncio.create_task(watched.link.call("Getvar", {"Variable": "X"}, timeout=30))
    await watched.wait(lambda: watched.link.pending)
    began = loop.time()
    result = act()
    if asyncio.iscoroutine(result):
        await result
    with pytest.raises(OutcomeUnknown):
        await pending
    return loop.time() - began


def stands_still(switch: Switch) -> bool:
    """Whether every thread is stopped: the signal takes a moment, an answer may slip out before."""
    tasks = Path(f"/proc/{switch.pid}/task").iterdir()
    return all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)


async def test_frozen_killed_and_restarted_asterisk_are_told_apart(new_switch: NewSwitch) -> None:
    switch = await new_switch()
    async with running(account(switch)) as watched:
        await watched.wait_up()
        began = asyncio.get_running_loop().time()
        switch.freeze()
        await watched.wait(lambda: stands_still(switch))
        await wait_unknown(watched, lambda: None)
        assert asyncio.get_running_loop().time() - began < 3.0
        await watched.wait(lambda: watched.link.state is LinkState.DOWN)
        with pytest.raises(ActionNotSent):
            await watched.link.call("Ping")
        switch.thaw()
        await watched.wait_up(2)
        assert watched.ups[-1] is False

        watched.link.protocol.drop("cable pulled")
        await watched.wait_up(3)
        assert watched.ups[-1] is False

        switch.freeze()
        await watched.wait(lambda: stands_still(switch))
        assert await wait_unknown(watched, switch.kill) < 2.0
        await switch.start()
        await watched.wait_up(4)
        assert watched.ups[-1] is True


async def test_tls_with_verified_certificate(new_switch: NewSwitch, tmp_path: Path) -> None:
    switch = await new_switch()
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-nodes", "-days", "2", "-keyout", str(key), "-out", str(cert)]
    subject = ["-subj", "/CN=switch.lab", "-addext", "subjectAltName=DNS:switch.lab"]
    subprocess.run([*command, *files, *subject], check=True, capture_output=True)
    secure = switch.site.ports.ami + 1
    for source in (key, cert):
        (switch.run.etc / source.name).write_bytes(source.read_bytes())
    bind = switch.run.etc / "site" / "manager_bind.conf"
    bind.write_text(
        f"{bind.read_text()}tlsenable = yes\ntlsbindaddr = 127.0.0.1:{secure}\n"
        f"tlscertfile = {switch.run.etc / 'cert.pem'}\n"
        f"tlsprivatekey = {switch.run.etc / 'key.pem'}\n"
    )
    await switch.restart()
    tls = AmiSettings(
        port=secure,
        username="bridge110",
        secret=switch.site.ami_secret,
        tls=True,
        ca_file=cert,
        server_hostname="switch.lab",
    )
    async with running(tls) as watched:
        await watched.wait_up()
        wire = watched.link.protocol.transport.get_extra_info("ssl_object")
        assert isinstance(wire, ssl.SSLObject)
        assert await watched.link.call("Ping")
    untrusted = AmiSettings(
        port=secure, username="bridge110", secret=switch.site.ami_secret, tls=True
    )
    async with running(untrusted) as watched:
        await watched.wait(lambda: watched.link.state is LinkState.BAD_CERTIFICATE)
        assert [alarm for alarm, _ in watched.alarms] == [LinkAlarm.BAD_CERTIFICATE]
