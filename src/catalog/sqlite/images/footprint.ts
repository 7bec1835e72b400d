// What would leave if images were evicted, one after the other: the same as evict-image.ts and
// leaving.ts do, worked out without doing it. For dry runs, and for whoever has to know how much is
// enough.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../../oci/digest.ts'
import { type RepositoryKey, repositoryKey } from '../../../oci/reference.ts'
import { onDiskBytes } from '../../../registry/ports/blob-store.ts'
import type {
  Footprint,
  Freed,
  Image,
  ImageReads,
  RepositoryBytes,
} from '../../../registry/ports/catalog-images.ts'
import { CLASS_CODES, digestBytes, digestFromBytes, EDGE_CODES } from '../encoding.ts'
import { EndedMembers, type MemberOf, prepareEndedMembers } from '../ended-members.ts'
import { GIVEN_CHILDREN, prepareImages } from './evict-image.ts'
import { lastSharing } from './last-sharing.ts'
import { NEEDS, UNPROMISED } from '../needed.ts'
import { inOneView } from './one-view.ts'

interface ContentRow {
  readonly id: number
  readonly digest: Buffer
  readonly size: number
  readonly refs: number
}

interface Left {
  readonly digest: Digest
  readonly size: number
}

type How = NonNullable<Parameters<ImageReads['footprint']>[1]>

const NOTHING: ReadonlySet<Digest> = new Set()
/** The number of no repository, and of no content. */
const NOWHERE = -1
/** Of what a manifest lists, looked up before others have their turn: a few milliseconds. */
const ROWS_AT_ONCE = 256
/** The same, of images as most are. */
const IMAGES_AT_ONCE = 8

export function footprintReads(database: Database) {
  const sql = prepareFootprint(database)
  /** For who goes on from one. */
  const evicted = new WeakMap<Footprint, Evicting>()

  return {
    footprint: (images: readonly (Image | Digest)[], how?: How) =>
      inOneView(database, footprint(images, how)),
  }

  function* footprint(
    images: readonly (Image | Digest)[],
    { after, spared = NOTHING, reason }: How = {},
  ): Generator<void, Footprint> {
    const before = after && evicted.get(after)?.settled()
    const evicting = new Evicting(sql, before, { spared, isPurged: reason === 'purged' })
    const byImage: Freed[] = []
    for (const [at, each] of images.entries()) {
      if (at % IMAGES_AT_ONCE === IMAGES_AT_ONCE - 1) yield
      byImage.push(yield* typeof each === 'string' ? loosen(each) : evict(each))
    }
    const footprint = { ...evicting.footprint(), byImage }
    evicted.set(footprint, evicting)
    return footprint

    function* evict({ repository, digest }: Image): Generator<void, Freed> {
      const key = repositoryKey(repository)
      const row = sql.findImage.get(key, digestBytes(digest)) as MemberOf | undefined
      return row === undefined ? nothingFreed(key) : yield* evicting.evict(row)
    }

    function* loosen(digest: Digest): Generator<void, Freed> {
      const id = sql.findContent.get(digestBytes(digest)) as number | undefined
      return yield* evicting.loosen(id ?? NOWHERE)
    }
  }
}

class Evicting {
  readonly #sql: ReturnType<typeof prepareFootprint>
  readonly #ended: EndedMembers
  /** How often each is needed less. */
  readonly #lost = new Map<number, number>()
  readonly #left = new Map<number, Left>()
  /** Of manifests that only registries apart have been given still: what these need. */
  readonly #needed = new Map<number, readonly number[]>()
  /** What has left before. */
  readonly #before: Evicting | undefined
  readonly #spared: ReadonlySet<Digest>
  readonly #isPurged: boolean
  #isSettled = false

