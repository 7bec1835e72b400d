// Row: what is small and here: a blob of 4 KiB, a manifest by digest, the same by tag. Requests by
// wrk, which also counts them.
import { measureSmall } from '../hot-measures.ts'
import { runWrk } from '../wrk.ts'
import { collectSamples, type Row, startServers } from '../row.ts'
import { HOT_SERVERS } from '../servers.ts'
import { bytesContent, patternBlob } from '../../test/kit/content.ts'

const CLIENTS = 32
const SECONDS = 2
const WARM_SECONDS = 1
const BLOB_BYTES = 4096
const REPOSITORY = 'bench/small'
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
      note: 'With a Bearer token: not measured, since this version has no accounts and looks at no token.',
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const { upstream, load } = context
    const image = { repository: REPOSITORY, tag: 'v1', seed: 'small', layerBytes: [BLOB_BYTES] }
    const { layers, manifestDigest, manifest, mediaType } = await upstream.addImage(image)
    const base = `/v2/${REPOSITORY}`
    const paths = {
      'blob of 4 KiB': `${base}/blobs/${layers[0]}`,
      'manifest by digest': `${base}/manifests/${manifestDigest}`,
      'manifest by tag': `${base}/manifests/v1`,
    }
    const document = bytesContent(Buffer.from(manifest))
    const files = {
      [paths['blob of 4 KiB']]: bytesContent(patternBlob('small/0', BLOB_BYTES).bytes()),
      [paths['manifest by digest']]: document,
      [paths['manifest by tag']]: document,
    }
    const { running, absences, stop } = await startServers(context, HOT_SERVERS, {
      files,
      ttl: TTL,
    })
    try {
      for (const { server } of running) {
        await load.pull(server.url, Object.values(paths).toReversed())
        // No service has seen only a few requests, and the first thousands are those of a compiler.
        for (const path of Object.values(paths)) {
          await runWrk(`${server.url}${path}`, {
            clients: CLIENTS,
            seconds: WARM_SECONDS,
            accept: mediaType,
          })
        }
      }
      for (let round = 1; round <= context.rounds; round += 1) {
        for (const [line, path] of Object.entries(paths)) {
          context.tell(`${line}, round ${round}`)
          for (const { kind, server } of running) {
            await upstream.clearCounts()
            const options = { clients: CLIENTS, seconds: SECONDS, accept: mediaType }
            const seen = await measureSmall(server, path, options)
            const upstreamRequests = kind.isStatic
              ? Number.NaN
              : (await upstream.count({})).requests
            const measures = { ...seen, upstreamRequests }
            add({ table: 'hot-small', line, server: kind.name, round, measures })
          }
        }
      }
    } finally {
      await stop()
    }
    return { samples, absences }
  },
}
