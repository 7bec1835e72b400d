// The step to version 2001: what is needed, why something is held, what was used, and what is on
// its way out. An older minor runs on such a file and knows nothing of it: so what must hold
// whoever writes is held by triggers, and what it records has no holds.
import { CLASS_CODES, EDGE_CODES, HOLD_BITS } from '../encoding.ts'
import { NEEDS } from './schema-needs.ts'

/** What file systems give out at a time, nearly everywhere. */
export const BLOCK_BYTES = 4096

const BLOCKS = (size: string) => `((coalesce(${size}, 0) + ${BLOCK_BYTES - 1}) / ${BLOCK_BYTES})`
const PRESENT_BLOCKS = (row: string) => `(${row}.present * ${BLOCKS(`${row}.size`)})`
const KEPT_BLOCKS = (row: string) =>
  `(coalesce(${row}.class = ${CLASS_CODES.kept}, 0) * ${PRESENT_BLOCKS(row)})`
/** Whatever a file had before needs all that it lists. */
const LISTS = `kind <> ${EDGE_CODES.subject}`
const { cached, kept } = CLASS_CODES

// `refs`: edges that need it, from manifests that are present, and memberships as which it is a
// manifest (schema-needs.ts). `loose_at`: since when nothing needs it; 0 until somebody has put the
// time in. `deleted_at`: when a client or a policy last deleted it somewhere as a manifest, while
// it stayed for others. `unclear`: it was here before the catalog was begun, and something is lost
// that may list it. `verified_at`: when its bytes were last hashed here; 0 of what nobody has,
// negative: when they were last found to be lost. What an older minor records is as of a registry
// that shares, and needs what it lists.
const COLUMNS = `
ALTER TABLE content ADD COLUMN refs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE content ADD COLUMN loose_at INTEGER;
ALTER TABLE content ADD COLUMN deleted_at INTEGER;
ALTER TABLE content ADD COLUMN unclear INTEGER NOT NULL DEFAULT 0;
ALTER TABLE content ADD COLUMN verified_at INTEGER NOT NULL DEFAULT 0;

ALTER TABLE repository ADD COLUMN blocks INTEGER NOT NULL DEFAULT 0;

ALTER TABLE repository_content ADD COLUMN holds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repository_content ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repository_content ADD COLUMN counted_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repository_content ADD COLUMN pulls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repository_content ADD COLUMN warmth INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repository_content ADD COLUMN apart INTEGER NOT NULL DEFAULT 0;
ALTER TABLE repository_content ADD COLUMN follows_at INTEGER;

ALTER TABLE edge ADD COLUMN needs INTEGER NOT NULL DEFAULT 1;

ALTER TABLE tag ADD COLUMN pushed_at INTEGER;
ALTER TABLE tag ADD COLUMN pulled_at INTEGER;
ALTER TABLE tag ADD COLUMN pulls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tag ADD COLUMN order_edge TEXT;
ALTER TABLE tag ADD COLUMN order_number INTEGER;

ALTER TABLE totals ADD COLUMN content_blocks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN kept_blocks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN leaving_blocks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN evicted_blocks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN returned_images INTEGER NOT NULL DEFAULT 0;
ALTER TABLE totals ADD COLUMN returned_blocks INTEGER NOT NULL DEFAULT 0;
`

