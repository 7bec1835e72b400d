// The step to version 1001: what pushes need. Tags that only this edge knows, and the outbox. An
// older minor runs on such a file and knows nothing of it; so what must hold whoever writes is held
// by triggers.
import { STATE_CODES } from '../encoding.ts'

const WAITING = STATE_CODES.waiting

// An older minor moves and forgets tags by what upstreams answer. So does this one, by the same
// statements: who means the tag itself (a push, a delete) first takes `local` from it.
const LOCAL_TAGS = `
ALTER TABLE tag ADD COLUMN local INTEGER NOT NULL DEFAULT 0 CHECK (local IN (0, 1));
ALTER TABLE tag ADD COLUMN delivery INTEGER;
CREATE INDEX tag_local ON tag (repository, name) WHERE local = 1;
CREATE TRIGGER tag_local_moved BEFORE UPDATE OF content ON tag WHEN OLD.local = 1
BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER tag_local_deleted BEFORE DELETE ON tag WHEN OLD.local = 1
BEGIN SELECT RAISE(IGNORE); END;
`

// Nothing says which carriers and states there are: a later minor may add some. Carriers are text
// for that reason too.
const OUTBOX = `
CREATE TABLE outbox (
  id         INTEGER PRIMARY KEY,
  carrier    TEXT NOT NULL,
  key        TEXT NOT NULL,
  payload    TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  state      INTEGER NOT NULL DEFAULT ${WAITING},
  attempts   INTEGER NOT NULL DEFAULT 0,
  next_at    INTEGER NOT NULL,
  in_doubt   INTEGER NOT NULL DEFAULT 0 CHECK (in_doubt IN (0, 1)),
  reason     TEXT,
  first      INTEGER NOT NULL DEFAULT 0 CHECK (first IN (0, 1))
) STRICT;
CREATE INDEX outbox_by_key ON outbox (key);
CREATE INDEX outbox_waiting ON outbox (carrier, key) WHERE state = ${WAITING};
CREATE INDEX outbox_by_age ON outbox (carrier, created_at) WHERE state = ${WAITING};
CREATE UNIQUE INDEX outbox_first ON outbox (carrier, key) WHERE first = 1;
CREATE INDEX outbox_due ON outbox (carrier, next_at) WHERE first = 1;

CREATE TABLE outbox_totals (
  carrier TEXT PRIMARY KEY,
  waiting INTEGER NOT NULL DEFAULT 0,
  parked  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
`

// Looking for the first entry of each key among 10^5 would take the thread that serves as long as a
// hundred requests; so each row says whether it is the first one that waits.
const choosesFirst = (row: string) => {
  const first = `(SELECT id FROM outbox WHERE carrier = ${row}.carrier AND key = ${row}.key AND state = ${WAITING}
    ORDER BY id LIMIT 1)`
  return `
  UPDATE outbox SET first = 0
    WHERE carrier = ${row}.carrier AND key = ${row}.key AND first = 1 AND id IS NOT ${first};
  UPDATE outbox SET first = 1 WHERE id = ${first} AND first = 0;`
}

const OUTBOX_TRIGGERS = `
CREATE TRIGGER outbox_inserted AFTER INSERT ON outbox
BEGIN
  INSERT INTO outbox_totals (carrier) VALUES (NEW.carrier) ON CONFLICT DO NOTHING;
  UPDATE outbox_totals SET waiting = waiting + (NEW.state = ${WAITING}), parked = parked + (NEW.state <> ${WAITING})
    WHERE carrier = NEW.carrier;${choosesFirst('NEW')}
END;
CREATE TRIGGER outbox_changed AFTER UPDATE OF state ON outbox WHEN NEW.state <> OLD.state
BEGIN
  UPDATE outbox_totals SET
    waiting = waiting + (NEW.state = ${WAITING}) - (OLD.state = ${WAITING}),
    parked = parked + (NEW.state <> ${WAITING}) - (OLD.state <> ${WAITING})
    WHERE carrier = NEW.carrier;${choosesFirst('NEW')}
END;
CREATE TRIGGER outbox_deleted AFTER DELETE ON outbox
BEGIN
  UPDATE outbox_totals SET waiting = waiting - (OLD.state = ${WAITING}), parked = parked - (OLD.state <> ${WAITING})
    WHERE carrier = OLD.carrier;${choosesFirst('OLD')}
END;
`

// A file of version 1000 is to be rebuilt as any other: it may be what that version began after it
// had lost one of this version.
export const PUSHES = LOCAL_TAGS + OUTBOX + OUTBOX_TRIGGERS
