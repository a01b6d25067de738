"""FastAGI with a real Asterisk: what the bytes of tests/asterisk/test_fastagi.py say, holds here.

The leg is a Local channel: one end runs the plan of a third party, the other presses the keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

from bridge.asterisk.acceptance import PATH, Acceptance, Words
from bridge.asterisk.agi_request import AgiRequest
from bridge.asterisk.fastagi import FastAgiServer, Outcome
from bridge.asterisk.link_state import AmiSettings
from bridge.asterisk.nonces import Nonces
from bridge.lab.switch import Switch
from tests.asterisk.watched import Watched, running

HOSTILE = 'a "b" \\ \\" , ${EPOCH} $[1+1] & 张三 %s ; end'


class Legs:
    """Calls third parties of the running Asterisk, and hears what became of them."""

    def __init__(
        self, switch: Switch, watched: Watched, server: FastAgiServer, nonces: Nonces[Words]
    ) -> None:
        self.switch = switch
        self.watched = watched
        self.server = server
        self.nonces = nonces

    async def call(self, nonce: str, keys: str) -> str:
        """A leg answers and its person presses `keys` (w waits half a second). Gives its id."""
        case = uuid4().hex
        await self.switch.console(f"dialplan set global HEARTBEAT {int(time.time())}")
        await self.watched.link.call(
            "Originate",
            {
                "Channel": "Local/s@test-leg/n",
                "Application": "SendDTMF",
                "Data": f"{keys}wwwwwwwwwwwwwwwwwwww",
                "Async": "true",
                "Variable": [f"__NONCE={nonce}", f"__CASE={case}", "__LEG=test"],
            },
        )
        return case

    async def ends_as(self, case: str) -> str:
        """LegAccepted or LegRefused."""

        def told() -> list[str]:
            return [
                name
                for event in self.watched.events
                if event.get("Case") == case
                and (name := event.get("UserEvent")) in ("LegAccepted", "LegRefused")
            ]

        await self.watched.wait(lambda: bool(told()))
        return told()[0]

    async def outcome(self, name: Outcome) -> None:
        await self.watched.wait(lambda: self.server.outcomes[name])


@contextlib.asynccontextmanager
async def legs(
    switch: Switch, endpoint: Callable[[AgiRequest], Awaitable[object]] | None = None
) -> AsyncIterator[Legs]:
    settings = AmiSettings(
        port=switch.site.ports.ami, username="bridge110", secret=switch.site.ami_secret
    )
    stop = asyncio.Event()
    async with running(settings) as watched, asyncio.TaskGroup() as group:
        await watched.wait_up()
        nonces: Nonces[Words] = Nonces(time.monotonic)
        server = FastAgiServer(nonces.authorize, port=switch.site.ports.fastagi)
        server.add_route(PATH, endpoint or Acceptance(nonces.take).handle)
        group.create_task(server.run(stop))
        await server.listening.wait()
        await switch.console("dialplan add extension s,1,Answer() into test-leg replace")
        await switch.console(
            "dialplan add extension s,2,Goto,leg-accepts,s,1 into test-leg replace"
        )
        try:
            yield Legs(switch, watched, server, nonces)
        finally:
            await switch.console("channel request hangup all")
            await switch.console("dialplan remove context test-leg")
            await switch.console("dialplan set global HEARTBEAT 0")
            stop.set()


async def test_person_who_presses_1_during_the_words_is_accepted(switch: Switch) -> None:
    async with legs(switch) as here:
        case = await here.call(here.nonces.issue(Words(number="13800001111")), "www1")
        assert await here.ends_as(case) == "LegAccepted"
        assert here.server.outcomes == {"done": 1}


async def test_leg_with_a_foreign_ticket_is_asked_by_the_plan_itself(switch: Switch) -> None:
    async with legs(switch) as here:
        case = await here.call("f" * 32, "wwww1")
        assert await here.ends_as(case) == "LegAccepted"
        assert here.server.outcomes == {"refused_nonce": 1}


async def test_hangup_in_the_words_ends_the_request_and_not_the_server(switch: Switch) -> None:
    async with legs(switch) as here:
        await here.call(here.nonces.issue(Words(number="13800001111")), "w")
        await here.watched.wait(lambda: here.server.connections)
        await switch.console("channel request hangup all")
        await here.outcome("hung_up")
        case = await here.call(here.nonces.issue(Words()), "www1")
        assert await here.ends_as(case) == "LegAccepted"


async def test_asterisk_reads_hostile_arguments_back_as_given(switch: Switch) -> None:
    got: list[str] = []
    codes: list[int] = []

    async def probe(request: AgiRequest) -> None:
        await request.command("SET", "VARIABLE", "PROBE", HOSTILE)
        got.append((await request.command("GET", "VARIABLE", "PROBE")).value)
        codes.append((await request.command("SAY", "DIGITS")).code)
        codes.append((await request.command("NO", "SUCH", "COMMAND")).code)
        codes.append((await request.command("NOOP")).code)

    async with legs(switch, probe) as here:
        await here.call(here.nonces.issue(Words()), "w")
        await here.outcome("done")
    assert got == [HOSTILE]
    assert codes == [520, 510, 200]
