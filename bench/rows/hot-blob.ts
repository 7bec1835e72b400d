// Row: a blob of 100 MB that is here, downloaded again and again: what a gigabyte costs the server,
// and how many it sends.
import { measureBlob } from '../hot-measures.ts'
import { collectSamples, type Row, startServers } from '../row.ts'
import { HOT_SERVERS } from '../servers.ts'
import { bytesContent, patternBlob } from '../../test/kit/content.ts'

const BLOB_BYTES = 100_000_000
const CLIENTS = [4, 16, 64]
const SECONDS = 2
/** Not counted: the first requests are those of a compiler. */
const WARM_SECONDS = 1
const WARM_CLIENTS = 4
const REPOSITORY = 'bench/hot'

export const hotBlob: Row = {
  id: 'hot-blob',
  goal: 'P1',
  title: 'Hot: a blob of 100 MB, 4 to 64 clients',
  rounds: { short: 2, full: 13 },
  method:
    `Every client downloads the blob again and again for ${SECONDS} s over one connection; a second before that is not counted. CPU is ` +
    "user and system time of the server's processes for each gigabyte that the clients received.",
  tables: [
    {
      table: 'hot-blob',
      title: 'A hot blob of 100 MB',
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
    const image = { repository: REPOSITORY, tag: 'v1', seed: 'hot', layerBytes: [BLOB_BYTES] }
    const { layers } = await upstream.addImage(image)
    const path = `/v2/${REPOSITORY}/blobs/${layers[0]}`
    const files = { [path]: bytesContent(patternBlob('hot/0', BLOB_BYTES).bytes()) }
    const { running, absences, stop } = await startServers(context, HOT_SERVERS, { files })
    try {
      for (const { kind, server } of running) {
        const manifest = `/v2/${REPOSITORY}/manifests/v1`
        await load.pull(server.url, kind.isStatic ? [path] : [manifest, path])
        await measureBlob({ load, server }, path, {
          clients: WARM_CLIENTS,
          seconds: WARM_SECONDS,
        })
      }
      for (let round = 1; round <= context.rounds; round += 1) {
        for (const clients of CLIENTS) {
          context.tell(`${clients} clients, round ${round}`)
          const named = { line: String(clients), size: clients, round }
          for (const { kind, server } of running) {
            const options = { clients, seconds: SECONDS }
            const measures = await measureBlob({ load, server }, path, options)
            add({ table: 'hot-blob', ...named, server: kind.name, measures })
          }
        }
      }
    } finally {
      await stop()
    }
    return { samples, absences }
  },
}
