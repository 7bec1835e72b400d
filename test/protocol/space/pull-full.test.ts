// Goal: an edge whose disk is used up goes on caching: what is pulled comes whole, what was used
// longest ago leaves for it, and the limit holds. Method: the whole edge in process with a limit of
// a few images, before a stub registry; the data directory as du sees it.
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { pushBlob } from '../../kit/worlds/edge-push.ts'
import type { TestEdge } from '../../kit/edge.ts'
import { type Image, makeImage } from '../../kit/image.ts'

const MiB = 1024 * 1024
const LIMIT = 50 * MiB
const IMAGE = 10 * MiB

function duBytes(edge: TestEdge): number {
  const du = execFileSync('du', ['--block-size=1', '--summarize', edge.dataDirectory])
  return Number(du.toString().split('\t')[0])
}

/** As a client does. Resolves to what was not as it is upstream. */
async function pull(edge: TestEdge, tag: string, image: Image): Promise<string[]> {
  const wrong: string[] = []
  const manifest = await edge.get(`${MANIFESTS}/${tag}`)
  if (manifest.status !== 200 || !manifest.body.equals(image.manifest.bytes))
    wrong.push(`${tag}: ${manifest.status}`)
  for (const blob of [image.config, ...image.layers]) {
    const answer = await edge.get(`${BLOBS}/${blob.digest}`)
    const isSame = answer.status === 200 && answer.body.equals(blob.bytes())
    if (!isSame) wrong.push(`${tag} ${blob.digest}: ${answer.status}`)
  }
  return wrong
}

function imagesNamed(count: number, layers: (at: number) => readonly number[]) {
  return Object.fromEntries(
    Array.from({ length: count }, (_, at) => [
      `v${at}`,
      makeImage({ seed: `full-${at}`, layers: layers(at) }),
    ]),
  )
}

t.test('R370: a full cache goes on caching, within its limit', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-edge-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const images = imagesNamed(20, () => [IMAGE])
  const { edge, stub } = await startPair(t, {
    images,
    edge: { directory, config: { storage: { maxsize: String(LIMIT), minfree: '1%' } } },
  })
  for (const [tag, image] of Object.entries(images)) {
    t.same(await pull(edge, tag, image), [], `${tag} comes whole`)
    const takenBytes = duBytes(edge)
    t.ok(takenBytes <= LIMIT + IMAGE, `${takenBytes} bytes are within the limit and one blob`)
    await edge.clock.advance(1_000)
  }
  t.match(await edge.untilLogged('content was evicted'), { why: 'room', images: 1 })
  const evicted = edge.lines().filter(({ msg }) => msg === 'content was evicted')
  t.ok(evicted.length > 0)

  await stub.stop()
  for (const tag of ['v19', 'v18', 'v17'])
    t.same(
      await edge.settle(pull(edge, tag, images[tag] as Image)),
      [],
      `${tag} is whole without its upstream`,
    )
})

t.test('R373, R370: what is pinned stays, and what finds no room is passed on', async t => {
  const images = imagesNamed(6, () => [IMAGE])
  const { edge, stub } = await startPair(t, {
    images,
    edge: {
      config: {
        storage: { maxsize: String(LIMIT), minfree: '1%' },
        pins: ['docker.io/library/app:v[0-3]'],
      },
    },
  })
  for (const [tag, image] of Object.entries(images)) {
    t.same(await edge.settle(pull(edge, tag, image)), [], `${tag} comes whole`)
    await edge.clock.advance(11 * 60_000)
  }
  t.match(await edge.untilLogged('there is no room, and nothing that may leave for it'), {
    level: 'warn',
    largest: 'docker.io/library/app',
  })
  const answer = await edge.settle(
    pushBlob(edge, 'localhost/team/app', Buffer.alloc(IMAGE, 'pushed')).then(
      ({ status }) => String(status),
      (error: unknown) => String(error),
    ),
  )
  t.match(answer, /507/)
  await stub.stop()
  for (const tag of ['v0', 'v1', 'v2', 'v3'])
    t.same(await edge.settle(pull(edge, tag, images[tag] as Image)), [], `${tag} is pinned`)
})

t.test('R377: a quota keeps an upstream within its part, and fails no pull', async t => {
  const images = imagesNamed(4, () => [IMAGE])
  const { edge } = await startPair(t, {
    images,
    entry: { quota: { ceiling: '50%' } },
    edge: { config: { storage: { maxsize: String(LIMIT), minfree: '1%' } } },
  })
  for (const [tag, image] of Object.entries(images)) {
    t.same(await pull(edge, tag, image), [], `${tag} comes whole`)
    await edge.clock.advance(11 * 60_000)
  }
  const evicted = () =>
    edge
      .lines()
      .filter(({ msg, why }) => msg === 'content was evicted' && why === 'quota')
      .reduce((sum, { images }) => sum + Number(images), 0)
  // Of the third and the fourth, by one look or two: whoever looks does so every ten seconds.
  while (evicted() < 2) {
    await edge.clock.advance(10_000)
    await edge.get('/v2/')
  }
  const takenBytes = duBytes(edge)
  t.ok(takenBytes < 28 * MiB, `${takenBytes} bytes are two images`)
})
