// Goal: one scrub finds whatever a disk has done to files, brings back what an upstream has, and
// names what was pushed and is lost, which a push heals. Method: the command through the Unix
// socket of the whole edge in process, over a real directory whose files are harmed behind its
// back; a stub registry that counts.
import {
  chmodSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Status } from '../../../src/registry/operator/status.ts'
import type { ScrubResult } from '../../../src/registry/scrub/scrub.ts'
import { runCli } from '../../kit/cli.ts'
import { type Content, patternBlob } from '../../kit/content.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { blobPath } from '../../kit/disk/store-directory.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { filesIn, NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'

const SIZE = 30_000

/** Of each kind one file; of those that are swapped two. */
const KINDS = ['flipped', 'cut', 'zeroed', 'deleted', 'swapped', 'swapped with', 'unreadable']

function harmAll(edge: TestEdge, blobs: readonly Content[]): void {
  const [flipped, cut, zeroed, deleted, swapped, with_, unreadable] = blobs.map(({ digest }) => {
    const path = blobPath(edge.dataDirectory, digest)
    chmodSync(path, 0o600)
    return path
  }) as [string, string, string, string, string, string, string]
  const bytes = readFileSync(flipped)
  bytes[SIZE / 2] = (bytes[SIZE / 2] ?? 0) ^ 1
  writeFileSync(flipped, bytes)
  truncateSync(cut, SIZE / 2)
  writeFileSync(zeroed, Buffer.alloc(SIZE))
  unlinkSync(deleted)
  renameSync(swapped, `${swapped}.tmp`)
  renameSync(with_, swapped)
  renameSync(`${swapped}.tmp`, with_)
  chmodSync(unreadable, 0)
}

async function scrub(edge: TestEdge, ...options: string[]) {
  // What was verified in this very moment is not read again.
  await edge.clock.advance(1)
  const { exitCode, stdout } = await runCli([
    'scrub',
    '--json',
    '--socket',
    edge.socket,
    ...options,
  ])
  return { exitCode, ...(JSON.parse(stdout) as ScrubResult) }
}

const layersOf = (seed: string) => KINDS.map(kind => patternBlob(`${seed} ${kind}`, SIZE))

t.test('R860: what a disk did to cached files is found, and fetched again', async t => {
  const { edge, stub } = await startPair(t)
  const blobs = layersOf('cached')
  for (const blob of blobs) {
    stub.addBlob('library/app', blob)
    await edge.get(`${BLOBS}/${blob.digest}`)
  }
  t.match(await scrub(edge), { exitCode: 0, count: 0 })
  harmAll(edge, blobs)
  const dry = await scrub(edge, '--dry-run')
  t.match(dry, { exitCode: 1, count: 6 }, 'all but the mode, as root')
  const found = await scrub(edge)
  t.match(found, { exitCode: 0, count: 7, healed: { mended: 1, refetched: 6, broken: 0 } })
  t.same(new Set(found.gone.map(({ what }) => what)), new Set(blobs.map(({ digest }) => digest)))
  for (const blob of blobs) {
    const answer = await edge.get(`${BLOBS}/${blob.digest}`)
    t.match(answer, { status: 200, headers: { 'x-entrepot-source': 'hit' } })
    t.ok(answer.body.equals(blob.bytes()), blob.digest)
  }
  t.equal(statSync(blobPath(edge.dataDirectory, blobs[6]?.digest ?? '')).mode & 0o777, 0o440)
  t.equal((await filesIn(edge, 'quarantine')).length, 5)
  t.match(await scrub(edge), { exitCode: 0, count: 0 })
})

t.test(
  'R861, R867: what was pushed and is lost is named with its image, until it is pushed',
  async t => {
    const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
    const image = makeImage({ seed: 'pushed', layers: KINDS.map(() => SIZE) })
    const push = async () => {
      for (const blob of [image.config, ...image.layers])
        if ((await edge.send('HEAD', `/v2/localhost/app/blobs/${blob.digest}`)).status === 404)
          await pushBlob(edge, 'localhost/app', blob.bytes())
      const { mediaType, bytes } = image.manifest
      const headers = { 'content-type': mediaType }
      return edge.send('PUT', '/v2/localhost/app/manifests/v1', { headers, body: bytes })
    }
    t.equal((await push()).status, 201)
    harmAll(edge, image.layers)
    const found = await scrub(edge)
    t.match(found, { exitCode: 1, healed: { mended: 1, refetched: 0, forgotten: 0, broken: 6 } })
    for (const { what, reason } of found.gone.slice(0, 6)) {
      t.ok(image.layers.some(({ digest }) => digest === what))
      t.match(reason, /breaks localhost\/app:v1/)
    }
    for (const { digest } of image.layers.slice(0, 6)) {
      t.equal((await edge.get(`/v2/localhost/app/blobs/${digest}`)).status, 404)
      t.equal((await edge.send('HEAD', `/v2/localhost/app/blobs/${digest}`)).status, 404)
    }
    const told = edge.lines().filter(({ msg }) => msg === 'content was damaged')
    t.equal(told.filter(({ became }) => became === 'broken').length, 6)
    t.match(told, [{ reason: /./, hint: /./ }])
    t.match(await scrub(edge), { exitCode: 1, healed: { broken: 6 } }, 'as long as it is broken')
    const broken = async () => {
      const { stdout } = await runCli(['status', '--json', '--socket', edge.socket])
      return (JSON.parse(stdout) as Status).scrub.broken
    }
    t.equal(await broken(), 6)
    const { body } = await get(`${edge.adminUrl}/metrics`)
    t.match(body.toString(), /^entrepot_scrub_broken 6$/m)
    t.match(body.toString(), /^entrepot_scrub_damaged_total\{became="mended"\} 1$/m)
    t.match(body.toString(), /^entrepot_scrub_oldest_seconds 0/m)
    const { stdout } = await runCli(['status', '--socket', edge.socket])
    t.match(
      stdout,
      /6 files are broken until pushed or imported again: "entrepot scrub" tells which/,
    )
    t.equal((await push()).status, 201)
    t.equal(await broken(), 0)
    t.match(await scrub(edge), { exitCode: 0, count: 0 })
    for (const blob of image.layers)
      t.ok((await edge.get(`/v2/localhost/app/blobs/${blob.digest}`)).body.equals(blob.bytes()))
  },
)

t.test('R874: what is broken is told after a restart as well, until it is pushed', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'scrub-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const options = { upstreams: NO_UPSTREAM, directory }
  const blob = patternBlob('remembered', SIZE)
  const first = await startTestEdge(t, options)
  await pushBlob(first, 'localhost/app', blob.bytes())
  chmodSync(blobPath(first.dataDirectory, blob.digest), 0o600)
  writeFileSync(blobPath(first.dataDirectory, blob.digest), Buffer.alloc(SIZE))
  t.match(await scrub(first), { exitCode: 1, healed: { broken: 1 } })
  await first.stop()
  const edge = await startTestEdge(t, options)
  const told = async () => (await runCli(['status', '--socket', edge.socket])).stdout
  t.match(await told(), /1 file is broken until pushed or imported again/)
  await pushBlob(edge, 'localhost/app', blob.bytes())
  t.notMatch(await told(), /broken/)
})

t.test('R862: a cached manifest that has rotted is fetched again', async t => {
  const image = makeImage({ seed: 'manifest' })
  const { edge, stub } = await startPair(t, { images: { v1: image } })
  await edge.get(`${MANIFESTS}/v1`)
  const path = blobPath(edge.dataDirectory, image.manifest.digest)
  chmodSync(path, 0o600)
  writeFileSync(path, Buffer.alloc(image.manifest.bytes.length, ' '))
  t.match(await scrub(edge), { exitCode: 0, healed: { refetched: 1 } })
  t.equal(stub.count({ kind: 'manifest', method: 'GET' }), 2)
  t.ok(readFileSync(path).equals(image.manifest.bytes))
})
