// Row: many clients at once ask for a blob that is not here yet. What the upstream is asked for,
// when each client has its first byte, when the last client is done and what memory it takes, next
// to clients that ask the upstream themselves.
import { type Cold, type ColdPulled, coldPull, warmUp } from '../cold-pull.ts'
import type { Sample } from '../figures.ts'
import { limitConnections, startShapedUpstream } from '../link.ts'
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
import { absentEverywhere, COLD_SERVERS, DIRECT } from '../servers.ts'
import { ENTREPOT, entrepot } from '../servers/entrepot.ts'
import { median, worstDelay } from '../statistics.ts'

const CLIENTS = 20
/**
 * Numbers of clients at which counts and memory are looked at; only the middle one is measured
 * against others in the short form.
 */
const HERDS = { short: [5, CLIENTS, 80], full: [CLIENTS, 200, 1000] }
const BLOB_BYTES = 100_000_000
const REPOSITORY = 'bench/cold'
/**
 * Of others than Entrepot, for which a round takes long. Entrepot's first bytes need more: they
 * differ by more than the goal from round to round.
 */
const ROUNDS_OF_OTHERS = 5
const PER_CONNECTION = 10_000_000
const NETWORK = { totalBytesPerSecond: 50_000_000 }

export const herd = (clients: number) => `${clients}, not limited`
export const TWENTY = herd(CLIENTS)
export const CROWDS = [herd(200), herd(1000)]
export const SHAPED = `${CLIENTS}, 50 MB/s in all`
export const LIMITED = `${CLIENTS}, 10 MB/s each`
/** Of the shaped upstream: one client that asks it directly. */
const LONE = '1, 50 MB/s in all'

export const cold: Row = {
  id: 'cold',
  goal: 'P5',
  title: 'Cold: many clients at once on one blob of 100 MB',
  rounds: { short: 2, full: 15 },
  method:
    'The upstream sends as fast as it can, or 50 MB/s for all connections together (a network namespace behind tc tbf), or 10 MB/s on each ' +
    'connection. In each round every server gets a blob that it has never seen; it has served ten of 10 MB to twenty clients before. "Later than direct" ' +
    'sorts the first bytes of both, takes the k-th client against the k-th, and tells the largest difference; behind the shaped network the ' +
    'direct clients leave with their first byte. Others than Entrepot are measured in the first five rounds. With other numbers of clients ' +
    'than 20 only counts and memory mean something: the machine is the limit.',
  tables: [
    {
      table: 'cold',
      title: 'Many clients, one cold blob',
      lineHeading: 'clients, upstream',
      columns: [
        { measure: 'gets', heading: 'GETs upstream' },
        { measure: 'bytesRatio', heading: 'bytes upstream, ×', digits: 2 },
        { measure: 'firstByteMs', heading: 'first byte, middle client, ms', digits: 1 },
        { measure: 'laterMs', heading: 'later than direct, ms', digits: 1 },
        { measure: 'lastClientSeconds', heading: 'last client done, s', digits: 2 },
        { measure: 'toLone', heading: '× lone direct client', digits: 2 },
        { measure: 'cpuSeconds', heading: 'CPU, s', digits: 2 },
        { measure: 'boxSeconds', heading: 'whole box, s', digits: 2 },
        { measure: 'residentMiB', heading: 'most memory, MiB' },
        { measure: 'failures', heading: 'clients without a whole blob' },
      ],
      growth: [
        { measure: 'herdBytes', what: 'bytes upstream with the number of clients' },
        { measure: 'herdMiB', what: 'memory with the number of clients' },
      ],
    },
  ],
  async run(context) {
    const open = await measureUnshaped(context)
    const limited = context.full ? [await measureLimited(context)] : []
    return joinSeen([open, ...limited, await measureShaped(context)])
  },
}

async function measureUnshaped(context: RowContext): Promise<Seen> {
  await using servers = await startServers(context, COLD_SERVERS)
  const { running, absences } = servers
  for (const started of [undefined, ...running]) await warmUp(context, started, REPOSITORY)
  const twenty = await measureTwenty(context, running, TWENTY)
  const herds = await measureHerds(context, running)
  return { samples: [...twenty, ...herds], absences }
}

