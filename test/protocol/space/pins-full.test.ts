// Goal: what is pinned stays however full the disk is, and where nothing else is left what comes is
// passed on, and said. Method: the whole edge in process with a limit of a few images, before a
// stub registry; pins in the configuration and by command.
import t, { type Test } from 'tap'
import { runCli } from '../../kit/cli.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { pushBlob } from '../../kit/worlds/edge-push.ts'
import { type Image, makeImage } from '../../kit/image.ts'

const MiB = 1024 * 1024
const LIMIT = 30 * MiB
const IMAGE = 6 * MiB

async function start(t: Test, pins: readonly string[]) {
  const images = new Map(
    Array.from({ length: 12 }, (_, at) => [
      `v${at}`,
      makeImage({ seed: `pinned-${at}`, layers: [IMAGE] }),
    ]),
  )
  const { edge, stub } = await startPair(t, {
    images: Object.fromEntries(images),
    edge: { config: { pins, storage: { maxsize: String(LIMIT), minfree: '1%' } } },
  })
  /** As a client does; what was not as it is upstream. */
  const pull = async (tag: string): Promise<string[]> => {
    const image = images.get(tag) as Image
    const wrong: string[] = []
    const manifest = await edge.get(`${MANIFESTS}/${tag}`)
    if (!manifest.body.equals(image.manifest.bytes)) wrong.push(`${tag}: ${manifest.status}`)
    for (const blob of [image.config, ...image.layers]) {
      const { status, body } = await edge.get(`${BLOBS}/${blob.digest}`)
      if (!body.equals(blob.bytes())) wrong.push(`${blob.digest}: ${status}`)
    }
    // Who was used in the last minutes goes last of all; the others are not.
    await edge.clock.advance(60_000)
    return wrong
  }
  const layerOf = (tag: string) => images.get(tag)?.layers[0]?.digest ?? ''
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  return { edge, stub, pull, layerOf, run }
}

t.test('R351: what is pinned stays while all else comes and goes', async t => {
  const { stub, pull, layerOf, run } = await start(t, ['docker.io/library/*:v0'])
  t.same(await pull('v0'), [])
  t.same(await pull('v1'), [])
  t.match(await run('pin', 'docker.io/library/app:v1'), { exitCode: 0 })
  for (let at = 2; at < 12; at += 1) t.same(await pull(`v${at}`), [])
  t.same([...(await pull('v0')), ...(await pull('v1'))], [])
  const asked = (tag: string) => stub.count({ kind: 'blob', method: 'GET', digest: layerOf(tag) })
  t.same(['v0', 'v1'].map(asked), [1, 1], 'the pinned ones are here since the beginning')
  t.same(await pull('v2'), [])
  t.equal(asked('v2'), 2, 'another one was not')
})

t.test(
  'R351: where all is pinned, what comes is passed on, and pushes and the log say so',
  async t => {
    const { edge, stub, pull, layerOf } = await start(t, ['docker.io/**'])
    for (let at = 0; at < 8; at += 1) t.same(await pull(`v${at}`), [])
    const asked = (tag: string) => stub.count({ kind: 'blob', method: 'GET', digest: layerOf(tag) })
    t.same(await pull('v7'), [])
    t.equal(asked('v7'), 2, 'it was passed on, and not kept')
    t.same(await pull('v0'), [])
    t.equal(asked('v0'), 1)
    t.match(await edge.untilLogged('there is no room, and nothing that may leave for it'), {
      level: 'warn',
      largest: 'docker.io/library/app',
    })
    const refused = await pushBlob(edge, 'localhost/app', Buffer.alloc(LIMIT))
    t.equal(refused.status, 507)
  },
)

t.test('R471: where all is kept, the log says why a push is refused, and whose it is', async t => {
  const { edge } = await start(t, [])
  const push = (name: string) =>
    pushBlob(edge, `localhost/${name}`, Buffer.alloc(LIMIT / 2 - LIMIT / 16, name))
  t.equal((await push('first')).status, 201)
  t.equal((await push('second')).status, 201)
  t.equal((await push('third')).status, 507)
  t.match(await edge.untilLogged('there is no room, and nothing that may leave for it'), {
    level: 'warn',
    cachedBytes: 0,
    largest: /^localhost\/(first|second)$/,
  })
})
