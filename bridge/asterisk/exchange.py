"""Actions in flight on one connection, and when each is answered.

Completion rule (libraries.md P4, P5): the response ends a single action; a list goes from
`EventList: start` to its event with any other `EventList`. Texts of messages are never looked at.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from bridge.asterisk.dispatch import Dispatcher
from bridge.asterisk.errors import ActionError, ActionNotSent, ActionRejected, OutcomeUnknown
from bridge.wire.ami import Message

ONE_EVENT: Final = {"faxsession": "FAXSession", "faxstats": "FAXStats"}
"""Actions answered by one event and no `EventList` (res_fax.c)."""


@dataclass(slots=True, eq=False)
class Pending:
    """One action sent, or about to be."""

    action: str
    action_id: str
    future: asyncio.Future[Message]
    """The response; for a list set when the list is complete."""
    is_list: bool
    response: Message | None = None
    items: list[Message] = field(default_factory=list)


class Exchange:
    """Pending actions by ActionID, bounded. Everything ends: answered, forgotten or failed."""

    def __init__(
        self, token: str, dispatcher: Dispatcher, *, max_pending: int, max_items: int
    ) -> None:
        self._token = token
        self._dispatcher = dispatcher
        self._max_pending = max_pending
        self._max_items = max_items
        self._count = 0
        self._pending: dict[str, Pending] = {}
        self._lists: dict[str, Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def open(self, action: str, *, is_list: bool = False, urgent: bool = False) -> Pending:
        """A new entry with an ActionID of its own.

        Raises ActionNotSent at the bound; `urgent` ones (ping, canary) are few and always pass.
        """
        if len(self._pending) >= self._max_pending and not urgent:
            raise ActionNotSent(action, f"{self._max_pending} actions are in flight already")
        self._count += 1
        future = asyncio.get_running_loop().create_future()
        pending = Pending(action, f"{self._token}-{self._count}", future, is_list)
        self._pending[pending.action_id] = pending
        if is_list:
            self._lists[pending.action_id] = pending
            self._dispatcher.intercept = self._item
        return pending

    def forget(self, pending: Pending) -> None:
        """The caller waits no longer; a later answer is counted and dropped (P10)."""
        self._pending.pop(pending.action_id, None)
        self._lists.pop(pending.action_id, None)
        if not self._lists:
            self._dispatcher.intercept = None

    def expire(self, pending: Pending, waited: float) -> None:
        """No answer came within `waited` seconds."""
        if not pending.future.done():
            self._break_off(pending, f"no answer in {waited:g} s")

    def answer(self, message: Message) -> None:
        """Take a response."""
        pending = self._pending.get(message.get("ActionID"))
        if pending is None or pending.future.done():
            self._dispatcher.counters.late_answers += 1
        elif message.get("Response").lower() == "error":
            self._fail(pending, ActionRejected(pending.action, message))
        elif not pending.is_list:
            pending.future.set_result(message)
        else:
            pending.response = message
            opened = message.get("EventList").lower() == "start"
            if not opened and pending.action.lower() not in ONE_EVENT:
                self._break_off(pending, "the answer starts no list")

    def _item(self, event: Message) -> None:
        pending = self._lists.get(event.get("ActionID"))
        if pending is None or pending.response is None or pending.future.done():
            return
        mark = event.get("EventList").lower()
        if mark == "cancelled":
            self._break_off(pending, "Asterisk broke its list off")
        elif mark and mark != "start":
            self._complete(pending, event)
        elif len(pending.items) >= self._max_items:
            self._break_off(pending, f"a list of more than {self._max_items} items")
        else:
            pending.items.append(event)
            if ONE_EVENT.get(pending.action.lower()) == event.name:
                pending.future.set_result(pending.response)

    def _complete(self, pending: Pending, last: Message) -> None:
        """A list with a hole would tell of calls that ended though they live."""
        promised = last.get("ListItems")
        if promised and promised != str(len(pending.items)):
            self._break_off(pending, f"{promised} items promised, {len(pending.items)} came")
        elif pending.response is not None:
            pending.future.set_result(pending.response)

    def _break_off(self, pending: Pending, reason: str) -> None:
        self._fail(pending, OutcomeUnknown(pending.action, reason))

    def fail_all(self, reason: str) -> int:
        """The connection is gone: every pending action ends as unknown, now. Returns how many."""
        waiting = [pending for pending in self._pending.values() if not pending.future.done()]
        for pending in waiting:
            self._break_off(pending, reason)
        return len(waiting)

    def _fail(self, pending: Pending, error: ActionError) -> None:
        pending.future.set_exception(error)
        pending.future.exception()  # whoever waited may have gone; that is no complaint
