// Goal: a disk that is full for a while costs pushes that are refused, and nothing that was
// acknowledged; with room again pushes are taken without a restart (R07 of the programme). Method:
// the data directory is a small tmpfs, filled up under clients that push and delete, and relieved;
// in between the process is started once while nothing fits. What is deleted then stays deleted
// with a catalog that is built from facts.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { judge } from '../kit/judges/oracle.ts'
import { createPushClient, manifestOver, type PushClient } from '../kit/clients/push-client.ts'
import { PushRecord, pushForever } from '../kit/clients/push-record.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { createRandom, seedOf } from '../kit/seeded.ts'
import { mountSmallDisk } from '../kit/disk/small-disk.ts'

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

const CONFIG = Buffer.from('{}')
const REPOSITORY = 'localhost/full/deleted'

/** An image of one layer, with a tag. */
async function push(t: Test, client: PushClient, seed: string) {
  const layer = Buffer.alloc(20_000, seed)
  for (const blob of [CONFIG, layer])
    t.equal((await client.blob(REPOSITORY, blob)).status, 201, seed)
  const manifest = manifestOver(CONFIG, [layer])
  t.equal((await client.manifest(REPOSITORY, seed, manifest)).status, 201, seed)
  return `/v2/${REPOSITORY}/manifests/${manifest.digest}`
}

for (const type of ['tmpfs', 'ext4'] as const)
  t.test(`R415: what is deleted on a ${type} without a free byte is gone for good`, async t => {
    const disk = await mountSmallDisk(DISK_MIB, type)
    const dataDirectory = join(disk.path, 'data')
    const storage = { maxsize: '100%', delete: { enabled: true } }
    const edge = await startEdge({ dataDirectory, config: { storage } })
    t.teardown(async () => {
      await edge.stop()
      await disk.unmount()
    })
    let client = createPushClient(edge.url)
    t.teardown(() => client.close())
    const [running, restarted, stays] = [
      await push(t, client, 'running'),
      await push(t, client, 'restarted'),
      await push(t, client, 'stays'),
    ]
    const blob = Buffer.from('by itself')
    t.equal((await client.blob(REPOSITORY, blob)).status, 201)
    await disk.fill()
    const deletes = async (path: string) => {
      const { status, body } = await client.send('DELETE', path)
      t.equal(status, 202, `${path} ${body}`)
    }
    await deletes(running)
    await deletes(`/v2/${REPOSITORY}/blobs/${digestOf(blob)}`)
    await edge.terminate()
    await disk.fill()
    await edge.restart()
    client.close()
    client = createPushClient(edge.url)
    await deletes(restarted)
    await edge.terminate()
    await disk.relieve()
    await rm(join(dataDirectory, 'catalog.db'))
    await edge.restart()
    client.close()
    client = createPushClient(edge.url)
    for (const path of [running, restarted])
      t.equal((await client.send('GET', path)).status, 404, `${path} does not come back`)
    t.equal((await client.send('GET', stays)).status, 200)
  })
