// Row: many clients at once ask for a blob that is not here yet. What the upstream is asked for,
// when each client has its first byte, when the last client is done and what memory it takes, next
// to clients that ask the upstream themselves.
import { type Cold, coldPull, warmUp } from '../cold-pull.ts'
import type { Absence, Sample } from '../figures.ts'
import { limitConnections, type ShapedUpstream, startShapedUpstream } from '../link.ts'
import { collectSamples, type Row, type RowContext, type Started, startServers } from '../row.ts'
import { absentEverywhere, COLD_SERVERS, DIRECT } from '../servers.ts'
import { ENTREPOT } from '../servers/entrepot.ts'
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
    const { samples, add } = collectSamples()
    const absences: Absence[] = []
    const keep = (some: readonly Sample[]) => some.forEach(add)
    const open = await startServers(context, COLD_SERVERS)
    absences.push(...open.absences)
    try {
      for (const started of [undefined, ...open.running]) await warmUp(context, started, REPOSITORY)
      keep(await measureTwenty(context, open.running, TWENTY))
      keep(await measureHerds(context, open.running))
    } finally {
      await open.stop()
    }
    if (context.full) keep(await measureLimited(context))
    const upstream = await startShapedUpstream().catch(absentEverywhere)
    if ('why' in upstream) absences.push({ ...upstream, line: SHAPED })
    else keep(await measureShaped({ ...context, upstream }))
    return { samples, absences }
  },
}

/** Everybody against twenty direct clients. */
async function measureTwenty(
  context: RowContext,
  running: readonly Started[],
  line: string,
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  for (let round = 1; round <= context.rounds; round += 1) {
    context.tell(`${line}, round ${round}`)
    let direct: Pulls | undefined
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

async function measureLimited(context: RowContext): Promise<readonly Sample[]> {
  const upstream = await limitConnections(context.upstream, PER_CONNECTION)
  const limited = { ...context, upstream, rounds: 1 }
  const { running, stop } = await startServers(limited, COLD_SERVERS)
  try {
    for (const started of running) await warmUp(limited, started, REPOSITORY)
    return await measureTwenty(limited, running, LIMITED)
  } finally {
    await stop()
    await upstream.stop()
  }
}

/**
 * Stops the upstream, too. Others than Entrepot would take a blob for each client through the same
 * narrow place.
 */
async function measureShaped(
  context: RowContext & { readonly upstream: ShapedUpstream },
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  const own = COLD_SERVERS.filter(({ name }) => name === ENTREPOT)
  try {
    const { running, stop } = await startServers(context, own)
    const [started] = running
    try {
      await warmUp(context, started, REPOSITORY)
      await context.upstream.shape(NETWORK)
      for (let round = 1; round <= context.rounds; round += 1) {
        context.tell(`${SHAPED}, round ${round}`)
        const lone = await pull(context, undefined, { seed: `lone/${round}`, clients: 1 })
        const firsts = { seed: `firsts/${round}`, firstByteOnly: true }
        const direct = await pull(context, undefined, firsts)
        const pulled = await pull(context, started, { seed: `shaped/${round}` })
        const alone = measuresOf(lone, undefined)
        add({ ...named(LONE, DIRECT, round), measures: alone })
        const toLone = measuresOf(pulled, undefined).lastClientSeconds / alone.lastClientSeconds
        const measures = { ...measuresOf(pulled, direct), toLone }
        add({ ...named(SHAPED, ENTREPOT, round), measures })
      }
    } finally {
      await stop()
    }
  } finally {
    await context.upstream.stop()
  }
  return samples
}

type Pulls = Awaited<ReturnType<typeof pull>>

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

function measuresOf(pulled: Pulls, direct: Pulls | undefined) {
  const { clients, counts, cpuSeconds, boxSeconds, residentMiB } = pulled
  const firstBytes = clients.map(({ firstByteMs }) => firstByteMs)
  const reference = direct?.clients.map(({ firstByteMs }) => firstByteMs)
  const compares = reference !== undefined && direct?.clients !== clients
  return {
    gets: counts.requests,
    bytesRatio: counts.bytes / BLOB_BYTES,
    firstByteMs: median(firstBytes),
    laterMs: compares ? worstDelay(firstBytes, reference) : Number.NaN,
    lastClientSeconds: Math.max(...clients.map(({ lastByteMs }) => lastByteMs)) / 1000,
    cpuSeconds,
    boxSeconds,
    residentMiB,
    failures: clients.filter(({ complete, status }) => !complete || status !== 200).length,
  }
}
