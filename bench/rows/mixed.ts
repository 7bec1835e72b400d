// Row: everything at once for ten minutes. What is looked for is not speed: no errors, memory that
// does not grow, health that answers.
import { setTimeout as wait } from 'node:timers/promises'
import { isWhole, type Load, startLoad } from '../load.ts'
import { startProbe } from '../probe.ts'
import { residentMiB } from '../processes.ts'
import { MEBIBYTE, openPushFile } from '../pushing.ts'
import { collectSamples, type Row, type RowContext, startServers } from '../row.ts'
import type { RunningServer } from '../server-process.ts'
import { entrepot } from '../servers/entrepot.ts'
import { formatNumber, percentile, type Point, slope } from '../statistics.ts'

const SECONDS = { short: 20, full: 600 }
const REPOSITORY = 'bench/mixed'
const PUSH_REPOSITORY = 'localhost/bench/mixed'
const HOT_BYTES = 50_000_000
const COLD_BYTES = 5_000_000
const HOT_CLIENTS = 4
const SMALL_CLIENTS = 8
/** Asked for before its clients look at the clock again. */
const SMALL_BATCH = 200
const COLD_CLIENTS = 4
const PUSH = { sizeBytes: MEBIBYTE, blobs: 4, atOnce: 2 } as const
const STALLED = 50
/**
 * Between two turns of what takes a core by itself: a machine that has no time left says nothing of
 * the server on it.
 */
const HOT_PAUSE_MS = 500
const SMALL_PAUSE_MS = 20
/** Between two turns of what would fill the disk: cold pulls, pushes, readers that leave. */
const PAUSE_MS = 1_000
const PROBE_MS = 100
const LOOK_MS = 2_000
/** A process takes what it needs in its first minutes; from then on nothing may grow. */
const WARM_SHARE = 0.3
const MINUTE_MS = 60_000
/** Of the series of memory that is shown. */
const SHOWN = 6

export const MIXED = 'everything at once'

