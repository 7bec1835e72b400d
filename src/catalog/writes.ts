// Every write of the port, and of each what it may change of what clients were answered, what of it
// is bounded, and how much there is of it to be written. Whoever adds a write has to say so here:
// the table has a row for each, by its type.
import { type Repository, repositoryKey } from '../oci/reference.ts'
import type { CatalogReads, CatalogWrites, ChangedAnswers } from '../registry/ports/catalog.ts'
import type { DeleteOptions } from '../registry/ports/catalog-pushes.ts'
import { announcing, type Change } from './announce-changes.ts'
import {
  assertBounded,
  assertBoundedPin,
  assertBoundedNote,
  boundedChange,
  boundedRests,
} from './bounds.ts'

export type WriteName = keyof CatalogWrites
export type WriteArgs<Name extends WriteName> = Parameters<CatalogWrites[Name]>
/** What it resolves to: a plain value, or nothing. */
export type WriteResult<Name extends WriteName> = Awaited<ReturnType<CatalogWrites[Name]>>

/** A write as a plain value: the name of the port's method, and what it was called with. */
export type Operation = {
  [Name in WriteName]: { readonly name: Name; readonly args: WriteArgs<Name> }
}[WriteName]

interface Write<Args extends readonly unknown[]> {
  /**
   * Undefined: none. What only adds (a member, a list, a new blob) changes no answer that could be
   * remembered, and an entry of the outbox is part of none.
   */
  readonly changes: (...args: Args) => Change | undefined
  /**
   * What is written in place of `args`. Default just these.
   * @throws StoreError io for what is too long
   */
  readonly bounded?: (...args: Args) => Args
  /** That it stands for while it waits for the disk. Default 1. */
  readonly rows?: (...args: Args) => number
}

type Writes = { readonly [Name in WriteName]: Write<WriteArgs<Name>> }

const BYTES_PER_ROW = 200

/** What content that leaves takes along, more or less: itself, what it lists, who held it. */
const ROWS_LEFT = 10

/** With what an image lists: each of ten rows changes in a dozen places. */
const ROWS_OF_IMAGE = 150

const nothing = () => undefined
const of = (repository: Repository): Change => ({ of: { repository: repositoryKey(repository) } })

