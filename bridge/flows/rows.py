"""Records as rows of the state tables, and the journal replayed into the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.domain.call import Book, Call, as_json, call_head, leg_doc
from bridge.domain.case_file import CaseFile, FileBook
from bridge.domain.journal import Fact
from bridge.domain.order import Order
from bridge.domain.order_book import order_of
from bridge.domain.peer import GROUP, PeerBook, PeerCase, record_doc
from bridge.flows.ports import Row


def call_rows(book: Book, call: Call, touched: frozenset[str | None] | None = None) -> list[Row]:
    """The rows of a call, its legs, its handoffs and its case, as they stand now.

    With `touched`, only those legs and handoffs; the case with its citizen's leg.
    """

    def wanted(ident: str) -> bool:
        return touched is None or ident in touched

    doc = call_head(call)
    doc["legs"] = [leg.id for leg in call.legs.values()]
    doc["handoffs"] = [h.id for h in call.handoffs.values()]
    rows = [Row("call", call.id, call.case, call.state.value, doc)]
    case = book.cases.get(call.case)
    if case is not None and wanted(call.id):
        case_doc = as_json(case)
        assert isinstance(case_doc, dict)
        rows.insert(0, Row("case", case.number, case.number, "open", case_doc))
    for leg in call.legs.values():
        if wanted(leg.id):
            rows.append(Row("leg", leg.id, call.case, leg.state, leg_doc(leg)))
    for handoff in call.handoffs.values():
        if wanted(handoff.id):
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


def file_row(file: CaseFile) -> Row:
    """The row of a case's file."""
    doc = as_json(file)
    assert isinstance(doc, dict)
    return Row("case_file", file.case, file.case, file.command.mode.value, doc)


def peer_row(record: PeerCase) -> Row:
    """The row of a case shared with another platform."""
    case = record.case
    return Row("peer_case", case.id, record.number, case.status.value, record_doc(record))


def rows_after(book: Book, facts: Iterable[Fact]) -> list[Row]:
    """Rows of every record that these facts, already applied, have touched.

    A fact touches its call, its subject, and the handoff that its leg belongs to; one that tells
    of a request stored late touches everything, since facts before it did not know of the request.
    """
    touched: dict[str, set[str | None]] = {}
    seats: dict[str, None] = {}
    orders: dict[str | None, None] = {}
    for fact in facts:
        call = book.calls.get(fact.call or "")
        if call is not None:
            ours = touched.setdefault(call.id, set())
            leg = call.legs.get(fact.subject or "")
            ours.update((fact.subject, leg.handoff if leg else None))
            if fact.kind == "call.storedLate":
                ours.update((call.id, *call.legs, *call.handoffs))
        if fact.kind.startswith(("agent.", "seat.")) and fact.subject:
            seats[fact.subject] = None
        if fact.call is None:
            orders[order_of(fact)] = None
    rows = [
        row
        for name, subjects in touched.items()
        for row in call_rows(book, book.calls[name], frozenset(subjects))
    ]
    for ident in orders:
        order = book.orders.orders.get(ident or "")
        rows += order_rows(order) if order is not None else []
    return rows + [seat_row(book, seat) for seat in seats]


def replay(facts: Iterable[Fact]) -> Iterator[Row]:
    """Every state that follows from a journal (`db rebuild`)."""
    book, peers, files = Book(), PeerBook(), FileBook()
    for fact in facts:
        book.apply(fact)
        files.apply(fact)
        if fact.kind.startswith(f"{GROUP}."):
            peers.apply(fact)
    for call in book.calls.values():
        yield from call_rows(book, call)
    for seat in book.seats:
        yield seat_row(book, seat)
    for order in book.orders.orders.values():
        yield from order_rows(order)
    for file in files.files.values():
        yield file_row(file)
    for record in peers.cases.values():
        yield peer_row(record)
