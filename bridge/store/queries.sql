-- Every query of the store, by name (bridge/store/sql.py reads this file).
-- `-- name: what it is for` starts a query; none is put together from strings.

-- append_entry: add one entry at the end of the journal
INSERT INTO journal (seq, site, at, kind, case_no, call, subject, body, prev, hash)
VALUES (:seq, :site, :at, :kind, :case_no, :call, :subject, :body, :prev, :hash);

-- put_case: store the present state of a case
INSERT INTO case_ (id, case_no, state, doc, created_at, created_seq, updated_seq)
VALUES (:id, :case_no, :state, :doc, :at, :seq, :seq)
ON CONFLICT (id) DO UPDATE
   SET case_no = excluded.case_no, state = excluded.state, doc = excluded.doc,
       updated_seq = excluded.updated_seq;

-- put_call: store the present state of a call
INSERT INTO call_ (id, case_no, state, doc, created_at, created_seq, updated_seq)
VALUES (:id, :case_no, :state, :doc, :at, :seq, :seq)
ON CONFLICT (id) DO UPDATE
   SET case_no = excluded.case_no, state = excluded.state, doc = excluded.doc,
       updated_seq = excluded.updated_seq;

-- put_leg: store the present state of a leg
INSERT INTO leg (id, case_no, state, doc, created_at, created_seq, updated_seq)
VALUES (:id, :case_no, :state, :doc, :at, :seq, :seq)
ON CONFLICT (id) DO UPDATE
   SET case_no = excluded.case_no, state = excluded.state, doc = excluded.doc,
       updated_seq = excluded.updated_seq;

-- put_handoff: store the present state of a handoff
INSERT INTO handoff (id, case_no, state, doc, created_at, created_seq, updated_seq)
VALUES (:id, :case_no, :state, :doc, :at, :seq, :seq)
ON CONFLICT (id) DO UPDATE
   SET case_no = excluded.case_no, state = excluded.state, doc = excluded.doc,
       updated_seq = excluded.updated_seq;

-- put_seat: store the present state of a seat
INSERT INTO seat (id, case_no, state, doc, created_at, created_seq, updated_seq)
VALUES (:id, :case_no, :state, :doc, :at, :seq, :seq)
ON CONFLICT (id) DO UPDATE
   SET case_no = excluded.case_no, state = excluded.state, doc = excluded.doc,
       updated_seq = excluded.updated_seq;

-- put_order: store the present state of an order
INSERT INTO order_ (id, case_no, state, doc, created_at, created_seq, updated_seq)
VALUES (:id, :case_no, :state, :doc, :at, :seq, :seq)
ON CONFLICT (id) DO UPDATE
   SET case_no = excluded.case_no, state = excluded.state, doc = excluded.doc,
       updated_seq = excluded.updated_seq;

-- put_attempt: store the present state of an attempt
INSERT INTO attempt (id, case_no, state, doc, created_at, created_seq, updated_seq)
VALUES (:id, :case_no, :state, :doc, :at, :seq, :seq)
ON CONFLICT (id) DO UPDATE
   SET case_no = excluded.case_no, state = excluded.state, doc = excluded.doc,
       updated_seq = excluded.updated_seq;

-- put_message: add an outgoing message; the same key again changes nothing
INSERT INTO outbox (key, channel, body, due_at) VALUES (:key, :channel, :body, :due_at)
ON CONFLICT (key) DO NOTHING;

-- message_by_key: what is stored under this message key
SELECT channel, body FROM outbox WHERE key = :key;

-- put_answer: remember the answer to a command
INSERT INTO answer (key, status, body, at) VALUES (:key, :status, :body, :at);

-- forget_answer: forget the answer under this key when it has outlived its time
DELETE FROM answer WHERE key = :key AND at < :oldest;

-- forget_old_answers: forget a few answers that have outlived their time
DELETE FROM answer WHERE id IN (SELECT id FROM answer WHERE at < :oldest ORDER BY at LIMIT 16);

-- forget_overflowing_answers: keep no more than :kept answers: the oldest go
DELETE FROM answer WHERE id <= (SELECT max(id) FROM answer) - :kept;

