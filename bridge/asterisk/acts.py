"""Carries out acts by AMI actions (three-way sheet, sections 3 and 6). Decides nothing.

The third party's lock: the seat's *1 in the dialplan and the desk must not both call 12345. The
desk sets JOINING, then looks whether a key is being handled (KEYED); the key sets KEYED, then looks
at JOINING. Whoever comes second therefore sees the first: a key that is done before the desk looks
has left JOINED_BY; where both see each other the desk waits for the key's decision (JOINED_BY),
which takes it some milliseconds. The desk may take the lock
beside the commit of its intent (`begin`): nobody rings of it, and it runs out by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Callable, Sequence

from bridge.asterisk.errors import ActionError, ActionRejected, OutcomeUnknown
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.refusals import as_refusals
from bridge.domain.acts import (
    Act,
    Bring,
    Clear,
    DialLeader,
    DialSeat,
    DialThird,
    Hold,
    HoldThird,
    Mute,
    Private,
    Release,
    WithoutRadio,
)
from bridge.domain.agent import AgentAct
from bridge.flows.calls import Spawn
from bridge.flows.ports import ActRefused

KEY_LOOKS, KEY_LOOK_S = 20, 0.01
"""How often and how far apart (seconds) the desk looks whether a key has decided: it takes 1 ms."""


class Acts:
    """The switch as flows use it (`flows.ports.Switch`), over one AMI link.

    `nonce(number)` makes a ticket for the spoken acceptance, empty where there is none.
    """

    def __init__(
        self,
        link: AmiLink,
        *,
        queue: str,
        nonce: Callable[[str], str],
        spawn: Spawn,
        epoch: Callable[[], float] = time.time,
    ) -> None:
        self._link = link
        self._queue = queue
        self._nonce = nonce
        self._spawn = spawn
        self._epoch = epoch
        self._begun: dict[str, asyncio.Future[None]] = {}

    def begin(self, acts: Sequence[Act]) -> None:
        """Take the lock for a third party that is about to be called. Then either the act itself
        is carried out, or `give_up` says that it will not be."""
        for act in acts:
            if isinstance(act, DialThird) and act.private_with is None:
                done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                work = self._lock_for(act, done)
                self._spawn(work, f"lock for {act.leg}")
                if inspect.getcoroutinestate(work) != inspect.CORO_CLOSED:  # not while stopping
                    self._begun[act.leg] = done

    def give_up(self, acts: Sequence[Act]) -> None:
        """These acts will not be carried out: the locks begun for them are taken off."""
        for act in acts:
            done = self._begun.pop(getattr(act, "leg", None) or "", None)
            if done is not None:
                self._spawn(self._unlock(act, done), "unlock")

    async def _lock_for(self, act: DialThird, done: asyncio.Future[None]) -> None:
        try:
            await self._lock(act)
            done.set_result(None)
        except (ActionError, ActRefused) as error:
            done.set_exception(error)
            done.exception()  # whoever dials is told; where nobody does, it does not matter

    async def _unlock(self, act: Act, done: asyncio.Future[None]) -> None:
        assert isinstance(act, DialThird)
        with contextlib.suppress(ActionError, ActRefused):  # not ours, or it runs out by itself
            await done
            await self._share(act.citizen, "JOINING", "0")

    async def carry_out(self, act: Act) -> None:
        """Do one act. Raises ActRefused or ActUnknown."""
        with as_refusals():
            await self._do(act)

    async def agent(self, act: AgentAct) -> None:
        """Tell the queue about a seat. Raises ActRefused or ActUnknown.

        Neither the agent's name nor a reason goes along: Asterisk keeps members as one text with
        `;` and `|` between them, and a name that holds these is another member after its restart.
        """
        interface = f"PJSIP/{act.seat}"
        common = {"Queue": self._queue, "Interface": interface}
        with as_refusals():
            if act.what == "add":
                await self._add_member(act, common)
            elif act.what == "remove":
                await self._link.call("QueueRemove", common)
            else:
                paused = "true" if act.what == "pause" else "false"
                await self._link.call("QueuePause", {**common, "Paused": paused})

    async def _add_member(self, act: AgentAct, common: dict[str, str]) -> None:
        try:
            await self._link.call("QueueAdd", {**common, "Paused": "true", "MemberName": act.seat})
        except ActionRejected:  # a member already: it persisted; it must be paused all the same
            await self._link.call("QueuePause", {**common, "Paused": "true"})

    async def _do(self, act: Act) -> None:
        match act:
            case DialThird():
                await self._dial_third(act)
            case DialSeat():
                await self._dial_seat(act)
            case DialLeader():
                await self._dial_leader(act)
            case Hold():
                await self._share(act.held, "HOLDER", act.holder)
                await self._share(act.held, "HELD", "1")
                await self._redirect(act.holder, "seat-waits")
            case HoldThird():
                await self._share(act.third, "HELD", "1")
                await self._redirect(act.seat, "join-case")
            case Bring():
                await self._redirect(act.channel, "join-case")
            case Private():
                await self._redirect(act.third, "consult", "talk")
            case Clear():
                await self._clear(act)
            case Release():
                if act.by_key or await self._shared(act.citizen, "JOINED_BY") != "key":
                    await self._share(act.citizen, "JOINING", "0")
            case WithoutRadio():
                await self._share(act.citizen, "RADIO", "")
            case Mute():
                state = "on" if act.on else "off"
                await self._set(act.channel, "MUTEAUDIO(in)", state)

    async def _dial_third(self, act: DialThird) -> None:
        target = act.target
        try:
            await self._way_is_free(act)
        except OutcomeUnknown as error:  # whatever became of the lock: nobody was called
            raise ActRefused("switch-down", str(error)) from error
        asks = target.accept == "press"
        if act.private_with is not None:
            context = "consult-accepts" if asks else "consult"
        else:
            context = "leg-accepts" if asks else "leg-answers"
        extra = [f"HANDOFF={act.handoff}"]
        if act.private_with is not None:
            extra.append(f"SEAT={act.private_with}")
        if asks and act.private_with is None:
            nonce = self._nonce(act.number)
            extra += [f"NONCE={nonce}"] if nonce else []
        dial = target.fallback if act.fallback and target.fallback else target.dial
        await self._originate(
            act.call,
            act.citizen,
            act.leg,
            dial,
            context,
            "s",
            target.name,
            act.number,
            target.ring_timeout,
            extra,
        )

    async def _way_is_free(self, act: DialThird) -> None:
        begun = self._begun.pop(act.leg, None)
        if begun is not None:
            await begun
        elif act.private_with is None:
            await self._lock(act)
        else:
            await self._no_key_calls(act.citizen)

    async def _lock(self, act: DialThird) -> None:
        citizen, now = act.citizen, int(self._epoch())
        until = now + act.target.ring_timeout + 2
        # all leave at once, in this order, and Asterisk does them in order
        before, _, joining, _, keyed, since = await asyncio.gather(
            self._shared(citizen, "JOINED_BY"),
            self._share(citizen, "JOINED_BY", ""),
            self._shared(citizen, "JOINING"),
            self._share(citizen, "JOINING", str(until)),
            self._shared(citizen, "KEYED"),
            self._shared(citizen, "JOINED_BY"),
        )
        rings = joining.isdigit() and int(joining) > now
        went_ahead = rings and not act.fallback and (before == "key" or bool(keyed))
        if since == "key" or went_ahead:
            if before == "key":
                await self._share(citizen, "JOINED_BY", before)
            if rings:
                await self._share(citizen, "JOINING", joining)
            raise ActRefused("third-already-called", "the seat's key came first")
        if keyed:
            await self._key_decides(citizen)

    async def _no_key_calls(self, citizen: str) -> None:
        """A private consultation takes no lock; it gives way to a third that the key is calling,
        and waits for what a key decides that was pressed before the seat was taken aside."""
        for _ in range(KEY_LOOKS):
            keyed, joining, by = await asyncio.gather(
                self._shared(citizen, "KEYED"),
                self._shared(citizen, "JOINING"),
                self._shared(citizen, "JOINED_BY"),
            )
            if not keyed:
                break
            await asyncio.sleep(KEY_LOOK_S)
        if by == "key" and joining.isdigit() and int(joining) > int(self._epoch()):
            raise ActRefused("third-already-called", "the seat's key came first")

    async def _key_decides(self, citizen: str) -> None:
        for _ in range(KEY_LOOKS):
            if not await self._shared(citizen, "KEYED"):
                break
            await asyncio.sleep(KEY_LOOK_S)
        if await self._shared(citizen, "JOINED_BY") == "key":
            raise ActRefused("third-already-called", "the seat's key came first")

    async def _dial_seat(self, act: DialSeat) -> None:
        name = f"seat-{act.seat}"
        dial = f"PJSIP/{act.seat}"
        await self._originate(
            act.call, act.citizen, act.leg, dial, "seat-returns", "s", name, act.number, 20, []
        )

    async def _dial_leader(self, act: DialLeader) -> None:
        talks = act.spied is None
        context, exten = ("leg-answers", "s") if talks else ("leader-spies", act.mode)
        extra = [] if act.spied is None else [f"SPY={act.spied}"]
        dial = f"PJSIP/{act.seat}"
        name = f"leader-{act.seat}"
        await self._originate(
            act.call, act.citizen, act.leg, dial, context, exten, name, act.number, 20, extra
        )

    async def _originate(
        self,
        call: str,
        citizen: str,
        leg: str,
        dial: str,
        context: str,
        exten: str,
        name: str,
        number: str,
        timeout: int,
        extra: list[str],
    ) -> None:
        variables = [
            f"__CASE={call}",
            f"__CITIZEN={citizen}",
            f"LEG={name}",
            f"PJSIP_HEADER(add,X-Case-Id)={call}",
            *extra,
        ]
        await self._link.call(
            "Originate",
            {
                "Channel": dial,
                "ChannelId": leg,
                "Context": context,
                "Exten": exten,
                "Priority": "1",
                "Timeout": str(timeout * 1000),
                "CallerID": f"{number} <{number}>" if number else "",
                "Async": "true",
                "Variable": variables,
            },
        )

    async def _clear(self, act: Clear) -> None:
        target = act.channel or act.leg
        try:
            await self._link.call("Hangup", {"Channel": target, "Cause": str(act.cause)})
        except ActionRejected as error:
            if "No such channel" not in str(error):
                raise

    async def _redirect(self, channel: str, context: str, priority: str = "1") -> None:
        await self._link.call(
            "Redirect",
            {"Channel": channel, "Context": context, "Exten": "s", "Priority": priority},
        )

    async def _share(self, channel: str, name: str, value: str) -> None:
        await self._set(channel, f"SHARED({name})", value)

    async def _shared(self, channel: str, name: str) -> str:
        answer = await self._link.call(
            "Getvar", {"Channel": channel, "Variable": f"SHARED({name})"}
        )
        return answer.get("Value")

    async def _set(self, channel: str, variable: str, value: str) -> None:
        await self._link.call("Setvar", {"Channel": channel, "Variable": variable, "Value": value})