export const mixed: Row = {
  id: 'mixed',
  goal: 'Mixed',
  title: 'Ten minutes of everything at once',
  rounds: { short: 0, full: 1 },
  method:
    `At once, with short pauses that leave some of the machine idle: ${HOT_CLIENTS} clients download a blob of 50 MB again and again; ` +
    `${SMALL_CLIENTS} ask for manifests by tag and digest and for small blobs; every second ${COLD_CLIENTS} clients pull a blob of 5 MB that nobody has seen, and ${PUSH.blobs} blobs ` +
    `of 1 MiB are pushed; ${STALLED} readers stall, leave without a word, and others come. Health is asked ten times a second. Resident ` +
    'memory is looked at every two seconds; its slope is that of a straight line through all but the first 30 % of the time.',
  tables: [
    {
      table: 'mixed',
      title: 'Mixed load',
      lineHeading: 'load',
      columns: [
        { measure: 'minutes', heading: 'minutes', digits: 1 },
        { measure: 'answers', heading: 'whole answers' },
        { measure: 'gigabytes', heading: 'GB sent', digits: 1 },
        { measure: 'pushes', heading: 'blobs pushed' },
        { measure: 'failures', heading: 'errors' },
        { measure: 'livezMs', heading: 'livez p99, ms', digits: 1 },
        { measure: 'readyzMs', heading: 'readyz p99, ms', digits: 1 },
        { measure: 'resident', heading: 'resident over time, MiB' },
        { measure: 'slopePerMinute', heading: 'slope, MiB per minute', digits: 2 },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    await using servers = await startServers(context, [entrepot], { ttl: '1s' })
    for (const { kind, server } of servers.running) {
      const measures = await measure(context, server)
      add({ table: 'mixed', line: MIXED, server: kind.name, round: 1, measures })
    }
    return { samples, absences: [] }
  },
}

/** What each kind of client has done so far. */
interface Tally {
  answers: number
  bytes: number
  pushes: number
  failures: number
}

interface Scene {
  readonly context: RowContext
  readonly server: RunningServer
  readonly tally: Tally
  readonly isOver: () => boolean
}

async function measure(context: RowContext, server: RunningServer) {
  const seconds = context.full ? SECONDS.full : SECONDS.short
  const tally: Tally = { answers: 0, bytes: 0, pushes: 0, failures: 0 }
  const endMs = performance.now() + seconds * 1000
  const scene = { context, server, tally, isOver: () => performance.now() >= endMs }
  const loads = await Promise.all([startLoad(), startLoad(), startLoad()])
  const [forHot, forSmall, forStalled] = loads
  const livez = startProbe(`${server.adminUrl}/livez`, PROBE_MS)
  const readyz = startProbe(`${server.adminUrl}/readyz`, PROBE_MS)
  const memory: Point[] = []
  try {
    await Promise.all([
      runHot(scene, forHot),
      runSmall(scene, forSmall),
      runCold(scene),
      runPushes(scene),
      runStalled(scene, forStalled),
      watch(scene, memory),
    ])
  } finally {
    await Promise.all(loads.map(load => load.stop()))
  }
  const alive = await livez()
  const ready = await readyz()
  const settled = memory.slice(Math.floor(memory.length * WARM_SHARE))
  const shown = memory.filter((_, index) => index % Math.ceil(memory.length / SHOWN) === 0)
  return {
    minutes: seconds / 60,
    answers: tally.answers,
    gigabytes: tally.bytes / 1e9,
    pushes: tally.pushes,
    failures: tally.failures + alive.failures + ready.failures,
    livezMs: percentile(alive.waitsMs, 0.99),
    readyzMs: percentile(ready.waitsMs, 0.99),
    resident: [...shown, ...memory.slice(-1)].map(({ value }) => formatNumber(value)).join(', '),
    slopePerMinute: slope(settled),
  }
}

async function watch({ server, isOver, context }: Scene, memory: Point[]): Promise<void> {
  while (!isOver()) {
    const value = residentMiB(server.pid)
    memory.push({ size: performance.now() / MINUTE_MS, value })
    if (memory.length % 30 === 0) context.tell(`${formatNumber(value)} MiB`)
    await wait(LOOK_MS)
  }
}

async function addImage({ context }: Scene, tag: string, layerBytes: readonly number[]) {
  const image = { repository: REPOSITORY, tag, seed: `mixed/${tag}`, layerBytes }
  return context.upstream.addImage(image)
}

const blobPath = (digest = '') => `/v2/${REPOSITORY}/blobs/${digest}`

async function runHot(scene: Scene, load: Load): Promise<void> {
  const { server, tally, isOver } = scene
  const { layers } = await addImage(scene, 'hot', [HOT_BYTES])
  while (!isOver()) {
    const path = blobPath(layers[0])
    const seen = await load.pull(server.url, [path, path, path, path], { clients: HOT_CLIENTS })
    count(tally, seen)
    await wait(HOT_PAUSE_MS)
  }
}

async function runSmall(scene: Scene, load: Load): Promise<void> {
  const { server, tally, isOver } = scene
  const { layers, config, manifestDigest } = await addImage(scene, 'small', [1000, 4096, 30_000])
  const manifests = `/v2/${REPOSITORY}/manifests`
  const all = [`${manifests}/small`, `${manifests}/${manifestDigest}`]
  const paths = [...all, ...[config, ...layers].map(blobPath)]
  const batch = Array.from({ length: SMALL_BATCH }, (_, n) => paths[n % paths.length] ?? '')
  while (!isOver()) {
    const { waitsMs, failures } = await load.ask(server.url, batch, SMALL_CLIENTS)
    tally.answers += waitsMs.length - failures
    tally.failures += failures
    await wait(SMALL_PAUSE_MS)
  }
}

async function runCold(scene: Scene): Promise<void> {
  const { context, server, tally, isOver } = scene
  for (let turn = 0; !isOver(); turn += 1) {
    const { layers } = await addImage(scene, `cold-${turn}`, [COLD_BYTES])
    const options = { clients: COLD_CLIENTS }
    count(tally, await context.load.pull(server.url, [blobPath(layers[0])], options))
    await context.upstream.forget(REPOSITORY, layers)
    await wait(PAUSE_MS)
  }
}

async function runPushes({ context, server, tally, isOver }: Scene): Promise<void> {
  using file = openPushFile(context.directory)
  for (let turn = 0; !isOver(); turn += 1) {
    file.write(`mixed/${turn}`, PUSH)
    const { blobs, failures } = await file.push(server.url, PUSH_REPOSITORY, PUSH)
    tally.pushes += blobs - failures.length
    tally.failures += failures.length
    await wait(PAUSE_MS)
  }
}

/** They come, stay for a while and are gone. */
async function runStalled(scene: Scene, load: Load): Promise<void> {
  const { server, tally, isOver } = scene
  const { layers } = await addImage(scene, 'stalled', [HOT_BYTES])
  const path = blobPath(layers[0])
  count(tally, await load.pull(server.url, [path]))
  while (!isOver()) {
    const { refused } = await load.hold(server.url, path, STALLED)
    tally.failures += refused
    await wait(PAUSE_MS)
    await load.release()
    await wait(PAUSE_MS)
  }
}

function count(tally: Tally, seen: Awaited<ReturnType<Load['pull']>>): void {
  for (const pulled of seen) {
    if (isWhole(pulled)) tally.answers += 1
    else tally.failures += 1
    tally.bytes += pulled.bodyBytes
  }
}
