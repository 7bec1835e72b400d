// The step to version 1003: a membership says how far its word goes. Whether the bytes came under
// this repository (R252), and as which manifest they were given to it (R251); what a manifest lists
// as to be had from elsewhere gives none (R250). Beside it what was pushed to is known when it is
// empty (R285), what a deleted manifest took along is remembered (R255), the file has an identity,
// and the queue is looked at registry by registry. An older minor runs on such a file and knows
// nothing of it. What it adds must open nothing: it counts as not delivered, and triggers see to
// the rest. `repository_content.size` stays for its statements; nothing else reads or writes it.
import { CLASS_CODES, EDGE_CODES, REASON_CODES } from '../encoding.ts'

const { listed, confirmed } = REASON_CODES

/**
 * Of a row of `outbox`, the part of its key that names the other side: all before its repository,
 * with the `/` that ends it.
 */
export const DESTINATION = `substr(key, 1, instr(key, '/'))`

/** Whatever is under localhost, clients brought there: no upstream of it could give a word. */
const IS_LOCAL = (key: string) => `${key} GLOB 'localhost/*'`

const IS_FOREIGN = (row: string) => `(
  EXISTS (SELECT 1 FROM edge e WHERE e.child = ${row}.content AND e.distributable = 0)
  AND NOT EXISTS (
    SELECT 1 FROM edge e JOIN repository_content p ON p.content = e.parent AND p.repository = ${row}.repository
    WHERE e.child = ${row}.content AND e.distributable = 1
      AND e.kind <> ${EDGE_CODES.subject} AND p.reason <> ${confirmed}))`

// What nobody has by another way was delivered to one of those that list it, and stays theirs; any
// other is confirmed by its upstream at the next question. An older minor adds no more of them. Who
// is foreign is worked out once for all and not row by row: whoever listed a layer under thousands
// of made-up names would else keep the edge from starting
// (test/unit/catalog/migration-work.test.ts). In tables of the file, dropped at the end, and not in
// temporary ones: those need a directory for temporary files, which a container may not have.
const FOREIGN = `
CREATE TABLE foreign_content (content INTEGER PRIMARY KEY, present INTEGER NOT NULL);
INSERT INTO foreign_content
  SELECT id, present FROM content WHERE id IN (SELECT child FROM edge WHERE distributable = 0);
CREATE TABLE listed_here (content INTEGER, repository INTEGER, PRIMARY KEY (content, repository)) WITHOUT ROWID;
INSERT OR IGNORE INTO listed_here
  SELECT e.child, p.repository FROM edge e
  JOIN foreign_content f ON f.content = e.child
  CROSS JOIN repository_content p ON p.content = e.parent
  WHERE e.distributable = 1 AND e.kind <> ${EDGE_CODES.subject} AND p.reason <> ${confirmed};
CREATE TABLE foreign_member (content INTEGER, repository INTEGER, PRIMARY KEY (content, repository)) WITHOUT ROWID;
INSERT INTO foreign_member
  SELECT m.content, m.repository FROM foreign_content f CROSS JOIN repository_content m ON m.content = f.content
  WHERE m.reason = ${listed}
    AND NOT EXISTS (SELECT 1 FROM listed_here h WHERE h.content = m.content AND h.repository = m.repository);
UPDATE foreign_content SET present = 0 WHERE content IN (
  SELECT f.content FROM foreign_content f CROSS JOIN repository_content m ON m.content = f.content
  WHERE NOT EXISTS (SELECT 1 FROM foreign_member o WHERE o.content = m.content AND o.repository = m.repository));
DELETE FROM foreign_member WHERE content IN (SELECT content FROM foreign_content WHERE present = 1);
DELETE FROM repository_content WHERE (repository, content) IN (SELECT repository, content FROM foreign_member);
DROP TABLE foreign_member;
DROP TABLE listed_here;
DROP TABLE foreign_content;
CREATE TRIGGER member_foreign BEFORE INSERT ON repository_content
WHEN NEW.media_type IS NULL AND NEW.reason = ${listed} AND ${IS_FOREIGN('NEW')}
BEGIN SELECT RAISE(IGNORE); END;
`

// Version 1002 gave what is here to whoever was known to hold it, and did not write down who
// delivered it. That stays theirs: without it an upgrade without a line would take away every image
// that shares a layer with another registry's (docs/adr/0004-membership.md).
const IS_DELIVERED = '(SELECT present FROM content WHERE id = repository_content.content)'

// A media type of NULL is from now on of rows that an older minor adds, which has one for all
// repositories, in `content`. Empty: not given here as a manifest.
const MEMBERS = `
ALTER TABLE repository_content ADD COLUMN media_type TEXT;
ALTER TABLE repository_content ADD COLUMN delivered INTEGER NOT NULL DEFAULT 0 CHECK (delivered IN (0, 1));
UPDATE repository_content SET
  media_type = coalesce((SELECT media_type FROM content WHERE id = repository_content.content), ''),
  delivered = ${IS_DELIVERED};
CREATE TRIGGER member_of_localhost AFTER INSERT ON repository_content
WHEN NEW.media_type IS NULL AND NEW.reason <> ${listed} AND (SELECT ${IS_LOCAL('key')} FROM repository WHERE id = NEW.repository)
BEGIN
  UPDATE repository_content SET delivered = 1 WHERE repository = NEW.repository AND content = NEW.content;
END;
`

// Of what was deleted before, nothing tells; under localhost a row alone does.
const PUSHED = `
ALTER TABLE repository ADD COLUMN pushed INTEGER NOT NULL DEFAULT 0 CHECK (pushed IN (0, 1));
UPDATE repository SET pushed = 1
  WHERE ${IS_LOCAL('key')} OR id IN (
    SELECT m.repository FROM repository_content m JOIN content c ON c.id = m.content
    WHERE c.class = ${CLASS_CODES.kept} AND c.media_type IS NOT NULL
  );
CREATE INDEX repository_listed ON repository (key) WHERE held > 0 OR pushed = 1;
DROP INDEX repository_held;
`

// What a deleted manifest took along is no member any more. Whoever deletes it by itself afterwards
// is told that it is gone, once; and its bytes did come under that repository.
const TAKEN = `
CREATE TABLE taken (
  content    INTEGER NOT NULL REFERENCES content,
  repository INTEGER NOT NULL REFERENCES repository,
  delivered  INTEGER NOT NULL CHECK (delivered IN (0, 1)),
  PRIMARY KEY (content, repository)
) STRICT, WITHOUT ROWID;
`

// Facts beside the content say under which catalog they were told.
export const IDENTITY = `INSERT INTO meta (key, value) VALUES ('identity', lower(hex(randomblob(16))));`

// No registry that has much to wait for hides the others.
const DESTINATIONS = `
CREATE INDEX outbox_due_by_lane ON outbox (carrier, ${DESTINATION}, next_at, id) WHERE first = 1;
DROP INDEX outbox_due;
`

export const TRUST = MEMBERS + FOREIGN + PUSHED + TAKEN + IDENTITY + DESTINATIONS