-- put_cursor: move a named position in a file written by others
INSERT INTO cursor (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- claim_messages: take the oldest due messages of a channel until :until
UPDATE outbox SET leased_until = :until, attempts = attempts + 1
 WHERE id IN (SELECT id FROM outbox
               WHERE channel = :channel AND done_at IS NULL AND due_at <= :now
                 AND (leased_until IS NULL OR leased_until <= :now)
               ORDER BY due_at, id LIMIT :most)
RETURNING id, key, channel, body, due_at, attempts;

-- finish_message: the message arrived; only the holder of the lease may say so
UPDATE outbox SET done_at = :now, leased_until = NULL, last_error = NULL
 WHERE id = :id AND attempts = :lease AND done_at IS NULL
RETURNING id;

-- postpone_message: the attempt failed; try again at :due_at
UPDATE outbox SET due_at = :due_at, leased_until = NULL, last_error = :error
 WHERE id = :id AND attempts = :lease AND done_at IS NULL
RETURNING id;

-- messages_waiting: how many messages of a channel are not done, and since when
SELECT count(*), min(due_at) FROM outbox WHERE channel = :channel AND done_at IS NULL;

-- head: last entry of the journal
SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1;

-- site: whose file this is
SELECT name FROM site WHERE only = 1;

-- put_site: mark a new file as belonging to a site
INSERT INTO site (only, name) VALUES (1, :name);

-- hash_at: hash of one entry
SELECT hash FROM journal WHERE seq = :seq;

-- entries_after: entries in order, from the one after :seq
SELECT site, seq, body, prev, hash FROM journal WHERE seq > :seq ORDER BY seq LIMIT :most;

-- facts_with_files: facts that may name files beside the journal, from the one after :seq
SELECT seq, body FROM journal
 WHERE kind IN ('order.reported', 'order.lateReport', 'case.attached', 'peer.attached',
                'paper.printed')
   AND seq > :seq ORDER BY seq LIMIT :most;

-- closed_recordings: recordings of closed calls, also of those about orders, in order, after :seq
SELECT seq, body FROM journal WHERE kind IN ('recording.closed', 'order.recorded') AND seq > :seq
 ORDER BY seq LIMIT :most;

-- entries_of_case: entries of a case in order, from the one after :seq
SELECT site, seq, body, prev, hash FROM journal
 WHERE case_no = :case_no AND seq > :seq ORDER BY seq LIMIT :most;

-- journal_lines: whole journal lines in order, for checking
SELECT seq, site, at, kind, case_no, call, subject, body, prev, hash
  FROM journal WHERE seq > :seq ORDER BY seq LIMIT :most;

-- cases: cases by time of their first fact, newest first; any filter may be null
SELECT id, case_no, state, doc, created_at, created_seq, updated_seq FROM case_
 WHERE created_at >= coalesce(:since, '') AND created_at < coalesce(:until, '~')
   AND (created_at, id) < (coalesce(:before_at, '~'), coalesce(:before_id, ''))
   AND (:state IS NULL OR state = :state)
 ORDER BY created_at DESC, id DESC LIMIT :most;

-- case_by_id: one case
SELECT id, case_no, state, doc, created_at, created_seq, updated_seq FROM case_ WHERE id = :id;

-- case_rows: case rows in order of id, from the one after :after
SELECT id, case_no, state, doc FROM case_ WHERE id > :after ORDER BY id LIMIT :most;

-- call_rows: call rows in order of id, from the one after :after
SELECT id, case_no, state, doc FROM call_ WHERE id > :after ORDER BY id LIMIT :most;

-- leg_rows: leg rows in order of id, from the one after :after
SELECT id, case_no, state, doc FROM leg WHERE id > :after ORDER BY id LIMIT :most;

-- handoff_rows: handoff rows in order of id, from the one after :after
SELECT id, case_no, state, doc FROM handoff WHERE id > :after ORDER BY id LIMIT :most;

-- seat_rows: seat rows in order of id, from the one after :after
SELECT id, case_no, state, doc FROM seat WHERE id > :after ORDER BY id LIMIT :most;

-- order_rows: order rows in order of id, from the one after :after
SELECT id, case_no, state, doc FROM order_ WHERE id > :after ORDER BY id LIMIT :most;

-- attempt_rows: attempt rows in order of id, from the one after :after
SELECT id, case_no, state, doc FROM attempt WHERE id > :after ORDER BY id LIMIT :most;

-- orders_of_case: orders of one case, in the order they were given
SELECT id, case_no, state, doc FROM order_ WHERE case_no = :case_no ORDER BY created_seq, id;

-- attempts_of_case: attempts of all orders of one case, in the order they were made
SELECT id, case_no, state, doc FROM attempt WHERE case_no = :case_no ORDER BY created_seq, id;

-- orders_newest: orders, newest first; an absent state means any
SELECT id, case_no, state, doc FROM order_
 WHERE id < coalesce(:before, '~') AND (:state IS NULL OR state = :state
       OR (:state = 'open' AND state NOT IN ('closed', 'cancelled')))
 ORDER BY id DESC LIMIT :most;

-- orders_on_record: orders about which the recording of a call is not closed
SELECT id, case_no, state, doc FROM order_ WHERE json_extract(doc, '$.on_record') <> '{}';

-- facts_of_order: the facts of one order, in order, found through those of its case
SELECT seq, body FROM journal
 WHERE case_no = (SELECT case_no FROM order_ WHERE id = :id)
   AND (subject = :id OR json_extract(body, '$.data.order') = :id)
 ORDER BY seq;

-- entries_of_open_orders: entries of cases with an order that is not over, from the one after :seq
SELECT site, seq, body, prev, hash FROM journal
 WHERE seq > :seq AND case_no IN
       (SELECT case_no FROM order_ WHERE state NOT IN ('closed', 'cancelled'))
   AND (kind LIKE 'order.%' OR kind LIKE 'attempt.%' OR kind LIKE 'clock.%')
 ORDER BY seq LIMIT :most;

-- calls_of_case: calls of one case, in the order they came
SELECT id, case_no, state, doc FROM call_ WHERE case_no = :case_no ORDER BY created_seq, id;

-- legs_of_case: legs of one case, in the order they came
SELECT id, case_no, state, doc FROM leg WHERE case_no = :case_no ORDER BY created_seq, id;

-- handoffs_of_case: handoffs of one case, in the order they came
SELECT id, case_no, state, doc FROM handoff WHERE case_no = :case_no ORDER BY created_seq, id;

-- live_calls: calls that have not been cleared
SELECT id, case_no, state, doc FROM call_ WHERE state <> 'cleared' ORDER BY id LIMIT :most;

-- calls_told: calls by id, with whether anybody has been in a conversation with the citizen
SELECT id, case_no, created_at, doc ->> 'outcome', doc ->> 'number',
       EXISTS (SELECT 1 FROM json_each(call_.doc, '$.legs') AS named JOIN leg ON leg.id = named.value
                 JOIN leg AS citizen ON citizen.id = call_.id
                WHERE leg.id <> call_.id AND leg.doc ->> 'joined_at' IS NOT NULL
                  AND ifnull(leg.doc ->> 'left_at', '~') >= citizen.doc ->> 'joined_at')
  FROM call_ WHERE id IN (SELECT value FROM json_each(:ids));

-- calls_told_between: the same, for calls whose first fact is from [:since, :until)
SELECT id, case_no, created_at, doc ->> 'outcome', doc ->> 'number',
       EXISTS (SELECT 1 FROM json_each(call_.doc, '$.legs') AS named JOIN leg ON leg.id = named.value
                 JOIN leg AS citizen ON citizen.id = call_.id
                WHERE leg.id <> call_.id AND leg.doc ->> 'joined_at' IS NOT NULL
                  AND ifnull(leg.doc ->> 'left_at', '~') >= citizen.doc ->> 'joined_at')
  FROM call_ WHERE created_at >= :since AND created_at < :until;

-- differences_since: what the reckoning with the switch's log has found, oldest first
SELECT body FROM journal WHERE kind = 'reconcile.difference' AND at >= :since ORDER BY at;

-- unclosed_calls: calls that are over and whose recording was never closed
SELECT id, case_no, state, doc FROM call_
 WHERE created_at >= :since AND state = 'cleared' AND json_extract(doc, '$.recording') IS NULL
 ORDER BY created_at, id LIMIT :most;

-- calls_since: every call of the last weeks with its case, oldest first; + keeps to the index by day
SELECT id, case_no FROM call_
 WHERE +case_no IS NOT NULL AND created_at >= :since ORDER BY created_at, id;

-- cursor: a named position in a file written by others
SELECT value FROM cursor WHERE name = :name;

-- answer: what a command was answered, as long as it is remembered
SELECT status, body FROM answer WHERE key = :key AND at >= :oldest;

-- begin: open the transaction of a group
BEGIN IMMEDIATE;

-- commit: end it: this is the sync
COMMIT;

-- rollback: undo it
ROLLBACK;

-- begin_part: open one transaction within a group
SAVEPOINT part;

-- keep_part: end it
RELEASE part;

-- undo_part: undo it without its neighbours
ROLLBACK TO part;

-- check_whole: faults of the file, or one line `ok`
PRAGMA quick_check(10);

-- check_case: the same for one table
PRAGMA quick_check(case_);

-- check_call: the same for one table
PRAGMA quick_check(call_);

-- check_leg: the same for one table
PRAGMA quick_check(leg);

-- check_handoff: the same for one table
PRAGMA quick_check(handoff);

-- check_seat: the same for one table
PRAGMA quick_check(seat);

-- check_order: the same for one table
PRAGMA quick_check(order_);

-- check_attempt: the same for one table
PRAGMA quick_check(attempt);

-- empty_wal: sync everything in the WAL into the database and empty it
PRAGMA wal_checkpoint(TRUNCATE);

-- count_start: a write for its sync; one that changed nothing would be left out by SQLite
UPDATE site SET starts = starts + 1;

-- check_thoroughly: faults of the file with all its indexes, or one line `ok`
PRAGMA integrity_check(10);

-- put_peer_case: store the present state of a case shared with another platform
INSERT INTO peer_case (id, case_no, state, doc, created_at, created_seq, updated_seq)
VALUES (:id, :case_no, :state, :doc, :at, :seq, :seq)
ON CONFLICT (id) DO UPDATE
   SET case_no = excluded.case_no, state = excluded.state, doc = excluded.doc,
       updated_seq = excluded.updated_seq;

-- peer_case_rows: shared cases in order of id, from the one after :after
SELECT id, case_no, state, doc FROM peer_case WHERE id > :after ORDER BY id LIMIT :most;

-- peer_cases_at_hand: shared cases that are not over, or touched since
SELECT id, case_no, state, doc FROM peer_case
 WHERE state NOT IN ('closed', 'cancelled') OR json_extract(doc, '$.touched_at') >= :since;

-- check_peer_case: the same for one table
PRAGMA quick_check(peer_case);

-- put_case_file: store what is known of a case beside its calls
INSERT INTO case_file (id, case_no, state, doc, created_at, created_seq, updated_seq)
VALUES (:id, :case_no, :state, :doc, :at, :seq, :seq)
ON CONFLICT (id) DO UPDATE
   SET case_no = excluded.case_no, state = excluded.state, doc = excluded.doc,
       updated_seq = excluded.updated_seq;

-- case_file_rows: files of cases in order of id, from the one after :after
SELECT id, case_no, state, doc FROM case_file WHERE id > :after ORDER BY id LIMIT :most;

-- case_file_of_case: the file of one case
SELECT id, case_no, state, doc FROM case_file WHERE id = :case_no;

-- commanded_files: files of cases that a special plan concerns, from the one after :after
SELECT id, case_no, state, doc FROM case_file
 WHERE state <> 'direct' AND id > :after ORDER BY id LIMIT :most;

-- orders_between: orders given in [:since, :until), oldest first, from the one after :after
SELECT id, case_no, state, doc FROM order_
 WHERE created_at >= :since AND created_at < :until
   AND (:after IS NULL
        OR (created_at, id) > (SELECT created_at, id FROM order_ WHERE id = :after))
 ORDER BY created_at, id LIMIT :most;

-- check_case_file: the same for one table
PRAGMA quick_check(case_file);
