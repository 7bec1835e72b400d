// Goal: the SQLite catalog gives the same answers as the plain one in memory. Method: random operations go to both, in bursts that
// are awaited together, with a restart now and then; afterwards everything that can be asked is asked of both.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { seeding } from '../kit/arbitraries.ts'
import { createMemoryCatalog } from '../../src/catalog/memory.ts'
import { openSqliteCatalog } from '../../src/catalog/sqlite/open.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { parseRepositoryKey, parseTag } from '../../src/oci/reference.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import { createManualClock } from '../kit/manual-clock.ts'
import { queryBeside } from '../kit/open-catalog.ts'

const RUNS = 20
const repositories = ['docker.io/library/a', 'docker.io/library/a-b', 'localhost/a'].map(
  parseRepositoryKey,
)
const digests: Digest[] = Array.from({ length: 9 }, (_, n) =>
  digestOf(Buffer.from(`${n}`), n % 4 === 3 ? 'sha512' : 'sha256'),
)
const tags = ['latest', 'V1', '_', '1.0'].map(parseTag)
const keys = ['tags', 'referrers']

/** A call of the port as data, so that a failure prints what was done. */
type Step = { readonly does: string; readonly with: readonly unknown[]; readonly call: Call }
/** Undefined: close and open again. */
type Call = ((catalog: Catalog) => Promise<void>) | undefined

/** Objects as the code makes them: comparing looks at prototypes. */
function plain<T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(shape, { noNullPrototype: true }) as fc.Arbitrary<T>
}

function steps<A extends unknown[]>(
  does: string,
  args: fc.Arbitrary<A>,
  method: (catalog: Catalog) => (...args: A) => Promise<void>,
): fc.Arbitrary<Step> {
  return args.map(a => ({ does, with: a, call: catalog => method(catalog)(...a) }))
}

const repository = fc.constantFrom(...repositories)
const digest = fc.constantFrom(...digests)
const tag = fc.constantFrom(...tags)
const atMs = fc.nat({ max: 50 })
const previous = plain({ digest, checkedAtMs: atMs })
// Leaves `previous` out now and then, as a caller does that knows none.
const check = fc.record(
  { checkedAtMs: atMs, previous },
  { requiredKeys: ['checkedAtMs'], noNullPrototype: true },
)
const contentClass = fc.constantFrom('cached', 'kept')
// Nothing here keeps the graph free of cycles or the sizes in agreement: untrusted descriptors need not be either.
const edge = plain({
  child: digest,
  kind: fc.constantFrom('manifest', 'config', 'layer', 'subject'),
  sizeBytes: fc.nat({ max: 3 }),
  mediaType: fc.constantFrom('x/layer', 'x/index'),
  platform: fc.option(fc.constant('linux/arm64/v8'), { nil: undefined }),
  distributable: fc.boolean(),
})
const manifest = plain({
  digest,
  mediaType: fc.constantFrom('x/manifest', 'x/index'),
  sizeBytes: fc.nat({ max: 99 }),
  edges: fc.array(edge, { maxLength: 4 }),
})
const manifestRecord = fc.record(
  { repository, manifest, contentClass, atMs, tag, previous },
  { requiredKeys: ['repository', 'manifest', 'contentClass', 'atMs'], noNullPrototype: true },
)
const blobRecord = plain({ repository, digest, sizeBytes: fc.nat(99), contentClass, atMs })
const list = plain({ body: fc.string({ unit: 'grapheme' }), checkedAtMs: atMs })
const key = fc.constantFrom(...keys)

const call: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: steps('recordManifest', fc.tuple(manifestRecord), c => r => c.recordManifest(r)),
  },
  { weight: 2, arbitrary: steps('recordBlob', fc.tuple(blobRecord), c => r => c.recordBlob(r)) },
  steps(
    'recordMember',
    fc.tuple(repository, digest, atMs),
    c =>
      (...a) =>
        c.recordMember(...a),
  ),
  steps(
    'recordTag',
    fc.tuple(repository, tag, digest, check),
    c =>
      (...a) =>
        c.recordTag(...a),
  ),
  steps(
    'recordList',
    fc.tuple(repository, key, list),
    c =>
      (...a) =>
        c.recordList(...a),
  ),
  // A use is seen after the next write at the latest.
  steps('noteUse', fc.tuple(digest, atMs), c => async (...a) => {
    c.noteUse(...a)
    await c.forgetTag(parseRepositoryKey('localhost/none'), parseTag('none'))
  }),
  steps(
    'forgetTag',
    fc.tuple(repository, tag),
    c =>
      (...a) =>
        c.forgetTag(...a),
  ),
  { weight: 2, arbitrary: steps('forgetContent', fc.tuple(digest), c => d => c.forgetContent(d)) },
)
// Rare: a restart costs a thread's start.
const restart = fc.constant<Step>({ does: 'restart', with: [], call: undefined })
const step = fc.oneof({ weight: 30, arbitrary: call }, { weight: 1, arbitrary: restart })
const bursts = fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { maxLength: 8 })

/** Every answer that the port can give about what these tests use. */
async function askEverything(catalog: Catalog): Promise<unknown> {
  const after = digests[4] as Digest
  const general = [
    catalog.totals(),
    catalog.listRepositories({ limit: 99 }),
    catalog.listRepositories({ after: 'docker.io/library/a', limit: 1 }),
    catalog.listContent({ limit: 99 }),
    catalog.listContent({ after, limit: 2 }),
    ...digests.map(d => catalog.findContent(d)),
  ]
  const local = repositories.flatMap(r => [
    catalog.listTags(r, { limit: 99 }),
    catalog.listTags(r, { after: 'V1', limit: 1 }),
    ...tags.map(name => catalog.findTag(r, name)),
    ...keys.map(key => catalog.findList(r, key)),
    ...digests.flatMap(d => [
      catalog.isMember(r, d),
      catalog.sizeOf(r, d),
      catalog.findManifest(r, d),
      catalog.listReferrers(r, d),
    ]),
  ])
  return Promise.all([...general, ...local])
}

t.test('SQLite and memory answer alike after random operations', async t => {
  const root = t.testdir({})
  let runs = 0
  await fc.assert(
    fc.asyncProperty(bursts, async bursts => {
      const directory = `${root}/${runs++}`
      const open = () => openSqliteCatalog({ directory, clock: createManualClock(), note() {} })
      const model = createMemoryCatalog()
      let catalog = await open()
      try {
        for (const burst of bursts) {
          const pending: Promise<void>[] = []
          for (const step of burst) {
            if (step.call === undefined) {
              await catalog.close()
              catalog = await open()
            } else pending.push(step.call(model), step.call(catalog))
          }
          await Promise.all(pending)
        }
        assert.deepEqual(await askEverything(catalog), await askEverything(model))
        assert.deepEqual(queryBeside(directory, 'PRAGMA integrity_check'), ['ok'])
        assert.deepEqual(queryBeside(directory, 'PRAGMA foreign_key_check'), [])
      } finally {
        await catalog.close()
      }
    }),
    { ...seeding(), numRuns: RUNS },
  )
  t.equal(runs, RUNS)
})
