// Row: what is small and here: a blob of 4 KiB, a manifest by digest, the same by tag. Requests by
// wrk, which also counts them.
import { addHotImage, bringHere } from '../hot-image.ts'
import { measureSmall } from '../hot-measures.ts'
import { collectSamples, inRounds, type Row, startServers } from '../row.ts'
import { HOT_SERVERS } from '../servers.ts'
import { runWrk } from '../wrk.ts'

const IMAGE = { repository: 'bench/small', seed: 'small', layerBytes: [4096] }
const CLIENTS = 32
const SECONDS = 2
const WARM_SECONDS = 1
/**
 * So that the upstream has something to be asked during a run: once a second and tag, however many
 * ask.
 */
const TTL = '1s'

export const hotSmall: Row = {
  id: 'hot-small',
  goal: 'P3',
  rounds: { short: 2, full: 5 },
  title: 'Hot: a blob of 4 KiB, a manifest by digest and by tag, 32 clients',
  method:
    `wrk asks for ${SECONDS} s over ${CLIENTS} connections that are kept open; a second for each content before that is not counted. ` +
    `Entrepot's tags are fresh for ${TTL} here, instead of its default of 5 minutes, so that asking the upstream is part of the run.`,
  tables: [
    {
      table: 'hot-small',
      title: 'Hot and small',
      lineHeading: 'content',
      columns: [
        { measure: 'requestsPerSecond', heading: 'requests/s' },
        { measure: 'cpuMicroseconds', heading: 'CPU, µs per request', digits: 1 },
        { measure: 'boxMicroseconds', heading: 'whole box, µs per request', digits: 1 },
        { measure: 'p99Ms', heading: 'p99, ms', digits: 2 },
        { measure: 'upstreamRequests', heading: 'requests upstream' },
        { measure: 'failures', heading: 'failed answers' },
      ],
      note: 'With accounts and a Bearer token: the table of accounts, below.',
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const { upstream } = context
    const image = await addHotImage(context, IMAGE)
    const options = { clients: CLIENTS, seconds: SECONDS, accept: image.accept }
    const cases = [
      { line: 'blob of 4 KiB', path: image.blobs[0] ?? '' },
      { line: 'manifest by digest', path: image.manifestByDigest },
      { line: 'manifest by tag', path: image.manifestByTag },
    ]
    const files = image.files()
    await using servers = await startServers(context, HOT_SERVERS, { files, ttl: TTL })
    for (const started of servers.running) {
      await bringHere(context, started, image)
      // No service has seen only a few requests, and the first thousands are those of a compiler.
      for (const { path } of cases)
        await runWrk(`${started.server.url}${path}`, { ...options, seconds: WARM_SECONDS })
    }
    for (const { path, ...place } of inRounds(context, cases)) {
      for (const { kind, server } of servers.running) {
        await upstream.clearCounts()
        const seen = await measureSmall(server, path, options)
        const upstreamRequests = kind.isStatic ? Number.NaN : (await upstream.count({})).requests
        const measures = { ...seen, upstreamRequests }
        add({ table: 'hot-small', ...place, server: kind.name, measures })
      }
    }
    return { samples, absences: servers.absences }
  },
}