const WRITES: Writes = {
  recordManifest: {
    // By its digest it is answered with its media type, which may be another one now.
    changes: ({ repository, tag, manifest: { digest, mediaType } }) => {
      if (tag !== undefined) return of(repository)
      return {
        ...of(repository),
        part: digest,
        unless: async catalog => {
          const member = await catalog.findMember(repository, digest)
          return (member?.mediaType ?? mediaType) === mediaType
        },
      }
    },
    rows: ({ manifest }) => 1 + manifest.edges.length,
  },
  recordBlob: {
    // What comes a second time may lie in another file now, and the first one is still open
    // somewhere (registry/reading/open-blobs.ts).
    changes: ({ digest }) => ({
      of: { holdersOf: digest },
      part: 'file',
      unless: async catalog => (await catalog.findContent(digest)) === undefined,
    }),
  },
  recordMember: { changes: nothing },
  forgetContent: { changes: digest => ({ of: { holdersOf: digest } }) },

  recordTag: {
    // Confirmed where it points already, as most tags are, it changes nothing but its time, which
    // whoever remembers answers knows.
    changes: (repository, tag, digest) => ({
      ...of(repository),
      part: tag,
      unless: async catalog => (await catalog.findTag(repository, tag))?.digest === digest,
    }),
  },
  forgetTag: { changes: of },
  recordList: { changes: nothing },
  forgetList: { changes: nothing },

  // No answer tells of them. Of a manifest, its tag, and its bytes.
  noteUses: { changes: nothing, rows: uses => 3 * uses.length },

  recordPush: {
    changes: ({ repository }) => of(repository),
    bounded: record => {
      if (record.delivery !== undefined) assertBounded(record.delivery)
      return [record]
    },
    rows: ({ manifest, tags, delivery, durable = [] }) =>
      1 + manifest.edges.length + tags.length + durable.length + textRows(delivery?.payload),
  },
  deleteTag: {
    changes: of,
    bounded: (repository, tag, options) => [repository, tag, boundedRests(options)],
    rows: (_repository, _tag, options) => 1 + withdrawnRows(options),
  },
  removeMember: {
    changes: of,
    bounded: (repository, digest, options) => [repository, digest, boundedRests(options)],
    rows: (_repository, _digest, options) => 1 + withdrawnRows(options),
  },
  expirePendingBlob: { changes: ({ repository }) => of(repository) },

  recordDelivery: {
    changes: nothing,
    bounded: delivery => {
      assertBounded(delivery)
      return [delivery]
    },
    rows: ({ payload }) => 1 + textRows(payload),
  },
  changeDelivery: {
    changes: nothing,
    bounded: (id, change) => [id, boundedChange(change)],
    rows: (_id, { payload, reason, alsoReason }) =>
      1 + textRows(payload) + textRows(reason) + textRows(alsoReason),
  },
  removeDelivery: {
    changes: (_id, settled) => (settled === undefined ? undefined : of(settled.repository)),
  },

  // Told of before the file goes, which whoever remembers an answer may have open.
  letGo: {
    changes: ({ atMs }) => ({ of: { leftAtMs: atMs } }),
    rows: ({ digests }) => ROWS_LEFT * digests.length,
  },
  stampLoose: { changes: nothing },
  finishLeaving: { changes: nothing, rows: digests => ROWS_LEFT * digests.length },
  lease: { changes: nothing, rows: ({ digests }) => digests.length },
  expireLeases: { changes: nothing },
  putBack: { changes: nothing },
  endFollowing: { changes: nothing },
  adopt: { changes: nothing, rows: files => files.length },
  noteStock: { changes: nothing, rows: (_isAllFound, butFor = []) => 1 + butFor.length },
  tidy: { changes: () => ({ of: 'whatever is forgotten' }), rows: ({ rows }) => rows },

  recount: { changes: nothing, rows: rows => rows },

  pin: {
    changes: nothing,
    bounded: pin => {
      assertBoundedPin(pin)
      return [pin]
    },
  },
  unpin: { changes: nothing },
  noteJob: {
    changes: nothing,
    bounded: run => {
      assertBoundedNote(run)
      return [run]
    },
  },
  evictImage: {
    changes: ({ repository, atMs }) => ({
      of: { leftAtMs: atMs, from: repositoryKey(repository) },
    }),
    rows: () => ROWS_OF_IMAGE,
  },
  trimGhosts: { changes: nothing },
  noteVerified: { changes: nothing, rows: ({ digests, broken }) => digests.length + broken.length },
}

/** Every write goes through `write`, which resolves to its result when it is durable. */
export interface WriteTarget {
  readonly write: (operation: Operation, rows: number) => Promise<unknown>
  /** Of the same catalog. */
  readonly reads: CatalogReads
  /** Is told what each write changes. */
  readonly epochs: ChangedAnswers
}

/** The writes of the port, one method for each row of the table. */
export function writesTo({ write, reads, epochs }: WriteTarget): CatalogWrites {
  const announce = announcing(reads, epochs)
  const method = (name: WriteName) => {
    const row = WRITES[name] as Write<readonly unknown[]>
    return async (...given: readonly unknown[]): Promise<unknown> => {
      const args = row.bounded?.(...given) ?? given
      const operation = { name, args } as Operation
      return announce(row.changes(...args), () => write(operation, row.rows?.(...args) ?? 1))
    }
  }
  const names = Object.keys(WRITES) as WriteName[]
  return Object.fromEntries(names.map(name => [name, method(name)])) as unknown as CatalogWrites
}

function withdrawnRows({ dropDeliveries = [], changeDeliveries = [] }: DeleteOptions = {}): number {
  const changed = changeDeliveries.map(({ payload }) => 1 + textRows(payload))
  return changed.reduce((sum, rows) => sum + rows, dropDeliveries.length)
}

/** A long text takes the memory of many rows. */
function textRows(text = ''): number {
  return Math.ceil(text.length / BYTES_PER_ROW)
}
