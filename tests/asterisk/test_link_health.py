"""What the link says of itself: restart or loss, lag, lost events, backlog, TLS, rights."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from bridge.asterisk.link_state import LinkAlarm, LinkState
from bridge.wire.ami import Message
from tests.asterisk.ami_peer import AmiPeer, Connection
from tests.asterisk.watched import running, settings


async def test_restart_of_asterisk_is_told_apart_from_a_lost_link() -> None:
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        peer.cut()
        await watched.wait_up(2)
        peer.started = "2026-11-24 04:00:00"
        peer.cut()
        await watched.wait_up(3)
        assert watched.ups == [False, False, True]
        assert watched.link.asterisk_started_at == "2026-11-24 04:00:00"


async def test_restart_while_the_daemon_was_away_is_seen_too() -> None:
    async with AmiPeer() as peer:
        for known, restarted in (("2026-11-24 03:25:26", False), ("2026-11-20 00:00:00", True)):
            async with running(settings(peer.port), known_start=known) as watched:
                await watched.wait_up()
                assert watched.ups == [restarted]


async def test_missing_fully_booted_is_waited_for_within_bounds_and_told() -> None:
    """P7: an account without read `system` never gets it."""
    async with AmiPeer() as peer:
        peer.fully_booted = False
        async with running(settings(peer.port, booted_timeout=0.2)) as watched:
            await watched.wait_up()
            assert [alarm for alarm, _ in watched.alarms] == [LinkAlarm.NOT_BOOTED]


async def test_link_lost_while_asterisk_boots_does_not_wait_for_the_bound() -> None:
    async with AmiPeer() as peer:
        peer.fully_booted = False
        async with running(settings(peer.port, booted_timeout=60.0)) as watched:
            await peer.wait_asked("Login")
            await watched.wait(lambda: watched.entered(LinkState.LOGGING_IN))
            peer.fully_booted = True
            peer.cut()
            await watched.wait_up()
            assert peer.accepted == 2


async def test_canary_measures_lag() -> None:
    async with AmiPeer() as peer, running(settings(peer.port, canary_interval=0.05)) as watched:
        await watched.wait(lambda: watched.link.lag_s is not None)
        await watched.wait(lambda: len(watched.named("UserEvent")) >= 3)
        lag = watched.link.lag_s
        assert lag is not None
        assert 0 < lag < 2.0
        assert watched.link.state is LinkState.UP
        assert [event.get("Number") for event in watched.named("UserEvent")][:3] == ["1", "2", "3"]


async def test_late_events_make_the_link_stalled_until_they_are_current_again() -> None:
    held: list[tuple[Connection, Message]] = []

    def hold(to: Connection, asked: Message) -> None:
        to.respond(asked, "Message: Event Sent")
        held.append((to, asked))

    def give(to: Connection, asked: Message) -> None:
        body = [f"{key}: {asked.get(key)}" for key in ("UserEvent", "Number", "Link")]
        to.send("Event: UserEvent", *body)

    async with AmiPeer() as peer:
        peer.answers["UserEvent"] = hold
        ami = settings(peer.port, canary_interval=0.1, lag_limit=0.3)
        async with running(ami) as watched:
            await watched.wait(lambda: watched.link.state is LinkState.STALLED)
            lag = watched.link.lag_s
            assert lag is not None
            assert lag >= 0.3
            assert await watched.link.call("Ping")  # hanging up must still work
            del peer.answers["UserEvent"]
            for to, asked in held:
                give(to, asked)
            await watched.wait(lambda: watched.link.state is LinkState.UP)
            assert watched.link.counters.canaries_lost == 0
            assert peer.accepted == 1


async def test_link_that_stays_stalled_is_dropped_for_a_fresh_one() -> None:
    async with AmiPeer() as peer:
        peer.canaries = False
        ami = settings(peer.port, canary_interval=0.05, lag_limit=0.1, stall_limit=0.2)
        async with running(ami) as watched:
            await watched.wait(lambda: watched.entered(LinkState.DOWN))
            assert "late for too long" in watched.entered(LinkState.DOWN)[0]
            peer.canaries = True
            await watched.wait_up(2)


async def test_missing_canary_tells_of_lost_events() -> None:
    def lose_second(to: Connection, asked: Message) -> None:
        to.respond(asked, "Message: Event Sent")
        if asked.get("Number") != "2":
            body = [f"{key}: {asked.get(key)}" for key in ("UserEvent", "Number", "Link")]
            to.send("Event: UserEvent", *body)

    async with AmiPeer() as peer:
        peer.answers["UserEvent"] = lose_second
        async with running(settings(peer.port, canary_interval=0.05)) as watched:
            await watched.wait(lambda: watched.alarms)
            assert watched.alarms == [(LinkAlarm.EVENT_LOSS, "1 canaries missing")]
            assert watched.link.counters.canaries_lost == 1


async def test_strangers_and_forged_canaries_are_not_believed() -> None:
    async with AmiPeer() as peer, running(settings(peer.port, canary_interval=0.05)) as watched:
        await watched.wait(lambda: watched.link.lag_s is not None)
        for number in ("999", "-1", "x", "9" * 400, ""):
            peer.event("UserEvent", "UserEvent: Bridge110Canary", f"Number: {number}", "Link: them")
            link = watched.named("UserEvent")[0].get("Link")
            peer.event(
                "UserEvent", "UserEvent: Bridge110Canary", f"Number: {number}", f"Link: {link}"
            )
        peer.event("Newstate", "Last: yes")
        await watched.wait(lambda: watched.named("Newstate"))
        assert watched.alarms == []
        assert watched.link.counters.handler_errors == 0


async def test_account_without_the_canarys_right_is_told_and_the_link_stays() -> None:
    async with AmiPeer() as peer:
        peer.answers["UserEvent"] = lambda to, asked: to.respond(
            asked, "Message: Permission denied", response="Error"
        )
        async with running(settings(peer.port, canary_interval=0.05, lag_limit=0.2)) as watched:
            await watched.wait(lambda: watched.alarms)
            assert watched.alarms[0][0] is LinkAlarm.RIGHTS_MISSING
            assert "Permission denied" in watched.alarms[0][1]
            assert watched.link.lag_s is None
            assert watched.link.state is LinkState.UP


async def test_too_long_a_backlog_drops_the_link_instead_of_losing_events_silently() -> None:
    async with AmiPeer() as peer, running(settings(peer.port, max_backlog=500)) as watched:
        await watched.wait_up()
        watched.link.register("VarSet", lambda _: time.sleep(0.002))
        peer.connections[0].send_raw(b"Event: VarSet\r\nValue: x\r\n\r\n" * 20_000)
        await watched.wait_up(2)
        (reason,) = watched.entered(LinkState.DOWN)
        assert "discarded, link dropped" in reason
        assert LinkAlarm.BACKLOG in [alarm for alarm, _ in watched.alarms]
        assert watched.link.counters.discarded > 500
        assert len(watched.named("VarSet")) + watched.link.counters.discarded <= 20_000


async def test_long_backlog_is_worked_off_in_slices() -> None:
    """guard rule 10: nobody keeps the loop for more than 20 ms."""
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        watched.link.register("VarSet", lambda _: time.sleep(0.0002))
        peer.connections[0].send_raw(b"Event: VarSet\r\n\r\n" * 1000)
        turns = 0
        while len(watched.named("VarSet")) < 1000:
            turns += 1
            await asyncio.sleep(0)
        assert turns > 200 / 20  # 200 ms of work, looked at in between


async def test_broken_listeners_do_not_cost_the_link() -> None:
    def fails(*told: object) -> None:
        raise LookupError(told)

    broken = {"on_state": fails, "on_alarm": fails, "on_event": fails}
    async with AmiPeer() as peer, running(settings(peer.port), **broken) as watched:
        await watched.wait_up()
        assert await watched.link.call("Ping")
        assert watched.link.counters.handler_errors >= 4


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for `name`, which is its own authority."""
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-nodes", "-days", "2", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command, *files, *subject], check=True, capture_output=True)
    return key, cert


