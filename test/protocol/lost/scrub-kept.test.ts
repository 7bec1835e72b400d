// Goal: a scrub brings back what was pushed here from the upstream that was given it, and says of
// what came in a bundle how that is healed. Method: the command through the Unix socket of the
// whole edge in process, before a stub registry that takes pushes, or without any; files are harmed
// behind its back.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { ScrubResult } from '../../../src/registry/scrub/scrub.ts'
import { runCli } from '../../kit/cli.ts'
import { createPushClient } from '../../kit/clients/push-client.ts'
import type { Content } from '../../kit/content.ts'
import { blobPath } from '../../kit/disk/store-directory.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { type Image, makeImage } from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const HOST = 'registry.example.com'
const QUEUED = { repositories: [{ match: `${HOST}/**`, push: 'queue' }], default: HOST }

function flip(edge: TestEdge, digest: string): void {
  const path = blobPath(edge.dataDirectory, digest)
  const bytes = readFileSync(path)
  bytes[10] = (bytes[10] ?? 0) ^ 1
  chmodSync(path, 0o600)
  writeFileSync(path, bytes)
}

async function scrub(edge: TestEdge) {
  await edge.clock.advance(1)
  const { exitCode, stdout } = await runCli(['scrub', '--json', '--socket', edge.socket])
  return { exitCode, ...(JSON.parse(stdout) as ScrubResult) }
}

async function push(edge: TestEdge, image: Image): Promise<void> {
  const client = createPushClient(edge.url)
  try {
    for (const blob of [image.config, ...image.layers])
      await edge.settle(client.blob('team/app', blob.bytes()))
    await edge.settle(client.manifest('team/app', 'v1', image.manifest))
  } finally {
    client.close()
  }
}

t.test('R869: what was delivered to an upstream is brought back from there', async t => {
  const stub = await startStub(t)
  const upstreams = { [HOST]: { url: stub.url } }
  const edge = await startTestEdge(t, { upstreams, config: QUEUED })
  const image = makeImage({ seed: 'delivered', layers: [30_000, 20_000] })
  await push(edge, image)
  await edge.settle(edge.untilLogged('push delivered'), 1_200_000)
  const all: readonly Pick<Content, 'digest'>[] = [image.manifest, image.config, ...image.layers]
  for (const { digest } of all) flip(edge, digest)
  const found = await scrub(edge)
  t.match(found, { exitCode: 0, count: 4, healed: { refetched: 4, broken: 0 } })
  t.match(await scrub(edge), { exitCode: 0, count: 0 })
  const { body } = await edge.get('/v2/team/app/manifests/v1')
  t.ok(body.equals(image.manifest.bytes))
  for (const blob of image.layers) {
    const answer = await edge.get(`/v2/team/app/blobs/${blob.digest}`)
    t.match(answer, { status: 200, headers: { 'x-entrepot-source': 'hit' } })
    t.ok(answer.body.equals(blob.bytes()))
  }
})

t.test('R870: what came in a bundle is named as kept, and importing it again heals it', async t => {
  const stub = await startStub(t)
  const image = makeImage({ seed: 'carried', layers: [30_000, 20_000] })
  stub.addImage('library/app', 'v1', image)
  const name = 'docker.io/library/app:v1'
  const from = await startTestEdge(t, { upstreams: { 'docker.io': { url: stub.url } } })
  const directory = await mkdtemp(join(tmpdir(), 'scrub-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const file = join(directory, 'bundle.tar')
  t.match(await runCli(['export', name, '-o', file, '--socket', from.socket]), { exitCode: 0 })
  const upstreams = { 'docker.io': { url: 'http://127.0.0.1:1', offline: true } }
  const edge = await startTestEdge(t, { upstreams })
  const importAgain = () => runCli(['import', file, '--socket', edge.socket])
  t.match(await importAgain(), { exitCode: 0 })
  const all = [image.manifest, image.config, ...image.layers].map(({ digest }) => digest)
  for (const digest of all) flip(edge, digest)
  const found = await scrub(edge)
  t.match(found, { exitCode: 1, count: 4, healed: { refetched: 0, forgotten: 0, broken: 4 } })
  for (const { reason } of found.gone) t.match(reason, /it breaks docker\.io\/library\/app:v1/)
  const told = edge.lines().filter(({ msg }) => msg === 'content was damaged')
  t.equal(told.length, 4)
  for (const { hint } of told) t.match(hint, /import its bundle again/)
  t.match(await scrub(edge), { exitCode: 1, healed: { broken: 4 } })
  t.match(await importAgain(), { exitCode: 0 })
  t.match(await scrub(edge), { exitCode: 0, count: 0 })
  for (const { digest, bytes } of [image.config, ...image.layers]) {
    const answer = await edge.get(`/v2/library/app/blobs/${digest}`)
    t.ok(answer.body.equals(bytes()), digest)
  }
  const { body } = await edge.get('/v2/library/app/manifests/v1')
  t.ok(body.equals(image.manifest.bytes))
})
