// Row: the blob of 100 MB that is here, over TLS 1.3: what a gigabyte costs the server when it must
// encrypt it.
import type { Absence } from '../figures.ts'
import { addHotImage, bringHere } from '../hot-image.ts'
import { BLOB_BY_CLIENTS, measureBlobByWrk } from '../hot-measures.ts'
import { collectSamples, inRounds, type Row, startServers } from '../row.ts'
import { ENTREPOT, entrepot, isBuilt } from '../servers/entrepot.ts'
import type { ServerKind, ServerOptions } from '../servers/kind.ts'
import { HOT_SERVERS } from '../servers.ts'
import { makeCertificate } from '../../test/kit/certificate.ts'

const IMAGE = { repository: 'bench/tls', seed: 'tls', layerBytes: [100_000_000] }
const CLIENTS = [4, 16, 32]
const SECONDS = 2

export const ONE_THREAD = 'Entrepot, 1 thread'

export const tls: Row = {
  id: 'tls',
  goal: 'P2',
  title: 'Hot over TLS 1.3: a blob of 100 MB, 4 to 32 clients',
  rounds: { short: 1, full: 5 },
  method:
    `wrk downloads the blob again and again for ${SECONDS} s over connections that are kept open, each with TLS 1.3; the certificate has a ` +
    'key on P-256. CPU as for plain HTTP. wrk decrypts with one thread, which is most of one of the cores.',
  tables: [{ table: 'tls', title: 'A hot blob over TLS', ...BLOB_BY_CLIENTS }],
  async run(context) {
    const { samples, add } = collectSamples()
    const image = await addHotImage(context, IMAGE)
    const [blob = ''] = image.blobs
    const certificate = makeCertificate()
    const { kinds, missing } = chooseKinds()
    const options = { files: image.files(), certificate }
    await using servers = await startServers(context, kinds, options)
    for (const started of servers.running)
      await bringHere(context, started, image, { authority: certificate.ca })
    const cases = CLIENTS.map(clients => ({ line: String(clients), size: clients }))
    for (const each of inRounds(context, cases)) {
      for (const { kind, server } of servers.running) {
        const load = { clients: each.size, seconds: SECONDS }
        const measures = await measureBlobByWrk(server, blob, load)
        add({ table: 'tls', ...each, server: kind.name, measures })
      }
    }
    return { samples, absences: [...missing, ...servers.absences] }
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
