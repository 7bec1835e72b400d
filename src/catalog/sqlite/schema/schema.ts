// The tables of catalog.db as numbered steps, and how a file of an older or newer version is met.
// Steps are additive within a major version: an older minor of the same major still runs on the
// file, one of an older major refuses it (docs/storage-format.md, "Catalog").
import type { Database } from 'better-sqlite3'
import { StoreError } from '../../../registry/ports/store-error.ts'
import { CLASS_CODES, EDGE_CODES, REASON_CODES } from '../encoding.ts'
import { NEWEST } from './schema-newest.ts'
import { PUSHES } from './schema-pushes.ts'
import { SPACE } from './schema-space.ts'
import { IDENTITY, TRUST } from './schema-trust.ts'

export interface Migration {
  /** `PRAGMA user_version` after this step: major × 1000 + minor. Ascending. */
  readonly version: number
  readonly sql: string
}

/** An older version cannot use a file whose version has a higher quotient by this. */
const VERSIONS_PER_MAJOR = 1000

const IS_MANIFEST = (row: string) => `(${row}.present = 1 AND ${row}.media_type IS NOT NULL)`

// Integers stand for digests and repositories in every relation: they are what makes 10^6
// memberships small.
const TABLES = `
CREATE TABLE content (
  id           INTEGER PRIMARY KEY,
  digest       BLOB NOT NULL UNIQUE,
  present      INTEGER NOT NULL DEFAULT 0 CHECK (present IN (0, 1)),
  size         INTEGER CHECK (size >= 0),
  media_type   TEXT,
  class        INTEGER CHECK (class IN (${Object.values(CLASS_CODES).join(', ')})),
  created_at   INTEGER,
  last_used_at INTEGER,
  CHECK (present = 0 OR (size IS NOT NULL AND class IS NOT NULL AND created_at IS NOT NULL AND last_used_at IS NOT NULL))
) STRICT;

CREATE TABLE repository (
  id   INTEGER PRIMARY KEY,
  key  TEXT NOT NULL UNIQUE,
  held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0)
) STRICT;
CREATE INDEX repository_held ON repository (key) WHERE held > 0;

CREATE TABLE repository_content (
  repository INTEGER NOT NULL REFERENCES repository,
  content    INTEGER NOT NULL REFERENCES content,
  reason     INTEGER NOT NULL,
  size       INTEGER CHECK (size >= 0),
  expires    INTEGER,
  PRIMARY KEY (repository, content)
) STRICT, WITHOUT ROWID;
CREATE INDEX repository_content_by_content ON repository_content (content);

CREATE TABLE edge (
  parent        INTEGER NOT NULL REFERENCES content,
  position      INTEGER NOT NULL,
  child         INTEGER NOT NULL REFERENCES content,
  kind          INTEGER NOT NULL CHECK (kind IN (${Object.values(EDGE_CODES).join(', ')})),
  size          INTEGER NOT NULL CHECK (size >= 0),
  media_type    TEXT NOT NULL,
  platform      TEXT,
  distributable INTEGER NOT NULL CHECK (distributable IN (0, 1)),
  PRIMARY KEY (parent, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_by_child ON edge (child, kind);

CREATE TABLE tag (
  repository          INTEGER NOT NULL REFERENCES repository,
  name                TEXT NOT NULL,
  content             INTEGER NOT NULL REFERENCES content,
  checked_at          INTEGER NOT NULL,
  changed_at          INTEGER NOT NULL,
  previous            INTEGER REFERENCES content,
  previous_checked_at INTEGER,
  PRIMARY KEY (repository, name),
  CHECK ((previous IS NULL) = (previous_checked_at IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_by_content ON tag (content);
CREATE INDEX tag_by_previous ON tag (previous) WHERE previous IS NOT NULL;

CREATE TABLE list (
  repository INTEGER NOT NULL REFERENCES repository,
  key        TEXT NOT NULL,
  body       TEXT NOT NULL,
  checked_at INTEGER NOT NULL,
  PRIMARY KEY (repository, key)
) STRICT;

CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;

CREATE TABLE totals (
  only          INTEGER PRIMARY KEY CHECK (only = 1),
  repositories  INTEGER NOT NULL DEFAULT 0,
  tags          INTEGER NOT NULL DEFAULT 0,
  manifests     INTEGER NOT NULL DEFAULT 0,
  blobs         INTEGER NOT NULL DEFAULT 0,
  content_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
`
const COUNTED = 'INSERT INTO totals (only) VALUES (1);\n'

