// Goal: the limit of the storage holds for all of the data directory, so what the edge counts is
// what is there. Method: the whole edge in process after pulls, pushes, downloads that broke off,
// uploads that nobody ended and a file that rotted, on a disk and in memory, beside what du says.
import { execFileSync } from 'node:child_process'
import { chmodSync, truncateSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { patternBlob } from '../../kit/content.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { beginUpload, filesIn, pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { manifestOver } from '../../kit/clients/push-client.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { takenBytes } from '../../kit/storage-limits.ts'
import { blobPath } from '../../kit/disk/store-directory.ts'

const MiB = 1024 * 1024
const BLOCK_BYTES = 4096
/** tmpfs, on which directories take nothing. */
const IN_MEMORY = '/dev/shm'

/** What all files and directories take there, and how many they are. */
function measured(edge: TestEdge) {
  const du = execFileSync('du', ['--block-size=1', '--summarize', edge.dataDirectory])
  const files = execFileSync('find', [edge.dataDirectory, '-type', 'f'])
  return {
    duBytes: Number(du.toString().split('\t')[0]),
    files: files.toString().trim().split('\n').length,
  }
}

for (const [where, place] of [
  ['on a disk', tmpdir()],
  ['in memory', IN_MEMORY],
] as const)
  t.test(`R333: what is counted is what the data directory takes, ${where}`, async t => {
    const directory = await mkdtemp(join(place, 'entrepot-edge-'))
    t.teardown(() => rm(directory, { recursive: true, force: true }))
    const compare = async (edge: TestEdge, when: string) => {
      const count = await takenBytes(edge)
      const { duBytes, files } = measured(edge)
      const differs = Math.abs(count - duBytes)
      t.ok(differs <= files * BLOCK_BYTES, `${when}: ${count} counted, du says ${duBytes}`)
      t.ok(count > duBytes / 2, 'and that is most of it')
    }
    const pulled = makeImage({ seed: 'pulled', layers: [MiB, 100, 5_000, 3 * MiB] })
    const { edge: first, stub } = await startPair(t, {
      edge: { directory },
      images: { v1: pulled },
    })
    await compare(first, 'empty')
    const partly = patternBlob('broken off', 3 * MiB)
    stub.addBlob('library/app', partly)
    t.equal((await first.get(`${MANIFESTS}/v1`)).status, 200)
    for (const { digest } of [pulled.config, ...pulled.layers])
      await first.get(`${BLOBS}/${digest}`)
    stub.fault({ kind: 'blob' }, { stallAt: 2 * MiB })
    // Its client leaves; the download goes on, and stands still.
    await get(`${first.url}${BLOBS}/${partly.digest}`, {}, { abortAfterBytes: 1 })
    while ((await filesIn(first, 'fills')).length < 2) await first.get('/v2/')
    const [config, layer] = [Buffer.from('{}'), Buffer.alloc(2 * MiB + 1, 'layer')]
    for (const blob of [config, layer]) await pushBlob(first, 'localhost/app', blob)
    const manifest = manifestOver(config, [layer])
    for (const tag of ['v1', 'v2', 'v3', 'v1']) {
      const { bytes, mediaType } = manifest
      const answer = await first.send('PUT', `/v2/localhost/app/manifests/${tag}`, {
        body: Buffer.from(bytes),
        headers: { 'content-type': mediaType },
      })
      t.equal(answer.status, 201)
    }
    for (const sizeBytes of [1, 10_000, MiB]) {
      const location = await beginUpload(first, 'localhost/app')
      await first.send('PATCH', location, { body: Buffer.alloc(sizeBytes) })
    }
    const given = await beginUpload(first, 'localhost/app')
    t.equal((await first.send('DELETE', given)).status, 204)
    await compare(first, 'while a download stands still')
    await first.settle(first.stop())

    const edge = await startTestEdge(t, {
      upstreams: { 'docker.io': { url: stub.url } },
      directory,
    })
    await compare(edge, 'after a start')
    const [rotten] = pulled.layers
    if (rotten === undefined) throw new Error('an image has blobs')
    const path = blobPath(edge.dataDirectory, rotten.digest)
    chmodSync(path, 0o600)
    truncateSync(path, 500)
    await edge.get(`${BLOBS}/${rotten.digest}`)
    t.equal((await filesIn(edge, 'quarantine')).length, 1)
    await edge.untilLogged('fill ended')
    await compare(edge, 'with a file in quarantine')
  })

t.test(
  'R334: without its catalog an edge counts what it has, and fetches none of it again',
  async t => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-edge-'))
    t.teardown(() => rm(directory, { recursive: true, force: true }))
    const image = makeImage({ seed: 'left behind', layers: [MiB, 2 * MiB] })
    const { edge: first, stub } = await startPair(t, { edge: { directory }, images: { v1: image } })
    const blobs = [image.config, ...image.layers]
    await first.get(`${MANIFESTS}/v1`)
    for (const { digest } of blobs) await first.get(`${BLOBS}/${digest}`)
    await first.settle(first.stop())
    const data = join(directory, 'data')
    for (const name of await readdir(data))
      if (name.startsWith('catalog.db')) await rm(join(data, name))
    const edge = await startTestEdge(t, {
      upstreams: { 'docker.io': { url: stub.url } },
      directory,
    })
    t.match(await edge.untilLogged('files without rows were adopted'), { files: 4 })
    const { duBytes } = measured(edge)
    const count = await takenBytes(edge)
    t.ok(Math.abs(count - duBytes) <= 8 * BLOCK_BYTES, `${count} counted, du says ${duBytes}`)
    const [layer] = image.layers
    t.equal(
      (await edge.get(`/v2/library/other/blobs/${layer?.digest}`)).status,
      404,
      'nobody may read it by that',
    )
    const fetched = stub.count({ kind: 'blob', method: 'GET' })
    t.equal((await edge.get(`${MANIFESTS}/v1`)).status, 200)
    for (const { digest } of blobs) t.equal((await edge.get(`${BLOBS}/${digest}`)).status, 200)
    t.equal(stub.count({ kind: 'blob', method: 'GET' }), fetched, 'no byte is fetched')
  },
)
