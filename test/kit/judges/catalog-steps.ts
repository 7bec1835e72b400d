// Random histories of a catalog: calls of the port as data, over so few repositories, digests, tags
// and ids that they meet.
import fc from 'fast-check'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { parseRepositoryKey, parseTag, repositoryKey } from '../../../src/oci/reference.ts'
import { HOLDS } from '../../../src/registry/ports/holds.ts'
import type { Evicted } from '../../../src/registry/ports/catalog-images.ts'
import { LEAVE_REASONS, type Leaves } from '../../../src/registry/ports/catalog-space.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'

export const repositories = ['docker.io/library/a', 'docker.io/library/a-b', 'localhost/a'].map(
  parseRepositoryKey,
)
export const digests: Digest[] = Array.from({ length: 9 }, (_, n) =>
  digestOf(Buffer.from(`${n}`), n % 4 === 3 ? 'sha512' : 'sha256'),
)
/** One of them is about a digest. */
export const tags = ['latest', 'V1', '_', '1.0', `${digests[0]?.replace(':', '-')}.sig`].map(
  parseTag,
)
export const keys = ['tags', 'referrers']
/**
 * Few, so that entries meet: the same one again, one that is gone, one that came before another.
 */
export const ids: readonly number[] = [1, 2, 3, 4, 5, 6]

/** A call of the port as data, so that a failure prints what was done. */
export type Step = { readonly does: string; readonly with: readonly unknown[]; readonly call: Call }
/** Resolves to what it results in. Undefined: close and open again. */
type Call = ((catalog: Catalog) => Promise<unknown>) | undefined

/** Objects as the code makes them: comparing looks at prototypes. */
function plain<T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(shape, { noNullPrototype: true }) as fc.Arbitrary<T>
}

function steps<A extends unknown[]>(
  does: string,
  args: fc.Arbitrary<A>,
  method: (catalog: Catalog) => (...args: A) => Promise<unknown>,
): fc.Arbitrary<Step> {
  return args.map(a => ({ does, with: a, call: catalog => method(catalog)(...a) }))
}

