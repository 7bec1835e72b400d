// Goal: after a purge nobody is given what an upstream was asked before it. Method: the engine over
// in-memory twins, and an upstream that holds back its first answer until the purge is over.
import t from 'tap'
import { parseTag } from '../../../../src/oci/reference.ts'
import type { Upstream } from '../../../../src/registry/ports/upstream.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import type { Registry } from '../../../../src/registry/use-cases.ts'
import { createEngine, rejection, repositoryOf } from '../../../kit/engine.ts'
import { makeArtifact, makeImage } from '../../../kit/image.ts'
import { digested, tagged } from '../../../kit/clients/push-image.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const app = repositoryOf('team/app')
const [older, newer] = ['older', 'newer'].map(seed => makeImage({ seed, layers: [9] })) as [
  ReturnType<typeof makeImage>,
  ReturnType<typeof makeImage>,
]
const signature = makeArtifact({ seed: 'signature', subject: older.descriptor })
const layer = older.layers[0] as (typeof older.layers)[0]
const SELECTOR = { kind: 'repositories', repositories: 'docker.io/team/**' } as const
const HOW = {
  ...quietRun(),
  kept: false,
}

/** What an upstream says first, and from then on; as what a client sees of it. */
interface Question {
  readonly what: string
  readonly method: keyof Upstream
  readonly says: readonly [unknown, unknown]
  readonly ask: (registry: Registry) => Promise<unknown>
  readonly seen: readonly [unknown, unknown]
}

const documentOf = ({ manifest: { bytes, digest, mediaType } }: typeof older) => ({
  bytes,
  mediaType,
  declaredDigest: digest,
  warnings: [],
})
const headOf = ({ manifest: { bytes, digest, mediaType } }: typeof older) => ({
  digest,
  mediaType,
  sizeBytes: bytes.length,
  warnings: [],
})
const MOVED = [older.manifest.digest, newer.manifest.digest] as const

const QUESTIONS: readonly Question[] = [
  {
    what: 'a manifest by its tag',
    method: 'getManifest',
    says: [documentOf(older), documentOf(newer)],
    ask: async registry => (await registry.pullManifest(app, tagged('v1'))).digest,
    seen: MOVED,
  },
  {
    what: 'a HEAD of a tag',
    method: 'headManifest',
    says: [headOf(older), headOf(newer)],
    ask: async registry => (await registry.headManifest(app, tagged('v1'))).digest,
    seen: MOVED,
  },
  {
    what: 'a manifest by its digest',
    method: 'getManifest',
    says: [documentOf(older), documentOf(older)],
    ask: async registry =>
      (await registry.pullManifest(app, digested(older.manifest.digest))).digest,
    seen: [older.manifest.digest, older.manifest.digest],
  },
  {
    what: 'the tags',
    method: 'listTags',
    says: [{ tags: [parseTag('v1')] }, { tags: [parseTag('v2')] }],
    ask: async registry => (await registry.listTags(app, { limit: 9, after: undefined })).tags,
    seen: [['v1'], ['v2']],
  },
  {
    what: 'the tags, of which there were none',
    method: 'listTags',
    says: [{ tags: [] }, { tags: [parseTag('v2')] }],
    ask: async registry => (await registry.listTags(app, { limit: 9, after: undefined })).tags,
    seen: [[], ['v2']],
  },
  {
    what: 'the referrers',
    method: 'listReferrers',
    says: [{ manifests: [] }, { manifests: [signature.descriptor] }],
    ask: async registry =>
      (await registry.listReferrers(app, older.manifest.digest, [])).manifests.length,
    seen: [0, 1],
  },
  {
    what: 'a HEAD of a blob',
    method: 'headBlob',
    says: [{ sizeBytes: 9 }, { sizeBytes: 9 }],
    ask: async registry => (await registry.headBlob(app, layer.digest)).sizeBytes,
    seen: [9, 9],
  },
]

for (const { what, method, says, ask, seen } of QUESTIONS)
  t.test(`R462: who asks after a purge for ${what} joins no older question`, async t => {
    const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    let asked = 0
    const answer = async () => {
      asked += 1
      if (asked > 1) return says[1]
      reached.resolve()
      await released.promise
      return says[0]
    }
    const { registry } = createEngine({ upstream: { [method]: answer } })
    const before = ask(registry)
    await reached.promise
    await registry.purge(SELECTOR, HOW)
    t.same(await ask(registry), seen[1])
    t.equal(asked, 2, 'the upstream was asked anew')
    released.resolve()
    t.same(await before, seen[0], 'who asked before is told what was said')
    t.same(await ask(registry), seen[1], 'and nobody else')
  })

t.test('R462: a list that a purge took is not given while the upstream is away', async t => {
  let isAway = false
  const orAway = async <Answer>(answer: Answer) => {
    if (isAway) throw new UpstreamError('unavailable', 'it is away')
    return answer
  }
  const { registry, clock } = createEngine({
    policy: { maxStaleMs: Number.POSITIVE_INFINITY },
    upstream: {
      getManifest: () => orAway(documentOf(older)),
      listTags: () => orAway({ tags: [parseTag('v1')], warnings: [] }),
      listReferrers: () => orAway({ manifests: [signature.descriptor], warnings: [] }),
    },
  })
  const lists = {
    tags: () => registry.listTags(app, { limit: 9, after: undefined }),
    referrers: () => registry.listReferrers(app, older.manifest.digest, []),
  }
  await registry.pullManifest(app, tagged('v1'))
  for (const ask of Object.values(lists)) await ask()
  await clock.advance(3_600_000)
  isAway = true
  for (const [what, ask] of Object.entries(lists)) t.match(await ask(), { source: 'stale' }, what)
  await registry.purge(SELECTOR, HOW)
  for (const [what, ask] of Object.entries(lists))
    t.match(await rejection(ask()), { code: 'UNAVAILABLE' }, what)
})