  constructor(
    sql: ReturnType<typeof prepareFootprint>,
    before: Evicting | undefined,
    { spared, isPurged }: { spared: ReadonlySet<Digest>; isPurged: boolean },
  ) {
    this.#sql = sql
    this.#before = before
    this.#spared = spared
    this.#isPurged = isPurged
    const hasLeft = (content: number) => this.#hasLeft(content)
    this.#ended = new EndedMembers(sql.members, {
      before: before && before.#ended,
      spared,
      hasLeft,
    })
  }

  /** For who goes on from here: one that has it all, so that long rows of them cost no more. */
  settled(): Evicting {
    const before = this.#before
    if (before === undefined) return this
    if (this.#isSettled) return before
    this.#isSettled = true
    this.#ended.settleInto(before.#ended)
    for (const [content, times] of this.#lost) before.#lose(content, times)
    for (const [content, row] of this.#left) before.#left.set(content, row)
    for (const [image, needed] of this.#needed) before.#needed.set(image, needed)
    return before
  }

  footprint(): Omit<Footprint, 'byImage'> {
    const rows = [...this.#left.values()]
    return {
      digests: rows.map(({ digest }) => digest).sort(),
      freedBytes: rows.reduce((sum, { size }) => sum + onDiskBytes(size), 0),
    }
  }

  /** Returns what leaves with it. */
  *evict({ repository, content: first }: MemberOf): Generator<void, Freed> {
    const mayLeave = this.#isPurged ? this.#sql.isPurgeable : this.#sql.isEvictable
    const before = this.#left.size
    const images = [first]
    const lost = new Map([[repository, 0]])
    for (const image of images) {
      if (this.#isGone(repository, image)) continue
      if (mayLeave.get(repository, image) === undefined) continue
      const needed = this.#neededBy(image)
      const ended = yield* this.#ended.evict({ repository, content: image })
      for (const { content, size } of ended)
        if (!this.#hasLeft(content)) add(lost, repository, onDiskBytes(size))
      this.#lose(image, 1)
      yield* this.#loseShared(repository, image, needed)
      const left = yield* this.#leave([image, ...needed], this.#listers(image))
      yield* this.#addLost(left, { repository, lost })
      const indexes = this.#sql.listIndexes.all(repository, image) as number[]
      images.push(...indexes.filter(index => this.#isEmpty(repository, index)))
    }
    return this.#freedSince(before, this.#keyed(lost))
  }

  /** Content that nothing needs; returns what leaves with it. */
  *loosen(content: number): Generator<void, Freed> {
    const before = this.#left.size
    const lost = new Map([[NOWHERE, 0]])
    const left = yield* this.#leave([content], 0)
    yield* this.#addLost(left, { repository: NOWHERE, lost })
    return this.#freedSince(before, this.#keyed(lost).slice(1))
  }

  #freedSince(before: number, repositories: readonly RepositoryBytes[]): Freed {
    const rows = [...this.#left.values()].slice(before)
    const bytes = rows.reduce((sum, { size }) => sum + onDiskBytes(size), 0)
    return { digests: rows.map(({ digest }) => digest), bytes, repositories }
  }

  *#addLost(
    left: readonly ContentRow[],
    { repository, lost }: { repository: number; lost: Map<number, number> },
  ): Generator<void> {
    let looked = 0
    for (const { id: content, size } of left) {
      const members = this.#ended.membersOf(content, repository)
      for (const each of members) add(lost, each, onDiskBytes(size))
      looked += 1 + members.length
      if (looked < ROWS_AT_ONCE) continue
      looked = 0
      yield
    }
  }

  /** The first stays first. */
  #keyed(lost: ReadonlyMap<number, number>): readonly RepositoryBytes[] {
    const [own, ...others] = [...lost].map(([id, bytes]) => {
      return { repository: this.#sql.keyOf.get(id) as RepositoryKey, bytes }
    })
    others.sort((a, b) => (a.repository < b.repository ? -1 : 1))
    return own === undefined ? others : [own, ...others]
  }

  #isGone(repository: number, content: number): boolean {
    return this.#ended.has({ repository, content }) || this.#hasLeft(content)
  }

  #hasLeft(content: number): boolean {
    return this.#left.has(content) || (this.#before !== undefined && this.#before.#hasLeft(content))
  }

  #lostOf(content: number): number {
    const before = this.#before === undefined ? 0 : this.#before.#lostOf(content)
    return (this.#lost.get(content) ?? 0) + before
  }

  #isEmpty(repository: number, index: number): boolean {
    const children = this.#sql.givenChildren.all({ repository, index }) as number[]
    return children.every(child => this.#isGone(repository, child))
  }

  /** Indexes that are here and list it, which do not need it. */
  #listers(image: number): number {
    const listers = this.#sql.listers.all(image) as number[]
    return listers.filter(lister => !this.#hasLeft(lister)).length
  }

  #neededBy(image: number): readonly number[] {
    const known = this.#needed.get(image)
    if (known !== undefined) return known
    if (this.#before !== undefined) return this.#before.#neededBy(image)
    return this.#sql.needed.all(image) as number[]
  }

  /**
   * Once only registries that do not share have been given it, it needs less (schema-needs.ts):
   * asked after it has left the repository.
   */
  *#loseShared(repository: number, image: number, needed: readonly number[]): Generator<void> {
    const isHere = (at: number) => !this.#ended.has({ repository: at, content: image })
    const apart = this.#sql.lastSharing.apartWithout({ repository, content: image }, isHere)
    if (apart.length === 0) return
    const still: number[] = []
    for (const [at, child] of needed.entries()) {
      if (at % ROWS_AT_ONCE === ROWS_AT_ONCE - 1) yield
      if (this.#sql.lastSharing.cameUnderAny(apart, child)) still.push(child)
      else this.#lose(child, 1)
    }
    this.#needed.set(image, still)
  }

  /** The first with what it has needed so far; returns what leaves. */
  *#leave(contents: number[], unneeded: number): Generator<void, readonly ContentRow[]> {
    const left: ContentRow[] = []
    for (const [at, id] of contents.entries()) {
      if (at % ROWS_AT_ONCE === ROWS_AT_ONCE - 1) yield
      if (this.#hasLeft(id)) continue
      const row = this.#sql.mayLeave.get(id) as ContentRow | undefined
      if (row === undefined) continue
      if (row.refs - this.#lostOf(id) !== (at === 0 ? unneeded : 0)) continue
      const digest = digestFromBytes(row.digest)
      if (this.#spared.has(digest)) continue
      this.#left.set(id, { digest, size: row.size })
      left.push(row)
      for (const child of this.#neededBy(id)) {
        this.#lose(child, 1)
        contents.push(child)
      }
    }
    return left
  }

  #lose(content: number, times: number): void {
    this.#lost.set(content, (this.#lost.get(content) ?? 0) + times)
  }
}

function add(sums: Map<number, number>, key: number, more: number): void {
  sums.set(key, (sums.get(key) ?? 0) + more)
}

function nothingFreed(repository: RepositoryKey): Freed {
  return { digests: [], bytes: 0, repositories: [{ repository, bytes: 0 }] }
}

function prepareFootprint(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const one = (sql: string) => row(sql).pluck()
  return {
    ...prepareImages(database),
    findImage: row(
      'SELECT r.id AS repository, c.id AS content FROM repository r CROSS JOIN content c WHERE r.key = ? AND c.digest = ?',
    ),
    findContent: one('SELECT id FROM content WHERE digest = ?'),
    givenChildren: one(GIVEN_CHILDREN('@repository', '@index')),
    listers: one(
      `SELECT e.parent FROM edge e CROSS JOIN content p ON p.id = e.parent AND p.present = 1
       WHERE e.child = ? AND e.kind = ${EDGE_CODES.manifest} AND ${NEEDS}`,
    ),
    lastSharing: lastSharing(database),
    keyOf: one('SELECT key FROM repository WHERE id = ?'),
    mayLeave: row(
      `SELECT c.id, c.digest, c.size, c.refs FROM content c
       WHERE c.id = ? AND c.present = 1 AND c.class = ${CLASS_CODES.cached} AND ${UNPROMISED}`,
    ),
    members: prepareEndedMembers(database),
  }
}
