-- Cases shared with other platforms. The life cycle is drawn from bridge/domain/shared_case.py; `id`
-- is origin/number and the same at every desk, `case_no` our own case where there is one.
CREATE TABLE peer_case (
    id          TEXT PRIMARY KEY CHECK (id <> ''),
    case_no     TEXT,
    state       TEXT NOT NULL CHECK (state <> ''),
    doc         TEXT NOT NULL CHECK (json_valid(doc)),
    created_at  TEXT NOT NULL,
    created_seq INTEGER NOT NULL,
    updated_seq INTEGER NOT NULL CHECK (updated_seq >= created_seq)
) STRICT, WITHOUT ROWID;
