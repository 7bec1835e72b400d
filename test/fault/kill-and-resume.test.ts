// Goal: a download that was cut by kill -9 goes on where the disk has it (R86, R92). Method: the
// stub holds the answer at a barrier in the middle; the process is killed once its client has got a
// part; what lies on the disk then is measured from outside, and nothing of that may be asked for
// again.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { download, faultOf } from '../kit/clients/herd.ts'
import { judge } from '../kit/judges/oracle.ts'
import { get } from '../kit/clients/raw-client.ts'
import { createBarrier } from '../kit/stubs/stub-faults.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

const MIB = 1024 * 1024
const SIZE_BYTES = 24 * MIB
const CUT_AT_BYTES = 15 * MIB + 12_345
/** What the client must have before the kill: proof that the process had taken it in. */
const CLIENT_BYTES = 8 * MIB

t.setTimeout(300_000)

t.test('kill -9 in the middle of a blob: what is on the disk is not asked for again', async t => {
  const stub = await startStub(t)
  const edge = await startEdge({ upstreams: { 'docker.io': { url: stub.url, http: true } } })
  t.teardown(() => edge.stop())
  const blob = patternBlob('kill', SIZE_BYTES)
  stub.addBlob('library/kill', blob)
  const path = `/v2/library/kill/blobs/${blob.digest}`
  const barrier = createBarrier(CUT_AT_BYTES)
  const held = stub.fault({ kind: 'blob', method: 'GET' }, { barrier })

  const enough = Promise.withResolvers<void>()
  const cut = get(
    edge.url + path,
    {},
    {
      onBytes: (_, totalBytes) => {
        if (totalBytes >= CLIENT_BYTES) enough.resolve()
      },
    },
  )
  await Promise.all([barrier.reached, enough.promise])
  await edge.kill()
  t.equal((await cut).complete, false, 'the client saw that it was cut')
  const onDiskBytes = await partBytes(edge.dataDirectory, blob.digest)
  t.ok(onDiskBytes >= CLIENT_BYTES, `${onDiskBytes} bytes are on the disk`)
  held.remove()
  barrier.release()
  stub.clear()

  await edge.restart()
  t.equal(faultOf(await download({ url: edge.url + path, hash: true }), blob), undefined)
  const asked = stub.rangesAsked(blob.digest)
  const askedBytes = asked.reduce((sum, [first, last]) => sum + last - first + 1, 0)
  t.ok(askedBytes <= SIZE_BYTES - onDiskBytes, `${askedBytes} asked for again`)
  t.same((await judge(edge.dataDirectory)).wrong, [])
})

/** Length of the part that the killed process left. */
async function partBytes(dataDirectory: string, digest: string): Promise<number> {
  const fills = join(dataDirectory, 'fills')
  const sizes = (await readdir(fills))
    .filter(name => name === digest.replace(':', '-'))
    .map(async name => (await stat(join(fills, name))).size)
  return Math.max(0, ...(await Promise.all(sizes)))
}
