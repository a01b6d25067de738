"""A laboratory telephone: it registers, calls, is called, and knows whom it heard and when.

    seat = Phone("8001", secret, (HOST, ports.sip), tone=700)
    await seat.start()
    citizen = Phone("13800138000", "", (HOST, ports.sip), tone=620)
    await citizen.start()
    call = await citizen.dial("110")
    theirs = await seat.wait_call(5)
    await call.wait_hears({700}, 5)
    await call.hangup()

One telephone takes many calls at once, so it also plays a trunk or a hotline's many desks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from bridge.lab.call import ASK_S, Call
from bridge.lab.dialog import Dialog, new_branch, new_tag
from bridge.lab.incoming import IncomingCall
from bridge.lab.media import MEDIA
from bridge.lab.outgoing import Account, OutgoingCall, make_call
from bridge.lab.ports import HOST
from bridge.lab.sip import VERSION, SipError, SipMessage, request, response, user_part
from bridge.lab.sipnode import Address, SipNode

EXPIRES_S: Final = 60
MAX_CALLS: Final = 500
Manner = Literal["auto", "ring", "busy", "reject", "silent"]
"""What it does with a call: answers, only rings, 486, 603, or nothing at all."""


@dataclass(slots=True)
class Behaviour:
    """How it takes calls; may be changed at any time. `delay` in seconds of ringing."""

    manner: Manner = "auto"
    delay: float = 0.0
    keys: str = ""
    """Pressed after the answer, after `keys_after` seconds."""
    keys_after: float = 0.3


class Phone:
    """One SIP telephone on a UDP port of its own."""

    def __init__(
        self,
        user: str,
        secret: str,
        server: Address,
        *,
        tone: int,
        behaviour: Behaviour | None = None,
        local_port: int = 0,
        numbers: tuple[int, int, int] | None = None,
    ) -> None:
        self.user = user
        self.server = server
        self.tone = tone
        self.behaviour = behaviour or Behaviour()
        self.numbers = numbers
        """First RTP sequence number, timestamp and SSRC of its next calls; None: chance."""
        self.calls: list[Call] = []
        """Every call so far, the newest last."""
        self.invited: list[str] = []
        """Caller of every INVITE that came, also of those it did not react to."""
        self._account = Account(user, secret)
        self._local_port = local_port
        self._node: SipNode | None = None
        self._by_id: dict[str, Call] = {}
        self._came: asyncio.Queue[IncomingCall] = asyncio.Queue(MAX_CALLS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._register_id = new_tag() + "@lab"
        self._sequence = 0

    @property
    def node(self) -> SipNode:
        """Its socket. Raises RuntimeError before `start` and after `stop` or `die`."""
        if self._node is None:
            raise RuntimeError(f"telephone {self.user} is off")
        return self._node

    async def start(self) -> None:
        """Switch on; register where there is a secret. Raises SipError when that is refused."""
        node = SipNode(self._take)
        await node.open(HOST, self._local_port)
        self._node = node
        if self._account.secret:
            await self.register()
            self._do(self._refresh())

    async def stop(self) -> None:
        """Hang up everything, unregister, switch off."""
        if self._node is None:
            return
        for call in [call for call in self.calls if call.end is None]:
            await call.hangup()
        if self._account.secret:
            with contextlib.suppress(SipError, TimeoutError):  # the server may be gone
                await self.register(0)
        self._off()

    def die(self) -> None:
        """As a telephone whose plug is pulled: no packet and no word any more."""
        for call in self.calls:
            call.leg.muted = True
            call.leg.close()
        self._off()

    def _off(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._node is not None:
            self._node.close()
            self._node = None

    async def register(self, expires: int = EXPIRES_S) -> None:
        """REGISTER with digest. Raises SipError when refused, TimeoutError without answer."""
        answer = await self.node.ask(self._registration(expires), self.server, ASK_S)
        if answer.status in (401, 407):
            field = self._account.answer(answer, "REGISTER", self._registrar)
            again = self._registration(expires, field)
            answer = await self.node.ask(again, self.server, ASK_S)
        if answer.status >= 300:
            raise SipError(f"{self.user} is not registered: {answer.status} {answer.reason}")

    @property
    def _registrar(self) -> str:
        return f"sip:{self.server[0]}:{self.server[1]}"

    def _registration(self, expires: int, *more: tuple[str, str]) -> SipMessage:
        host, port = self.node.address
        self._sequence += 1
        me = f"<sip:{self.user}@{self.server[0]}:{self.server[1]}>"
        fields = [
            ("Via", f"{VERSION}/UDP {host}:{port};rport;branch={new_branch()}"),
            ("From", f"{me};tag={new_tag()}"),
            ("To", me),
            ("Call-ID", self._register_id),
            ("CSeq", f"{self._sequence} REGISTER"),
            ("Contact", f"<sip:{self.user}@{host}:{port}>"),
            ("Expires", str(expires)),
            *more,
        ]
        return request("REGISTER", self._registrar, fields)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(EXPIRES_S / 2)
            try:
                await self.register()
            except (SipError, TimeoutError):
                continue  # the switch is away: try again at the next turn

    # --- calls ---

    async def dial(
        self,
        number: str,
        *,
        headers: Mapping[str, str] | None = None,
        identity: str = "",
        wait: bool = False,
    ) -> OutgoingCall:
        """Call a number. `identity` is From as written (display name and address), else our user.

        With `wait` returns after the answer; raises CallError or TimeoutError then.
        """
        identity = identity or f"<sip:{self.user}@{HOST}>"
        leg = MEDIA.leg(self.tone, self.numbers)
        call = make_call(self.node, leg, self.server, self._account, number, identity)
        self._keep(call)
        call.begin(headers or {})
        if wait:
            await call.wait_answered(10.0)
        return call

    async def wait_call(self, timeout: float) -> IncomingCall:
        """The next call that comes (or came and was not fetched). Raises TimeoutError."""
        try:
            async with asyncio.timeout(timeout):
                return await self._came.get()
        except TimeoutError:
            raise TimeoutError(f"no call came to {self.user} in {timeout:g} s") from None

    def forget_calls(self) -> None:
        """Calls that came and were not fetched are not of interest any more."""
        while not self._came.empty():
            self._came.get_nowait()

    def _keep(self, call: Call) -> None:
        self.calls.append(call)
        self._by_id[call.dialog.call_id] = call
        call.on_end = self._ended

    def _ended(self, call: Call) -> None:
        self._by_id.pop(call.dialog.call_id, None)

    def _do(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- what comes ---

    def _take(self, message: SipMessage, source: Address) -> None:
        call = self._by_id.get(message.call_id)
        if message.method == "CANCEL" and isinstance(call, IncomingCall):
            call.cancelled(message, source)
        elif call is not None:
            call.take(message, source)
        elif message.method == "INVITE":
            self._take_invite(message, source)
        elif message.method == "OPTIONS":
            self.node.respond(message, response(message, 200, new_tag()), source)
        else:
            self.node.respond(message, response(message, 481, new_tag()), source)

    def _take_invite(self, message: SipMessage, source: Address) -> None:
        manner = self.behaviour.manner
        self.invited.append(user_part(message.headers["From"]))
        if manner == "silent":
            return
        dialog = Dialog.of_invite(message, self.node.address, self.user)
        leg = MEDIA.leg(self.tone, self.numbers)
        call = IncomingCall(self.node, dialog, leg, source, message)
        self._keep(call)
        if not self._came.full():
            self._came.put_nowait(call)
        if manner in ("busy", "reject"):
            call.reject(486 if manner == "busy" else 603)
            return
        call.ring()
        if manner == "auto":
            self._do(self._answer(call))

    async def _answer(self, call: IncomingCall) -> None:
        behaviour = self.behaviour
        if behaviour.delay:
            await asyncio.sleep(behaviour.delay)
        call.answer_now()
        if behaviour.keys and call.end is None:
            await asyncio.sleep(behaviour.keys_after)
            if call.end is None:
                await call.press(behaviour.keys)
