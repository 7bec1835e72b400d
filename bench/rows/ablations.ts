// Row: what each thing earns that is there to make Entrepot faster: all of it, and all but one,
// side by side.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  ABLATIONS,
  ablated,
  WITHOUT_BOTH,
  WITHOUT_EXPECTED_CHALLENGES,
  WITHOUT_FIRST_REQUEST,
  WITHOUT_OPEN_FILES,
  WITHOUT_PREFETCH,
  WITHOUT_RANGES,
  WITHOUT_WARM_SOCKETS,
} from '../ablations.ts'
import { AT_ONCE, measureBlobs, measureImages } from '../ablated-pulls.ts'
import { warmUp } from '../cold-pull.ts'
import type { Absence, Sample } from '../figures.ts'
import { addHotImage, bringHere } from '../hot-image.ts'
import { measureBlob, measureSmall } from '../hot-measures.ts'
import { pullImage, TAG } from '../image-pull.ts'
import { limitConnections, startFarRegistry, startLink } from '../link.ts'
import {
  collectSamples,
  inRounds,
  joinSeen,
  type Row,
  type RowContext,
  type Seen,
  type Started,
  startServers,
} from '../row.ts'
import { ENTREPOT, entrepot } from '../servers/entrepot.ts'
import type { ServerKind } from '../servers/kind.ts'
import { startUpstream, type Upstream } from '../upstream.ts'

const REPOSITORY = 'bench/ablations'
const BLOB_BYTES = 100_000_000
/** Little above what is kept in memory: to open it is much of what it costs. */
const MIDDLE_BYTES = 5_000_000
const PER_CONNECTION = 10_000_000
const ROUND_TRIP_MS = 40
const HOT_SECONDS = 2
const HOT_IMAGE = {
  repository: REPOSITORY,
  seed: 'ablations/hot',
  layerBytes: [BLOB_BYTES, MIDDLE_BYTES],
}
const TEN_LAYERS = Array.from({ length: 10 }, () => 9_800_000)
const ONE_LAYER = [98_000_000]
/** So small that round trips are what they cost. */
const SMALL_LAYERS = Array.from({ length: 10 }, () => 500_000)

/** The token service is on another port. */
const AT_LOOPBACK = { upstream: { privateaddresses: true } }

/** A little longer than Entrepot keeps idle connections (`KEEP_ALIVE_MS`). */
const PAUSE_MS = 11_500

const NARROW = '10 MB/s each connection'
const FAR = `tokens, ${ROUND_TRIP_MS} ms away`
const AFTER_PAUSE = `image of 10 × 0.5 MB after a pause, TLS and storage, ${FAR}`

export const ablations: Row = {
  id: 'ablations',
  goal: 'Ablations',
  title: 'What each thing earns: with all of them, and without one',
  rounds: { short: 0, full: 5 },
  method:
    'Entrepot as it is, and copies of it in which one constant has another value, or one key of the configuration is set ' +
    '(`bench/ablations.ts`); in each case those that it could matter to. An image is one manifest and then ten blobs, three at a time, by ' +
    'a client that only reads; each is in a repository that nobody has asked for before. Away means a relay in front of the upstream, ' +
    'which holds every byte back for half of the time there and back, and all of a connection until its handshake would be over; its ' +
    'token service is near. "After a pause" the connections to the upstream are closed; it speaks TLS and redirects blobs to storage on another host, ' +
    'as far away. "After a start" asks a process that has just started: for an image, or for ten blobs of one at once, without its manifest. ' +
    '"To all" is the time over that of Entrepot as it is, in the same round.',
  tables: [
    {
      table: 'ablations',
      title: 'Not here yet',
      lineHeading: 'case',
      columns: [
        { measure: 'seconds', heading: 'whole, s', digits: 3 },
        { measure: 'toAll', heading: 'to all, ×', digits: 2 },
        { measure: 'firstByteMs', heading: 'first byte, ms', digits: 1 },
        { measure: 'cpuSeconds', heading: 'CPU, s', digits: 2 },
        { measure: 'requests', heading: 'requests upstream' },
        { measure: 'failures', heading: 'failures' },
      ],
    },
    {
      table: 'ablations-hot',
      title: 'Here',
      lineHeading: 'case',
      columns: [
        { measure: 'megabytesPerSecond', heading: 'MB/s' },
        { measure: 'cpuSecondsPerGB', heading: 'CPU, s per GB', digits: 3 },
        { measure: 'boxSecondsPerGB', heading: 'whole box, s per GB', digits: 3 },
        { measure: 'requestsPerSecond', heading: 'requests/s' },
        { measure: 'cpuMicroseconds', heading: 'CPU, µs per request', digits: 1 },
        { measure: 'boxMicroseconds', heading: 'whole box, µs per request', digits: 1 },
        { measure: 'failures', heading: 'failures' },
      ],
    },
  ],
  async run(context) {
    const kinds = new Map(ABLATIONS.map(each => [each, ablated(each, context.directory)]))
    const kindOf: Kinds = each => kinds.get(each) ?? entrepot
    return joinSeen([
      await measureNear(context, kindOf),
      await measureNarrow(context, kindOf),
      await measureFar(context, kindOf),
      await measureAfterPause(context, kindOf),
    ])
  },
}

