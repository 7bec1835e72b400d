// Row: twenty clients at once ask for a blob that is not here yet. What the upstream is asked for, when each client has its first
// byte, and when the last client is done, next to twenty clients that ask the upstream themselves.
import { setTimeout as wait } from 'node:timers/promises'
import { cpuSeconds } from '../processes.ts'
import { collectSamples, type Row, type RowContext, type Started, startServers } from '../row.ts'
import { DIRECT, REGISTRIES } from '../servers.ts'
import { median, worstDelay } from '../statistics.ts'

const CLIENTS = 20
const BLOB_BYTES = 100_000_000
const LIMIT_BYTES_PER_SECOND = 10_000_000
const REPOSITORY = 'bench/cold'
/** For what a server does after its last client has gone. */
const SETTLE_MS = 300
const WARM_PULLS = 5
const WARM_BYTES = 1_000_000

const CASES = [
  { line: 'not limited', limit: undefined },
  { line: '10 MB/s', limit: LIMIT_BYTES_PER_SECOND },
] as const

export const cold: Row = {
  id: 'cold',
  title: 'Cold: 20 clients at once on one blob of 100 MB',
  method:
    'The upstream sends as fast as it can, or 10 MB/s on each connection, as networks of registries do. In each round every server ' +
    'gets a blob that it has never seen; it has served a few small ones before. "Later than direct" sorts the first bytes of both, takes the k-th client against the k-th, ' +
    'and tells the largest difference.',
  tables: [
    {
      table: 'cold',
      title: 'Twenty clients, one cold blob',
      lineHeading: 'upstream',
      columns: [
        { measure: 'gets', heading: 'GETs upstream' },
        { measure: 'bytesRatio', heading: 'bytes upstream, ×', digits: 2 },
        { measure: 'firstByteMs', heading: 'first byte, middle client, ms', digits: 1 },
        { measure: 'slowestFirstByteMs', heading: 'first byte, last client, ms', digits: 1 },
        { measure: 'laterMs', heading: 'later than direct, ms', digits: 1 },
        { measure: 'lastClientSeconds', heading: 'last client done, s', digits: 2 },
        { measure: 'cpuSeconds', heading: 'CPU, s', digits: 2 },
        { measure: 'failures', heading: 'clients without a whole blob' },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const { running, absences, stop } = await startServers(context, REGISTRIES)
    try {
      for (const started of [undefined, ...running]) await warmUp(context, started)
      for (let round = 1; round <= context.rounds; round += 1) {
        for (const { line, limit } of CASES) {
          context.tell(`${line}, round ${round}`)
          const direct = await pullCold(context, undefined, { seed: `${line}/${round}`, limit })
          add(sampleOf({ line, server: DIRECT, round }, direct, direct))
          for (const started of running) {
            const seed = `${line}/${round}/${started.kind.name}`
            const pulled = await pullCold(context, started, { seed, limit })
            add(sampleOf({ line, server: started.kind.name, round }, pulled, direct))
          }
        }
      }
    } finally {
      await stop()
    }
    return { samples, absences }
  },
}

type Pulls = Awaited<ReturnType<typeof pullCold>>

interface Cold {
  readonly seed: string
  readonly limit: number | undefined
  /** Default BLOB_BYTES. */
  readonly sizeBytes?: number
}

/** The first requests of a process are those of its compiler, and no service has seen only one. */
async function warmUp(context: RowContext, started: Started | undefined): Promise<void> {
  for (let pull = 0; pull < WARM_PULLS; pull += 1) {
    const seed = `warm/${pull}/${started?.kind.name}`
    await pullCold(context, started, { seed, limit: undefined, sizeBytes: WARM_BYTES })
  }
}

/** Through the upstream itself when nothing was started. */
async function pullCold(
  { upstream, load }: RowContext,
  started: Started | undefined,
  { seed, limit, sizeBytes = BLOB_BYTES }: Cold,
) {
  const image = { repository: REPOSITORY, tag: 'cold', seed, layerBytes: [sizeBytes] }
  const { layers } = await upstream.addImage(image)
  await upstream.clearFaults()
  if (limit !== undefined) {
    await upstream.fault({ kind: 'blob', method: 'GET' }, { bytesPerSecond: limit })
  }
  await upstream.clearCounts()
  const url = started?.server.url ?? upstream.url
  const blob = `/v2/${REPOSITORY}/blobs/${layers[0]}`
  const manifest = `/v2/${REPOSITORY}/manifests/cold`
  const paths = started?.kind.wantsManifestFirst ? [manifest, blob] : [blob]
  const cpuBefore = started === undefined ? Number.NaN : cpuSeconds(started.server.pid)
  const clients = await load.pull(url, paths, { clients: CLIENTS })
  await wait(SETTLE_MS)
  const cpu = started === undefined ? Number.NaN : cpuSeconds(started.server.pid) - cpuBefore
  const counts = await upstream.count({ kind: 'blob', method: 'GET', reference: layers[0] ?? '' })
  await upstream.forget(REPOSITORY, layers)
  return { clients, counts, cpu }
}

function sampleOf(
  named: { line: string; server: string; round: number },
  { clients, counts, cpu }: Pulls,
  direct: Pulls,
) {
  const firstBytes = clients.map(({ firstByteMs }) => firstByteMs)
  const reference = direct.clients.map(({ firstByteMs }) => firstByteMs)
  return {
    table: 'cold',
    ...named,
    measures: {
      gets: counts.requests,
      bytesRatio: counts.bytes / BLOB_BYTES,
      firstByteMs: median(firstBytes),
      slowestFirstByteMs: Math.max(...firstBytes),
      laterMs: direct.clients === clients ? Number.NaN : worstDelay(firstBytes, reference),
      lastClientSeconds: Math.max(...clients.map(({ lastByteMs }) => lastByteMs)) / 1000,
      cpuSeconds: cpu,
      failures: clients.filter(({ complete, status }) => !complete || status !== 200).length,
    },
  }
}
