// Row: a manifest by tag under load while its freshness runs out every second and the upstream
// takes its time: what the upstream is asked, and whether any client waits for it.
import { addHotImage } from '../hot-image.ts'
import { collectSamples, isLeftOut, type Row, type RowContext, startServers } from '../row.ts'
import type { RunningServer } from '../server-process.ts'
import { REGISTRIES } from '../servers.ts'
import { ENTREPOT, entrepot } from '../servers/entrepot.ts'
import { runWrk } from '../wrk.ts'

const CLIENTS = 32
const SECONDS = { short: 4, full: 10 }
const IMAGE = { repository: 'bench/fresh', seed: 'fresh', layerBytes: [1000] }
const TTL_SECONDS = 1
/** Far beyond what a hit takes: whoever waits for the upstream is seen. */
export const UPSTREAM_MS = 500
/** For a server's compiler, and so that the tag is here. */
const WARM_SECONDS = 1
const LONG_TTL = '5m'

export const EXPIRING = 'fresh for 1 s'
const STAYING = 'fresh for 5 min'

export const freshness: Row = {
  id: 'freshness',
  goal: 'P4',
  title: 'A tag under load, while its freshness runs out',
  rounds: { short: 2, full: 5 },
  method:
    `wrk asks for one manifest by tag over ${CLIENTS} connections. The upstream takes ${UPSTREAM_MS} ms for each answer about a manifest. ` +
    'Entrepot is measured with tags that are fresh for 1 s and, right after it in the same round, with its default of 5 minutes; "p99 to ' +
    'fresh" is the quotient of the two. The others ask the upstream for each request and have no such setting.',
  tables: [
    {
      table: 'freshness',
      title: 'A tag under load',
      lineHeading: 'tag',
      columns: [
        { measure: 'perPeriod', heading: 'requests upstream per second', digits: 2 },
        { measure: 'requestsPerSecond', heading: 'requests/s' },
        { measure: 'p99Ms', heading: 'p99, ms', digits: 2 },
        { measure: 'p99Ratio', heading: 'p99 to fresh, ×', digits: 2 },
        { measure: 'mostMs', heading: 'longest, ms', digits: 1 },
        { measure: 'failures', heading: 'failed answers' },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const { upstream, load } = context
    const { manifestByTag: path, accept } = await addHotImage(context, IMAGE)
    await using expiring = await startServers(context, REGISTRIES, { ttl: `${TTL_SECONDS}s` })
    const elsewhere = { ...context, directory: `${context.directory}/f` }
    await using staying = await startServers(elsewhere, [entrepot], { ttl: LONG_TTL })
    const [fresh] = staying.running
    await upstream.fault({ kind: 'manifest' }, { latencyMs: UPSTREAM_MS })
    for (const { server } of [...expiring.running, ...staying.running]) {
      await load.pull(server.url, [path])
      await runWrk(server.url + path, { clients: CLIENTS, seconds: WARM_SECONDS })
    }
    const measure = createMeasure(context, path, accept)
    for (let round = 1; round <= context.rounds; round += 1) {
      for (const { kind, server } of expiring.running) {
        if (isLeftOut(context, kind, round)) continue
        context.tell(`${kind.name}, round ${round}`)
        const seen = await measure(server)
        const named = { table: 'freshness', server: kind.name, round }
        if (kind.name !== ENTREPOT || fresh === undefined) {
          add({ ...named, line: EXPIRING, measures: seen })
          continue
        }
        const whenFresh = await measure(fresh.server)
        const p99Ratio = seen.p99Ms / whenFresh.p99Ms
        add({ ...named, line: EXPIRING, measures: { ...seen, p99Ratio } })
        add({ ...named, line: STAYING, measures: whenFresh })
      }
    }
    return { samples, absences: expiring.absences }
  },
}

function createMeasure({ upstream, load, full }: RowContext, path: string, accept: string) {
  const seconds = full ? SECONDS.full : SECONDS.short
  return async (server: RunningServer) => {
    // Nobody asked while the others were measured: whoever comes first then has to wait, and that
    // is not what is measured here.
    await load.pull(server.url, [path])
    await upstream.clearCounts()
    const seen = await runWrk(server.url + path, { clients: CLIENTS, seconds, accept })
    const { requests } = await upstream.count({})
    const { requestsPerSecond, p99Ms, mostMs, failures } = seen
    const perPeriod = requests / (seconds / TTL_SECONDS)
    return { perPeriod, requestsPerSecond, p99Ms, mostMs, failures }
  }
}
