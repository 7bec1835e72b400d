// Row: a blob of 100 MB that is here, downloaded again and again: what a gigabyte costs the server,
// and how many it sends.
import { addHotImage, bringHere } from '../hot-image.ts'
import { BLOB_BY_CLIENTS, measureBlob } from '../hot-measures.ts'
import { collectSamples, inRounds, type Row, startServers } from '../row.ts'
import { HOT_SERVERS } from '../servers.ts'

const IMAGE = { repository: 'bench/hot', seed: 'hot', layerBytes: [100_000_000] }
const CLIENTS = [4, 16, 64]
const SECONDS = 2
/** Not counted: the first requests are those of a compiler. */
const WARM = { clients: 4, seconds: 1 }

export const hotBlob: Row = {
  id: 'hot-blob',
  goal: 'P1',
  title: 'Hot: a blob of 100 MB, 4 to 64 clients',
  rounds: { short: 2, full: 13 },
  method:
    `Every client downloads the blob again and again for ${SECONDS} s over one connection; a second before that is not counted. CPU is ` +
    "user and system time of the server's processes for each gigabyte that the clients received.",
  tables: [{ table: 'hot-blob', title: 'A hot blob of 100 MB', ...BLOB_BY_CLIENTS }],
  async run(context) {
    const { samples, add } = collectSamples()
    const { load } = context
    const image = await addHotImage(context, IMAGE)
    const [blob = ''] = image.blobs
    await using servers = await startServers(context, HOT_SERVERS, { files: image.files() })
    for (const started of servers.running) {
      await bringHere(context, started, image)
      await measureBlob({ load, server: started.server }, blob, WARM)
    }
    const cases = CLIENTS.map(clients => ({ line: String(clients), size: clients }))
    for (const each of inRounds(context, cases)) {
      const options = { clients: each.size, seconds: SECONDS }
      for (const { kind, server } of servers.running) {
        const measures = await measureBlob({ load, server }, blob, options)
        add({ table: 'hot-blob', ...each, server: kind.name, measures })
      }
    }
    return { samples, absences: servers.absences }
  },
}