type Kinds = (ablation: (typeof ABLATIONS)[number]) => ServerKind

/** What is here, and one blob that is not, over loopback. */
async function measureNear(context: RowContext, kindOf: Kinds): Promise<Seen> {
  const { samples, add } = collectSamples()
  const matter = [WITHOUT_OPEN_FILES, WITHOUT_RANGES].map(kindOf)
  await using servers = await startServers(context, [entrepot, ...matter])
  const { running, absences } = servers
  for (const started of running) await warmUp(context, started, REPOSITORY)
  const hot = running.filter(
    ({ kind }) => kind.name === ENTREPOT || kind.name === WITHOUT_OPEN_FILES.name,
  )
  add(...(await measureHot(context, hot)))
  const cold = running.filter(({ kind }) => kind.name !== WITHOUT_OPEN_FILES.name)
  for (const clients of [1, 20]) {
    const line = `blob of 100 MB, ${clients} at once`
    const blob = { line, repository: REPOSITORY, sizeBytes: BLOB_BYTES, clients }
    add(...(await measureBlobs(context, cold, blob)))
  }
  return { samples, absences }
}

interface HotCase {
  readonly line: string
  readonly measure: (started: Started) => Promise<Sample['measures']>
}

async function measureHot(
  context: RowContext,
  running: readonly Started[],
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  const { load } = context
  const image = await addHotImage(context, HOT_IMAGE)
  const [large = '', middle = ''] = image.blobs
  for (const started of running) await bringHere(context, started, image)
  const blob = (size: string, path: string, clients: number): HotCase => ({
    line: `blob of ${size}, ${clients} clients`,
    measure: ({ server }) => measureBlob({ load, server }, path, { clients, seconds: HOT_SECONDS }),
  })
  const cases = [
    blob('100 MB', large, 4),
    blob('100 MB', large, 64),
    blob('5 MB', middle, 4),
    blob('5 MB', middle, 64),
    {
      line: 'manifest by tag, 32 clients',
      measure: ({ server }: Started) => {
        const options = { clients: 32, seconds: HOT_SECONDS, accept: image.accept }
        return measureSmall(server, image.manifestByTag, options)
      },
    },
  ]
  for (const { measure, ...place } of inRounds(context, cases)) {
    for (const started of running) {
      const measures = await measure(started)
      add({ table: 'ablations-hot', ...place, server: started.kind.name, measures })
    }
  }
  return samples
}

/** An upstream that gives each connection so much. */
async function measureNarrow(context: RowContext, kindOf: Kinds): Promise<Seen> {
  const { samples, add } = collectSamples()
  const upstream = await limitConnections(context.upstream, PER_CONNECTION)
  const narrow = { ...context, upstream }
  const matter = [WITHOUT_RANGES, WITHOUT_PREFETCH, WITHOUT_BOTH]
  const images = [
    { line: `image of 1 × 98 MB, ${NARROW}`, layerBytes: ONE_LAYER },
    { line: `image of 10 × 9.8 MB, ${NARROW}`, layerBytes: TEN_LAYERS },
  ]
  try {
    await using servers = await startServers(narrow, [entrepot, ...matter.map(kindOf)])
    for (const started of servers.running) await warmUp(narrow, started, REPOSITORY)
    for (const image of images) add(...(await measureImages(narrow, servers.running, image)))
    return { samples, absences: servers.absences }
  } finally {
    await upstream.stop()
  }
}

