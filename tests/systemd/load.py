"""Desks that ask all the time: `python load.py PORT`, until standard input ends.

Prints one JSON line: requests answered, connections refused, connections that broke off, the
slowest answer in seconds, and what broke. Standard library alone: it runs in another network.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter

CLIENTS = 8
PAUSE_S = 0.05
ANSWER_S = 30.0
REQUEST = b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


class Load:
    """What became of every connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.counts: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.faults: Counter[str] = Counter()

    async def client(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._ask()
                self.counts["answered"] += 1
            except ConnectionRefusedError:
                self.counts["refused"] += 1
            except (OSError, EOFError, TimeoutError) as error:
                self.counts["broken"] += 1
                self.faults[f"{type(error).__name__} {error}"[:80]] += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            await asyncio.sleep(PAUSE_S)

    async def _ask(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(REQUEST)
            answer = await reader.read()
        finally:
            writer.close()
        if not answer.startswith(b"HTTP/1.1 200"):
            raise EOFError(answer[:40].decode("latin-1") or "nothing")


async def main(port: int) -> None:
    load, stop = Load(port), asyncio.Event()
    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(load.client(stop))
        await asyncio.to_thread(sys.stdin.read)
        stop.set()
    kinds = ("answered", "refused", "broken")
    counts = {kind: load.counts[kind] for kind in kinds}
    print(json.dumps(counts | {"slowest_s": round(load.slowest_s, 3), "faults": load.faults}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
