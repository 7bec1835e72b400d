// Who needs content, and who needs it to belong to a repository: what more than one statement asks.
// The migrations (schema-*.ts) say it in words of their own, since what they once did must not
// change with this.
import { EDGE_CODES, REASON_CODES } from './encoding.ts'

/** Of the edge `e`. A subject is not listed by its referrer. */
export const LISTS = `e.kind <> ${EDGE_CODES.subject}`

/**
 * Of the edge `e`: content is here for it (schema-needs.ts). In the words of the index
 * `edge_needing`, which is found by them: anybody may list what he does not need, as often as he
 * likes.
 */
export const NEEDS = `${LISTS} AND e.needs = 1`

/**
 * Was the member `m` with the content `c` given here as a manifest? Rows that an older minor added
 * have no media type of their own.
 */
export const IS_GIVEN = (m: string, c: string) =>
  `coalesce(${m}.media_type, ${c}.media_type, '') <> ''`

/** What the content `?` lists. */
export const LISTED = `SELECT DISTINCT e.child FROM edge e WHERE e.parent = ? AND ${LISTS}`

/** What the content `?` needs, as often as it does. */
export const NEEDED = `SELECT e.child FROM edge e WHERE e.parent = ? AND ${NEEDS}`

/**
 * Of the content `c`: nobody was told that it is here and stays, by a push whose manifest is lost
 * neither.
 */
export const UNPROMISED = `
  c.unclear = 0
  AND NOT EXISTS (SELECT 1 FROM promised p WHERE p.content = c.id)
  AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.content = c.id)`

const LAYERS_HERE = (c: string) => `
  SELECT 1 FROM edge o CROSS JOIN content layer ON layer.id = o.child AND layer.present = 1
  WHERE o.parent = ${c}.id AND o.kind = ${EDGE_CODES.layer}`

/**
 * Layers of the content `c`, a manifest, are here, and none of them may leave. Mostly nothing is
 * unclear, which is found once for all images.
 */
export const LIES_ON_UNCLEAR = (c: string) => `
  EXISTS (SELECT 1 FROM content WHERE unclear = 1)
  AND EXISTS (${LAYERS_HERE(c)} AND layer.unclear = 1)
  AND NOT EXISTS (${LAYERS_HERE(c)} AND layer.unclear = 0)`

/** The same at the time `@leasesOverMs`, for who has nothing written: it is over whoever looks. */
export const UNPROMISED_AT = `${UNPROMISED.slice(0, -1)} AND l.until >= @leasesOverMs)`
/** All leases count that are written down. */
export const ALL_LEASES = Number.MIN_SAFE_INTEGER

/** Of the member `m`: nobody was told in this repository that it is here and stays. */
export const UNPROMISED_THERE = `
  NOT EXISTS (SELECT 1 FROM promised p WHERE p.repository = m.repository AND p.content = m.content)
  AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.repository = m.repository AND l.content = m.content)`

/**
 * Of the member `m` with the content `c`: it belongs there through what lists it and for nobody
 * else, so it ends with the last of those when they are evicted.
 */
export const ENDS_WITH_LISTERS = `NOT ${IS_GIVEN('m', 'c')} AND m.holds = 0 AND ${UNPROMISED_THERE}`

/**
 * Does what the member `m` with the content `c` lists belong there through it, or did a client list
 * it? A blob lists nothing, whatever it is elsewhere.
 */
export const IS_LISTER = (m: string, c: string) =>
  `(${m}.reason <> ${REASON_CODES.confirmed} OR ${IS_GIVEN(m, c)})`

/**
 * Members `p`, with their content `pc`, that list the member `m` of the same repository. Also
 * those that are not here: whoever asks for one again asks for what it lists.
 */
export const LISTERS_THERE = `
  SELECT 1 FROM edge e
  CROSS JOIN repository_content p ON p.content = e.parent AND p.repository = m.repository
  CROSS JOIN content pc ON pc.id = p.content
  WHERE e.child = m.content AND ${LISTS} AND ${IS_LISTER('p', 'pc')}`

/** The content `pc` is not on its way out: once its file is gone, so are its edges. */
export const STAYS_A_LISTER =
  '(pc.present = 1 OR NOT EXISTS (SELECT 1 FROM leaving l WHERE l.content = pc.id))'
