"""Power cuts under the daemon's own store: cut after any operation, keep, lose or tear the rest.

`power_recording.py` runs the real store and records what it did to the disk and told others. A cut
takes the first k operations: what was synced is there; of what was not, each 512-byte sector is
kept, lost or torn by chance; a sync that failed leaves half of it lost for good. The store is then
opened by its own start sequence and held against what had been shown. Every other recording begins
on what a cut left. Trusted: that a delete and a new file's name survive, and the disk's own flush.

    python -m tests.store.power_cuts --cuts 20000          # one JSON line for each mutant
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw

from bridge.store.connection import StoreRefused
from bridge.store.open import Options, open_checked
from bridge.store.sql import query
from tests.store.power_recording import MUTANTS, SITE, TOLD, Op, Recording, recorded

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where the cut files lie: the cuts are simulated, a disk would only make them slow."""

SECTOR = 512
TORN = 0.02
"""Share of unsynced sectors that are half written."""


class Disk:
    """Files as the platter has them, and what was written since the last sync of each."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.synced = {name: bytearray(content) for name, content in files.items()}
        self.pending: dict[str, list[Op]] = {}

    def apply(self, op: Op, chance: random.Random) -> None:
        """One more operation has returned."""
        what, name, _, _ = op
        if what in ("write", "truncate"):
            self.synced.setdefault(name, bytearray())
            self.pending.setdefault(name, []).append(op)
        elif what == "sync":
            self.synced[name] = self._after(name, lambda _: 1.0, None)
            self.pending[name] = []
        elif what == "failed-sync":  # what it did not write is never written: not by the next one
            self.synced[name] = self._after(name, lambda _: 0.5, chance)
            self.pending[name] = []
        elif what == "delete":
            self.synced.pop(name, None)
            self.pending.pop(name, None)

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """The files after the power came back."""
        share = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        return {name: bytes(self._after(name, lambda _: share, chance)) for name in self.synced}

    def _after(
        self, name: str, share: Callable[[Op], float], chance: random.Random | None
    ) -> bytearray:
        content = bytearray(self.synced[name])
        for op in self.pending.get(name, []):
            what, _, place, data = op
            kept = share(op)
            if what == "truncate":
                if chance is None or chance.random() < kept:
                    del content[place:]
                    content.extend(bytes(place - len(content)))
                continue
            for first, piece in _sectors(place, data):
                length = len(piece)
                if chance is not None:
                    if chance.random() >= kept:
                        continue
                    if chance.random() < TORN:
                        length = chance.randrange(length)
                content.extend(bytes(max(0, first + length - len(content))))
                content[first : first + length] = piece[:length]
        return content


def _sectors(place: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start < len(data):
        end = min(len(data), start + SECTOR - (place + start) % SECTOR)
        yield place + start, data[start:end]
        start = end


def fault_after(
    files: dict[str, bytes], shown: dict[int, str], denied: set[str], directory: Path
) -> str | None:
    """What is wrong with the store after a cut; None when it kept its promises."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    try:
        connection, head = open_checked(directory / "site.db", SITE, Options(ballast_bytes=0))
    except (StoreRefused, apsw.Error) as error:
        return f"does not open: {error}"
    try:
        return _broken_promise(connection, shown, denied, head.seq)
    finally:
        connection.close()


def _broken_promise(
    connection: apsw.Connection, shown: dict[int, str], denied: set[str], last: int
) -> str | None:
    hashes: dict[int, str] = {}
    states: dict[str, int] = {}
    keys: set[str] = set()
    bindings = {"seq": 0, "most": 1_000_000}
    for _, seq, text, _, digest in connection.execute(query("entries_after"), bindings):
        fact = json.loads(str(text))
        hashes[int(seq)] = str(digest)
        states[fact["case"]] = fact["data"]["n"]
        keys.add(f"key-{fact['data']['n']}")
    for seq, digest in shown.items():
        if hashes.get(seq) != digest:
            return f"entry {seq} was shown and is lost (the journal ends at {last})"
    if wrong := keys & denied:
        return f"{min(wrong)} was said not to have happened, and has"
    rows = connection.execute(query("case_rows"), {"after": "", "most": 1_000})
    if {str(number): json.loads(str(doc))["n"] for number, _, _, doc in rows} != states:
        return "states are not what the journal says"
    if {str(key) for (key,) in connection.execute("SELECT key FROM outbox")} != keys:
        return "messages are not what the journal says"
    return None


def unpublished(recording: Recording) -> str | None:
    """Every entry of the journal was published once and in order, whoever gave up waiting."""
    told = [(seq, digest) for what, digest, seq, _ in recording.ops if what == "published"]
    if told == recording.journal:
        return None
    return f"{len(recording.journal)} entries are in the journal, {len(told)} were published"


@dataclass
class Count:
    """Result of many cuts with one mutant."""

    mutant: str
    cuts: int = 0
    broken: int = 0
    first: str = ""

    def add(self, fault: str | None, where: str) -> None:
        """One more cut."""
        self.cuts += 1
        if fault is not None:
            self.broken += 1
            self.first = self.first or f"{where}: {fault}"


def cut_many(mutant: str, cuts: int, seed: int, directory: Path) -> Count:
    """At least `cuts` cuts over as many recordings as that takes; every operation is a place."""
    count = Count(mutant)
    begin = Recording()
    while count.cuts < cuts:
        begin.failing_syncs = mutant == "none" and seed % 3 == 0
        recording = recorded(seed, mutant, begin)
        if not begin.failing_syncs:
            count.add(unpublished(recording), f"seed {seed}")
        after = _cut_each(recording, count, cuts, seed, directory)
        # Every other life begins on what a power cut left, so that cuts hit the recovery too.
        begin = after if not begin.files and count.broken == 0 else Recording()
        seed += 1
    return count


def _cut_each(
    recording: Recording, count: Count, cuts: int, seed: int, directory: Path
) -> Recording:
    """Cut at every operation, or at as many as are left to do; one of the cuts to go on from."""
    disk, shown, denied = Disk(recording.files), dict(recording.shown), set(recording.denied)
    chance = random.Random(seed)
    places = [at for at, op in enumerate(recording.ops) if op[0] not in TOLD]
    left = max(0, cuts - count.cuts)
    chosen = set(places if left >= len(places) else chance.sample(places, left))
    resume, goes_on_from = Recording(), chance.choice(places)
    for place, op in enumerate(recording.ops):
        if op[0] in TOLD:
            if op[0] == "denied":
                denied.add(op[1])
            else:
                shown[op[2]] = op[1]
            continue
        if place in chosen:  # before this operation returned, and after all that was shown
            count.add(
                fault_after(disk.cut(chance), shown, denied, directory), f"seed {seed} op {place}"
            )
        if place == goes_on_from:
            resume = Recording(files=disk.cut(chance), shown=dict(shown), denied=set(denied))
        disk.apply(op, chance)
    return resume


def main() -> int:
    """Count cuts for every mutant; exit status 1 when a promise broke or a mutant got away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mutant", nargs="?", choices=MUTANTS)
    parser.add_argument("--cuts", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    bad = False
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        for mutant in [asked.mutant] if asked.mutant else MUTANTS:
            cuts = asked.cuts if mutant == "none" else max(500, asked.cuts // 20)
            started = time.monotonic()
            count = cut_many(mutant, cuts, asked.seed, Path(name, "cut"))
            bad |= (count.broken == 0) != (mutant == "none")
            seconds = round(time.monotonic() - started, 1)
            print(json.dumps({**count.__dict__, "seconds": seconds}), flush=True)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
