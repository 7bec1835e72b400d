// Goal: neither rows nor files are in memory as a whole, and of what is wrong no more is remembered
// than is told, while all of it is counted. Method: a catalog and files that are made up as they
// are asked for, 50,000 of each, and count what was asked.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { fsck } from '../../../../src/registry/fsck/fsck.ts'
import { TOLD_MAX } from '../../../../src/registry/fsck/report.ts'
import type { FsckProgress } from '../../../../src/registry/fsck/steps.ts'
import { PAGE_ROWS } from '../../../../src/registry/pacing/pages.ts'
import type { InspectedBlob } from '../../../../src/registry/ports/inspected-files.ts'
import type { RecordedContent } from '../../../../src/registry/ports/catalog-content.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'

const COUNT = 50_000

const digestOf = (n: number) => `sha256:${n.toString(16).padStart(64, '0')}` as Digest

const rowOf = (n: number): RecordedContent => ({
  digest: digestOf(n),
  sizeBytes: 1,
  mediaType: undefined,
  contentClass: 'cached',
  createdAtMs: 1,
  lastUsedAtMs: 1,
  verifiedAtMs: 1,
  brokenAtMs: undefined,
})

interface Asked {
  rows: number
  files: number
  /** Rows that were asked for before the files beside them. */
  aheadMax: number
}

/** `isThere`: has a row a file? */
function madeUp(isThere: (n: number) => boolean) {
  const asked: Asked = { rows: 0, files: 0, aheadMax: 0 }
  const blobOf = (n: number): InspectedBlob => ({ digest: digestOf(n), sizeBytes: 1, is: 'file' })
  const numberOf = (digest: string) => Number.parseInt(digest.slice('sha256:'.length), 16)
  const catalog = {
    listContent: async ({ after, limit }: { after?: Digest; limit: number }) => {
      const first = after === undefined ? 0 : numberOf(after) + 1
      const length = Math.min(limit, COUNT - first)
      asked.rows = first + length
      return Array.from({ length }, (_, at) => rowOf(first + at))
    },
    findContent: async (digest: Digest) => rowOf(numberOf(digest)),
    listRepositoriesOf: async () => [],
    listRepositories: async () => [],
    listDeliveries: async () => [],
  } as Partial<Catalog> as Catalog
  const files = {
    async *blobs() {
      for (let n = 0; n < COUNT; n++) {
        asked.files = n
        asked.aheadMax = Math.max(asked.aheadMax, asked.rows - n)
        if (isThere(n)) yield blobOf(n)
      }
    },
    look: async (digest: Digest) =>
      isThere(numberOf(digest)) ? blobOf(numberOf(digest)) : undefined,
    others: async () => 0,
    placeOfFact: () => '',
    openRereader: () => {
      throw new Error('nothing is read')
    },
  }
  const facts = { has: async () => false, find: async () => undefined, async *list() {} }
  const told: FsckProgress[] = []
  const deps = {
    catalog,
    files,
    facts,
    clock: { sleep: async () => {} },
    inTurn: <T>(_key: string, work: () => Promise<T>) => work(),
  }
  const options = {
    read: undefined,
    catalogDamages: [],
    progress: (progress: FsckProgress) => void told.push(progress),
    signal: new AbortController().signal,
  }
  return { asked, told, run: () => fsck(deps, options) }
}

t.test('R979: rows are asked for by pages, no earlier than the files beside them', async t => {
  const { asked, told, run } = madeUp(() => true)
  t.match(await run(), { looked: { rows: COUNT, files: COUNT }, found: [] })
  t.ok(asked.aheadMax <= PAGE_ROWS, `${asked.aheadMax} rows ahead`)
  t.equal(told.length, COUNT / 1_000)
  t.match(told.at(-1), { at: 'files', done: COUNT, damages: 0 })
})

t.test('R979: however much is wrong, a bounded part is remembered and all is counted', async t => {
  const { run } = madeUp(n => n % 2 === 0)
  const { found } = await run()
  const [missing] = found
  t.match(missing, { kind: 'cached missing', count: COUNT / 2 })
  t.equal(missing?.damages.length, TOLD_MAX)
})