/** Everybody against twenty direct clients. */
async function measureTwenty(
  context: RowContext,
  running: readonly Started[],
  line: string,
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  for (const { round } of inRounds(context, [{ line }])) {
    let direct: ColdPulled | undefined
    for (const started of [undefined, ...running]) {
      const server = started?.kind.name ?? DIRECT
      if (round > ROUNDS_OF_OTHERS && ![DIRECT, ENTREPOT].includes(server)) continue
      const pulled = await pull(context, started, { seed: `${line}/${round}/${server}` })
      direct ??= pulled
      add({ ...named(line, server, round), measures: measuresOf(pulled, direct) })
    }
  }
  return samples
}

/** Entrepot alone, once for each number of clients. */
async function measureHerds(
  context: RowContext,
  running: readonly Started[],
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  const own = running.find(({ kind }) => kind.name === ENTREPOT)
  for (const clients of context.full ? HERDS.full : HERDS.short) {
    const line = herd(clients)
    context.tell(line)
    const pulled = await pull(context, own, { seed: `herd/${clients}`, clients })
    const counted = measuresOf(pulled, undefined)
    const { bytesRatio, residentMiB } = counted
    const grown = { herdBytes: bytesRatio, herdMiB: residentMiB }
    const round = clients === CLIENTS ? context.rounds + 1 : 1
    const measures = { ...counted, ...grown }
    add({ ...named(line, ENTREPOT, round), size: clients, measures })
  }
  return samples
}

async function measureLimited(context: RowContext): Promise<Seen> {
  const upstream = await limitConnections(context.upstream, PER_CONNECTION)
  const limited = { ...context, upstream, rounds: 1 }
  try {
    await using servers = await startServers(limited, COLD_SERVERS)
    for (const started of servers.running) await warmUp(limited, started, REPOSITORY)
    const samples = await measureTwenty(limited, servers.running, LIMITED)
    return { samples, absences: servers.absences }
  } finally {
    await upstream.stop()
  }
}

/** Others than Entrepot would take a blob for each client through the same narrow place. */
async function measureShaped(context: RowContext): Promise<Seen> {
  const { samples, add } = collectSamples()
  const upstream = await startShapedUpstream().catch(absentEverywhere)
  if ('why' in upstream) return { samples, absences: [{ ...upstream, line: SHAPED }] }
  const shaped = { ...context, upstream }
  try {
    await using servers = await startServers(shaped, [entrepot])
    const [started] = servers.running
    await warmUp(shaped, started, REPOSITORY)
    await upstream.shape(NETWORK)
    for (const { round } of inRounds(context, [{ line: SHAPED }])) {
      const lone = await pull(shaped, undefined, { seed: `lone/${round}`, clients: 1 })
      const firsts = { seed: `firsts/${round}`, firstByteOnly: true }
      const direct = await pull(shaped, undefined, firsts)
      const pulled = await pull(shaped, started, { seed: `shaped/${round}` })
      add({ ...named(LONE, DIRECT, round), measures: measuresOf(lone, undefined) })
      const measures = { ...measuresOf(pulled, direct), toLone: pulled.seconds / lone.seconds }
      add({ ...named(SHAPED, ENTREPOT, round), measures })
    }
  } finally {
    await upstream.stop()
  }
  return { samples, absences: [] }
}

function pull(
  context: RowContext,
  started: Started | undefined,
  cold: Pick<Cold, 'seed'> & Partial<Cold>,
) {
  const usual = { repository: REPOSITORY, sizeBytes: BLOB_BYTES, clients: CLIENTS }
  return coldPull(context, started, { ...usual, ...cold })
}

function named(line: string, server: string, round: number) {
  return { table: 'cold', line, server, round }
}

function measuresOf(pulled: ColdPulled, direct: ColdPulled | undefined) {
  const { clients, seconds, counts, cpuSeconds, boxSeconds, mostMiB, failures } = pulled
  const firstBytes = clients.map(({ firstByteMs }) => firstByteMs)
  const reference = direct?.clients.map(({ firstByteMs }) => firstByteMs)
  const compares = reference !== undefined && direct !== pulled
  return {
    gets: counts.requests,
    bytesRatio: counts.bytes / BLOB_BYTES,
    firstByteMs: median(firstBytes),
    laterMs: compares ? worstDelay(firstBytes, reference) : Number.NaN,
    lastClientSeconds: seconds,
    cpuSeconds,
    boxSeconds,
    residentMiB: mostMiB,
    failures,
  }
}
