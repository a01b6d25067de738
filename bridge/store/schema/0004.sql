-- What is known of a case beside its calls, and who commands it (bridge/domain/case_file.py):
-- direct (110 commands) -> early (a special plan is due) -> special (its body commands) -> direct.
CREATE TABLE case_file (
    id          TEXT PRIMARY KEY CHECK (id <> ''),
    case_no     TEXT NOT NULL REFERENCES case_ (id),
    state       TEXT NOT NULL CHECK (state <> ''),
    doc         TEXT NOT NULL CHECK (json_valid(doc)),
    created_at  TEXT NOT NULL,
    created_seq INTEGER NOT NULL,
    updated_seq INTEGER NOT NULL CHECK (updated_seq >= created_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_file_commanded ON case_file (id) WHERE state <> 'direct';

-- Figures are made of the orders of some days.
CREATE INDEX order_by_day ON order_ (created_at, id);
