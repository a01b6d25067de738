"""The other process of the AMI benches: a peer that answers like Asterisk and sends the stream.

`python -m tests.bench.ami_sender` prints its port and serves until its standard input closes.
Action `Bench`: `Calls` at once, or with `Rate` (events a second) in portions every 5 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from bridge.wire.ami import Message
from tests.asterisk.ami_peer import AmiPeer, Connection
from tests.bench.ami_stream import stream

PORTION_S = 0.005


async def _paced(to: Connection, data: bytes, rate: int) -> None:
    """As many events as are due by now, then a pause: a late portion is made up for."""
    events = [event + b"\r\n\r\n" for event in data.split(b"\r\n\r\n")[:-1]]
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    while sent < len(events):
        due = min(len(events), int((loop.time() - began) * rate))
        to.send_raw(b"".join(events[sent:due]))
        sent = due
        await asyncio.sleep(PORTION_S)


async def main() -> None:
    running: set[asyncio.Task[None]] = set()
    made: dict[tuple[int, bool], bytes] = {}

    def bench(to: Connection, asked: Message) -> None:
        calls, variables = int(asked.get("Calls")), asked.get("Variables") == "yes"
        if (calls, variables) not in made:
            made[calls, variables] = stream(calls, variables=variables)
        data, rate = made[calls, variables], int(asked.get("Rate") or "0")
        to.respond(asked)
        if rate:
            running.add(asyncio.create_task(_paced(to, data, rate)))
        else:
            to.send_raw(data)

    async with AmiPeer() as peer:
        peer.answers["Bench"] = bench
        print(peer.port, flush=True)
        await asyncio.to_thread(sys.stdin.buffer.read)


@contextlib.asynccontextmanager
async def sender() -> AsyncIterator[int]:
    """Start the process; gives its port."""
    command = (sys.executable, "-m", "tests.bench.ami_sender")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            port = int(await process.stdout.readline())
        yield port
    finally:
        process.stdin.close()
        async with asyncio.timeout(20):
            await process.wait()


if __name__ == "__main__":
    asyncio.run(main())
