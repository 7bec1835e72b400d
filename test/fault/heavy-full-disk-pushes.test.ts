// Goal: a disk that is full for a while costs pushes that are refused, and nothing that was
// acknowledged; with room again pushes are taken without a restart (R07 of the programme). Method:
// the data directory is a small tmpfs, filled up under clients that push and delete, and relieved;
// in between the process is started once while nothing fits.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startEdge } from '../kit/edge-process.ts'
import { judge } from '../kit/oracle.ts'
import { createPushClient } from '../kit/push-client.ts'
import { PushRecord, pushForever } from '../kit/push-record.ts'
import { createRandom, seedOf } from '../kit/seeded.ts'
import { mountSmallDisk } from '../kit/small-disk.ts'

const DISK_MIB = 60
const ROUNDS = 3
/** The round after whose filling the process starts anew. */
const RESTARTED = 1
const WRITERS = 3

t.setTimeout(300_000)

t.test('R07: pushes on a disk that fills up and is relieved again', async t => {
  const disk = await mountSmallDisk(DISK_MIB)
  const dataDirectory = join(disk.path, 'data')
  const edge = await startEdge({
    dataDirectory,
    upstreams: { 'registry.test': { url: 'http://127.0.0.1:9', http: true } },
    config: {
      default: 'localhost',
      repositories: [{ match: 'registry.test/**', push: 'queue' }],
      storage: { maxsize: '100%' },
    },
  })
  t.teardown(async () => {
    await edge.stop()
    await disk.unmount()
  })
  const seed = seedOf(process.env)
  const options = { record: new PushRecord(), writers: WRITERS, random: createRandom(seed) }
  const { record } = options
  for (let round = 0; round < ROUNDS; round += 1) {
    // Writers end at their first refusal, so they all come to an end here.
    const stop = pushForever(edge.url, options)
    await record.reaches(record.count + 12)
    await disk.fill()
    await stop()
    const client = createPushClient(edge.url)
    const refused = await client.blob('localhost/full/app', Buffer.from(`round ${round}`))
    client.close()
    t.ok(refused.status >= 500, `${refused.status} while it is full`)
    t.same(await record.findLost(edge), [], 'what was acknowledged is there')
    if (round === RESTARTED) await edge.restart()
    await disk.relieve()
    const again = pushForever(edge.url, options)
    await record.reaches(record.count + 8)
    await again()
    t.same(await record.findLost(edge), [], 'and still is with room again')
    t.same(await readdir(join(dataDirectory, 'tmp')), [], 'nothing is left over')
  }
  t.comment(`seed ${seed}: ${record.count} acknowledged`)
  t.same((await judge(dataDirectory)).wrong, [], 'no blob has wrong bytes')
})
