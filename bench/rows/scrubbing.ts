// Row: how fast a scrub reads what is here, and what it costs clients that pull meanwhile.
import { execFile } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { askSocket } from '../../test/kit/clients/admin-socket.ts'
import { addHotImage, bringHere } from '../hot-image.ts'
import { measureSmall } from '../hot-measures.ts'
import { collectSamples, directoryOf, inRounds, type Row, startServers } from '../row.ts'
import { entrepot } from '../servers/entrepot.ts'

const MEGABYTE = 1e6
const LARGE_BYTES = 32 * 1024 * 1024
const LARGE = { short: 8, full: 64 }
const CLIENTS = 32
const SECONDS = { short: 2, full: 5 }
const SETTLED_MS = 1_500
/** As the thread that reads is: what else runs on this machine takes as much of either. */
const AS_NICE = ['-n', '19']
/** Everything that is here. */
export const ALL = 'all of it'
export const HOT = ['blob of 4 KiB', 'manifest by digest'] as const

export const scrubbing: Row = {
  id: 'scrubbing',
  goal: 'P11',
  title: 'Everything read once more',
  rounds: { short: 2, full: 5 },
  method:
    'Blobs of 32 MiB, all of them in memory, so that the processor is measured and not the disk. `entrepot scrub` reads them, which nothing bounds; ' +
    '`sha256sum` of the system reads the same files right before, at the same low priority. Then 32 clients of wrk ask for something small that is here: ' +
    'undisturbed, while scrubs begin one after another, and undisturbed again; both undisturbed times together are "alone".',
  tables: [
    {
      table: 'scrubbing',
      title: 'How fast it is read',
      lineHeading: 'what',
      columns: [
        { measure: 'megabytes', heading: 'MB read' },
        { measure: 'megabytesPerSecond', heading: 'MB/s' },
        { measure: 'sumPerSecond', heading: 'sha256sum, MB/s' },
        { measure: 'toSum', heading: '× sha256sum', digits: 2 },
      ],
    },
    {
      table: 'beside-a-scrub',
      title: 'Hot pulls beside it',
      lineHeading: 'content',
      columns: [
        { measure: 'aloneP99Ms', heading: 'p99 alone, ms', digits: 2 },
        { measure: 'p99Ms', heading: 'meanwhile, ms', digits: 2 },
        { measure: 'p99ToAlone', heading: '× alone', digits: 2 },
        { measure: 'alonePerSecond', heading: 'requests/s alone' },
        { measure: 'requestsPerSecond', heading: 'meanwhile' },
        { measure: 'rateToAlone', heading: '× alone', digits: 2 },
        { measure: 'scrubbedPerSecond', heading: 'read meanwhile, MB/s' },
        { measure: 'failures', heading: 'failed answers' },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const { full } = context
    const large = Array.from({ length: full ? LARGE.full : LARGE.short }, () => LARGE_BYTES)
    const cold = await addHotImage(context, {
      repository: 'bench/read',
      seed: 'read',
      layerBytes: large,
    })
    const hot = await addHotImage(context, {
      repository: 'bench/hot',
      seed: 'beside',
      layerBytes: [4096],
    })
    const cases = [
      { line: ALL, path: '' },
      { line: HOT[0], path: hot.blobs[0] ?? '' },
      { line: HOT[1], path: hot.manifestByDigest },
    ]
    const options = { clients: CLIENTS, seconds: full ? SECONDS.full : SECONDS.short }
    await using servers = await startServers(context, [entrepot])
    for (const started of servers.running) {
      for (const image of [cold, hot]) await bringHere(context, started, image)
      for (const { path } of cases.slice(1))
        await measureSmall(started.server, path, { ...options, accept: hot.accept })
    }
    await wait(SETTLED_MS)
    for (const { path, ...place } of inRounds(context, cases)) {
      for (const started of servers.running) {
        const { kind } = started
        const own = directoryOf(context.directory, kind)
        const common = { ...place, server: kind.name }
        if (place.line === ALL) {
          add({ ...common, table: 'scrubbing', measures: await measureRate(own) })
          continue
        }
        const ask = () => measureSmall(started.server, path, { ...options, accept: hot.accept })
        add({ ...common, table: 'beside-a-scrub', measures: await measureBeside(own, ask) })
      }
    }
    return { samples, absences: servers.absences }
  },
}

async function measureRate(own: string) {
  const files = blobsIn(own)
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0)
  const { seconds: sumSeconds } = await timed(() =>
    promisify(execFile)('nice', [...AS_NICE, 'sha256sum', ...files]),
  )
  const { readBytes, seconds } = await scrub(own)
  if (readBytes !== bytes) throw new Error(`it read ${readBytes} bytes of ${bytes}`)
  const [megabytesPerSecond, sumPerSecond] = [
    bytes / MEGABYTE / seconds,
    bytes / MEGABYTE / sumSeconds,
  ]
  const toSum = megabytesPerSecond / sumPerSecond
  return { megabytes: bytes / MEGABYTE, megabytesPerSecond, sumPerSecond, toSum }
}

function blobsIn(own: string): readonly string[] {
  const blobs = join(own, 'data', 'blobs')
  return readdirSync(blobs, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
}

async function measureBeside(own: string, ask: () => ReturnType<typeof measureSmall>) {
  const before = await ask()
  let isOver = false
  const scrubbing = timed(async () => {
    let bytes = 0
    while (!isOver) bytes += (await scrub(own)).readBytes
    return bytes
  })
  const meanwhile = await ask()
  isOver = true
  const { result: bytes, seconds } = await scrubbing
  const after = await ask()
  const aloneP99Ms = (before.p99Ms + after.p99Ms) / 2
  const alonePerSecond = (before.requestsPerSecond + after.requestsPerSecond) / 2
  return {
    aloneP99Ms,
    p99Ms: meanwhile.p99Ms,
    p99ToAlone: meanwhile.p99Ms / aloneP99Ms,
    alonePerSecond,
    requestsPerSecond: meanwhile.requestsPerSecond,
    rateToAlone: meanwhile.requestsPerSecond / alonePerSecond,
    scrubbedPerSecond: bytes / MEGABYTE / seconds,
    failures: before.failures + meanwhile.failures + after.failures,
  }
}

/** All that is here. */
async function scrub(own: string): Promise<{ readBytes: number; seconds: number }> {
  const path = '/api/v1/jobs/run?name=scrub'
  const { result, seconds } = await timed(() =>
    askSocket(join(own, 'admin.sock'), path, { method: 'POST' }),
  )
  const last = result.body.trimEnd().split('\n').at(-1) ?? ''
  if (result.status !== 200) throw new Error(`the job was refused: ${last}`)
  const done = JSON.parse(last) as { kind: string; count: number; readBytes: number }
  if (done.kind !== 'done' || done.count > 0) throw new Error(`not all is in order: ${last}`)
  return { readBytes: done.readBytes, seconds }
}

async function timed<Result>(
  work: () => Promise<Result>,
): Promise<{ result: Result; seconds: number }> {
  const startMs = performance.now()
  const result = await work()
  return { result, seconds: (performance.now() - startMs) / 1000 }
}
