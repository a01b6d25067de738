-- The journal, the present state of each record, and what still has to be sent or remembered.
-- Times are UTC text as bridge.domain.journal.iso writes them; `doc` and `body` are JSON.

-- One file belongs to one site; refused at start when the configuration says another.
CREATE TABLE site (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    name TEXT NOT NULL CHECK (name <> ''),
    starts INTEGER NOT NULL DEFAULT 0  -- counted by the first synced write of each start
) STRICT;

-- Facts in their order. Written once, never changed (guard rule 27); `hash` covers `body`, the
-- other columns repeat what is in it so that it can be searched, and `db verify` compares them.
CREATE TABLE journal (
    seq     INTEGER PRIMARY KEY CHECK (seq >= 1),
    site    TEXT NOT NULL CHECK (site <> ''),
    at      TEXT NOT NULL,
    kind    TEXT NOT NULL CHECK (kind <> ''),
    case_no TEXT,
    call    TEXT,
    subject TEXT,
    body    TEXT NOT NULL CHECK (json_valid(body)),
    prev    TEXT NOT NULL CHECK (length(prev) = 64),
    hash    TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;
CREATE INDEX journal_of_case ON journal (case_no, seq) WHERE case_no IS NOT NULL;
-- The few facts that no case leads to.
CREATE INDEX journal_of_differences ON journal (at) WHERE kind = 'reconcile.difference';

CREATE TRIGGER journal_is_never_edited BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_is_never_cut BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- State tables: one row a record, as it stands after the facts of the same transaction.
-- created_at/created_seq: first fact that named the record; updated_seq: last fact that changed it.
-- The life cycles are drawn from the tables in bridge/domain, which alone decide a state.
CREATE TABLE case_ (
    id          TEXT PRIMARY KEY CHECK (id <> ''),
    case_no     TEXT,
    state       TEXT NOT NULL CHECK (state <> ''),
    doc         TEXT NOT NULL CHECK (json_valid(doc)),
    created_at  TEXT NOT NULL,
    created_seq INTEGER NOT NULL,
    updated_seq INTEGER NOT NULL CHECK (updated_seq >= created_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_by_day ON case_ (created_at, id);

-- A call, leg or handoff that names a case can only name one that exists.
CREATE TABLE call_ (
    id          TEXT PRIMARY KEY CHECK (id <> ''),
    case_no     TEXT REFERENCES case_ (id),
    state       TEXT NOT NULL CHECK (state <> ''),
    doc         TEXT NOT NULL CHECK (json_valid(doc)),
    created_at  TEXT NOT NULL,
    created_seq INTEGER NOT NULL,
    updated_seq INTEGER NOT NULL CHECK (updated_seq >= created_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX call_of_case ON call_ (case_no) WHERE case_no IS NOT NULL;
-- Live calls are few among many; the word `cleared` is the domain's.
CREATE INDEX call_live ON call_ (id) WHERE state <> 'cleared';
CREATE INDEX call_by_day ON call_ (created_at, id, case_no);

CREATE TABLE leg (
    id          TEXT PRIMARY KEY CHECK (id <> ''),
    case_no     TEXT REFERENCES case_ (id),
    state       TEXT NOT NULL CHECK (state <> ''),
    doc         TEXT NOT NULL CHECK (json_valid(doc)),
    created_at  TEXT NOT NULL,
    created_seq INTEGER NOT NULL,
    updated_seq INTEGER NOT NULL CHECK (updated_seq >= created_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX leg_of_case ON leg (case_no) WHERE case_no IS NOT NULL;

CREATE TABLE handoff (
    id          TEXT PRIMARY KEY CHECK (id <> ''),
    case_no     TEXT REFERENCES case_ (id),
    state       TEXT NOT NULL CHECK (state <> ''),
    doc         TEXT NOT NULL CHECK (json_valid(doc)),
    created_at  TEXT NOT NULL,
    created_seq INTEGER NOT NULL,
    updated_seq INTEGER NOT NULL CHECK (updated_seq >= created_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX handoff_of_case ON handoff (case_no) WHERE case_no IS NOT NULL;

-- `case_no` is the case the seat is busy with, when there is one.
CREATE TABLE seat (
    id          TEXT PRIMARY KEY CHECK (id <> ''),
    case_no     TEXT,
    state       TEXT NOT NULL CHECK (state <> ''),
    doc         TEXT NOT NULL CHECK (json_valid(doc)),
    created_at  TEXT NOT NULL,
    created_seq INTEGER NOT NULL,
    updated_seq INTEGER NOT NULL CHECK (updated_seq >= created_seq)
) STRICT, WITHOUT ROWID;

-- Messages to others. waiting -> (claim) leased until `leased_until` -> done, or waiting again when
-- the lease runs out or the attempt failed. `attempts` is also the number of the lease: who comes
-- back with an older one is refused.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key          TEXT NOT NULL UNIQUE CHECK (key <> ''),
    channel      TEXT NOT NULL CHECK (channel <> ''),
    body         TEXT NOT NULL CHECK (json_valid(body)),
    due_at       TEXT NOT NULL,
    leased_until TEXT,
    attempts     INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    last_error   TEXT,
    done_at      TEXT
) STRICT;
CREATE INDEX outbox_due ON outbox (channel, due_at, id) WHERE done_at IS NULL;

-- What commands with an idempotency key were answered; kept ten minutes (guard rule 3).
CREATE TABLE answer (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    key    TEXT NOT NULL UNIQUE CHECK (key <> ''),
    status INTEGER NOT NULL,
    body   TEXT NOT NULL CHECK (json_valid(body)),
    at     TEXT NOT NULL
) STRICT;
CREATE INDEX answer_by_age ON answer (at);

-- How far files written by others (CEL) have been read.
CREATE TABLE cursor (
    name  TEXT PRIMARY KEY CHECK (name <> ''),
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
