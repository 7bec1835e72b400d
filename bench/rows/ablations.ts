// Row: what each thing earns that is there to make Entrepot faster: all of it, and all but one,
// side by side.
import {
  ABLATIONS,
  ablated,
  WITHOUT_BOTH,
  WITHOUT_EXPECTED_CHALLENGES,
  WITHOUT_FIRST_REQUEST,
  WITHOUT_KEPT_OPEN,
  WITHOUT_PREFETCH,
  WITHOUT_RANGES,
  WITHOUT_WARM_SOCKETS,
} from '../ablations.ts'
import { coldPull, warmUp } from '../cold-pull.ts'
import type { Absence, Sample } from '../figures.ts'
import { measureBlob, measureSmall } from '../hot-measures.ts'
import { pullImage, TAG } from '../image-pull.ts'
import { limitConnections, startLink } from '../link.ts'
import { collectSamples, type Row, type RowContext, type Started, startServers } from '../row.ts'
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
/** What a client of an image takes at a time. */
const AT_ONCE = 3
const TEN_LAYERS = Array.from({ length: 10 }, () => 9_800_000)
const ONE_LAYER = [98_000_000]
/** So small that round trips are what they cost. */
const SMALL_LAYERS = Array.from({ length: 10 }, () => 500_000)

/** The token service is on another port. */
const AT_LOOPBACK = { upstream: { privateaddresses: true } }

const NARROW = '10 MB/s each connection'
const FAR = `tokens, ${ROUND_TRIP_MS} ms away`

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
    'token service is near. "After a start" asks a process that has just started: for an image, or for ten blobs of one at once, without its manifest. ' +
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
        { measure: 'failures', heading: 'failures' },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const absences: Absence[] = []
    const kinds = new Map(ABLATIONS.map(each => [each, ablated(each, context.directory)]))
    const parts = [measureNear, measureNarrow, measureFar]
    for (const part of parts) {
      const seen = await part(context, each => kinds.get(each) ?? entrepot)
      for (const sample of seen.samples) add(sample)
      absences.push(...seen.absences)
    }
    return { samples, absences }
  },
}

type Kinds = (ablation: (typeof ABLATIONS)[number]) => ServerKind
interface Seen {
  readonly samples: readonly Sample[]
  readonly absences: readonly Absence[]
}

/** What is here, and one blob that is not, over loopback. */
async function measureNear(context: RowContext, kindOf: Kinds): Promise<Seen> {
  const { samples, add } = collectSamples()
  const matter = [WITHOUT_KEPT_OPEN, WITHOUT_RANGES, WITHOUT_WARM_SOCKETS].map(kindOf)
  const { running, absences, stop } = await startServers(context, [entrepot, ...matter])
  try {
    for (const started of running) await warmUp(context, started, REPOSITORY)
    const hot = running.filter(
      ({ kind }) => kind.name === ENTREPOT || kind.name === WITHOUT_KEPT_OPEN.name,
    )
    for (const sample of await measureHot(context, hot)) add(sample)
    const cold = running.filter(({ kind }) => kind.name !== WITHOUT_KEPT_OPEN.name)
    for (const clients of [1, 20]) {
      const line = `blob of 100 MB, ${clients} at once`
      for (const sample of await measureBlobs(context, cold, { line, clients })) add(sample)
    }
  } finally {
    await stop()
  }
  return { samples, absences }
}

async function measureHot(
  context: RowContext,
  running: readonly Started[],
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  const { upstream, load, rounds } = context
  const layerBytes = [BLOB_BYTES, MIDDLE_BYTES]
  const image = { repository: REPOSITORY, tag: 'hot', seed: 'ablations/hot', layerBytes }
  const { layers, mediaType } = await upstream.addImage(image)
  const manifest = `/v2/${REPOSITORY}/manifests/hot`
  const [large = '', middle = ''] = layers.map(digest => `/v2/${REPOSITORY}/blobs/${digest}`)
  for (const { server } of running) await load.pull(server.url, [manifest, large, middle])
  const cases = [
    { line: 'blob of 100 MB, 4 clients', blob: large, clients: 4 },
    { line: 'blob of 100 MB, 64 clients', blob: large, clients: 64 },
    { line: 'blob of 5 MB, 4 clients', blob: middle, clients: 4 },
    { line: 'blob of 5 MB, 64 clients', blob: middle, clients: 64 },
  ]
  for (let round = 1; round <= rounds; round += 1) {
    for (const { line, blob, clients } of cases) {
      context.tell(`${line}, round ${round}`)
      for (const { kind, server } of running) {
        const options = { clients, seconds: HOT_SECONDS }
        const measures = await measureBlob({ load, server }, blob, options)
        add({ table: 'ablations-hot', line, server: kind.name, round, measures })
      }
    }
    const line = 'manifest by tag, 32 clients'
    for (const { kind, server } of running) {
      const options = { clients: 32, seconds: HOT_SECONDS, accept: mediaType }
      const measures = await measureSmall(server, manifest, options)
      add({ table: 'ablations-hot', line, server: kind.name, round, measures })
    }
  }
  return samples
}

