// Row: how long the event loop is held up while everything that works in the background works as
// fast as it can.
import { isWhole } from '../load.ts'
import { readMetric } from '../prometheus.ts'
import { startProbe } from '../probe.ts'
import { MEBIBYTE, openPushFile, type PushFile } from '../pushing.ts'
import { collectSamples, inRounds, type Row, type RowContext, startServers } from '../row.ts'
import type { RunningServer } from '../server-process.ts'
import { entrepot } from '../servers/entrepot.ts'
import { percentile } from '../statistics.ts'
import type { Upstream } from '../upstream.ts'

const FILLS = [1, 2, 4]
/** One after the other for each fill; held by the upstream from before the clock starts. */
const BLOBS = { short: 2, full: 5 }
const BLOB_BYTES = 100_000_000
const PULL_REPOSITORY = 'bench/loop'
const PUSH_REPOSITORY = 'localhost/bench/loop'
const PUSH = { sizeBytes: MEBIBYTE, blobs: 50, atOnce: 4 } as const
const PROBE_MS = 20

export const fillsLine = (fills: number) => `${fills} ${fills === 1 ? 'fill' : 'fills'}, pushes`
export const FOUR_FILLS = fillsLine(4)

export const eventLoop: Row = {
  id: 'event-loop',
  goal: 'P11',
  title: 'Delay of the event loop under background work',
  rounds: { short: 2, full: 5 },
  method:
    'So many fills at once, each of blobs of 100 MB one after the other from an upstream that is not limited, and a client that pushes blobs ' +
    'of 1 MiB, four at a time, for as long. The delay of the event loop is what the process tells of itself (`nodejs_eventloop_lag_p99_seconds` ' +
    'of the main thread, for the time of the round), how late a timer of 20 ms goes off; "livez" is how long a probe that asks every ' +
    '20 ms waits. Scrub and export do not exist in this version and are not part of it.',
  tables: [
    {
      table: 'event-loop',
      title: 'Delay of the event loop',
      lineHeading: 'meanwhile',
      columns: [
        { measure: 'delayMs', heading: 'event loop p99, ms', digits: 1 },
        { measure: 'mostMs', heading: 'longest, ms', digits: 1 },
        { measure: 'livezMs', heading: 'livez p99, ms', digits: 1 },
        { measure: 'filledMBps', heading: 'filled, MB/s' },
        { measure: 'pushes', heading: 'blobs pushed' },
        { measure: 'failures', heading: 'failures' },
      ],
      growth: [{ measure: 'delayMs', what: 'delay with the number of fills' }],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    await using servers = await startServers(context, [entrepot])
    using file = openPushFile(context.directory)
    for (const { server } of servers.running)
      await measureWith(context, { server, file, fills: 1, seed: 'warm' })
    const cases = FILLS.map(fills => ({ line: fillsLine(fills), size: fills }))
    for (const each of inRounds(context, cases)) {
      for (const { kind, server } of servers.running) {
        const scene = { server, file, fills: each.size, seed: String(each.round) }
        const measures = await measureWith(context, scene)
        add({ table: 'event-loop', ...each, server: kind.name, measures })
      }
    }
    return { samples, absences: [] }
  },
}

interface Scene {
  readonly server: RunningServer
  readonly file: PushFile
  readonly fills: number
  readonly seed: string
}

async function measureWith(context: RowContext, scene: Scene) {
  const { upstream, load, full } = context
  const { server, fills } = scene
  const digestsOfFills = await addBlobs(upstream, scene, full ? BLOBS.full : BLOBS.short)
  const probe = startProbe(`${server.adminUrl}/livez`, PROBE_MS)
  // A look begins a new period.
  await metricsOf(server)
  const startMs = performance.now()
  let over = false
  const pushing = pushUntil(scene, () => over)
  let failures = 0
  await Promise.all(
    digestsOfFills.map(async digests => {
      for (const digest of digests) {
        const path = `/v2/${PULL_REPOSITORY}/blobs/${digest}`
        const [pulled] = await load.pull(server.url, [path])
        if (pulled === undefined || !isWhole(pulled)) failures += 1
      }
    }),
  )
  const seconds = (performance.now() - startMs) / 1000
  over = true
  const metrics = await metricsOf(server)
  const pushed = await pushing
  const probed = await probe()
  for (const digests of digestsOfFills) await upstream.forget(PULL_REPOSITORY, digests)
  return {
    delayMs: readMetric(metrics, 'nodejs_eventloop_lag_p99_seconds') * 1000,
    mostMs: readMetric(metrics, 'nodejs_eventloop_lag_max_seconds') * 1000,
    livezMs: percentile(probed.waitsMs, 0.99),
    filledMBps: (fills * (digestsOfFills[0]?.length ?? 0) * BLOB_BYTES) / 1e6 / seconds,
    pushes: pushed.blobs,
    failures: failures + pushed.failures + probed.failures,
  }
}

/** Digests of blobs that nobody has asked for, a list for each fill. */
async function addBlobs(upstream: Upstream, { fills, seed }: Scene, blobs: number) {
  const digestsOfFills: (readonly string[])[] = []
  for (let fill = 0; fill < fills; fill += 1) {
    const layerBytes = Array.from({ length: blobs }, () => BLOB_BYTES)
    const image = { repository: PULL_REPOSITORY, tag: `fill-${fill}`, layerBytes }
    const added = await upstream.addImage({ ...image, seed: `${seed}/${fills}/${fill}` })
    digestsOfFills.push(added.layers)
  }
  return digestsOfFills
}

/** One file of blobs after the other. */
async function pushUntil({ server, file, fills, seed }: Scene, isOver: () => boolean) {
  let blobs = 0
  let failures = 0
  for (let turn = 0; !isOver(); turn += 1) {
    file.write(`loop/${seed}/${fills}/${turn}`, PUSH)
    const pushed = await file.push(server.url, PUSH_REPOSITORY, PUSH)
    blobs += pushed.blobs
    failures += pushed.failures.length
  }
  return { blobs, failures }
}

async function metricsOf({ adminUrl }: RunningServer): Promise<string> {
  return (await fetch(`${adminUrl}/metrics`)).text()
}
