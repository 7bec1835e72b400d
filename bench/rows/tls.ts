// Row: the blob of 100 MB that is here, over TLS 1.3: what a gigabyte costs the server when it must
// encrypt it.
import type { Absence } from '../figures.ts'
import { measureBlobByWrk } from '../hot-measures.ts'
import { collectSamples, type Row, startServers } from '../row.ts'
import { ENTREPOT, entrepot, isBuilt } from '../servers/entrepot.ts'
import type { ServerKind, ServerOptions } from '../servers/kind.ts'
import { HOT_SERVERS } from '../servers.ts'
import { makeCertificate } from '../../test/kit/certificate.ts'
import { bytesContent, patternBlob } from '../../test/kit/content.ts'

const BLOB_BYTES = 100_000_000
const CLIENTS = [4, 16, 32]
const SECONDS = 2
const REPOSITORY = 'bench/tls'

export const ONE_THREAD = 'Entrepot, 1 thread'

export const tls: Row = {
  id: 'tls',
  goal: 'P2',
  title: 'Hot over TLS 1.3: a blob of 100 MB, 4 to 32 clients',
  rounds: { short: 1, full: 5 },
  method:
    `wrk downloads the blob again and again for ${SECONDS} s over connections that are kept open, each with TLS 1.3; the certificate has a ` +
    'key on P-256. CPU as for plain HTTP. wrk decrypts with one thread, which is most of one of the cores.',
  tables: [
    {
      table: 'tls',
      title: 'A hot blob over TLS',
      lineHeading: 'clients',
      columns: [
        { measure: 'cpuSecondsPerGB', heading: 'CPU, s per GB', digits: 3 },
        { measure: 'boxSecondsPerGB', heading: 'whole box, s per GB', digits: 3 },
        { measure: 'megabytesPerSecond', heading: 'MB/s' },
        { measure: 'failures', heading: 'failed answers' },
      ],
      growth: [{ measure: 'cpuSecondsPerGB', what: 'CPU per GB with the number of clients' }],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const { upstream, load } = context
    const image = { repository: REPOSITORY, tag: 'v1', seed: 'tls', layerBytes: [BLOB_BYTES] }
    const { layers } = await upstream.addImage(image)
    const path = `/v2/${REPOSITORY}/blobs/${layers[0]}`
    const files = { [path]: bytesContent(patternBlob('tls/0', BLOB_BYTES).bytes()) }
    const certificate = makeCertificate()
    const { kinds, missing } = chooseKinds()
    const { running, absences, stop } = await startServers(context, kinds, { files, certificate })
    try {
      for (const { kind, server } of running) {
        const manifest = `/v2/${REPOSITORY}/manifests/v1`
        const paths = kind.isStatic ? [path] : [manifest, path]
        await load.pull(server.url, paths, { authority: certificate.ca })
      }
      for (let round = 1; round <= context.rounds; round += 1) {
        for (const clients of CLIENTS) {
          context.tell(`${clients} clients, round ${round}`)
          const named = { table: 'tls', line: String(clients), size: clients, round }
          for (const { kind, server } of running) {
            const measures = await measureBlobByWrk(server, path, { clients, seconds: SECONDS })
            add({ ...named, server: kind.name, measures })
          }
        }
      }
    } finally {
      await stop()
    }
    return { samples, absences: [...missing, ...absences] }
  },
}

/** Entrepot twice, to see what a second thread brings; or not at all. */
function chooseKinds(): { kinds: readonly ServerKind[]; missing: readonly Absence[] } {
  const others = HOT_SERVERS.filter(({ name }) => name !== ENTREPOT)
  const missing = [
    ...(isBuilt('http.tls') ? [] : [{ server: ENTREPOT, why: 'http.tls is not built' }]),
    ...(isBuilt('http.threads') ? [] : [{ server: ONE_THREAD, why: 'http.threads is not built' }]),
  ]
  const oneThread = {
    name: ONE_THREAD,
    start: (options: ServerOptions) => entrepot.start({ ...options, threads: 1 }),
  }
  const own = [entrepot, oneThread].filter(
    ({ name }) => isBuilt('http.tls') && !missing.some(({ server }) => server === name),
  )
  return { kinds: [...own, ...others], missing }
}
