// Goal: that the file of a cached manifest is gone or wrong costs that file, and nothing else of
// its image. Method: the whole edge in process before a stub registry; the file is spoilt or
// removed while no edge runs, and hours pass.
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCli } from '../../kit/cli.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { filesIn } from '../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { blobPath } from '../../kit/disk/store-directory.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const image = makeImage({ seed: 'without its manifest', layers: [4_000, 3_000] })
const parts = [image.config, ...image.layers].map(({ digest }) => digest)

/** What happens to the file of the manifest. */
const FAULTS = {
  'a flipped bit': (path: string) => {
    const bytes = readFileSync(path)
    bytes[10] = (bytes[10] ?? 0) ^ 1
    chmodSync(path, 0o600)
    writeFileSync(path, bytes)
  },
  'no file': (path: string) => rmSync(path),
} as const

/** An edge that has pulled the image, stopped, and what begins it again. */
async function pulled(t: Test, { isPinned }: { isPinned: boolean }) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-test-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const entry = { prefetch: false }
  const pair = { images: { v1: image }, entry, edge: { directory } }
  const { edge, stub } = await startPair(t, pair)
  await edge.get(`${MANIFESTS}/v1`)
  for (const digest of parts) await edge.get(`${BLOBS}/${digest}`)
  if (isPinned) {
    const pin = await runCli(['pin', 'docker.io/library/app:v1', '--socket', edge.socket])
    t.match(pin, { exitCode: 0 })
  }
  await edge.stop()
  const start = (more: Readonly<Record<string, unknown>> = {}) =>
    startTestEdge(t, {
      upstreams: { 'docker.io': { url: stub.url, ...entry, ...more } },
      directory,
    })
  return { start, stub, manifest: blobPath(edge.dataDirectory, image.manifest.digest) }
}

async function hasParts(edge: TestEdge): Promise<boolean> {
  const names = await filesIn(edge, 'blobs')
  return parts.every(digest => names.some(name => name.endsWith(digest.slice('sha256:'.length))))
}

/** In steps, as graces count time that ran. */
async function passDays(edge: TestEdge, days: number): Promise<void> {
  for (let passedMs = 0; passedMs < days * DAY_MS; passedMs += 12 * HOUR_MS)
    await edge.pass(12 * HOUR_MS)
}

for (const [fault, inflict] of Object.entries(FAULTS))
  for (const isPinned of [true, false])
    t.test(
      `R790: ${fault} of a ${isPinned ? 'pinned' : 'cached'} manifest has nothing collected`,
      async t => {
        const { start, stub, manifest } = await pulled(t, { isPinned })
        inflict(manifest)
        const alone = await start({ offline: true })
        t.equal((await alone.settle(alone.get(`${MANIFESTS}/v1`))).status, 404)
        await passDays(alone, 9)
        t.ok(await hasParts(alone))
        await alone.stop()
        const edge = await start()
        const before = stub.count({ kind: 'blob', method: 'GET' })
        t.ok((await edge.settle(edge.get(`${MANIFESTS}/v1`))).body.equals(image.manifest.bytes))
        for (const digest of parts) t.equal((await edge.get(`${BLOBS}/${digest}`)).status, 200)
        t.equal(stub.count({ kind: 'blob', method: 'GET' }), before, 'nothing is fetched again')
      },
    )
