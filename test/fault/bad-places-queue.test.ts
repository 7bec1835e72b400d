// Goal: a queued push whose bytes the disk cannot read is told of in the queue and in status as
// what it is, and is brought back by a push (R774); its upstream is not taken for unreachable by
// that. Method: the whole edge in process before a stub registry, on an ext4 of which a file is
// spoiled while nobody has it open.
import t, { type Test } from 'tap'
import { runCli } from '../kit/cli.ts'
import { createPushClient } from '../kit/clients/push-client.ts'
import type { Content } from '../kit/content.ts'
import { mountSmallDisk } from '../kit/disk/small-disk.ts'
import { blobPath } from '../kit/disk/store-directory.ts'
import { startTestEdge, type TestEdge } from '../kit/edge.ts'
import { makeImage } from '../kit/image.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

const HOST = 'registry.example.com'
const DISK_MIB = 96
const SETTLED_MS = 1_200_000
const image = makeImage({ seed: 'queued', layers: [300_000] })
const [layer] = image.layers as [Content]

async function push(edge: TestEdge): Promise<number[]> {
  const client = createPushClient(edge.url)
  const statuses = []
  for (const blob of [image.config, layer])
    statuses.push((await edge.settle(client.blob('team/app', blob.bytes()))).status)
  statuses.push((await edge.settle(client.manifest('team/app', 'v1', image.manifest))).status)
  client.close()
  return statuses
}

/** An edge with a queued push, of which this cannot be read. */
async function queuedAndSpoilt(
  t: Test,
  spoilt: { readonly digest: string },
  how: 'bytes' | 'file',
) {
  const disk = await mountSmallDisk(DISK_MIB, 'ext4')
  t.teardown(() => disk.unmount())
  const stub = await startStub(t)
  const options = {
    upstreams: { [HOST]: { url: stub.url } },
    config: { repositories: [{ match: `${HOST}/**`, push: 'queue' }], default: HOST },
    directory: disk.path,
  }
  const first = await startTestEdge(t, options)
  stub.fault({}, { dropConnection: true })
  t.same(await push(first), [201, 201, 201])
  await first.settle(first.untilLogged('delivery failed and is tried again'))
  await first.stop()
  await disk.spoil([blobPath(first.dataDirectory, spoilt.digest)], how)
  stub.clearFaults()
  const edge = await startTestEdge(t, options)
  const run = async (...argv: string[]) => (await runCli([...argv, '--socket', edge.socket])).stdout
  const heal = async () => {
    await edge.stop()
    await disk.heal()
    return startTestEdge(t, options)
  }
  return { stub, edge, run, heal }
}

for (const [what, spoilt] of Object.entries({ layer, manifest: image.manifest }))
  t.test(`R774: a queued push whose ${what} cannot be read waits, and a push mends it`, async t => {
    const { stub, edge, run } = await queuedAndSpoilt(t, spoilt, 'bytes')
    await run('queue', 'retry', '--all')
    const failed = edge.untilLogged('delivery failed and is tried again')
    const reason = `the disk here failed: cannot read ${spoilt.digest}: EIO`
    t.match(await edge.settle(failed, SETTLED_MS), { reason, hint: /push the image again/ })
    t.match(await run('queue', 'ls'), reason)
    const status = await run('status')
    t.match(status, /^queue +1 waiting, /m)
    t.match(status, `not delivered: ${reason}`)
    t.match(status, /^registry\.example\.com +(ok|not asked yet) /m, 'nothing is wrong with it')
    t.same(await push(edge), [201, 201, 201])
    await edge.settle(edge.untilLogged('push delivered'), SETTLED_MS)
    t.equal(stub.manifest('team/app', 'v1')?.digest, image.manifest.digest)
    t.ok(stub.blob('team/app', layer.digest))
    t.notMatch(await run('queue', 'ls'), /the disk here failed/)
  })

for (const [what, spoilt] of Object.entries({ layer, manifest: image.manifest }))
  t.test(`R782: nor is one given up whose ${what} the disk cannot look at`, async t => {
    const { stub, edge, run, heal } = await queuedAndSpoilt(t, spoilt, 'file')
    await run('queue', 'retry', '--all')
    const failed = edge.untilLogged('delivery failed and is tried again')
    const reason = `the disk here failed: cannot look for ${spoilt.digest}`
    t.match(await edge.settle(failed, SETTLED_MS), { reason, hint: /dmesg.*push the image again/ })
    const status = await run('status')
    t.match(status, /^queue +1 waiting, /m)
    t.match(status, `not delivered: ${reason}`)
    t.equal(stub.manifest('team/app', 'v1'), undefined)
    const healed = await heal()
    await healed.settle(healed.untilLogged('push delivered'), SETTLED_MS)
    t.equal(stub.manifest('team/app', 'v1')?.digest, image.manifest.digest)
  })
