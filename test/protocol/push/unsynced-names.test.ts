// Goal: a push that fails once its file has its name leaves nothing that nobody counts. Method: an
// edge whose directory for that digest becomes a link while it runs: a file still gets its name in
// there, and the directory cannot be opened to be synced.
import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { makeImage } from '../../kit/image.ts'
import { filesIn, NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { blobPath } from '../../kit/disk/store-directory.ts'

t.test('R800: a blob or manifest whose name cannot be made durable goes again', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const image = makeImage({ seed: 'unsynced', layers: [5_000] })
  const [layer] = image.layers
  if (layer === undefined) throw new Error('it has a layer')
  const elsewhere = join(edge.dataDirectory, 'elsewhere')
  await mkdir(elsewhere)
  const push = () => pushBlob(edge, 'localhost/app', layer.bytes())
  const putManifest = () => {
    const { bytes, mediaType } = image.manifest
    const headers = { 'content-type': mediaType }
    return edge.send('PUT', '/v2/localhost/app/manifests/v1', { headers, body: bytes })
  }
  /** What comes of `step` while names beside that digest cannot be synced. */
  const unsynced = async (digest: string, step: () => Promise<{ status: number }>) => {
    const directory = dirname(blobPath(edge.dataDirectory, digest))
    await rename(directory, `${directory}-`)
    await symlink(elsewhere, directory)
    const { status } = await edge.settle(step())
    t.same(await readdir(elsewhere), [], 'nothing is left')
    await rm(directory)
    await rename(`${directory}-`, directory)
    return status
  }
  t.equal(await unsynced(layer.digest, push), 503)
  t.same(await filesIn(edge, 'uploads'), [])
  t.equal((await push()).status, 201)
  t.equal((await pushBlob(edge, 'localhost/app', image.config.bytes())).status, 201)
  t.equal(await unsynced(image.manifest.digest, putManifest), 503)
  t.equal((await putManifest()).status, 201)
})