// Counting 10^6 rows takes a tenth of a second on the thread that serves; so the counts are kept,
// and by triggers, so that no later writer of these tables, of whatever version, can forget to.
const TRIGGERS = `
CREATE TRIGGER content_changed AFTER UPDATE OF present, media_type, size ON content
WHEN (NEW.present, NEW.media_type IS NULL, NEW.size) IS NOT (OLD.present, OLD.media_type IS NULL, OLD.size)
BEGIN
  UPDATE totals SET
    manifests = manifests + ${IS_MANIFEST('NEW')} - ${IS_MANIFEST('OLD')},
    blobs = blobs + (NEW.present AND NOT ${IS_MANIFEST('NEW')}) - (OLD.present AND NOT ${IS_MANIFEST('OLD')}),
    content_bytes = content_bytes + NEW.present * coalesce(NEW.size, 0) - OLD.present * coalesce(OLD.size, 0);
  UPDATE repository SET held = held + ${IS_MANIFEST('NEW')} - ${IS_MANIFEST('OLD')}
    WHERE ${IS_MANIFEST('NEW')} <> ${IS_MANIFEST('OLD')}
      AND id IN (SELECT repository FROM repository_content WHERE content = NEW.id);
END;
-- A row begins and ends its life without presence, so that the trigger above sees every change of the counts.
CREATE TRIGGER content_inserted BEFORE INSERT ON content WHEN NEW.present = 1
BEGIN SELECT RAISE(ABORT, 'content must be inserted without presence'); END;
CREATE TRIGGER content_deleted BEFORE DELETE ON content WHEN OLD.present = 1
BEGIN SELECT RAISE(ABORT, 'content must lose its presence before its row'); END;

CREATE TRIGGER member_inserted AFTER INSERT ON repository_content
BEGIN
  UPDATE repository SET held = held + 1 WHERE id = NEW.repository
    AND EXISTS (SELECT 1 FROM content c WHERE c.id = NEW.content AND ${IS_MANIFEST('c')});
END;
CREATE TRIGGER member_deleted AFTER DELETE ON repository_content
BEGIN
  UPDATE repository SET held = held - 1 WHERE id = OLD.repository
    AND EXISTS (SELECT 1 FROM content c WHERE c.id = OLD.content AND ${IS_MANIFEST('c')});
END;
CREATE TRIGGER tag_inserted AFTER INSERT ON tag
BEGIN
  UPDATE repository SET held = held + 1 WHERE id = NEW.repository;
  UPDATE totals SET tags = tags + 1;
END;
CREATE TRIGGER tag_deleted AFTER DELETE ON tag
BEGIN
  UPDATE repository SET held = held - 1 WHERE id = OLD.repository;
  UPDATE totals SET tags = tags - 1;
END;
CREATE TRIGGER repository_held_changed AFTER UPDATE OF held ON repository
WHEN (NEW.held > 0) <> (OLD.held > 0)
BEGIN UPDATE totals SET repositories = repositories + (NEW.held > 0) - (OLD.held > 0); END;
`

// To 1002: what a client says that a manifest lists is told from what an upstream says (R179).
// Version 1001 did not tell them apart. Under localhost nothing but clients ever spoke, and what is
// kept was pushed somewhere: it counts as claimed until an upstream gives it again. Memberships
// stay, and lead to no further ones.
const LISTING = `
ALTER TABLE content ADD COLUMN claimed INTEGER NOT NULL DEFAULT 0 CHECK (claimed IN (0, 1));
UPDATE content SET claimed = 1 WHERE class = ${CLASS_CODES.kept} AND media_type IS NOT NULL;
UPDATE repository_content SET reason = ${REASON_CODES.confirmed}
  WHERE repository IN (SELECT id FROM repository WHERE key GLOB 'localhost/*');
`

