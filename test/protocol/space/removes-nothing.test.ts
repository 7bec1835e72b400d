// Goal: a disk that removes nothing for a while, and is well again, leaves an edge that caches and
// takes pushes as before. Method: an edge in process on a small ext4, whose directories of blobs
// are immutable meanwhile: unlink is EPERM there, and all else works.
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createPushClient } from '../../kit/clients/push-client.ts'
import { patternBlob } from '../../kit/content.ts'
import { mountSmallDisk } from '../../kit/disk/small-disk.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const MiB = 1024 * 1024
const MAX_MIB = 24
const BLOB_MIB = 4
/** So many fit beside catalog and log. */
const FIT = 5

t.test('R990, R991: a disk that removes nothing for a while costs no more than that', async t => {
  const disk = await mountSmallDisk(128, 'ext4')
  t.teardown(() => disk.unmount())
  const stub = await startStub(t)
  const blobs = Array.from({ length: 3 * FIT }, (_, at) => patternBlob(`${at}`, BLOB_MIB * MiB))
  for (const each of blobs) stub.addBlob('library/app', each)
  const edge = await startTestEdge(t, {
    upstreams: { 'docker.io': { url: stub.url } },
    config: { storage: { maxsize: MAX_MIB * MiB, minfree: 0 } },
    directory: disk.path,
  })
  const requests = () => stub.count({ kind: 'blob', method: 'GET' })
  const pull = async (at: number) => {
    const path = `/v2/docker.io/library/app/blobs/${blobs[at]?.digest}`
    t.match(await edge.settle(edge.get(path)), { status: 200 })
    await edge.pass(1_000)
  }
  const pullAll = async (from: number) => {
    for (let at = from; at < from + FIT; at += 1) await pull(at)
  }
  await pullAll(0)
  const root = join(edge.dataDirectory, 'blobs/sha256')
  const directories = readdirSync(root).map(each => join(root, each))
  execFileSync('chattr', ['+i', ...directories])
  try {
    await pullAll(FIT)
  } finally {
    execFileSync('chattr', ['-i', ...directories])
  }
  await edge.pass(60_000)
  await pullAll(2 * FIT)
  const before = requests()
  await pull(3 * FIT - 1)
  t.equal(requests(), before, 'what is pulled is cached again')
  const client = createPushClient(edge.url)
  const pushed = await edge.settle(client.blob('localhost/app', Buffer.alloc(3 * MiB, 'pushed')))
  client.close()
  t.match(pushed, { status: 201 })
})
