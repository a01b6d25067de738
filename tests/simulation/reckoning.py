"""Both logs of a run as the standing reckoning reads them: the switch's and the journal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from bridge.asterisk.cel_calls import Tally
from bridge.domain.journal import parse_iso
from bridge.domain.reconcile import Reckoning, SwitchCall, ToldCall, reckon
from tests.simulation.store import Tables
from tests.simulation.switch import SimSwitch


class SimLog:
    """`flows.reconcile.SwitchLog` of one life, which reads the log from its beginning."""

    def __init__(self, switch: SimSwitch) -> None:
        self._switch = switch
        self._tally = Tally()
        self._read = 0

    @property
    def let_go(self) -> int:
        return self._tally.let_go

    async def read(self) -> Mapping[str, SwitchCall]:
        rows, self._read = self._switch.cel[self._read :], len(self._switch.cel)
        self._tally.take(rows)
        return self._tally.calls

    def settle(self, call: str) -> None:
        self._tally.forget(call)


def told(tables: Tables, calls: Collection[str]) -> dict[str, ToldCall]:
    """What these tables tell of calls, as `calls_told` of bridge/store has it."""
    found = {}
    for call in calls:
        row = tables.rows.get(("call", call))
        if row is None:
            continue
        doc: Mapping[str, Any] = row.doc
        legs = [tables.rows.get(("leg", leg)) for leg in doc["legs"] if leg != call]
        citizen = tables.rows.get(("leg", call))
        since = citizen.doc.get("joined_at") if citizen is not None else None
        stays = [
            str(leg.doc.get("left_at") or "~")
            for leg in legs
            if leg is not None and leg.doc.get("joined_at") is not None
        ]
        met = since is not None and any(left >= str(since) for left in stays)
        at = parse_iso(doc["offered_at"])
        found[call] = ToldCall(
            call, row.case or "", at, met, doc.get("outcome"), doc["number"] or ""
        )
    return found


def whole(switch: SimSwitch, tables: Tables) -> Reckoning:
    """The sum over the whole run."""
    tally = Tally(None)
    tally.take(switch.cel)
    known = [ident for table, ident in tables.rows if table == "call"]
    return reckon(tally.calls.values(), told(tables, known))
