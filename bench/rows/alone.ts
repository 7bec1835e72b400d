// Row: one client and one blob that is not here yet, against the same client at the upstream
// itself: over loopback, at three sizes, and over a network of 50 MB/s and 40 ms.
import { coldPull, warmUp } from '../cold-pull.ts'
import type { Sample } from '../figures.ts'
import { startShapedUpstream } from '../link.ts'
import {
  collectSamples,
  inRounds,
  isLeftOut,
  joinSeen,
  type Row,
  type RowContext,
  type Seen,
  type Started,
  startServers,
} from '../row.ts'
import { absentEverywhere, COLD_SERVERS, DIRECT } from '../servers.ts'

const REPOSITORY = 'bench/alone'
const MEGABYTE = 1e6
const SIZES = [1, 10, 100]
const LARGE = 100
const NETWORK = { totalBytesPerSecond: 50 * MEGABYTE, roundTripMs: 40 }

export const SHAPED = '100 MB, 50 MB/s and 40 ms'
export const unshaped = (megabytes: number) => `${megabytes} MB, not limited`
export const UNSHAPED = SIZES.map(unshaped)

export const alone: Row = {
  id: 'alone',
  goal: 'P6',
  title: 'Cold: one client, one blob',
  rounds: { short: 2, full: 7 },
  method:
    'In each round every server gets a blob that it has never seen; it has served ten of 10 MB to twenty clients before. "Not limited" is loopback. The ' +
    'shaped network is a network namespace behind a token bucket of the kernel (tc tbf, 50 MB/s for all connections together) and a ' +
    'relay in it that holds every byte back for half of the 40 ms, and all of a connection until its handshake would be over, a round ' +
    'trip after it was opened. In the short form the others are measured in the first round only.',
  tables: [
    {
      table: 'alone',
      title: 'One client, one cold blob',
      lineHeading: 'blob',
      columns: [
        { measure: 'firstByteMs', heading: 'first byte, ms', digits: 1 },
        { measure: 'laterMs', heading: 'later than direct, ms', digits: 1 },
        { measure: 'seconds', heading: 'whole, s', digits: 3 },
        { measure: 'ratio', heading: '× direct', digits: 2 },
        { measure: 'gets', heading: 'GETs upstream' },
        { measure: 'bytesRatio', heading: 'bytes upstream, ×', digits: 2 },
        { measure: 'failures', heading: 'failed pulls' },
      ],
      growth: [{ measure: 'unshapedSeconds', what: 'time with the size of the blob, not limited' }],
    },
  ],
  async run(context) {
    return joinSeen([await measureUnshaped(context), await measureShaped(context)])
  },
}

async function measureUnshaped(context: RowContext): Promise<Seen> {
  await using servers = await startServers(context, COLD_SERVERS)
  const cases = SIZES.map(size => ({ line: unshaped(size), megabytes: size, size }))
  const samples = await measure(context, servers.running, cases)
  return { samples, absences: servers.absences }
}

async function measureShaped(context: RowContext): Promise<Seen> {
  const upstream = await startShapedUpstream().catch(absentEverywhere)
  if ('why' in upstream) return { samples: [], absences: [{ ...upstream, line: SHAPED }] }
  const shaped = { ...context, upstream }
  try {
    await using servers = await startServers(shaped, COLD_SERVERS)
    await upstream.shape(NETWORK)
    const cases = [{ line: SHAPED, megabytes: LARGE }]
    const samples = await measure(shaped, servers.running, cases)
    return { samples, absences: servers.absences }
  } finally {
    await upstream.stop()
  }
}

interface Case {
  readonly line: string
  readonly megabytes: number
  readonly size?: number
}

async function measure(
  context: RowContext,
  running: readonly Started[],
  cases: readonly Case[],
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  for (const started of [undefined, ...running]) await warmUp(context, started, REPOSITORY)
  for (const { megabytes, ...place } of inRounds(context, cases)) {
    let direct: Measured | undefined
    for (const started of [undefined, ...running]) {
      if (isLeftOut(context, started?.kind, place.round)) continue
      const server = started?.kind.name ?? DIRECT
      const sizeBytes = megabytes * MEGABYTE
      const seed = `${place.line}/${place.round}/${server}`
      const pulled = await pullOne(context, started, { seed, sizeBytes })
      direct ??= pulled
      const compared = {
        laterMs: started === undefined ? Number.NaN : pulled.firstByteMs - direct.firstByteMs,
        ratio: pulled.seconds / direct.seconds,
        unshapedSeconds: place.size === undefined ? Number.NaN : pulled.seconds,
      }
      add({ table: 'alone', ...place, server, measures: { ...pulled, ...compared } })
    }
  }
  return samples
}

type Measured = Awaited<ReturnType<typeof pullOne>>

async function pullOne(
  context: RowContext,
  started: Started | undefined,
  { seed, sizeBytes }: { seed: string; sizeBytes: number },
) {
  const what = { repository: REPOSITORY, seed, sizeBytes, clients: 1 }
  const { clients, seconds, counts, failures } = await coldPull(context, started, what)
  return {
    firstByteMs: clients[0]?.firstByteMs ?? Number.NaN,
    seconds,
    gets: counts.requests,
    bytesRatio: counts.bytes / sizeBytes,
    failures,
  }
}
