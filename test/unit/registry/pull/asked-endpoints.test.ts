// Goal: who may push asks the registry itself and who pulls its mirrors first, and neither is given
// the answer to the other's question: not while both are asked, nor a moment later. Method: the
// engine over in-memory twins, with a registry and a mirror that are written in the test.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { NegativeCache, type Question } from '../../../../src/registry/negative-cache.ts'
import {
  ASKED_ENDPOINTS,
  type AskedEndpoints,
  type ReadOptions,
  type Upstream,
  UpstreamError,
} from '../../../../src/registry/ports/upstream.ts'
import {
  blobAnswer,
  createEngine,
  type Engine,
  readAll,
  repositoryOf,
} from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'
import { digested, tagged } from '../../../kit/clients/push-image.ts'
import { everywhere } from '../../../kit/worlds/rebuilt.ts'

const app = repositoryOf('team/app')
const layer = Buffer.from('a layer')
const digest = digestOf(layer)
const given = makeImage({ seed: 'asked', layers: [] }).manifest
const UNKNOWN = { code: /^(?:BLOB|MANIFEST)_UNKNOWN$/ }
const absent = async () => Promise.reject(new UpstreamError('not-found', 'it is not here'))
const unsupported = async () => Promise.reject(new UpstreamError('unsupported', 'no HEAD'))
const turn = () => new Promise(setImmediate)

/** How a registry and its mirror have, or do not have, what is asked for: `absent` says 404. */
type Has = (endpoints: AskedEndpoints) => Promise<unknown>

/** Each answers once `has` has, with what it has. */
function upstreamWhere(has: Has, isHeadless: boolean): Partial<Upstream> {
  const head = { digest: given.digest, mediaType: given.mediaType, sizeBytes: 1, warnings: [] }
  const at = (options?: ReadOptions) => has(options?.endpoints ?? 'all')
  return {
    hasMirrors: true,
    headBlob: async (_name, _digest, options) => {
      await at(options)
      return { sizeBytes: layer.length }
    },
    headManifest: async (_name, _reference, options) => {
      await (isHeadless ? unsupported() : at(options))
      return head
    },
    getManifest: async (_name, _reference, options) => {
      await at(options)
      return { ...given, declaredDigest: given.digest, warnings: [] }
    },
    getBlob: async (_name, _digest, _range, options?: ReadOptions) => {
      await at(options)
      return blobAnswer([layer])
    },
  }
}

const QUESTIONS = {
  'a blob': ({ registry }: Engine, mayPush: boolean) => registry.headBlob(app, digest, { mayPush }),
  'a tag': ({ registry }: Engine, mayPush: boolean) =>
    registry.headManifest(app, { ...tagged('v1'), mayPush }),
  'a manifest': ({ registry }: Engine, mayPush: boolean) =>
    registry.headManifest(app, { ...digested(given.digest), mayPush }),
}

