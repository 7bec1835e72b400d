// What is needed, of the step to version 2001: counted in `content.refs` by triggers, whoever
// writes. A present manifest needs what it lists, but for subjects; and what a registry that does
// not share lists, it needs once that registry has delivered it (docs/adr/0030-eviction.md): it
// would not be given under its name before, and anybody may list anything. What a footprint
// foretells (footprint.ts) says it in the same words.
import { EDGE_CODES } from '../encoding.ts'

/**
 * Members of some content, and registries apart that were given a manifest, that are looked at:
 * whoever has a name for each of very many keeps no write waiting. What came under others counts
 * for them alone.
 */
const MEMBERS_ASKED = 16
export const APART_ASKED = 4
/** Of what lists content that comes, the newest: those that are being pulled. */
const LISTERS_ASKED = 1000

const COUNTS = `kind <> ${EDGE_CODES.subject} AND needs = 1`
const IS_GIVEN = (row: string) => `(coalesce(${row}.media_type, '') <> '')`
const REGISTRY = (key: string) => `substr(${key}, 1, instr(${key}, '/'))`
const REGISTRY_OF = (id: string) => `(SELECT ${REGISTRY('key')} FROM repository WHERE id = ${id})`

/** Of a repository and content: was it delivered there, or to another one of its registry? */
export const CAME_UNDER = (repository: string, content: string) => `(
  EXISTS (SELECT 1 FROM repository_content d WHERE d.repository = ${repository} AND d.content = ${content} AND d.delivered = 1)
  OR EXISTS (
    SELECT 1 FROM (SELECT repository, delivered FROM repository_content WHERE content = ${content} LIMIT ${MEMBERS_ASKED}) few
    CROSS JOIN repository r ON r.id = few.repository
    WHERE few.delivered = 1 AND ${REGISTRY('r.key')} = ${REGISTRY_OF(repository)}))`

/** Of an edge, by whichever registry apart was given the manifest `parent`. */
export const CAME_APART = (parent: string, child: string) => `EXISTS (
  SELECT 1 FROM (SELECT repository FROM repository_content WHERE content = ${parent} AND apart = 1
    ORDER BY repository LIMIT ${APART_ASKED}) s
  WHERE ${CAME_UNDER('s.repository', child)})`

const NEEDED = (id: string) =>
  `UPDATE content SET refs = refs + 1, loose_at = NULL WHERE id = ${id};`
const NEEDED_LESS = (id: string) =>
  `UPDATE content SET refs = refs - 1, loose_at = iif(refs = 1 AND present = 1, 0, loose_at) WHERE id = ${id};`
const IS_HERE = (id: string) => `(SELECT present FROM content WHERE id = ${id}) = 1`
const FIRST_USED = `
  UPDATE repository_content SET (used_at, counted_at, warmth) =
      (SELECT last_used_at, last_used_at, last_used_at FROM content WHERE id = NEW.content)
    WHERE repository = NEW.repository AND content = NEW.content AND warmth = 0
      AND (SELECT present FROM content WHERE id = NEW.content) = 1;`

/** The manifest was given to one more repository, or to one that shares now. */
const LISTS = `
  UPDATE edge SET needs = 1
    WHERE parent = NEW.content AND needs = 0
      AND (NEW.apart = 0 OR ${CAME_UNDER('NEW.repository', 'edge.child')});`

/** Content was delivered: to what lists it in the same registry. */
const DELIVERS = `
  UPDATE edge SET needs = 1
    WHERE (parent, position) IN (
        SELECT parent, position FROM edge e WHERE e.child = NEW.content AND e.needs = 0
        ORDER BY parent DESC LIMIT ${LISTERS_ASKED})
      AND (
        EXISTS (SELECT 1 FROM repository_content m WHERE m.repository = NEW.repository AND m.content = edge.parent AND ${IS_GIVEN('m')})
        OR EXISTS (
          SELECT 1 FROM (SELECT repository, media_type FROM repository_content WHERE content = edge.parent LIMIT ${MEMBERS_ASKED}) few
          CROSS JOIN repository r ON r.id = few.repository
          WHERE ${IS_GIVEN('few')} AND ${REGISTRY('r.key')} = ${REGISTRY_OF('NEW.repository')}));`

