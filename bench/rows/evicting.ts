// Row: what it costs clients that content leaves a full cache, how fast it does, and how soon a
// start is ready that finds much of it half gone.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { STORAGE_METRICS } from '../../src/observe/storage-metrics.ts'
import { askSocket } from '../../test/kit/clients/admin-socket.ts'
import { removeBare } from '../bare-removals.ts'
import { CACHED, letImagesGo, makeDataDirectory } from '../data-directory.ts'
import { addHotImage, bringHere } from '../hot-image.ts'
import { readMetric } from '../prometheus.ts'
import { collectSamples, directoryOf, type Row, type RowContext } from '../row.ts'
import type { RunningServer } from '../server-process.ts'
import { ENTREPOT, entrepot } from '../servers/entrepot.ts'
import { formatNumber, percentile } from '../statistics.ts'

const SIZES = { short: [10_000, 100_000], full: [100_000, 1_000_000] }
/** Of all, that leaves. */
const SHARE = 0.01
/** Of what is there: above what is allowed, nothing waits for the job. */
const ALLOWED = 1.1
const CLIENTS = 8
/** Some tenths of a second, after which it is looked whether the job is still at it. */
const PULLS = 2_000
const ROUNDS_UNDISTURBED = 5
const INTENTS = 10_000
const SETTLED_MS = 1_500

