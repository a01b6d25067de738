"""Actions and their three outcomes, against a fake Asterisk; P1 to P23: libraries.md."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from bridge.asterisk.errors import ActionNotSent, ActionRejected, OutcomeUnknown
from bridge.asterisk.link_state import LinkState
from bridge.asterisk.manager import AmiLink
from bridge.wire.ami import AmiInjectionError, Message
from tests.asterisk.ami_peer import AmiPeer, Answer, Connection
from tests.asterisk.watched import running, settings


async def test_chinese_text_fed_byte_by_byte_arrives_whole() -> None:
    """P1."""
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        peer.piece = 1
        peer.event("Newchannel", "CallerIDName: 张三丰报警110", "ChanVariable: CASE=1")
        await watched.wait(lambda: watched.named("Newchannel"))
        event = watched.named("Newchannel")[0]
        assert event.get("CallerIDName") == "张三丰报警110"
        assert event.variables == {"CASE": "1"}


@pytest.mark.parametrize("value", ["x\r\n\r\nAction: Originate", "x\nAction: Y", "\0", "x" * 2000])
async def test_value_that_would_become_another_action_is_refused(value: str) -> None:
    """P2, guard.md S2."""
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        with pytest.raises(AmiInjectionError) as refused:
            await watched.link.call("Setvar", {"Variable": "NAME", "Value": value})
        assert refused.value.header == "Value"
        assert peer.asked("Setvar") == []
        assert watched.link.state is LinkState.UP


@pytest.mark.parametrize("action", ["PlayDTMF", "Atxfer", "CancelAtxfer", "QueueAdd", "Originate"])
async def test_answer_is_complete_whatever_its_text_says(action: str) -> None:
    """P4, P5: the texts that panoramisk takes for the beginning of a list."""
    texts = {
        "PlayDTMF": "DTMF successfully queued",
        "Atxfer": "Atxfer successfully queued",
        "CancelAtxfer": "CancelAtxfer successfully queued",
        "QueueAdd": "Added interface to queue",
        "Originate": "Originate successfully queued",
    }
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        peer.answers[action] = lambda to, asked: to.respond(asked, f"Message: {texts[action]}")
        answer = await watched.link.call(action, {"Channel": "PJSIP/8001", "Async": "true"})
        assert answer.get("Message") == texts[action]
        assert peer.accepted == 1


async def test_originate_that_would_block_the_session_is_refused() -> None:
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        with pytest.raises(ValueError, match="Async: true"):
            await watched.link.call("Originate", {"Channel": "PJSIP/8001"})
        assert peer.asked("Originate") == []


def list_of(count: int, *, promised: int | None = None, complete: bool = True) -> Answer:
    def answer(to: Connection, asked: Message) -> None:
        action_id = f"ActionID: {asked.get('ActionID')}"
        to.respond(asked, "EventList: start", "Message: Channels will follow")
        for number in range(count):
            to.send("Event: CoreShowChannel", action_id, f"Channel: c{number}")
        if complete:
            items = count if promised is None else promised
            to.send(
                "Event: CoreShowChannelsComplete",
                action_id,
                "EventList: Complete",
                f"ListItems: {items}",
            )

    return answer


async def test_list_is_collected_from_start_to_complete() -> None:
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        for count in (0, 3):
            peer.answers["CoreShowChannels"] = list_of(count)
            items = await watched.link.collect("CoreShowChannels")
            assert [item.get("Channel") for item in items] == [f"c{n}" for n in range(count)]


async def test_list_with_a_hole_is_not_taken_for_the_whole() -> None:
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        peer.answers["CoreShowChannels"] = list_of(2, promised=3)
        with pytest.raises(OutcomeUnknown, match="3 items promised, 2 came"):
            await watched.link.collect("CoreShowChannels")
        peer.answers["CoreShowChannels"] = lambda to, asked: to.respond(asked)
        with pytest.raises(OutcomeUnknown, match="starts no list"):
            await watched.link.collect("CoreShowChannels")


async def test_fax_session_is_one_event_without_a_list() -> None:
    """P5: res_fax announces an event and completes nothing."""

    def answer(to: Connection, asked: Message) -> None:
        to.respond(asked, "Message: FAXSession event will follow")
        to.send("Event: FAXSession", f"ActionID: {asked.get('ActionID')}", "SessionNumber: 7")

    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        peer.answers["FAXSession"] = answer
        (item,) = await watched.link.collect("FAXSession", {"SessionNumber": "7"})
        assert item.get("SessionNumber") == "7"


async def test_actions_in_flight_end_unknown_at_link_loss_and_are_never_repeated() -> None:
    """P6, P7, P8: a single action and a half received list."""
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        peer.answers["Redirect"] = lambda to, asked: None
        peer.answers["CoreShowChannels"] = list_of(2, complete=False)
        calls = [
            asyncio.create_task(watched.link.call("Redirect", {"Channel": "c"}, timeout=30)),
            asyncio.create_task(watched.link.collect("CoreShowChannels", timeout=30)),
        ]
        await watched.wait(lambda: len(watched.named("CoreShowChannel")) == 2)
        began = asyncio.get_running_loop().time()
        peer.cut()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert asyncio.get_running_loop().time() - began < 5.0
        assert [type(result) for result in results] == [OutcomeUnknown, OutcomeUnknown]
        await watched.wait_up(2)
        assert len(peer.asked("Redirect")) == 1
        assert len(peer.asked("CoreShowChannels")) == 1


async def test_answer_read_just_before_the_loss_still_counts() -> None:
    """Even behind events that still wait for a slow handler."""

    def answer_and_cut(to: Connection, asked: Message) -> None:
        for _ in range(500):
            to.send("Event: VarSet")
        to.respond(asked, "Message: done")
        to.writer.close()

    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        watched.link.register("VarSet", lambda _: time.sleep(0.0002))
        peer.answers["Redirect"] = answer_and_cut
        answer = await watched.link.call("Redirect", {"Channel": "c"})
        assert answer.get("Message") == "done"
        assert len(watched.named("VarSet")) == 500


async def test_action_while_down_is_not_sent_and_not_sent_later() -> None:
    """P6, P21."""
    async with AmiPeer() as peer:
        link = AmiLink(settings(peer.port), rng=random.Random(1))
        with pytest.raises(ActionNotSent, match="link is down"):
            await link.call("Redirect", {"Channel": "c"})
        async with running(settings(peer.port)) as watched:
            await watched.wait_up()
            assert peer.asked("Redirect") == []


async def test_action_before_login_is_complete_or_after_the_loss_is_not_sent() -> None:
    async with AmiPeer() as peer:
        peer.fully_booted = False
        async with running(settings(peer.port, booted_timeout=60.0)) as watched:
            await peer.wait_asked("Login")
            await watched.wait(lambda: watched.entered(LinkState.LOGGING_IN))
            with pytest.raises(ActionNotSent, match="link is logging_in"):
                await watched.link.call("Redirect", {"Channel": "c"})
            peer.event("FullyBooted")
            await watched.wait_up()
            watched.link.protocol.drop("cable pulled")
            with pytest.raises(ActionNotSent):
                await watched.link.call("Redirect", {"Channel": "c"})
            assert peer.asked("Redirect") == []


async def test_timed_out_actions_leave_nothing_behind() -> None:
    """P10: fifty time-outs, then their late answers."""
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        waiting: list[tuple[Connection, Message]] = []
        peer.answers["Getvar"] = lambda to, asked: waiting.append((to, asked))
        asked = [watched.link.call("Getvar", {"Variable": "X"}, timeout=0.1) for _ in range(50)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(result) for result in results} == {OutcomeUnknown}
        late = watched.link.counters.late_answers
        for to, message in waiting:
            to.respond(message, "Value: 1")
        await watched.wait(lambda: watched.link.counters.late_answers == late + 50)
        assert watched.link.pending == 0


async def test_cancelled_caller_leaves_nothing_behind() -> None:
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        peer.answers["Getvar"] = lambda to, asked: None
        call = asyncio.create_task(watched.link.call("Getvar", {"Variable": "X"}))
        await peer.wait_asked("Getvar")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await watched.wait(lambda: watched.link.pending == 0)
        assert watched.link.state is LinkState.UP


async def test_events_with_the_action_id_of_a_pending_action_reach_listeners() -> None:
    """P16: OriginateResponse."""

    def answer(to: Connection, asked: Message) -> None:
        action_id = f"ActionID: {asked.get('ActionID')}"
        to.send("Event: OriginateResponse", action_id, "Response: Failure", "Reason: 5")
        to.respond(asked, "Message: Originate successfully queued")

    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        peer.answers["Originate"] = answer
        await watched.link.call("Originate", {"Channel": "PJSIP/1", "Async": "true"})
        (told,) = watched.named("OriginateResponse")  # before the answer, as it was sent
        assert told.get("Response") == "Failure"


async def test_rejected_action_carries_asterisks_answer() -> None:
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        with pytest.raises(ActionRejected, match="Invalid/unknown command: Nope"):
            await watched.link.call("Nope")
        assert watched.link.pending == 0


async def test_peer_that_does_not_read_is_given_up_and_holds_little_memory() -> None:
    """P18: actions wait at the write bound, the ping's deadline ends the link."""
    async with AmiPeer() as peer:
        ami = settings(peer.port, max_pending=100_000, action_timeout=30.0)
        async with running(ami) as watched:
            await watched.wait_up()
            protocol = watched.link.protocol
            peer.connections[0].hold()
            value = {"Variable": "X", "Value": "y" * 1000}
            calls = [asyncio.create_task(watched.link.call("Setvar", value)) for _ in range(20_000)]
            await watched.wait(lambda: watched.entered(LinkState.DOWN))
            results = await asyncio.gather(*calls, return_exceptions=True)
            kinds = {type(result) for result in results}
            assert kinds == {OutcomeUnknown, ActionNotSent}
            assert protocol.transport.get_write_buffer_size() < 1 << 20


async def test_actions_in_flight_are_bounded() -> None:
    async with AmiPeer() as peer, running(settings(peer.port, max_pending=3)) as watched:
        await watched.wait(lambda: watched.named("UserEvent") and not watched.link.pending)
        peer.answers["Getvar"] = lambda to, asked: None
        calls = [watched.link.call("Getvar", {"Variable": "X"}, timeout=0.5) for _ in range(5)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == [
            "ActionNotSent",
            "ActionNotSent",
            "OutcomeUnknown",
            "OutcomeUnknown",
            "OutcomeUnknown",
        ]