// Nothing says which reasons there are: a later minor may add some. What leaves has its digest
// beside it, so that pages of it are not looked for among all content.
const TABLES = `
CREATE TABLE leaving (
  content INTEGER PRIMARY KEY REFERENCES content,
  digest  BLOB NOT NULL UNIQUE,
  size    INTEGER NOT NULL CHECK (size >= 0),
  reason  INTEGER NOT NULL,
  at      INTEGER NOT NULL
) STRICT;
CREATE INDEX leaving_by_time ON leaving (at);

-- Not rows of promised: an older minor reads each of those as a blob that was sent, to be told of
-- and taken out when its day is over.
CREATE TABLE lease (
  repository INTEGER NOT NULL REFERENCES repository,
  content    INTEGER NOT NULL REFERENCES content,
  until      INTEGER NOT NULL,
  PRIMARY KEY (repository, content)
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_by_content ON lease (content);
CREATE INDEX lease_by_time ON lease (until);

CREATE TABLE pin (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL,
  at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An image that was evicted, by a hash, when so many blocks had been in all.
CREATE TABLE ghost (
  seq     INTEGER PRIMARY KEY,
  image   INTEGER NOT NULL UNIQUE,
  blocks  INTEGER NOT NULL,
  evicted INTEGER NOT NULL
) STRICT;

-- Which manifests an entry of the outbox carries; of entries that an older minor made, nothing is here.
CREATE TABLE carried (
  delivery   INTEGER NOT NULL REFERENCES outbox,
  repository INTEGER NOT NULL REFERENCES repository,
  content    INTEGER NOT NULL REFERENCES content,
  PRIMARY KEY (repository, content, delivery)
) STRICT, WITHOUT ROWID;
CREATE INDEX carried_by_delivery ON carried (delivery);
CREATE INDEX carried_by_content ON carried (content);
CREATE TRIGGER outbox_carries_no_more BEFORE DELETE ON outbox
BEGIN DELETE FROM carried WHERE delivery = OLD.id; END;
`

// Row by row of what is counted, by keys: no sorting, which could need a directory for temporary
// files, and nothing that is looked at once for each other row.
const REFS = `
UPDATE repository_content
  SET media_type = coalesce((SELECT media_type FROM content WHERE id = repository_content.content), '')
  WHERE media_type IS NULL;
UPDATE content SET refs =
  (SELECT count(*) FROM edge e JOIN content p ON p.id = e.parent WHERE e.child = content.id AND e.${LISTS} AND p.present = 1)
  + (SELECT count(*) FROM repository_content m WHERE m.content = content.id AND m.media_type <> '');
`

const INDEXES = `
CREATE INDEX content_loose ON content (last_used_at) WHERE present = 1 AND refs = 0 AND class = ${cached} AND unclear = 0;
CREATE INDEX content_loose_since ON content (loose_at) WHERE loose_at IS NOT NULL AND unclear = 0;
CREATE INDEX content_by_verified ON content (verified_at) WHERE present = 1;
CREATE INDEX content_unclear ON content (unclear) WHERE unclear = 1;
CREATE INDEX member_held ON repository_content (content) WHERE holds <> 0;
CREATE INDEX member_undelivered ON repository_content (repository) WHERE holds & ${HOLD_BITS.undelivered};
CREATE INDEX member_by_warmth ON repository_content (warmth) WHERE media_type <> '' AND holds = 0;
CREATE INDEX member_apart ON repository_content (content) WHERE apart = 1;
CREATE INDEX member_following ON repository_content (follows_at) WHERE follows_at IS NOT NULL;
CREATE INDEX edge_unneeding ON edge (child) WHERE needs = 0;
CREATE INDEX edge_needing ON edge (child, kind) WHERE needs = 1 AND ${LISTS};
CREATE INDEX promised_by_content ON promised (content);
CREATE INDEX taken_by_repository ON taken (repository);
CREATE INDEX tag_local_by_content ON tag (content, repository) WHERE local = 1;
`

