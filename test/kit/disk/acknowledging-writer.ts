// A process that records blobs and pushes without end and prints each once it was acknowledged: a
// digest, and for a push the number of its entry in the outbox.
// test/unit/catalog/durability.test.ts kills it.
import { createEpochs } from '../../../src/registry/epochs.ts'
import { openSqliteCatalog } from '../../../src/catalog/sqlite/open.ts'
import { parseTag } from '../../../src/oci/reference.ts'
import {
  alpine,
  deliveryNamed,
  digestNamed,
  manifestNamed,
} from '../../contract/catalog-samples.ts'
import { createManualClock } from '../manual-clock.ts'

/** Writers at once, so that the kill meets commits of several operations. */
const WRITERS = 8

const directory = process.argv[2]
if (directory === undefined) throw new Error('usage: acknowledging-writer DIRECTORY')
const catalog = await openSqliteCatalog({
  directory,
  clock: createManualClock(),
  note() {},
  epochs: createEpochs(),
})

async function recordForever(writer: number): Promise<never> {
  for (let n = 0; ; n++) {
    const digest = digestNamed(`${writer}/${n}`)
    await catalog.recordBlob({
      repository: alpine,
      digest,
      sizeBytes: n,
      hold: 'awaited',
      atMs: n,
    })
    process.stdout.write(`${digest}\n`)
    const id = catalog.sequence()
    const manifest = manifestNamed(`manifest ${writer}/${n}`)
    await catalog.recordPush({
      repository: alpine,
      manifest,
      hold: 'undelivered',
      tags: [parseTag(`t${id}`)],
      delivery: deliveryNamed(id, alpine),
      atMs: n,
    })
    process.stdout.write(`${manifest.digest} ${id}\n`)
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, writer) => recordForever(writer)))
