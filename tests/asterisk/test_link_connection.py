"""Connection, login, pings and handlers of the AMI link, against a fake Asterisk over TCP."""

from __future__ import annotations

import asyncio
import random
import socket
import time

import pytest
import structlog.testing

from bridge.asterisk.errors import ActionNotSent, OutcomeUnknown
from bridge.asterisk.link_state import LinkAlarm, LinkState
from bridge.asterisk.manager import AmiLink
from bridge.wire.ami import AmiInjectionError, Message
from tests.asterisk.ami_peer import SECRET, AmiPeer, Connection
from tests.asterisk.watched import running, settings


async def test_login_goes_through_its_states_and_tells_when_it_is_up() -> None:
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        states = [state for state, _ in watched.states]
        assert states == [LinkState.CONNECTING, LinkState.LOGGING_IN, LinkState.UP]
        assert watched.ups == [False]
        assert watched.link.asterisk_started_at == "2026-11-24 03:25:26"
        assert watched.link.protocol.ami_version == "11.0.0"
    assert watched.states[-1] == (LinkState.DOWN, "stopped")


async def test_raising_handler_leaves_link_and_other_handlers_alone() -> None:
    """P3."""
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()

        def fails(event: Message) -> None:
            raise LookupError(event.get("N"))

        watched.link.register("Newstate", fails)
        after: list[str] = []
        watched.link.register("Newstate", lambda event: after.append(event.get("N")))
        for number in range(5):
            peer.event("Newstate", f"N: {number}")
        await watched.wait(lambda: len(after) == 5)
        assert after == ["0", "1", "2", "3", "4"]
        assert [event.get("N") for event in watched.named("Newstate")] == after
        assert watched.link.counters.handler_errors == 5
        assert [alarm for alarm, _ in watched.alarms] == [LinkAlarm.HANDLER_FAILED]
        assert peer.accepted == 1


async def test_silent_peer_is_given_up_within_three_seconds() -> None:
    """P9: half-open or dead, the ping's answer is what counts."""
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        peer.silent = True
        began = asyncio.get_running_loop().time()
        call = asyncio.create_task(watched.link.call("Redirect", {"Channel": "c"}, timeout=30))
        with pytest.raises(OutcomeUnknown, match="no answer to a ping"):
            await call
        assert asyncio.get_running_loop().time() - began < 3.0
        await watched.wait(lambda: watched.entered(LinkState.DOWN))
        peer.silent = False
        await watched.wait_up(2)


async def test_own_standstill_is_not_taken_for_a_dead_peer() -> None:
    async def answer_late(to: Connection, asked: Message) -> None:
        await asyncio.sleep(0.1)
        to.respond(asked, "Ping: Pong")

    answering: list[asyncio.Task[None]] = []

    def answer(to: Connection, asked: Message) -> None:
        time.sleep(0.4)  # the whole process: neither side runs
        answering.append(asyncio.create_task(answer_late(to, asked)))

    async with AmiPeer() as peer:
        quick = settings(peer.port, ping_interval=0.01, ping_deadline=0.15)
        async with running(quick) as watched:
            await watched.wait_up()
            peer.answers["Ping"] = answer
            await watched.wait(lambda: sum(task.done() for task in answering) >= 3)
            assert watched.ups == [False]
            assert peer.accepted == 1


async def test_kernel_gives_up_unacknowledged_data_too() -> None:
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        connection = watched.link.protocol.transport.get_extra_info("socket")
        limit = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert 0 < limit <= 3000


async def test_stop_while_down_makes_no_further_connection() -> None:
    """P11."""
    async with AmiPeer() as peer:
        async with running(settings(peer.port, retry_first=0.05)) as watched:
            await watched.wait_up()
            await peer.close()
            await watched.wait(lambda: watched.entered(LinkState.DOWN))
        accepted = peer.accepted
        await peer.listen()
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("ami-")]
        assert peer.accepted == accepted == 1


async def test_one_connection_comes_when_the_peer_appears() -> None:
    """P12: many failed attempts leave one link, not many."""
    peer = AmiPeer()
    await peer.listen()
    await peer.close()
    async with running(settings(peer.port, retry_first=0.02, retry_max=0.05)) as watched:
        await watched.wait(lambda: watched.link.attempts >= 5)
        async with peer:
            await watched.wait_up()
            assert (peer.accepted, len(peer.asked("Login"))) == (1, 1)
            assert len(watched.entered(LinkState.DOWN)) == 1