// What was pushed before is held: this edge may be its only home, and nobody wrote down whether it
// is. Where something is yet to be delivered it is undelivered, and the end of that says what
// becomes of it. A manifest that was not understood had no edges: what lies beside one may be what
// it names, and is held as if something listed it. What the upstream is known to have becomes
// cached: what a tag leads to whose push an entry did carry, down to the layers of an index, where
// no tag says that pushes are stored. Not so what a manifest there lists that was pushed by digest
// alone, which may have been stored.
const PLACES = ['proven', 'below', 'deepest', 'needed_there'] as const
const HOLDS = `
CREATE TABLE unread (repository INTEGER PRIMARY KEY);
INSERT OR IGNORE INTO unread
  SELECT m.repository FROM repository r CROSS JOIN repository_content m ON m.repository = r.id AND m.media_type <> ''
  CROSS JOIN content c ON c.id = m.content AND c.present = 1 AND c.class = ${kept}
  WHERE r.pushed = 1 AND NOT EXISTS (SELECT 1 FROM edge e WHERE e.parent = m.content);
CREATE TABLE pushed_to (repository INTEGER PRIMARY KEY, holds INTEGER NOT NULL, is_clear INTEGER NOT NULL);
${PLACES.map(
  table =>
    `CREATE TABLE ${table} (repository INTEGER, content INTEGER, PRIMARY KEY (repository, content)) WITHOUT ROWID;`,
).join('\n')}
INSERT INTO pushed_to
  SELECT id,
    iif(key GLOB 'localhost/*'
      OR EXISTS (SELECT 1 FROM tag t WHERE t.repository = repository.id AND t.local = 1
        AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = t.delivery)), ${HOLD_BITS.pushed}, 0)
    | iif(EXISTS (SELECT 1 FROM outbox o WHERE o.key = repository.key), ${HOLD_BITS.undelivered}, 0),
    0
  FROM repository WHERE pushed = 1;
UPDATE pushed_to SET holds = ${HOLD_BITS.pushed}, is_clear = 1 WHERE holds = 0;
INSERT OR IGNORE INTO proven
  SELECT t.repository, t.content FROM pushed_to p CROSS JOIN tag t ON t.repository = p.repository
  WHERE p.is_clear AND t.delivery IS NOT NULL;
INSERT OR IGNORE INTO below
  SELECT p.repository, e.child FROM proven p CROSS JOIN edge e ON e.parent = p.content WHERE e.${LISTS};
INSERT OR IGNORE INTO deepest
  SELECT p.repository, e.child FROM below p CROSS JOIN edge e ON e.parent = p.content WHERE e.${LISTS};
INSERT OR IGNORE INTO proven SELECT repository, content FROM below;
INSERT OR IGNORE INTO proven SELECT repository, content FROM deepest;
UPDATE repository_content
  SET holds = (SELECT holds FROM pushed_to p WHERE p.repository = repository_content.repository)
  WHERE repository IN (SELECT repository FROM pushed_to)
    AND (SELECT c.present = 1 AND c.class = ${kept} AND (c.refs > 0 OR repository_content.repository IN (SELECT repository FROM unread))
      FROM content c WHERE c.id = repository_content.content);
INSERT OR IGNORE INTO needed_there
  SELECT m.repository, e.child FROM pushed_to p
  CROSS JOIN repository_content m ON m.repository = p.repository AND m.media_type <> '' AND m.holds <> 0
  CROSS JOIN edge e ON e.parent = m.content
  WHERE p.is_clear AND e.${LISTS}
    AND NOT EXISTS (SELECT 1 FROM proven v WHERE v.repository = m.repository AND v.content = m.content);
UPDATE repository_content SET holds = 0
  WHERE holds <> 0
    AND EXISTS (SELECT 1 FROM proven v WHERE v.repository = repository_content.repository AND v.content = repository_content.content)
    AND NOT EXISTS (SELECT 1 FROM needed_there n WHERE n.repository = repository_content.repository AND n.content = repository_content.content);
UPDATE content SET class = ${cached}
  WHERE present = 1 AND class = ${kept} AND refs > 0
    AND NOT EXISTS (SELECT 1 FROM repository_content m WHERE m.content = content.id AND m.holds <> 0)
    AND NOT EXISTS (SELECT 1 FROM promised p WHERE p.content = content.id);
${['unread', 'pushed_to', ...PLACES].map(table => `DROP TABLE ${table};`).join('\n')}
UPDATE content SET loose_at = 0
  WHERE present = 1 AND class = ${kept} AND refs = 0
    AND NOT EXISTS (SELECT 1 FROM repository_content m WHERE m.content = content.id AND m.holds <> 0)
    AND NOT EXISTS (SELECT 1 FROM promised p WHERE p.content = content.id);
`