// To 1004: what a client was told is kept, and no manifest has come for yet. A delete of somebody
// else's manifest must not take it along while its push may still be under way (R296). `times`:
// acknowledgements for which no manifest has come; `at`: of the last one. `owed`: a delete would
// have taken it along. An older minor runs on such a file and knows nothing of it: its deletes take
// along what is pending, and what is left here ends by its age.
const PROMISES = `
CREATE TABLE promised (
  repository INTEGER NOT NULL REFERENCES repository,
  content    INTEGER NOT NULL REFERENCES content,
  times      INTEGER NOT NULL CHECK (times >= 0),
  at         INTEGER NOT NULL,
  owed       INTEGER NOT NULL DEFAULT 0 CHECK (owed IN (0, 1)),
  PRIMARY KEY (repository, content)
) STRICT, WITHOUT ROWID;
CREATE INDEX promised_by_age ON promised (at);
`

// To 2000: who carries the entries of pushes into a queue is called after it. A major version,
// since an older minor would find none of them, and queue its own where nobody looks.
const CARRIER = `
UPDATE outbox SET carrier = 'queue' WHERE carrier = 'forward';
UPDATE outbox_totals SET carrier = 'queue' WHERE carrier = 'forward';
`

/**
 * Every step there ever was, in order. A step that was released is never changed: a correction is a
 * new step.
 */
export const MIGRATIONS: readonly Migration[] = [
  { version: 1000, sql: TABLES + COUNTED + TRIGGERS },
  { version: 1001, sql: PUSHES },
  { version: 1002, sql: LISTING },
  { version: 1003, sql: TRUST },
  { version: 1004, sql: PROMISES },
  { version: 2000, sql: CARRIER },
  { version: 2001, sql: SPACE },
]

/** The rows that a file begins with. */
const FIRST_ROWS = COUNTED + IDENTITY

/** The version that the file has; 0 when it is new. */
export function versionOf(database: Database): number {
  return Number(database.pragma('user_version', { simple: true }))
}

export const NEWEST_VERSION = MIGRATIONS.at(-1)?.version ?? 0

/**
 * Brings the file to the newest version known here, all steps in one transaction; a new one at once
 * to that of MIGRATIONS. A newer minor of the same major is left as it is. Returns the version that
 * the file has now.
 *
 * @throws StoreError io, with a hint, when the file is of a newer major version, or of none.
 */
export function migrate(database: Database, migrations = MIGRATIONS): number {
  const newest = migrations.at(-1)?.version ?? 0
  const found = versionOf(database)
  if (majorOf(found) > majorOf(newest)) throw newerMajor(found, newest)
  if (found !== 0 && majorOf(found) < 1) throw noCatalog(found)
  if (found >= newest) return found
  database
    .transaction(() => {
      if (found === 0 && migrations === MIGRATIONS) database.exec(NEWEST + FIRST_ROWS)
      else for (const step of migrations) if (step.version > found) database.exec(step.sql)
      database.pragma(`user_version = ${newest}`)
    })
    .immediate()
  return newest
}

function majorOf(version: number): number {
  return Math.floor(version / VERSIONS_PER_MAJOR)
}

function noCatalog(found: number): StoreError {
  return new StoreError('io', `catalog.db has format ${found}, which no catalog ever had`, {
    hint: 'move the file away: what was pushed is read from facts/ at the next start',
  })
}

function newerMajor(found: number, newest: number): StoreError {
  return new StoreError(
    'io',
    `the catalog has format ${found}, this version of the program writes format ${newest}`,
    {
      hint: 'start the newer version again, or go back as docs/operations.md says under "Upgrade": with the whole backup, not with catalog.db alone',
    },
  )
}
