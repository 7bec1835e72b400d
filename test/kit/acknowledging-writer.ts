// A process that records blobs without end and prints each digest once it was acknowledged; test/unit/catalog/durability.test.ts kills it.
import { openSqliteCatalog } from '../../src/catalog/sqlite/open.ts'
import { alpine, digestNamed } from '../contract/catalog-samples.ts'
import { createManualClock } from './manual-clock.ts'

/** Writers at once, so that the kill meets commits of several operations. */
const WRITERS = 8

const directory = process.argv[2]
if (directory === undefined) throw new Error('usage: acknowledging-writer DIRECTORY')
const catalog = await openSqliteCatalog({ directory, clock: createManualClock(), note() {} })

async function recordForever(writer: number): Promise<never> {
  for (let n = 0; ; n++) {
    const digest = digestNamed(`${writer}/${n}`)
    await catalog.recordBlob({
      repository: alpine,
      digest,
      sizeBytes: n,
      contentClass: 'kept',
      atMs: n,
    })
    process.stdout.write(`${digest}\n`)
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, writer) => recordForever(writer)))
