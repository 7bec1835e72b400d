// Goal: a list of thousands of referrers whose manifests are here costs a few reads at a time and a
// bounded answer. Method: the description of a list over manifests that the test gives out one by
// one, and counts.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { parseManifest } from '../../../../src/oci/manifest.ts'
import { asRecorded } from '../../../../src/registry/content/edges.ts'
import { LOCAL_LIST_BYTES, LocalReferrers } from '../../../../src/registry/pull/list-referrers.ts'
import { UNKNOWN } from '../../../../src/registry/ports/blob-store-content.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { around } from '../../../kit/around.ts'
import { pushImage } from '../../../kit/clients/push-image.ts'
import { createEngine, localOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'

const READ_AT_ONCE = 4
const app = localOf('team/app')
const subject = makeImage({ seed: 'subject' }).descriptor

function referrersOf(count: number, noteBytes: number) {
  const artifacts = Array.from({ length: count }, (_, n) =>
    makeImage({
      layers: [1],
      seed: `referrer ${n}`,
      subject,
      annotations: { note: 'x'.repeat(noteBytes) },
    }),
  )
  const contents = artifacts.map(({ manifest: { bytes, digest, mediaType } }) => ({
    bytes,
    warnings: [],
    recorded: asRecorded(parseManifest(bytes, mediaType), digest, bytes.length),
  }))
  const byDigest = new Map(contents.map(content => [content.recorded.digest, content]))
  return { digests: [...byDigest.keys()], find: (digest: Digest) => byDigest.get(digest) }
}

t.test('R273: four manifests are read at a time, and one list of a repository', async t => {
  const { digests, find } = referrersOf(10, 1)
  const reads: (() => void)[] = []
  let reading = 0
  const local = new LocalReferrers({
    here: async (_repository, digest) => {
      reading += 1
      await new Promise<void>(resolve => reads.push(resolve))
      reading -= 1
      return find(digest)
    },
  })
  const lists = [local.describe(app, digests), local.describe(app, digests)]
  const most: number[] = []
  for (let done = 0; done < 2 * digests.length; done += 1) {
    while (reads.length === 0) await new Promise(setImmediate)
    most.push(reading)
    reads.shift()?.()
  }
  t.same(
    (await Promise.all(lists)).map(list => list.length),
    [10, 10],
  )
  t.equal(Math.max(...most), READ_AT_ONCE)
})

t.test('R273: what is beyond four megabytes is listed without its annotations', async t => {
  const each = 1024 * 1024
  const { digests, find } = referrersOf(8, each)
  const list = await new LocalReferrers({ here: async (_, digest) => find(digest) }).describe(
    app,
    digests,
  )
  t.equal(list.length, 8, 'none is left out')
  t.equal(list.filter(({ annotations }) => annotations !== undefined).length, 3)
  t.ok(JSON.stringify(list).length <= LOCAL_LIST_BYTES)
})

// The specification knows no list of which a part is missing. Whoever is given one believes that an
// image is not signed, or takes a copy without what is about it for a whole one; an error is tried
// again.
t.test('R913: where one referrer cannot be looked at there is no list without it', async t => {
  let failing: Digest | undefined
  const { registry } = createEngine({
    store: store =>
      around(store, {
        look:
          look =>
          async (...wanted) =>
            wanted[0] === failing ? UNKNOWN : look(...wanted),
        readVerified: read => async digest => (digest === failing ? undefined : read(digest)),
      }),
  })
  const signatures = ['one', 'other'].map(seed => makeImage({ layers: [1], seed, subject }))
  for (const each of signatures) await pushImage(registry, app, each)
  const list = () => registry.listReferrers(app, subject.digest, [])
  failing = signatures[0]?.manifest.digest
  await t.rejects(list(), StoreError)
  failing = undefined
  t.equal((await list()).manifests.length, 2)
})
