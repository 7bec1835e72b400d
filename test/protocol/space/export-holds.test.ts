// Goal: nothing leaves that an export under way reads, whatever takes things away; afterwards it
// does. Method: the edge in process before a stub registry, with an export that is begun and
// planned as the command line does it; then an eviction, a purge and a delete, and the bundle is
// read.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { digestHex } from '../../../src/oci/digest.ts'
import { runCli } from '../../kit/cli.ts'
import { beginExport } from '../../kit/clients/begun-export.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { type Image, makeImage } from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { createPushClient } from '../../kit/clients/push-client.ts'
import { untilStill } from '../../kit/threads/under-way.ts'

const MiB = 1024 * 1024
const IMAGE = 6 * MiB

async function start(t: Test, storage: Readonly<Record<string, unknown>> = {}) {
  const stub = await startStub(t)
  const images = Array.from({ length: 10 }, (_, at) =>
    makeImage({ seed: `held-${at}`, layers: [IMAGE] }),
  )
  for (const [at, image] of images.entries()) stub.addImage('library/app', `v${at}`, image)
  const edge = await startTestEdge(t, {
    upstreams: { 'docker.io': { url: stub.url } },
    config: { storage },
  })
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  return { edge, stub, images, run }
}

/** Planned, and not read yet. */
async function begin(edge: TestEdge, image: string) {
  const { session, gather, read } = await beginExport(edge)
  await gather(image)
  return { session, read }
}

function layerFile({ dataDirectory }: TestEdge, image: Image | undefined): string {
  const hex = digestHex(image?.layers[0]?.digest ?? ('' as never))
  return join(dataDirectory, 'blobs', 'sha256', hex.slice(0, 2), hex)
}

t.test('R833: what an export reads is not evicted', async t => {
  const { edge, images, run } = await start(t, { maxsize: String(30 * MiB), minfree: '1%' })
  const { session, read } = await begin(edge, 'docker.io/library/app:v0')
  for (let at = 1; at < 10; at += 1) {
    t.match(await run('pull', `docker.io/library/app:v${at}`), { exitCode: 0 })
    await edge.clock.advance(60_000)
  }
  t.notOk(existsSync(layerFile(edge, images[1])), 'others had to go')
  t.equal(await read(), true)
  session.end()
  await untilStill(() => false)
  t.ok(existsSync(layerFile(edge, images[0])), 'it was not let go, and stays')
  t.match(await run('inspect', 'docker.io/library/app:v0'), { exitCode: 0 }, 'by its name, too')
})

t.test('R833: what is purged meanwhile goes when the export has ended', async t => {
  const { edge, images, run } = await start(t)
  const { session, read } = await begin(edge, 'docker.io/library/app:v0')
  t.match(await run('purge', 'docker.io/library/app'), { exitCode: 0 })
  t.equal(await read(), true)
  session.end()
  await untilStill(() => !existsSync(layerFile(edge, images[0])))
  t.notOk(existsSync(layerFile(edge, images[0])))
})

t.test('R833: what is deleted meanwhile is exported as it was planned', async t => {
  const { edge, images } = await start(t)
  const [image] = images as [Image]
  const client = createPushClient(edge.url)
  t.teardown(() => client.close())
  for (const blob of [image.config, ...image.layers])
    t.equal((await client.blob('localhost/app', blob.bytes())).status, 201)
  t.equal((await client.manifest('localhost/app', 'v1', image.manifest)).status, 201)
  const { session, read } = await begin(edge, 'localhost/app:v1')
  const deleted = await client.send(
    'DELETE',
    `/v2/localhost/app/manifests/${image.manifest.digest}`,
  )
  t.equal(deleted.status, 202)
  await edge.pass(25 * 3_600_000)
  t.equal(await read(), true)
  session.end()
})

t.test('R833: an export whose command went away holds nothing', async t => {
  const { edge, images, run } = await start(t)
  const { session } = await begin(edge, 'docker.io/library/app:v0')
  session.end()
  await untilStill(() => false)
  t.match(await run('purge', 'docker.io/library/app'), { exitCode: 0 })
  t.notOk(existsSync(layerFile(edge, images[0])))
})

t.test('there are four exports at once, and a fifth is told to wait', async t => {
  const { edge } = await start(t)
  const sessions = await Promise.all(
    Array.from({ length: 4 }, () => begin(edge, 'docker.io/library/app:v0')),
  )
  await t.rejects(begin(edge, 'docker.io/library/app:v0'), /4 exports are under way/)
  for (const { session } of sessions) session.end()
})
