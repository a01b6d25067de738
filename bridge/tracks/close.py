"""Closing the recording of a call: wait until its files are complete, then have them made up.

Nothing here reads a whole file or computes: looking at files happens in a thread, all work in one
child process per call, which may be killed at any moment and simply run again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import bridge
from bridge.domain.journal import Json
from bridge.tracks.folder import NotReady, TracksError
from bridge.tracks.naming import check_case
from bridge.tracks.recording import CallRecording, LegTimes, from_data
from bridge.tracks.settle import Patience, Step, look_at, settle
from bridge.tracks.worker import Request

POLL_SECONDS: Final = 0.2
MAX_ANSWER: Final = 1024 * 1024
"""Longest answer of the child: 256 tracks need a third of it."""
RESERVE_BYTES: Final = 256 * 1024 * 1024
"""Kept free on the disk: a recording can be joined later, the store cannot wait."""
WORK_SECONDS: Final = 600.0
"""For the child's work; a day of three voices needs less."""
PACKAGE_ROOT: Final = str(Path(bridge.__file__).resolve().parents[1])
"""Where the child finds this package; it inherits nothing else of our environment."""


async def close_call(
    directory: Path,
    call: str,
    legs: Sequence[LegTimes],
    *,
    deadline_s: float = 5.0,
    into: Path | None = None,
    turn: asyncio.Semaphore | None = None,
    reserve_bytes: int = RESERVE_BYTES,
    work_deadline_s: float = WORK_SECONDS,
) -> CallRecording:
    """Repair, hash and join the tracks of the ended call `call` (its Uniqueid).

    `directory` is Asterisk's monitor directory; its tracks are only read. Repaired and joined
    files go to `into`, or beside the tracks where none is given. Waits up to `deadline_s` seconds
    until the tracks are complete: closed, or unchanged for longer than a live recorder takes to
    write again. `turn` bounds how many calls are worked on at once; the others wait for it.
    Doing it again, or after a kill at any moment, gives the same result.

    Raises NotReady when a track still grows after `deadline_s` (close again when its leg has
    ended), TracksError with place and mend when it cannot be done or takes longer than
    `work_deadline_s` seconds, BadName for a bad `call`.
    """
    check_case(call)
    await _wait_settled(directory, call, legs, Patience(total=deadline_s))
    request = Request(
        recordings=directory,
        into=into or directory,
        call=call,
        legs=tuple(legs),
        reserve_bytes=reserve_bytes,
        cpu_seconds=max(int(work_deadline_s), 1),
    )
    async with turn or contextlib.nullcontext():
        answer = await _ask_worker(request, work_deadline_s)
    return _recording(call, answer)


async def _wait_settled(
    directory: Path, case: str, legs: Sequence[LegTimes], patience: Patience
) -> None:
    begun = changed = time.monotonic()
    last = None
    while True:
        look = await asyncio.to_thread(look_at, directory, case, legs)
        now = time.monotonic()
        if look != last:
            last, changed = look, now
        step = settle(look, now - changed, now - begun, patience)
        if step is Step.READY:
            return
        if step is Step.GROWING:
            open_ones = ", ".join(state.name for state in look.states if not state.closed)
            raise NotReady(
                f"call {case}: {open_ones} still grows after {patience.total:g} s; "
                "close the call again when its legs have ended"
            )
        await asyncio.sleep(POLL_SECONDS)


async def _ask_worker(request: Request, deadline: float) -> Mapping[str, Json]:
    """Run the child on `request`; its answer. Whatever happens here, the child is gone after."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "bridge.tracks.worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        env={"PYTHONPATH": PACKAGE_ROOT, "PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(deadline):
            output, words = await child.communicate(request.to_json().encode())
    except TimeoutError as late:
        raise TracksError(
            f"call {request.call}: not joined within {deadline:g} s; close it again when the "
            "machine is less busy"
        ) from late
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode != 0 or len(output) > MAX_ANSWER:
        last = words.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
        ended = f"the joining process ended with {child.returncode}"
        raise TracksError(f"call {request.call}: {ended}: {last[0][:200]}")
    answer: Mapping[str, Json] = json.loads(output)
    return answer


def _recording(call: str, answer: Mapping[str, Json]) -> CallRecording:
    if "not_ready" in answer:
        raise NotReady(str(answer["not_ready"]))
    if "failed" in answer:
        raise TracksError(str(answer["failed"]))
    found = answer["recording"]
    if not isinstance(found, dict):
        raise TracksError(f"call {call}: the joining process gave no recording")
    return from_data(found)
