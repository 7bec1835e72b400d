// Goal: what somebody reads, in any thread, or fetches is known to be in use, and no longer.
// Method: the engine over in-memory twins, and an upstream that stands still within a blob.
import t from 'tap'
import { OPEN_LEAST_BYTES } from '../../../../src/registry/reading/open-blobs.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { overThreads } from '../../../kit/worlds/borrowed-registry.ts'
import { patternBlob } from '../../../kit/content.ts'
import { blobAnswer, createEngine, localOf, readAll, repositoryOf } from '../../../kit/engine.ts'
import { settle } from '../../../kit/settle.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'

const app = localOf('team/app')
const large = patternBlob('read', OPEN_LEAST_BYTES).bytes()

t.test(
  'R373: a blob is in use while somebody reads it, and not while it only stays open',
  async t => {
    const engine = createEngine()
    const digest = digestOf(large)
    await pushWhole(engine.registry, app, large)
    t.notOk(engine.inUse.has(digest))
    const [one, other] = [
      await engine.registry.pullBlob(app, digest),
      await engine.registry.pullBlob(app, digest),
    ]
    await one.close()
    await one.close()
    t.ok(engine.inUse.has(digest), 'one of two reads on')
    await readAll(other)
    t.notOk(engine.inUse.has(digest))
  },
)

t.test('R373: a blob is in use while it is fetched, and while a slow client reads on', async t => {
  const pieces = [Buffer.alloc(200_000, 'a'), Buffer.alloc(200_000, 'b')]
  const digest = digestOf(Buffer.concat(pieces))
  const { promise, resolve: goOn } = Promise.withResolvers<void>()
  const getBlob = async () => blobAnswer(pieces, {}, () => promise)
  const engine = createEngine({ upstream: { getBlob } })
  const answer = await engine.registry.pullBlob(repositoryOf('library/app'), digest)
  t.same(
    engine.inUse.filling(() => true),
    [digest],
  )
  goOn()
  await engine.registry.settled(digest)
  await settle()
  t.same(
    engine.inUse.filling(() => true),
    [],
  )
  t.ok(engine.inUse.has(digest), 'its reader goes on')
  await readAll(answer)
  t.notOk(engine.inUse.has(digest))
})

t.test('R373: a blob is in use while another thread has it', async t => {
  const engine = createEngine()
  const digest = digestOf(large)
  await pushWhole(engine.registry, app, large)
  const far = overThreads(t, engine.registry)
  const answer = await far.registry.pullBlob(app, digest)
  t.ok(engine.inUse.has(digest))
  await answer.close()
  await settle()
  t.notOk(engine.inUse.has(digest))
})
