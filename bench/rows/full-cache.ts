// Row: cold blobs and images through a cache that is full, for which others leave, next to one that
// has room.
import { join } from 'node:path'
import { coldPull } from '../cold-pull.ts'
import { pullImage, TAG } from '../image-pull.ts'
import { limitConnections } from '../link.ts'
import {
  collectSamples,
  inRounds,
  joinSeen,
  type Row,
  type RowContext,
  type Seen,
  type Started,
} from '../row.ts'
import { ENTREPOT, entrepot } from '../servers/entrepot.ts'

const CLIENTS = 20
const BLOB_BYTES = 100_000_000
const REPOSITORY = 'bench/full'
/** As skopeo asks: its manifest, then blob after blob. */
const IMAGE = {
  tags: [TAG],
  atOnce: 1,
  layerBytes: Array.from({ length: 10 }, () => 9_800_000),
}
const PER_CONNECTION = 10_000_000
/** Three of these blobs, or images, and no more. */
const MAX_SIZE = '350MB'
/** So that it is full, and both have found out how many connections pay. */
const WARM_PULLS = 4

export const IN_FULL = `${CLIENTS}, full`
const IN_EMPTY = `${CLIENTS}, with room`
export const IMAGE_IN_FULL = '1, full'
const IMAGE_IN_EMPTY = '1, with room'

export const fullCache: Row = {
  id: 'full-cache',
  goal: 'P5',
  title: 'Cold, through a full cache',
  rounds: { short: 3, full: 15 },
  method:
    'As in "Cold", with the upstream not limited, through two edges: one with room for all blobs, and one whose `storage.maxsize` has three of them, ' +
    'so that for each that comes the oldest one leaves. Then whole images of 98 MB, manifest first and blob after blob, from an upstream that ' +
    'gives each connection 10 MB/s: what is fetched ahead, and in ranges, needs room as well.',
  tables: [
    {
      table: 'full-cache',
      title: 'Many clients, one cold blob',
      lineHeading: 'clients, cache',
      columns: [
        { measure: 'gets', heading: 'GETs upstream' },
        { measure: 'seconds', heading: 'last client done, s', digits: 2 },
        { measure: 'toEmpty', heading: '× with room', digits: 2 },
        { measure: 'cpuSeconds', heading: 'CPU, s', digits: 2 },
        { measure: 'failures', heading: 'clients without a whole blob' },
      ],
    },
    {
      table: 'full-cache-images',
      title: 'One client, a cold image of ten layers, 10 MB/s for each connection',
      lineHeading: 'clients, cache',
      columns: [
        { measure: 'requests', heading: 'requests upstream' },
        { measure: 'seconds', heading: 'whole image, s', digits: 2 },
        { measure: 'toEmpty', heading: '× with room', digits: 2 },
        { measure: 'cpuSeconds', heading: 'CPU, s', digits: 2 },
        { measure: 'failures', heading: 'failures' },
      ],
    },
  ],
  async run(context) {
    const blobs = await measure(context, {
      table: 'full-cache',
      lines: [IN_EMPTY, IN_FULL],
      pull: (started, seed) => pull(context, started, seed),
    })
    const upstream = await limitConnections(context.upstream, PER_CONNECTION)
    const limited = { ...context, upstream }
    try {
      const images = await measure(limited, {
        table: 'full-cache-images',
        lines: [IMAGE_IN_EMPTY, IMAGE_IN_FULL],
        pull: (started, seed) => pullImage(limited, started, { ...IMAGE, seed }),
      })
      return joinSeen([blobs, images])
    } finally {
      await upstream.stop()
    }
  },
}

interface Case {
  readonly table: string
  /** With room, and full. */
  readonly lines: readonly [string, string]
  readonly pull: (
    started: Started,
    seed: string,
  ) => Promise<Readonly<Record<string, number>> & { readonly seconds: number }>
}

/** Through an edge with room, and right after that through a full one. */
async function measure(context: RowContext, { table, lines, pull: pullOne }: Case): Promise<Seen> {
  const { samples, add } = collectSamples()
  const [inEmpty, inFull] = lines
  const roomy = await start(context, `${table}-roomy`, {})
  try {
    const full = await start(context, `${table}-full`, { maxsize: MAX_SIZE, minfree: '0' })
    try {
      for (const [at, started] of [roomy, full].entries())
        for (let n = 0; n < WARM_PULLS; n += 1) await pullOne(started, `${table}/warm/${at}/${n}`)
      for (const { round } of inRounds(context, [{ line: inFull }])) {
        const common = { table, server: ENTREPOT, round }
        const before = await pullOne(roomy, `${table}/roomy/${round}`)
        const after = await pullOne(full, `${table}/full/${round}`)
        add({ ...common, line: inEmpty, measures: before })
        const toEmpty = after.seconds / before.seconds
        add({ ...common, line: inFull, measures: { ...after, toEmpty } })
      }
    } finally {
      await full.server.stop()
    }
  } finally {
    await roomy.server.stop()
  }
  return { samples, absences: [] }
}

async function start(
  { upstream, directory }: RowContext,
  name: string,
  storage: Readonly<Record<string, string>>,
): Promise<Started> {
  const own = join(directory, name)
  const options = { upstreamUrl: upstream.url, directory: own, storage }
  return { kind: entrepot, server: await entrepot.start(options) }
}

async function pull(context: RowContext, started: Started, seed: string) {
  const wanted = { repository: REPOSITORY, seed, sizeBytes: BLOB_BYTES, clients: CLIENTS }
  const { counts, seconds, cpuSeconds, failures } = await coldPull(context, started, wanted)
  return { gets: counts.requests, seconds, cpuSeconds, failures }
}