const EDGES = `
CREATE TRIGGER edge_inserted AFTER INSERT ON edge
WHEN NEW.kind <> ${EDGE_CODES.subject} AND NEW.needs = 1 AND ${IS_HERE('NEW.parent')}
BEGIN ${NEEDED('NEW.child')} END;
CREATE TRIGGER edge_deleted AFTER DELETE ON edge
WHEN OLD.kind <> ${EDGE_CODES.subject} AND OLD.needs = 1 AND ${IS_HERE('OLD.parent')}
BEGIN ${NEEDED_LESS('OLD.child')} END;
CREATE TRIGGER edge_needs AFTER UPDATE OF needs ON edge
WHEN NEW.needs = 1 AND OLD.needs = 0 AND ${IS_HERE('NEW.parent')}
BEGIN ${NEEDED('NEW.child')} END;
CREATE TRIGGER edge_needs_no_more AFTER UPDATE OF needs ON edge
WHEN NEW.needs = 0 AND OLD.needs = 1 AND ${IS_HERE('NEW.parent')}
BEGIN ${NEEDED_LESS('NEW.child')} END;
`

const CONTENT = `
CREATE TRIGGER content_came AFTER UPDATE OF present ON content WHEN NEW.present = 1 AND OLD.present = 0
BEGIN
  UPDATE content SET refs = refs + e.times, loose_at = NULL
    FROM (SELECT child, count(*) AS times FROM edge WHERE parent = NEW.id AND ${COUNTS} GROUP BY child) AS e
    WHERE content.id = e.child;
  DELETE FROM leaving WHERE content = NEW.id;
END;
CREATE TRIGGER content_went AFTER UPDATE OF present ON content WHEN NEW.present = 0 AND OLD.present = 1
BEGIN
  UPDATE content SET refs = refs - e.times, loose_at = iif(refs = e.times AND present = 1, 0, loose_at)
    FROM (SELECT child, count(*) AS times FROM edge WHERE parent = NEW.id AND ${COUNTS} GROUP BY child) AS e
    WHERE content.id = e.child;
  UPDATE content SET loose_at = NULL WHERE id = NEW.id AND loose_at IS NOT NULL;
END;
-- What no manifest came for was never needed, and is to go as what is needed no more.
CREATE TRIGGER promise_ended AFTER DELETE ON promised
BEGIN
  UPDATE content SET loose_at = 0 WHERE id = OLD.content AND present = 1 AND refs = 0 AND loose_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM repository_content m WHERE m.content = OLD.content AND m.holds <> 0);
END;
`

const MEMBERS = `
CREATE TRIGGER member_given AFTER INSERT ON repository_content WHEN ${IS_GIVEN('NEW')}
BEGIN ${NEEDED('NEW.content')} ${FIRST_USED} ${LISTS} END;
CREATE TRIGGER member_given_later AFTER UPDATE OF media_type ON repository_content
WHEN ${IS_GIVEN('NEW')} AND NOT ${IS_GIVEN('OLD')}
BEGIN ${NEEDED('NEW.content')} ${FIRST_USED} ${LISTS} END;
CREATE TRIGGER member_given_no_more AFTER UPDATE OF media_type ON repository_content
WHEN ${IS_GIVEN('OLD')} AND NOT ${IS_GIVEN('NEW')}
BEGIN ${NEEDED_LESS('NEW.content')} END;
CREATE TRIGGER given_deleted AFTER DELETE ON repository_content WHEN ${IS_GIVEN('OLD')}
BEGIN ${NEEDED_LESS('OLD.content')} END;
CREATE TRIGGER member_shares AFTER UPDATE OF apart ON repository_content
WHEN ${IS_GIVEN('NEW')} AND NEW.apart = 0 AND OLD.apart = 1
BEGIN ${LISTS} END;
-- Of those that were given the manifest, only registries that do not share are left.
CREATE TRIGGER last_sharing_deleted AFTER DELETE ON repository_content
WHEN ${IS_GIVEN('OLD')} AND OLD.apart = 0
  AND EXISTS (SELECT 1 FROM repository_content WHERE content = OLD.content AND apart = 1)
  AND NOT EXISTS (SELECT 1 FROM repository_content m WHERE m.content = OLD.content AND m.apart = 0 AND ${IS_GIVEN('m')})
BEGIN
  UPDATE edge SET needs = 0
    WHERE parent = OLD.content AND ${COUNTS} AND NOT ${CAME_APART('OLD.content', 'edge.child')};
END;
CREATE TRIGGER member_delivered AFTER INSERT ON repository_content WHEN NEW.delivered = 1
BEGIN ${DELIVERS} END;
CREATE TRIGGER member_delivered_later AFTER UPDATE OF delivered ON repository_content
WHEN NEW.delivered = 1 AND OLD.delivered = 0
BEGIN ${DELIVERS} END;
`

export const NEEDS = EDGES + CONTENT + MEMBERS
