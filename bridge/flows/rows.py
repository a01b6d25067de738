"""Records as rows of the state tables, and the journal replayed into the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.domain.call import Book, Call, as_json, call_doc, leg_doc
from bridge.domain.journal import Fact
from bridge.domain.order import Order, order_of
from bridge.flows.ports import Row


def call_rows(book: Book, call: Call) -> list[Row]:
    """The rows of a call, its legs, its handoffs and its case, as they stand now."""
    doc = call_doc(call)
    doc["legs"] = [leg.id for leg in call.legs.values()]
    doc["handoffs"] = [h.id for h in call.handoffs.values()]
    rows = [Row("call", call.id, call.case, call.state.value, doc)]
    case = book.cases.get(call.case)
    if case is not None:
        case_doc = as_json(case)
        assert isinstance(case_doc, dict)
        rows.insert(0, Row("case", case.number, case.number, "open", case_doc))
    rows += [Row("leg", leg.id, call.case, leg.state, leg_doc(leg)) for leg in call.legs.values()]
    for handoff in call.handoffs.values():
        handoff_doc = as_json(handoff)
        assert isinstance(handoff_doc, dict)
        rows.append(Row("handoff", handoff.id, call.case, handoff.state.value, handoff_doc))
    return rows


def seat_row(book: Book, seat: str) -> Row:
    """The row of a seat."""
    record = book.seats[seat]
    doc = as_json(record)
    assert isinstance(doc, dict)
    return Row("seat", seat, None, record.state, doc)


def order_rows(order: Order) -> list[Row]:
    """The rows of an order and its attempts, as they stand now."""
    doc = as_json(order)
    assert isinstance(doc, dict)
    doc["attempts"] = [*order.attempts]
    rows = [Row("order", order.id, order.case, order.state.value, doc)]
    for attempt in order.attempts.values():
        attempt_doc = as_json(attempt)
        assert isinstance(attempt_doc, dict)
        attempt_doc["order"] = order.id
        rows.append(Row("attempt", attempt.id, order.case, attempt.state.value, attempt_doc))
    return rows


def rows_after(book: Book, facts: Iterable[Fact]) -> list[Row]:
    """Rows of every record that these facts, already applied, have touched."""
    facts = list(facts)
    calls = dict.fromkeys(fact.call for fact in facts if fact.call in book.calls)
    seats = dict.fromkeys(
        fact.subject for fact in facts if fact.kind.startswith(("agent.", "seat.")) and fact.subject
    )
    rows = [row for call in calls if call for row in call_rows(book, book.calls[call])]
    orders = dict.fromkeys(order_of(fact) for fact in facts if fact.call is None)
    for ident in orders:
        order = book.orders.orders.get(ident or "")
        rows += order_rows(order) if order is not None else []
    return rows + [seat_row(book, seat) for seat in seats if seat]


def replay(facts: Iterable[Fact]) -> Iterator[Row]:
    """Every state that follows from a journal (`db rebuild`)."""
    book = Book()
    for fact in facts:
        book.apply(fact)
    for call in book.calls.values():
        yield from call_rows(book, call)
    for seat in book.seats:
        yield seat_row(book, seat)
    for order in book.orders.orders.values():
        yield from order_rows(order)