/** An upstream that is far away and wants tokens. */
async function measureFar(context: RowContext, kindOf: Kinds): Promise<Seen> {
  const near = await startUpstream({ tokens: true })
  const link = await startLink(Number(new URL(near.url).port))
  const upstream: Upstream = { ...near, url: `http://127.0.0.1:${link.port}` }
  const far = { ...context, upstream }
  const blobs = {
    line: `10 blobs after a start, ${FAR}`,
    kinds: [entrepot, kindOf(WITHOUT_FIRST_REQUEST)],
    tags: [],
    atOnce: SMALL_LAYERS.length,
  }
  const image = {
    line: `image of 10 × 0.5 MB after a start, ${FAR}`,
    kinds: [entrepot, kindOf(WITHOUT_WARM_SOCKETS)],
    tags: [TAG],
    atOnce: AT_ONCE,
  }
  try {
    await link.set({ roundTripMs: ROUND_TRIP_MS })
    return joinSeen([
      await measureFarImages(far, kindOf),
      await measureStarts(far, blobs),
      await measureStarts(far, image),
    ])
  } finally {
    await Promise.all([link.stop(), near.stop()])
  }
}

async function measureFarImages(context: RowContext, kindOf: Kinds): Promise<Seen> {
  const matter = [WITHOUT_PREFETCH, WITHOUT_EXPECTED_CHALLENGES]
  const kinds = [entrepot, ...matter.map(kindOf)]
  await using servers = await startServers(context, kinds, AT_LOOPBACK)
  const images = { line: `image of 10 × 0.5 MB, ${FAR}`, layerBytes: SMALL_LAYERS }
  const samples = await measureImages(context, servers.running, images)
  return { samples, absences: servers.absences }
}

/**
 * As most images are pulled: nothing else was for longer than idle connections are kept. All
 * servers wait together and pull one after another.
 */
async function measureAfterPause(context: RowContext, kindOf: Kinds): Promise<Seen> {
  const upstream = await startFarRegistry(ROUND_TRIP_MS)
  const far = { ...context, upstream }
  try {
    const authority = join(context.directory, 'authority.pem')
    writeFileSync(authority, upstream.authority)
    const over = { ...AT_LOOPBACK.upstream, http: false, ca: authority }
    const kinds = [entrepot, kindOf(WITHOUT_WARM_SOCKETS)]
    await using servers = await startServers(far, kinds, { upstream: over })
    const images = { line: AFTER_PAUSE, layerBytes: SMALL_LAYERS, pauseMs: PAUSE_MS }
    const samples = await measureImages(far, servers.running, images)
    return { samples, absences: servers.absences }
  } finally {
    await upstream.stop()
  }
}

/** As the first thing that a process is asked for: no connection is open, no token there. */
interface Starts {
  readonly line: string
  readonly kinds: readonly ServerKind[]
  readonly tags: readonly string[]
  readonly atOnce: number
}

async function measureStarts(
  context: RowContext,
  { line, kinds, tags, atOnce }: Starts,
): Promise<Seen> {
  const { samples, add } = collectSamples()
  const absences: Absence[] = []
  for (const { round } of inRounds(context, [{ line }])) {
    let all: number | undefined
    for (const kind of kinds) {
      const alone = { ...context, beside: undefined }
      await using servers = await startServers(alone, [kind], AT_LOOPBACK)
      absences.push(...servers.absences)
      const [started] = servers.running
      if (started === undefined) continue
      const image = { seed: `${line}/${round}/${kind.name}`, layerBytes: SMALL_LAYERS }
      const seen = await pullImage(context, started, { ...image, tags, atOnce })
      all ??= seen.seconds
      const measures = { ...seen, toAll: seen.seconds / all }
      add({ table: 'ablations', line, server: kind.name, round, measures })
    }
  }
  return { samples, absences }
}
