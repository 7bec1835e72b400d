// Row: what it costs to collect what nothing needs any more, where there is much that is needed.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { askSocket } from '../../test/kit/clients/admin-socket.ts'
import { deleteImages, makeDataDirectory } from '../data-directory.ts'
import { residentMiB, watchCpu } from '../processes.ts'
import { readMetric } from '../prometheus.ts'
import { collectSamples, directoryOf, type Row, type RowContext } from '../row.ts'
import type { RunningServer } from '../server-process.ts'
import { ENTREPOT, entrepot } from '../servers/entrepot.ts'
import { formatNumber } from '../statistics.ts'

const SIZES = { short: [100_000], full: [1_000_000] }
/** Of all, that was deleted. */
const SHARE = 0.01
/** More than a grace ago. */
const DELETED_MS = 24 * 3_600_000
const SETTLED_MS = 1_500
const LOOK_MS = 50

export const collecting: Row = {
  id: 'collecting',
  goal: 'P11',
  title: 'Collection of what was deleted',
  rounds: { short: 1, full: 1 },
  method:
    'A data directory as in "A large catalog", of images that were pushed, of which 1 % were deleted the day before. `entrepot gc` takes ' +
    'them away, with all that they alone listed. Memory is the most that was resident meanwhile, less what was before; CPU is that of ' +
    'the server. A quarter of a core for 120 s are 30 s of CPU: what is done sooner may take more of a core for as much shorter.',
  tables: [
    {
      table: 'collecting',
      title: 'Collection of 1 %',
      lineHeading: 'holds',
      columns: [
        { measure: 'files', heading: 'files removed' },
        { measure: 'seconds', heading: 'took, s', digits: 2 },
        { measure: 'cpuSeconds', heading: 'CPU, s', digits: 2 },
        { measure: 'moreMiB', heading: 'more memory, MiB', digits: 1 },
        { measure: 'delayMs', heading: 'event loop p99, ms', digits: 1 },
        { measure: 'againSeconds', heading: 'once more, with nothing to take, s', digits: 3 },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    for (const blobs of context.full ? SIZES.full : SIZES.short) {
      const line = `${formatNumber(blobs)} blobs`
      for (let round = 1; round <= context.rounds; round += 1) {
        context.tell(`${line}, round ${round}`)
        const own = directoryOf(context.directory, entrepot)
        const data = join(own, 'data')
        await makeDataDirectory(data, blobs)
        await deleteImages(data, { blobs: blobs * SHARE, atMs: Date.now() - DELETED_MS })
        const measures = await measure(context, own)
        add({ table: 'collecting', line, server: ENTREPOT, round, size: blobs, measures })
        rmSync(own, { recursive: true, force: true })
      }
    }
    return { samples, absences: [] }
  },
}

async function measure({ upstream }: RowContext, own: string) {
  const server = await entrepot.start({ upstreamUrl: upstream.url, directory: own })
  try {
    await wait(SETTLED_MS)
    const beforeMiB = residentMiB(server.pid)
    const cpu = watchCpu(server.pid)
    let mostMiB = beforeMiB
    const looking = setInterval(() => {
      mostMiB = Math.max(mostMiB, residentMiB(server.pid))
    }, LOOK_MS)
    // A look begins a new period.
    await metricsOf(server)
    const first = await collect(own)
    clearInterval(looking)
    const { cpuSeconds } = cpu()
    const delayMs = readMetric(await metricsOf(server), 'nodejs_eventloop_lag_p99_seconds') * 1000
    const again = await collect(own)
    if (again.files > 0) throw new Error(`the second collection took ${again.files} more`)
    return {
      ...first,
      cpuSeconds,
      moreMiB: mostMiB - beforeMiB,
      delayMs,
      againSeconds: again.seconds,
    }
  } finally {
    await server.stop()
  }
}

async function collect(own: string): Promise<{ files: number; seconds: number }> {
  const startMs = performance.now()
  const path = '/api/v1/jobs/run?name=gc'
  const { status, body } = await askSocket(join(own, 'admin.sock'), path, { method: 'POST' })
  const seconds = (performance.now() - startMs) / 1000
  if (status !== 200) throw new Error(`the job was refused: ${body}`)
  const last = body.trimEnd().split('\n').at(-1) ?? ''
  const { kind, count: files } = JSON.parse(last) as { kind: string; count: number }
  if (kind !== 'done') throw new Error(`the job did not end: ${last.slice(0, 200)}`)
  return { files, seconds }
}

async function metricsOf({ adminUrl }: RunningServer): Promise<string> {
  return (await fetch(`${adminUrl}/metrics`)).text()
}