for (const isHeadless of [false, true])
  for (const [what, head] of Object.entries(QUESTIONS)) {
    if (isHeadless && what === 'a blob') continue
    const of = isHeadless ? `${what} without HEAD` : what
    const engineWhere = (has: Has) =>
      createEngine({
        policies: everywhere({ push: 'store' }),
        upstream: upstreamWhere(has, isHeadless),
      })

    t.test(`${of}: who pulls does not wait for the registry that a push asks`, async t => {
      const registry = Promise.withResolvers<never>()
      const engine = engineWhere(async endpoints =>
        endpoints === 'registry' ? registry.promise : undefined,
      )
      const pusher = head(engine, true)
      pusher.catch(() => {})
      await turn()
      const puller = head(engine, false)
      puller.catch(() => {})
      await turn()
      registry.reject(new UpstreamError('unavailable', 'it hangs'))
      t.ok(await puller, 'the mirror has it')
      await t.rejects(pusher, UNKNOWN)
    })

    t.test(`${of}: who pushes is not told what the mirror says to a pull`, async t => {
      const mirror = Promise.withResolvers<void>()
      const engine = engineWhere(endpoints =>
        endpoints === 'registry' ? absent() : mirror.promise,
      )
      const puller = head(engine, false)
      await turn()
      const pusher = head(engine, true)
      pusher.catch(() => {})
      await turn()
      mirror.resolve()
      t.ok(await puller)
      await t.rejects(pusher, UNKNOWN)
    })

    t.test(`${of}: what the registry lacks is pulled from its mirror the moment after`, async t => {
      const asked: AskedEndpoints[] = []
      const engine = engineWhere(async endpoints => {
        asked.push(endpoints)
        return endpoints === 'registry' ? absent() : undefined
      })
      await t.rejects(head(engine, true), UNKNOWN)
      t.ok(await head(engine, false))
      t.same(asked, ['registry', 'all'])
    })

    // A HEAD of a manifest by its digest is shared by nobody.
    if (of === 'a manifest') continue
    t.test(`${of}: a crowd of both costs one question of each`, async t => {
      const asked: AskedEndpoints[] = []
      const engine = engineWhere(async endpoints => {
        asked.push(endpoints)
        await turn()
      })
      await Promise.all([true, false, true, false, true].map(mayPush => head(engine, mayPush)))
      t.same(asked, ['registry', 'all'])
    })
  }

t.test('a blob that the registry lacks is read from its mirror the moment after', async t => {
  const upstream = upstreamWhere(
    async endpoints => (endpoints === 'registry' ? absent() : undefined),
    false,
  )
  const { registry } = createEngine({ policies: everywhere({ push: 'store' }), upstream })
  await t.rejects(registry.headBlob(app, digest, { mayPush: true }), UNKNOWN)
  t.same(await readAll(await registry.pullBlob(app, digest)), layer)
})

t.test(
  'a tag that the registry lacks stays known to those who pull it from its mirror',
  async t => {
    let isAway = false
    const { registry } = createEngine({
      policies: everywhere({ push: 'store' }),
      upstream: upstreamWhere(async endpoints => {
        if (isAway) throw new UpstreamError('unavailable', 'it is away')
        return endpoints === 'registry' ? absent() : undefined
      }, false),
    })
    const pull = () => registry.pullManifest(app, { ...tagged('v1'), accept: [] })
    await pull()
    await t.rejects(registry.headManifest(app, { ...tagged('v1'), mayPush: true }), UNKNOWN)
    isAway = true
    t.equal((await pull()).digest, given.digest)
  },
)

t.test('a tag that a registry without mirrors lacks is known no more', async t => {
  let has: Has = async () => {}
  const { registry } = createEngine({
    policies: everywhere({ push: 'store' }),
    upstream: { ...upstreamWhere(endpoints => has(endpoints), false), hasMirrors: false },
  })
  const pull = () => registry.pullManifest(app, { ...tagged('v1'), accept: [] })
  await pull()
  has = absent
  await t.rejects(registry.headManifest(app, { ...tagged('v1'), mayPush: true }), UNKNOWN)
  await t.rejects(pull(), UNKNOWN, 'also for who pulls it while it was fresh')
})

t.test('a push makes old news of what both have said, and of what they are asked', async t => {
  const negative = new NegativeCache(createManualClock())
  const running: Question[] = []
  const end = Promise.withResolvers<void>()
  const all = ASKED_ENDPOINTS.map(endpoints =>
    negative.ask('it', endpoints, async question => {
      running.push(question)
      await end.promise
    }),
  )
  for (const endpoints of ASKED_ENDPOINTS)
    await t.rejects(negative.ask('it', endpoints, absent), UpstreamError)
  negative.forget('it')
  t.same(
    running.map(({ isCurrent }) => isCurrent),
    [false, false],
  )
  for (const endpoints of ASKED_ENDPOINTS)
    t.equal(await negative.ask('it', endpoints, async () => 'asked'), 'asked')
  end.resolve()
  await Promise.all(all)
})
