// Row: what grows with the number of blobs that are here: the start, memory, a list of tags, and a
// pull of something that nobody asked for lately.
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { blobOf, makeDataDirectory, plainBlobs, repositoryName } from '../data-directory.ts'
import { residentMiB } from '../processes.ts'
import { collectSamples, directoryOf, type Row, type RowContext } from '../row.ts'
import { ENTREPOT, entrepot } from '../servers/entrepot.ts'
import { formatNumber, median, percentile } from '../statistics.ts'

const SIZES = { short: [1_000, 10_000, 100_000], full: [10_000, 100_000, 1_000_000] }
const IDLE_MS = 1_500
const CLIENTS = 8
const PULLS = 2_000
const PAGES = 50
const PAGE = 10
/**
 * Steps through all blobs without an order that a cache could guess; a prime that divides no size.
 */
const STRIDE = 7_919

const blobsLine = (blobs: number) => `${formatNumber(blobs)} blobs`

export const largeCatalog: Row = {
  id: 'large-catalog',
  goal: 'P10',
  title: 'A large catalog',
  rounds: { short: 1, full: 3 },
  method:
    'Data directories of small blobs, a tenth of them manifests with a tag each, in ten repositories under `localhost`; made beforehand, and as a stop in order leaves them. ' +
    'Ready is the first 200 to `GET /v2/`, with files that are in memory already. Then 2,000 blobs from all over the catalog are asked for by ' +
    '8 clients, none twice, and a page of 10 tags 50 times. The others keep no catalog and are not asked.',
  tables: [
    {
      table: 'large-catalog',
      title: 'A large catalog',
      lineHeading: 'holds',
      columns: [
        { measure: 'readyMs', heading: 'ready after, ms' },
        { measure: 'residentMiB', heading: 'resident when idle, MiB', digits: 1 },
        { measure: 'afterMiB', heading: 'after the pulls, MiB', digits: 1 },
        { measure: 'pullP99Ms', heading: 'pull p99, ms', digits: 2 },
        { measure: 'pageMs', heading: 'page of tags, ms', digits: 2 },
        { measure: 'failures', heading: 'failed answers' },
      ],
      growth: [
        { measure: 'readyMs', what: 'start with the number of blobs' },
        { measure: 'residentMiB', what: 'memory with the number of blobs' },
        { measure: 'pullP99Ms', what: 'pull p99 with the number of blobs' },
        { measure: 'pageMs', what: 'page of tags with the number of blobs' },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    for (const blobs of context.full ? SIZES.full : SIZES.short) {
      const line = blobsLine(blobs)
      context.tell(`making ${line}`)
      const own = directoryOf(context.directory, entrepot)
      await makeDataDirectory(join(own, 'data'), blobs)
      // The first start is not counted.
      await measure(context, blobs)
      for (let round = 1; round <= context.rounds; round += 1) {
        context.tell(`${line}, round ${round}`)
        const measures = await measure(context, blobs)
        add({ table: 'large-catalog', line, server: ENTREPOT, round, size: blobs, measures })
      }
      rmSync(own, { recursive: true, force: true })
    }
    return { samples, absences: [] }
  },
}

async function measure(context: RowContext, blobs: number) {
  const { upstream, directory, load } = context
  const own = directoryOf(directory, entrepot)
  if (!existsSync(own)) throw new Error('there is no data directory')
  const server = await entrepot.start({ upstreamUrl: upstream.url, directory: own })
  try {
    await wait(IDLE_MS)
    const idleMiB = residentMiB(server.pid)
    const all = plainBlobs(blobs)
    const pulls = Math.min(PULLS, all)
    const paths = Array.from({ length: pulls }, (_, n) => blobOf((n * STRIDE) % all).path)
    const pulled = await load.ask(server.url, paths, CLIENTS)
    const pages = Array.from(
      { length: PAGES },
      (_, n) => `/v2/${repositoryName(n)}/tags/list?n=${PAGE}`,
    )
    const listed = await load.ask(server.url, pages, 1)
    return {
      readyMs: server.readyMs,
      residentMiB: idleMiB,
      afterMiB: residentMiB(server.pid),
      pullP99Ms: percentile(pulled.waitsMs, 0.99),
      pageMs: median(listed.waitsMs),
      failures: pulled.failures + listed.failures,
    }
  } finally {
    await server.stop()
  }
}
