// Goal: of a thousand damages of six kinds one scrub finds each, nothing damaged is given after it,
// what was cached is here again, and what was pushed is named and healed by a push. Method: the
// command against the whole edge in process, over a real directory whose files are harmed by chance
// behind its back; the seed is told.
import {
  chmodSync,
  readFileSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import t from 'tap'
import type { ScrubResult } from '../../src/registry/scrub/scrub.ts'
import { runCli } from '../kit/cli.ts'
import { type Content, patternBlob } from '../kit/content.ts'
import { blobPath } from '../kit/disk/store-directory.ts'
import { type TestEdge } from '../kit/edge.ts'
import { type Image, makeImage } from '../kit/image.ts'
import { createRandom, seedOf } from '../kit/seeded.ts'
import { BLOBS, startPair } from '../kit/worlds/edge-over-stub.ts'
import { pushBlob } from '../kit/worlds/edge-push.ts'

t.setTimeout(600_000)

/** Half of them cached, half of them pushed. */
const DAMAGES = 1_000
const CACHED = DAMAGES / 2
const LAYERS = 10
const IMAGES = CACHED / LAYERS
const SIZE_MAX = 20_000

const KINDS = ['flip', 'cut', 'zero', 'delete', 'swap', 'forbid'] as const

const seed = seedOf(process.env)
const { below, pick } = createRandom(seed)

/** Each is damaged once; two that are swapped have the same fate. */
function harmAll(edge: TestEdge, blobs: readonly Content[]): Map<string, number> {
  const counts = new Map<string, number>()
  const left = blobs.map(({ digest }) => blobPath(edge.dataDirectory, digest))
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    const kind = left.length === 0 ? 'flip' : pick(KINDS)
    chmodSync(path, 0o600)
    harm(path, kind, left)
    counts.set(kind, (counts.get(kind) ?? 0) + (kind === 'swap' ? 2 : 1))
  }
  return counts
}

function harm(path: string, kind: (typeof KINDS)[number], left: string[]): void {
  const bytes = readFileSync(path)
  switch (kind) {
    case 'flip': {
      const at = below(bytes.length)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8))
      return writeFileSync(path, bytes)
    }
    case 'cut':
      return truncateSync(path, below(bytes.length))
    case 'zero':
      return writeFileSync(path, Buffer.alloc(bytes.length))
    case 'delete':
      return unlinkSync(path)
    case 'swap': {
      const other = left.pop()
      if (other === undefined) throw new Error('there is another one')
      renameSync(path, `${path}.swapped`)
      renameSync(other, path)
      return renameSync(`${path}.swapped`, other)
    }
    case 'forbid':
      return chmodSync(path, 0)
  }
}

async function scrub(edge: TestEdge) {
  await edge.clock.advance(1)
  const { exitCode, stdout } = await runCli(['scrub', '--json', '--socket', edge.socket])
  return { exitCode, ...(JSON.parse(stdout) as ScrubResult) }
}

async function push(edge: TestEdge, image: Image): Promise<number> {
  for (const blob of [image.config, ...image.layers])
    if ((await edge.send('HEAD', `/v2/localhost/app/blobs/${blob.digest}`)).status === 404)
      await pushBlob(edge, 'localhost/app', blob.bytes())
  const { mediaType, bytes } = image.manifest
  const path = `/v2/localhost/app/manifests/${image.manifest.digest}`
  return (await edge.send('PUT', path, { headers: { 'content-type': mediaType }, body: bytes }))
    .status
}

t.test(`R860, R861: ${DAMAGES} damages by chance, SEED=${seed}`, async t => {
  const { edge, stub } = await startPair(t)
  const cached = Array.from({ length: CACHED }, (_, at) =>
    patternBlob(`cached ${at}`, 100 + below(SIZE_MAX)),
  )
  for (const blob of cached) {
    stub.addBlob('library/app', blob)
    await edge.get(`${BLOBS}/${blob.digest}`)
  }
  const images = Array.from({ length: IMAGES }, (_, at) =>
    makeImage({
      seed: `pushed ${at}`,
      layers: Array.from({ length: LAYERS }, () => 100 + below(SIZE_MAX)),
    }),
  )
  for (const image of images) t.equal(await push(edge, image), 201)
  const pushed = images.flatMap(({ layers }) => layers)
  const [ofCached, ofPushed] = [harmAll(edge, cached), harmAll(edge, pushed)]
  t.comment(JSON.stringify([[...ofCached], [...ofPushed]]))
  const forbidden = [ofCached, ofPushed].map(counts => counts.get('forbid') ?? 0)
  const [mendedCached = 0, mendedPushed = 0] = forbidden

  const found = await scrub(edge)
  t.equal(found.exitCode, 1)
  t.same(found.healed, {
    mended: mendedCached + mendedPushed,
    refetched: CACHED - mendedCached,
    forgotten: 0,
    broken: pushed.length - mendedPushed,
  })
  t.equal(new Set(found.gone.map(({ what }) => what)).size, DAMAGES, 'each by its name')
  for (const blob of cached) {
    const answer = await edge.get(`${BLOBS}/${blob.digest}`)
    if (answer.headers['x-entrepot-source'] !== 'hit' || !answer.body.equals(blob.bytes()))
      t.fail(`${blob.digest} is not what it was`)
  }
  for (const blob of pushed) {
    const answer = await edge.get(`/v2/localhost/app/blobs/${blob.digest}`)
    const isRight = answer.status === 200 && answer.body.equals(blob.bytes())
    if (answer.status !== 404 && !isRight) t.fail(`${blob.digest} was given though it is damaged`)
  }
  for (const image of images) t.equal(await push(edge, image), 201)
  t.match(await scrub(edge), { exitCode: 0, count: 0 })
  for (const blob of pushed) {
    const { body } = await edge.get(`/v2/localhost/app/blobs/${blob.digest}`)
    if (!body.equals(blob.bytes())) t.fail(`${blob.digest} was not healed`)
  }
})