const USES = `
UPDATE repository_content SET (used_at, counted_at, warmth) =
    (SELECT last_used_at, last_used_at, last_used_at FROM content WHERE id = repository_content.content)
  WHERE media_type <> '' AND (SELECT present FROM content WHERE id = repository_content.content) = 1;
UPDATE tag SET pushed_at = changed_at WHERE local = 1;
UPDATE content SET verified_at = created_at WHERE present = 1;
`

const COUNTED = `
UPDATE totals SET
  content_blocks = (SELECT coalesce(sum(${PRESENT_BLOCKS('c')}), 0) FROM content c),
  kept_blocks = (SELECT coalesce(sum(${KEPT_BLOCKS('c')}), 0) FROM content c);
UPDATE repository SET blocks = (
  SELECT coalesce(sum(${PRESENT_BLOCKS('c')}), 0) FROM repository_content m JOIN content c ON c.id = m.content
  WHERE m.repository = repository.id);
`

// Until now facts were left of the images of each index that was delivered. Whoever compares them
// with the catalog removes those.
const FACTS = `DELETE FROM meta WHERE key = 'facts compared';`

// What follows a deleted manifest may have been meant to stay by a tag that is gone now.
const FOLLOWS_ANEW = `
UPDATE repository_content SET follows_at = 0
  WHERE repository = OLD.repository AND content = OLD.content AND follows_at > 0;`
const FOLLOWING = `
CREATE TRIGGER tag_gone AFTER DELETE ON tag BEGIN ${FOLLOWS_ANEW} END;
CREATE TRIGGER tag_moved AFTER UPDATE OF content ON tag WHEN NEW.content <> OLD.content
BEGIN ${FOLLOWS_ANEW} END;
`

const COUNT_TRIGGERS = `
CREATE TRIGGER content_blocks_changed AFTER UPDATE OF present, size, class ON content
WHEN (NEW.present, NEW.size, NEW.class) IS NOT (OLD.present, OLD.size, OLD.class)
BEGIN
  UPDATE totals SET
    content_blocks = content_blocks + ${PRESENT_BLOCKS('NEW')} - ${PRESENT_BLOCKS('OLD')},
    kept_blocks = kept_blocks + ${KEPT_BLOCKS('NEW')} - ${KEPT_BLOCKS('OLD')};
  UPDATE repository SET blocks = blocks + ${PRESENT_BLOCKS('NEW')} - ${PRESENT_BLOCKS('OLD')}
    WHERE ${PRESENT_BLOCKS('NEW')} <> ${PRESENT_BLOCKS('OLD')}
      AND id IN (SELECT repository FROM repository_content WHERE content = NEW.id);
END;
CREATE TRIGGER member_blocks_inserted AFTER INSERT ON repository_content
WHEN (SELECT present FROM content WHERE id = NEW.content) = 1
BEGIN
  UPDATE repository SET blocks = blocks + (SELECT ${PRESENT_BLOCKS('c')} FROM content c WHERE c.id = NEW.content)
    WHERE id = NEW.repository;
END;
CREATE TRIGGER member_blocks_deleted AFTER DELETE ON repository_content
WHEN (SELECT present FROM content WHERE id = OLD.content) = 1
BEGIN
  UPDATE repository SET blocks = blocks - (SELECT ${PRESENT_BLOCKS('c')} FROM content c WHERE c.id = OLD.content)
    WHERE id = OLD.repository;
END;
-- No more is leased than belongs there.
CREATE TRIGGER member_leased_no_more AFTER DELETE ON repository_content
BEGIN DELETE FROM lease WHERE repository = OLD.repository AND content = OLD.content; END;
CREATE TRIGGER leaving_inserted AFTER INSERT ON leaving
BEGIN UPDATE totals SET leaving_blocks = leaving_blocks + ${BLOCKS('NEW.size')}; END;
CREATE TRIGGER leaving_deleted AFTER DELETE ON leaving
BEGIN UPDATE totals SET leaving_blocks = leaving_blocks - ${BLOCKS('OLD.size')}; END;
`

export const SPACE =
  COLUMNS +
  TABLES +
  REFS +
  INDEXES +
  HOLDS +
  USES +
  COUNTED +
  FACTS +
  NEEDS +
  FOLLOWING +
  COUNT_TRIGGERS