export const evicting: Row = {
  id: 'evicting',
  goal: 'P10',
  title: 'Content that leaves a full cache',
  rounds: { short: 1, full: 3 },
  method:
    'Data directories as in "A large catalog", of images that were pulled. `entrepot jobs run evict` lets 1 % of what is there go, while 8 ' +
    'clients ask for a manifest that is in memory; before that they do so undisturbed. Files a second are those that were removed, from the ' +
    'beginning of the job to its end; "the disk alone" is what another process removes right after that, while the clients go on, in the same ' +
    'directories and with as many synced writes, but without a catalog. Each round goes on with what the one before has left. The delay of the event loop is `nodejs_eventloop_lag_p99_seconds` of that time. A start with ' +
    '10,000 intents finds as many rows of content that was let go, whose files are still there.',
  tables: [
    {
      table: 'evicting',
      title: 'Eviction of 1 %',
      lineHeading: 'holds',
      columns: [
        { measure: 'files', heading: 'files removed' },
        { measure: 'filesPerSecond', heading: 'files a second' },
        { measure: 'barePerSecond', heading: 'the disk alone' },
        { measure: 'idleP99Ms', heading: 'hot pull p99 before, ms', digits: 2 },
        { measure: 'pullP99Ms', heading: 'meanwhile, ms', digits: 2 },
        { measure: 'toIdle', heading: '× before', digits: 2 },
        { measure: 'delayMs', heading: 'event loop p99, ms', digits: 1 },
        { measure: 'failures', heading: 'failed answers' },
      ],
    },
    {
      table: 'intents',
      title: 'A start with 10,000 intents',
      lineHeading: 'holds',
      columns: [
        { measure: 'readyMs', heading: 'ready after, ms' },
        { measure: 'withoutMs', heading: 'without intents, ms' },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    for (const blobs of context.full ? SIZES.full : SIZES.short) {
      const line = `${formatNumber(blobs)} blobs`
      const own = directoryOf(context.directory, entrepot)
      context.tell(`making ${line}`)
      await makeDataDirectory(join(own, 'data'), blobs, CACHED)
      for (let round = 1; round <= context.rounds; round += 1) {
        context.tell(`${line}, round ${round}`)
        const scene = { own, takenBytes: await takenBytes(context) }
        const common = { line, server: ENTREPOT, round, size: blobs }
        add({ ...common, table: 'evicting', measures: await measure(context, scene) })
        if (blobs <= INTENTS) continue
        const measures = await measureStart(context, own)
        add({ ...common, table: 'intents', measures })
      }
      rmSync(own, { recursive: true, force: true })
    }
    return { samples, absences: [] }
  },
}

interface Scene {
  readonly own: string
  readonly takenBytes: number
}

function start({ upstream, directory }: RowContext, storage: Readonly<Record<string, string>>) {
  const own = directoryOf(directory, entrepot)
  return entrepot.start({ upstreamUrl: upstream.url, directory: own, storage })
}

/** By a start that is not counted. */
async function takenBytes(context: RowContext): Promise<number> {
  const server = await start(context, {})
  try {
    await wait(SETTLED_MS)
    const { body } = await askSocket(socketOf(context), '/api/v1/status')
    return (JSON.parse(body) as { storage: { takenBytes: number } }).storage.takenBytes
  } finally {
    await server.stop()
  }
}

/** Of what the next round begins with, nothing is on its way out, and no log of the catalog is. */
async function finishLeaving(context: RowContext): Promise<void> {
  const server = await start(context, {})
  try {
    // Operators are listened to a moment after clients.
    do await wait(SETTLED_MS)
    while (leavingBytes(await metricsOf(server)) > 0)
  } finally {
    await server.stop()
  }
}

function leavingBytes(metrics: string): number {
  const { name } = STORAGE_METRICS.contentHeld
  return Number(new RegExp(`^${name}\\{as="leaving"\\} (\\S+)$`, 'm').exec(metrics)?.[1])
}

async function measure(context: RowContext, { own, takenBytes: bytes }: Scene) {
  const { load } = context
  const maxsize = Math.floor(bytes * ALLOWED)
  const lowwater = `${((1 - SHARE) / ALLOWED) * 100}%`
  const server = await start(context, { maxsize: String(maxsize), minfree: '0', lowwater })
  try {
    const image = await addHotImage(context, {
      repository: 'bench/hot',
      seed: 'evicting',
      layerBytes: [10],
    })
    await bringHere(context, { kind: entrepot, server }, image)
    await wait(SETTLED_MS)
    const paths = Array.from({ length: PULLS }, () => image.manifestByDigest)
    const ask = () => load.ask(server.url, paths, CLIENTS)
    await ask()
    const before = []
    for (let n = 0; n < ROUNDS_UNDISTURBED; n += 1) before.push(await ask())
    // A look begins a new period.
    await metricsOf(server)
    const evicted = await during(ask, async () => {
      const startMs = performance.now()
      await evict(context)
      return (performance.now() - startMs) / 1000
    })
    const { asked: meanwhile, result: seconds } = evicted
    const metrics = await metricsOf(server)
    const files = readMetric(metrics, 'entrepot_evicted_blobs_total')
    const { result: barePerSecond } = await during(ask, () => removeBare(join(own, 'data'), files))
    const [idleP99Ms, pullP99Ms] = [before, meanwhile].map(asked =>
      percentile(
        asked.flatMap(({ waitsMs }) => waitsMs),
        0.99,
      ),
    ) as [number, number]
    return {
      files,
      filesPerSecond: files / seconds,
      barePerSecond,
      idleP99Ms,
      pullP99Ms,
      toIdle: pullP99Ms / idleP99Ms,
      delayMs: readMetric(metrics, 'nodejs_eventloop_lag_p99_seconds') * 1000,
      failures: [...before, ...meanwhile].reduce((sum, { failures }) => sum + failures, 0),
    }
  } finally {
    await server.stop()
  }
}

/** Clients ask until `work` has ended. */
async function during<Asked, Result>(ask: () => Promise<Asked>, work: () => Promise<Result>) {
  const asked: Asked[] = []
  let isOver = false
  const working = work().finally(() => {
    isOver = true
  })
  while (!isOver) asked.push(await ask())
  return { asked, result: await working }
}

async function measureStart(context: RowContext, own: string) {
  const readyMs = async () => {
    const server = await start(context, {})
    await server.stop()
    return server.readyMs
  }
  const withoutMs = await readyMs()
  await letImagesGo(join(own, 'data'), INTENTS)
  const measures = { withoutMs, readyMs: await readyMs() }
  await finishLeaving(context)
  return measures
}

async function evict(context: RowContext): Promise<void> {
  const path = '/api/v1/jobs/run?name=evict'
  const { status, body } = await askSocket(socketOf(context), path, { method: 'POST' })
  if (status !== 200) throw new Error(`the job was refused: ${body}`)
}

function socketOf({ directory }: RowContext): string {
  return join(directoryOf(directory, entrepot), 'admin.sock')
}

async function metricsOf({ adminUrl }: RunningServer): Promise<string> {
  return (await fetch(`${adminUrl}/metrics`)).text()
}
