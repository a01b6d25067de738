-- Orders and their attempts. The life cycles are drawn from bridge/domain/order_state.py.

-- draft -> dispatched -> (exhausted) -> acknowledged -> arrived -> result -> closed, or cancelled.
CREATE TABLE order_ (
    id          TEXT PRIMARY KEY CHECK (id <> ''),
    case_no     TEXT NOT NULL REFERENCES case_ (id),
    state       TEXT NOT NULL CHECK (state <> ''),
    doc         TEXT NOT NULL CHECK (json_valid(doc)),
    created_at  TEXT NOT NULL,
    created_seq INTEGER NOT NULL,
    updated_seq INTEGER NOT NULL CHECK (updated_seq >= created_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_of_case ON order_ (case_no);
-- Open orders are few among many; the words are the domain's.
CREATE INDEX order_open ON order_ (case_no) WHERE state NOT IN ('closed', 'cancelled');
-- Orders about which a call is being recorded, or was and nobody has closed it.
CREATE INDEX order_on_record ON order_ (id) WHERE json_extract(doc, '$.on_record') <> '{}';

-- queued -> sending -> sent -> delivered -> read -> acknowledged, or failed, expired, withdrawn,
-- unknown.
CREATE TABLE attempt (
    id          TEXT PRIMARY KEY CHECK (id <> ''),
    case_no     TEXT NOT NULL REFERENCES case_ (id),
    state       TEXT NOT NULL CHECK (state <> ''),
    doc         TEXT NOT NULL CHECK (json_valid(doc)),
    created_at  TEXT NOT NULL,
    created_seq INTEGER NOT NULL,
    updated_seq INTEGER NOT NULL CHECK (updated_seq >= created_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_of_case ON attempt (case_no);