async def test_wrong_secret_has_its_own_state_one_alarm_and_slow_retries() -> None:
    """P13."""
    async with AmiPeer() as peer:
        wrong = settings(peer.port, secret="wrong-secret", retry_refused=0.3, retry_first=0.01)
        async with running(wrong) as watched:
            began = asyncio.get_running_loop().time()
            await watched.wait(lambda: len(peer.asked("Login")) >= 3)
            assert asyncio.get_running_loop().time() - began >= 2 * 0.15
            assert watched.link.state is LinkState.BAD_SECRET
            assert watched.entered(LinkState.BAD_SECRET) == ["Authentication failed"]
            assert watched.alarms == [(LinkAlarm.BAD_SECRET, "Authentication failed")]
            with pytest.raises(ActionNotSent):
                await watched.link.call("Ping")


async def test_login_without_an_answer_is_bounded_and_tried_again() -> None:
    """guard.md finding 8: others' idle sessions can keep us from logging in."""
    async with AmiPeer() as peer:
        peer.silent = True
        slow = settings(peer.port, login_timeout=0.2, retry_first=0.02)
        async with running(slow) as watched:
            await peer.wait_asked("Login", 2)
            assert watched.entered(LinkState.DOWN) == [
                "outcome of Login unknown: no answer in 0.2 s"
            ]
            peer.silent = False
            await watched.wait_up()


async def test_events_are_handed_over_in_order_by_one_consumer() -> None:
    """P15."""
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        for number in range(2000):
            peer.event("Newexten" if number % 2 else "VarSet", f"N: {number}")
        await watched.wait(lambda: len(watched.named("Newexten")) == 1000)
        numbers = [int(event.get("N")) for event in watched.events if "N" in event]
        assert numbers == list(range(2000))


def test_coroutine_function_and_pattern_are_refused_as_handlers() -> None:
    """P15, P23."""

    async def later(event: Message) -> None: ...

    link = AmiLink(settings(1), rng=random.Random(1))
    with pytest.raises(TypeError, match="coroutine"):
        link.register("Hangup", later)
    with pytest.raises(ValueError, match="Queue"):
        link.register("Queue*", print)


async def test_message_without_end_costs_the_link_not_the_process() -> None:
    """P17."""
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        block = b"Event: Flood\r\nData: " + b"x" * (5 << 20)
        peer.connections[0].send_raw(block)
        await watched.wait(lambda: watched.entered(LinkState.DOWN))
        assert "no end of message" in watched.entered(LinkState.DOWN)[0]
        await watched.wait_up(2)


async def test_panoramisks_own_doors_are_shut() -> None:
    """P12, P20, P23."""
    link = AmiLink(settings(1), rng=random.Random(1))
    for door in (link.connect, link.send_action, link.send_command, link.ping, link.dispatch):
        with pytest.raises(RuntimeError, match=r"AmiLink\.run"):
            door({"Action": "Ping"})


async def test_secret_is_in_no_log_line_and_no_repr() -> None:
    """P22, guard rule 26."""
    with structlog.testing.capture_logs() as lines:
        async with AmiPeer() as peer, running(settings(peer.port)) as watched:
            await watched.wait_up()
            peer.answers["Setvar"] = lambda to, asked: to.cut()
            with pytest.raises(OutcomeUnknown) as lost:
                await watched.link.call("Setvar", {"Variable": "PIN", "Value": "4711-secret"})
            await watched.wait_up(2)
    said = repr(lines) + repr(watched.link.settings) + repr(vars(watched.link)) + repr(lost.value)
    assert "ami.up" in said
    assert SECRET not in said
    assert "4711-secret" not in said


def test_secret_is_not_sent_in_clear_to_another_machine() -> None:
    """guard.md S1."""
    with pytest.raises(ValueError, match=r"ami\.tls = true"):
        settings(5038, host="192.0.2.7")
    assert settings(5039, host="192.0.2.7", tls=True).port == 5039


def test_limits_that_would_miss_a_dead_link_are_refused() -> None:
    with pytest.raises(ValueError, match="3 s"):
        settings(5038, ping_interval=2.0, ping_deadline=2.0)
    with pytest.raises(AmiInjectionError):
        settings(5038, secret="a\nb")