/** An upstream that gives each connection so much. */
async function measureNarrow(context: RowContext, kindOf: Kinds): Promise<Seen> {
  const { samples, add } = collectSamples()
  const upstream = await limitConnections(context.upstream, PER_CONNECTION)
  const narrow = { ...context, upstream }
  const matter = [WITHOUT_RANGES, WITHOUT_PREFETCH, WITHOUT_BOTH, WITHOUT_WARM_SOCKETS]
  const { running, absences, stop } = await startServers(narrow, [entrepot, ...matter.map(kindOf)])
  try {
    for (const started of running) await warmUp(narrow, started, REPOSITORY)
    const images = [
      { line: `image of 1 × 98 MB, ${NARROW}`, layerBytes: ONE_LAYER },
      { line: `image of 10 × 9.8 MB, ${NARROW}`, layerBytes: TEN_LAYERS },
    ]
    for (const image of images)
      for (const sample of await measureImages(narrow, running, image)) add(sample)
  } finally {
    await stop()
    await upstream.stop()
  }
  return { samples, absences }
}

/** An upstream that is far away and wants tokens. */
async function measureFar(context: RowContext, kindOf: Kinds): Promise<Seen> {
  const { samples, add } = collectSamples()
  const near = await startUpstream({ tokens: true })
  const link = await startLink(Number(new URL(near.url).port))
  const upstream: Upstream = { ...near, url: `http://127.0.0.1:${link.port}` }
  const far = { ...context, upstream }
  try {
    await link.set({ roundTripMs: ROUND_TRIP_MS })
    const matter = [WITHOUT_PREFETCH, WITHOUT_WARM_SOCKETS, WITHOUT_EXPECTED_CHALLENGES]
    const { running, absences, stop } = await startServers(
      far,
      [entrepot, ...matter.map(kindOf)],
      AT_LOOPBACK,
    )
    try {
      const line = `image of 10 × 0.5 MB, ${FAR}`
      const images = { line, layerBytes: SMALL_LAYERS }
      for (const sample of await measureImages(far, running, images)) add(sample)
    } finally {
      await stop()
    }
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
    for (const starts of [blobs, image])
      for (const sample of await measureStarts(far, starts)) add(sample)
    return { samples, absences }
  } finally {
    await Promise.all([link.stop(), near.stop()])
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
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  for (let round = 1; round <= context.rounds; round += 1) {
    context.tell(`${line}, round ${round}`)
    let all: number | undefined
    for (const kind of kinds) {
      const { running, stop } = await startServers(
        { ...context, beside: undefined },
        [kind],
        AT_LOOPBACK,
      )
      try {
        const [started] = running
        if (started === undefined) continue
        const image = { seed: `${line}/${round}/${kind.name}`, layerBytes: SMALL_LAYERS }
        const measures = await pullImage(context, started, { ...image, tags, atOnce })
        all ??= measures.seconds
        const toAll = measures.seconds / all
        add({
          table: 'ablations',
          line,
          server: kind.name,
          round,
          measures: { ...measures, toAll },
        })
      } finally {
        await stop()
      }
    }
  }
  return samples
}

async function measureBlobs(
  context: RowContext,
  running: readonly Started[],
  { line, clients }: { readonly line: string; readonly clients: number },
): Promise<readonly Sample[]> {
  return eachRound(context, running, line, async (started, seed) => {
    const cold = { repository: REPOSITORY, seed, sizeBytes: BLOB_BYTES, clients }
    const { clients: pulled, counts, cpuSeconds } = await coldPull(context, started, cold)
    return {
      seconds: Math.max(...pulled.map(({ lastByteMs }) => lastByteMs)) / 1000,
      firstByteMs: Math.min(...pulled.map(({ firstByteMs }) => firstByteMs)),
      cpuSeconds,
      requests: counts.requests,
      failures: pulled.filter(({ complete, status }) => !complete || status !== 200).length,
    }
  })
}

async function measureImages(
  context: RowContext,
  running: readonly Started[],
  { line, layerBytes }: { readonly line: string; readonly layerBytes: readonly number[] },
): Promise<readonly Sample[]> {
  // The first image of a process is not counted: it is that of a compiler.
  for (const started of running) {
    const warm = { seed: `${line}/warm/${started.kind.name}`, tags: [TAG], layerBytes }
    await pullImage(context, started, { ...warm, atOnce: AT_ONCE })
  }
  return eachRound(context, running, line, (started, seed) =>
    pullImage(context, started, { seed, tags: [TAG], atOnce: AT_ONCE, layerBytes }),
  )
}

/** Every server in each round; the first of them is that with all. */
async function eachRound(
  context: RowContext,
  running: readonly Started[],
  line: string,
  measure: (
    started: Started,
    seed: string,
  ) => Promise<{ readonly seconds: number } & Sample['measures']>,
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  for (let round = 1; round <= context.rounds; round += 1) {
    context.tell(`${line}, round ${round}`)
    let all: number | undefined
    for (const started of running) {
      const server = started.kind.name
      const measures = await measure(started, `${line}/${round}/${server}`)
      all ??= measures.seconds
      const toAll = measures.seconds / all
      add({ table: 'ablations', line, server, round, measures: { ...measures, toAll } })
    }
  }
  return samples
}