def server_tls(key: Path, cert: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


async def test_tls_with_the_right_certificate_comes_up(tmp_path: Path) -> None:
    key, cert = certificate(tmp_path, "switch.lab")
    async with AmiPeer(tls=server_tls(key, cert)) as peer:
        ami = settings(peer.port, tls=True, ca_file=cert, server_hostname="switch.lab")
        async with running(ami) as watched:
            await watched.wait_up()
            connection = watched.link.protocol.transport.get_extra_info("ssl_object")
            assert connection.version() in ("TLSv1.2", "TLSv1.3")
            assert await watched.link.call("Ping")


@pytest.mark.parametrize("fault", ["unknown authority", "other name"])
async def test_wrong_certificate_has_its_own_state_and_gets_no_secret(
    tmp_path: Path, fault: str
) -> None:
    """P14."""
    key, cert = certificate(tmp_path, "switch.lab")
    _, other = certificate(tmp_path, "other.lab")
    async with AmiPeer(tls=server_tls(key, cert)) as peer:
        trusted, name = (other, "switch.lab") if fault == "unknown authority" else (cert, "x.lab")
        ami = settings(peer.port, tls=True, ca_file=trusted, server_hostname=name)
        async with running(ami) as watched:
            await watched.wait(lambda: watched.link.state is LinkState.BAD_CERTIFICATE)
            assert [alarm for alarm, _ in watched.alarms] == [LinkAlarm.BAD_CERTIFICATE]
            assert watched.entered(LinkState.BAD_CERTIFICATE)[0]
            assert peer.actions == []


async def test_useless_ca_file_is_refused_at_the_start_naming_it(tmp_path: Path) -> None:
    missing = tmp_path / "none.pem"
    link = running(settings(1, tls=True, ca_file=missing))
    with pytest.raises(ValueError, match=r"none\.pem"):
        async with link:
            pass


async def test_peer_that_is_no_asterisk_is_named() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, running(settings(port)) as watched:
        await watched.wait(lambda: watched.entered(LinkState.DOWN))
        assert "not Asterisk's AMI banner" in watched.entered(LinkState.DOWN)[0]


async def test_ami_of_another_version_is_told_with_the_mend_and_used() -> None:
    async with AmiPeer() as peer:
        peer.version = "5.0.4"
        async with running(settings(peer.port)) as watched:
            await watched.wait_up()
            ((alarm, words),) = watched.alarms
            assert alarm is LinkAlarm.OTHER_VERSION
            assert "AMI 5.0.4" in words
            assert "bridge110 check" in words
            assert watched.link.state.usable