/** What a manifest lists stands in no order, and what several need is listed by one of them. */
const inOrders = (each: readonly (readonly Leaves[])[]) => each.map(ordered)
const inOrder = ({ leaves, ...evicted }: Evicted) => ({ ...evicted, leaves: ordered(leaves) })
const ordered = (leaves: readonly Leaves[]) =>
  leaves.map(({ digest: each, sizeBytes }) => `${each} ${sizeBytes}`).sort()

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
// Nothing here keeps the graph free of cycles or the sizes in agreement: untrusted descriptors need
// not be either.
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
  { repository, manifest, atMs, tag, previous, apart: fc.boolean() },
  { requiredKeys: ['repository', 'manifest', 'atMs'], noNullPrototype: true },
)
const blobRecord = fc.record(
  {
    repository,
    digest,
    sizeBytes: fc.nat(99),
    hold: fc.constantFrom('awaited', 'nothing'),
    atMs,
    acknowledgedAtMs: atMs,
  },
  {
    requiredKeys: ['repository', 'digest', 'sizeBytes', 'hold', 'atMs'],
    noNullPrototype: true,
  },
)
const id = fc.constantFrom(...ids)
const deliveryKey = fc.constantFrom(...repositories.map(repositoryKey))
const delivery = plain({
  id,
  carrier: fc.constant('queue' as const),
  key: deliveryKey,
  payload: fc.string({ unit: 'grapheme' }),
  createdAtMs: atMs,
})
const pushRecord = fc.record(
  {
    repository,
    manifest,
    tags: fc.uniqueArray(tag, { maxLength: 2 }),
    confirmed: fc.uniqueArray(digest, { maxLength: 2 }),
    durable: fc.uniqueArray(digest, { maxLength: 2 }),
    delivery,
    hold: fc.constantFrom(...HOLDS, 'awaited' as const, 'nothing' as const),
    order: plain({ edge: fc.constantFrom('here', 'there'), number: fc.nat(9) }),
    completes: fc.boolean(),
    atMs,
  },
  {
    requiredKeys: ['repository', 'manifest', 'hold', 'tags', 'atMs'],
    noNullPrototype: true,
  },
)
const change = fc.record(
  {
    state: fc.constantFrom('waiting' as const, 'parked' as const),
    attempts: fc.nat({ max: 9 }),
    nextAtMs: atMs,
    inDoubt: fc.boolean(),
    reason: fc.option(fc.string(), { nil: undefined }),
    payload: fc.string(),
  },
  { requiredKeys: [], noNullPrototype: true },
)
const settled = fc.option(
  plain({
    repository,
    digest,
    tags: fc.uniqueArray(tag, { maxLength: 3 }),
    atMs,
    isKept: fc.boolean(),
  }),
  { nil: undefined },
)
const drops = plain({
  dropDeliveries: fc.uniqueArray(id, { maxLength: 2 }),
  changeDeliveries: fc.array(plain({ id, payload: fc.string() }), { maxLength: 2 }),
})
const removal = fc
  .tuple(
    drops,
    fc.record(
      {
        followedSinceMs: atMs.map(ms => ms + 1),
        deletedAtMs: atMs.map(ms => ms + 1),
        unlessLeased: plain({ leasesOverMs: atMs }),
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
  )
  .map(([those, more]) => ({ ...those, ...more }))
const some = fc.uniqueArray(digest, { minLength: 1, maxLength: 4 })
const spared = fc.uniqueArray(digest, { maxLength: 2 }).map(some => new Set(some))
const letGo = plain({
  digests: some,
  reason: fc.constantFrom(...LEAVE_REASONS),
  atMs,
  spared,
})
// Over days, so that uses count.
const use = plain({
  repository,
  digest,
  tag: fc.option(tag, { nil: undefined }),
  count: fc.integer({ min: 1, max: 3 }),
  atMs: fc.nat(9).map(days => days * 50_000_000),
})
const eviction = plain({
  repository,
  digest,
  reason: fc.constantFrom('evicted' as const, 'purged' as const),
  spared,
  atMs,
})
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
  steps(
    'forgetList',
    fc.tuple(repository, key),
    c =>
      (...a) =>
        c.forgetList(...a),
  ),
  steps('noteUses', fc.tuple(fc.array(use, { maxLength: 3 })), c => uses => c.noteUses(uses)),
  steps(
    'forgetTag',
    fc.tuple(repository, tag),
    c =>
      (...a) =>
        c.forgetTag(...a),
  ),
  { weight: 4, arbitrary: steps('recordPush', fc.tuple(pushRecord), c => r => c.recordPush(r)) },
  steps('markRebuilt', fc.tuple(fc.boolean()), c => isAllFound => c.markRebuilt(isAllFound)),
  steps(
    'deleteTag',
    fc.tuple(repository, tag, drops),
    c =>
      (...a) =>
        c.deleteTag(...a),
  ),
  {
    weight: 2,
    arbitrary: steps(
      'removeMember',
      fc.tuple(repository, digest, removal),
      c =>
        (...a) =>
          c.removeMember(...a),
    ),
  },
  steps(
    'endFollowing',
    fc.tuple(plain({ repository, digest })),
    c => image => c.endFollowing(image),
  ),
  // Of all times up to one: what is pending is not read, since of what is written in the same burst
  // a read need not see anything.
  steps('expirePendingBlobs', fc.tuple(repository, digest, atMs), c => async (of, what, lastMs) => {
    const times = Array.from({ length: lastMs + 1 }, (_, acknowledgedAtMs) => acknowledgedAtMs)
    const pending = { repository: of, digest: what }
    await Promise.all(
      times.map(acknowledgedAtMs => c.expirePendingBlob({ ...pending, acknowledgedAtMs })),
    )
  }),
  {
    weight: 2,
    arbitrary: steps('recordDelivery', fc.tuple(delivery), c => d => c.recordDelivery(d)),
  },
  {
    weight: 2,
    arbitrary: steps(
      'changeDelivery',
      fc.tuple(id, change),
      c =>
        (...a) =>
          c.changeDelivery(...a),
    ),
  },
  {
    weight: 3,
    arbitrary: steps(
      'removeDelivery',
      fc.tuple(id, settled),
      c =>
        (...a) =>
          c.removeDelivery(...a),
    ),
  },
  { weight: 2, arbitrary: steps('forgetContent', fc.tuple(digest), c => d => c.forgetContent(d)) },
  {
    weight: 4,
    arbitrary: steps('evictImage', fc.tuple(eviction), c => e => c.evictImage(e).then(inOrder)),
  },
  { weight: 4, arbitrary: steps('letGo', fc.tuple(letGo), c => l => c.letGo(l).then(inOrders)) },
  { weight: 2, arbitrary: steps('finishLeaving', fc.tuple(some), c => d => c.finishLeaving(d)) },
  {
    weight: 2,
    arbitrary: steps('stampLoose', fc.tuple(fc.nat(50)), c => ms => c.stampLoose(ms + 1)),
  },
  steps(
    'lease',
    fc.tuple(plain({ repository, digests: some, untilMs: atMs })),
    c => l => c.lease(l),
  ),
  steps('pin', fc.tuple(plain({ name: key, body: key, atMs })), c => p => c.pin(p)),
  steps('recount', fc.tuple(fc.constant(3)), c => rows => c.recount(rows)),
  steps('noteJob', fc.tuple(plain({ name: key, body: key })), c => run => c.noteJob(run)),
  steps('unpin', fc.tuple(key), c => name => c.unpin(name)),
  // All of the content at once, and then what comes at the end; and anew for what is below.
  steps('tidy', fc.tuple(fc.nat(50)), c => async ms => {
    const what = { beforeMs: ms + 1, rows: 99 }
    await Promise.all(Array.from({ length: 2 * digests.length }, () => c.tidy(what)))
  }),
  steps(
    'noteVerified',
    fc.tuple(plain({ digests: some, broken: some, atMs })),
    c => verified => c.noteVerified(verified),
  ),
  steps('trimGhosts', fc.tuple(fc.nat(9)), c => blocks => c.trimGhosts(blocks * 4096)),
  steps('expireLeases', fc.tuple(atMs), c => ms => c.expireLeases(ms)),
  steps(
    'putBack',
    fc.tuple(plain({ nowMs: atMs, longestMs: fc.nat(20) })),
    c => times => c.putBack(times),
  ),
  steps(
    'noteStock',
    fc.tuple(fc.boolean(), fc.array(digest, { maxLength: 2 })),
    c => (isAllFound, butFor) => c.noteStock(isAllFound, isAllFound ? [] : butFor),
  ),
  steps(
    'adopt',
    fc.tuple(
      fc.array(plain({ digest, sizeBytes: fc.nat(99) }), { maxLength: 2 }),
      atMs,
      fc.boolean(),
    ),
    c =>
      (...a) =>
        c.adopt(...a),
  ),
)
// Rare: a restart costs a thread's start.
const restart = fc.constant<Step>({ does: 'restart', with: [], call: undefined })
const step = fc.oneof({ weight: 30, arbitrary: call }, { weight: 1, arbitrary: restart })
/** What is called together, in order, before anything is awaited. */
export const bursts = fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { maxLength: 8 })
