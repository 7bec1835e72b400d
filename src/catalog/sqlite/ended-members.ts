// Which memberships would end if images were evicted, one after the other: the same as
// evict-image.ts takes out of a repository, worked out without doing it. What may end is said once
// for both (needed.ts). The way from one to the next is not: that one has the tables say what is
// listed still, and here no table knows what has ended, and others have their turn in between.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import { MAX_LOSING_REPOSITORIES } from '../bounds.ts'
import { digestFromBytes, REASON_CODES } from './encoding.ts'
import { ENDS_WITH_LISTERS, IS_LISTER, LISTED, LISTS, STAYS_A_LISTER } from './needed.ts'

interface MemberRow {
  readonly digest: Buffer
  readonly size: number
  /** Its upstream listed it, so what it lists belongs there through it. */
  readonly lists: number
}

/** Of an edge, among those to the same content. */
interface Place {
  readonly kind: number
  readonly parent: number
  readonly position: number
}

interface ListerRow extends Place {
  readonly isLister: number
}

/** Whose membership ended; `size` is 0 for what is not here. */
export interface Ended {
  readonly content: number
  readonly size: number
}

export interface MemberOf {
  readonly repository: number
  readonly content: number
}

const FIRST: Place = { kind: -1, parent: 0, position: 0 }
/** Looked up before others have their turn: a few milliseconds. */
const ROWS_AT_ONCE = 256

export type EndedMembersSql = ReturnType<typeof prepareEndedMembers>

interface EndedMembersOptions {
  readonly before: EndedMembers | undefined
  readonly spared: ReadonlySet<Digest>
  /** Is it off the disk by then, with whatever image? */
  readonly hasLeft: (content: number) => boolean
}

export class EndedMembers {
  readonly #sql: EndedMembersSql
  readonly #ended = new Set<string>()
  /** By member: edges before this one are of what is gone there, or lists nothing. */
  readonly #listersFrom = new Map<string, Place>()
  /** What has ended before. */
  readonly #before: EndedMembers | undefined
  readonly #spared: ReadonlySet<Digest>
  readonly #hasLeft: (content: number) => boolean

  constructor(sql: EndedMembersSql, { before, spared, hasLeft }: EndedMembersOptions) {
    this.#sql = sql
    this.#before = before
    this.#spared = spared
    this.#hasLeft = hasLeft
  }

  has(member: MemberOf): boolean {
    return this.#has(keyOf(member))
  }

  /** Repositories whose it is still, given as a manifest or not: `own`, if it is, and others. */
  membersOf(content: number, own: number): readonly number[] {
    const members = this.#sql.listMembers.all(content, MAX_LOSING_REPOSITORIES) as number[]
    const isMember = this.#sql.isMember.get({ repository: own, content }) === 1
    const all = new Set(isMember ? [own, ...members] : members)
    return [...all].filter(repository => !this.has({ repository, content }))
  }

  /** For `settled` of a footprint: the other has all of it from now on. */
  settleInto(before: EndedMembers): void {
    for (const each of this.#ended) before.#ended.add(each)
    for (const [member, place] of this.#listersFrom) before.#listersFrom.set(member, place)
  }

  /** Ends that of the image, and of what nothing else there lists; returns all of them. */
  *evict({ repository, content: image }: MemberOf): Generator<void, readonly Ended[]> {
    const size = this.#sql.sizeOf.get(image) as number
    const ended: Ended[] = [{ content: image, size }]
    this.#ended.add(keyOf({ repository, content: image }))
    const listers = [image]
    for (const lister of listers)
      for (const [at, content] of (this.#sql.listed.all(lister) as number[]).entries()) {
        if (at % ROWS_AT_ONCE === ROWS_AT_ONCE - 1) yield
        const member = { repository, content }
        if (this.has(member)) continue
        const row = this.#sql.findLoosable.get(member) as MemberRow | undefined
        if (row === undefined || (yield* this.#isListed(member))) continue
        if (this.#spared.has(digestFromBytes(row.digest))) continue
        this.#ended.add(keyOf(member))
        ended.push({ content, size: row.size })
        if (row.lists === 1) listers.push(content)
      }
    return ended
  }

  /**
   * By a member of the same repository. Whoever asks once more goes on from the one that was found:
   * very many may list a layer, and leave one after the other.
   */
  *#isListed(member: MemberOf): Generator<void, boolean> {
    const key = keyOf(member)
    for (;;) {
      let looked = 0
      for (const row of this.#sql.listers.iterate({ ...member, ...this.#fromOf(key) })) {
        const { isLister, ...place } = row as ListerRow
        this.#listersFrom.set(key, place)
        const isGone = this.#hasLeft(place.parent) || this.has({ ...member, content: place.parent })
        if (isLister === 1 && !isGone) return true
        looked += 1
        if (looked === ROWS_AT_ONCE) break
      }
      if (looked < ROWS_AT_ONCE) return false
      yield
    }
  }

  #fromOf(key: string): Place {
    const place = this.#listersFrom.get(key)
    if (place !== undefined) return place
    return this.#before === undefined ? FIRST : this.#before.#fromOf(key)
  }

  #has(key: string): boolean {
    return this.#ended.has(key) || (this.#before !== undefined && this.#before.#has(key))
  }
}

function keyOf({ repository, content }: MemberOf): string {
  return `${repository} ${content}`
}

export function prepareEndedMembers(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const one = (sql: string) => row(sql).pluck()
  const member =
    'FROM repository_content m CROSS JOIN content c ON c.id = m.content WHERE m.repository = @repository AND m.content = @content'
  return {
    isMember: one(`SELECT 1 ${member}`),
    listMembers: one('SELECT repository FROM repository_content WHERE content = ? LIMIT ?'),
    sizeOf: one('SELECT present * coalesce(size, 0) FROM content WHERE id = ?'),
    listed: one(LISTED),
    // Leaves with the last that lists it.
    findLoosable: row(
      `SELECT c.digest, c.present * coalesce(c.size, 0) AS size, m.reason <> ${REASON_CODES.confirmed} AS lists
       ${member} AND ${ENDS_WITH_LISTERS}`,
    ),
    listers: row(
      `SELECT e.kind, e.parent, e.position, ${LISTS} AND EXISTS (
         SELECT 1 FROM repository_content p CROSS JOIN content pc ON pc.id = p.content
         WHERE p.repository = @repository AND p.content = e.parent AND ${IS_LISTER('p', 'pc')} AND ${STAYS_A_LISTER}) AS isLister
       FROM edge e
       WHERE e.child = @content AND (e.kind, e.parent, e.position) >= (@kind, @parent, @position)
       ORDER BY e.kind, e.parent, e.position`,
    ),
  }
}
