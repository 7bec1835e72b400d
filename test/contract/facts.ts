// Goal: every implementation of the FactStore port keeps what the port promises. Method: one suite
// over the port alone, with two things beside it: a second instance over the same facts (the next
// process), and a fact that is spoiled behind its back.
import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import type { Digest } from '../../src/oci/digest.ts'
import type { RepositoryKey, Tag } from '../../src/oci/reference.ts'
import type { EngineEvent } from '../../src/registry/ports/events.ts'
import type { Fact, FactIdentity, FactStore, ListedFact } from '../../src/registry/ports/facts.ts'

export interface FactsUnderTest {
  readonly facts: FactStore
  /**
   * Over the same facts, as the next process would open them while nothing of the first had been
   * closed. `catalog`: the identity of another catalog; default the same.
   */
  readonly reopen: (catalog?: string) => Promise<FactStore>
  /** Replaces what is written for this identity. */
  readonly spoil: (identity: FactIdentity, text: string) => Promise<void>
  /** What was noted by whichever instance. */
  readonly events: readonly EngineEvent[]
}

export type MakeFacts = (t: Test) => Promise<FactsUnderTest>

const HERE = 'localhost/team/app' as RepositoryKey
const THERE = 'docker.io/library/app' as RepositoryKey
const MEDIA_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const ONE = digestOf('one')
const TWO = `sha512:${createHash('sha512').update('two').digest('hex')}` as Digest
const LATEST = 'latest' as Tag

function digestOf(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}` as Digest
}

function tagged(digest: Digest, atMs: number, repository = HERE): Fact {
  return { kind: 'tag', repository, tag: LATEST, digest, atMs }
}

function delivery(id: number, payload: string): Fact {
  return { kind: 'delivery', id, carrier: 'queue', key: THERE, payload, createdAtMs: 1000 + id }
}

const MANIFEST: Fact = {
  kind: 'manifest',
  repository: HERE,
  digest: ONE,
  mediaType: MEDIA_TYPE,
  atMs: 1_700_000_000_000,
}
const DELETED = { kind: 'deleted', repository: HERE, digest: ONE, atMs: 5 } as const
const ORDER = { edge: 'e', number: 12 }

type Listed = ListedFact | 'unreadable'

async function listed(facts: FactStore): Promise<Listed[]> {
  const found: Listed[] = []
  for await (const fact of facts.list()) found.push(fact)
  return sorted(found)
}

function sorted(facts: readonly Listed[]): Listed[] {
  return facts.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

function isOf(fact: Listed, kind: Fact['kind']): boolean {
  return fact !== 'unreadable' && fact.kind === kind
}

export function factsContract(t: Test, makeFacts: MakeFacts): void {
  written(t, makeFacts)
  ordered(t, makeFacts)
  spoiled(t, makeFacts)
}

function written(t: Test, makeFacts: MakeFacts): void {
  t.test('facts: each kind comes back as it was written, in the next process too', async t => {
    const { facts, reopen } = await makeFacts(t)
    t.same(await listed(facts), [])
    const foreign = { ...MANIFEST, repository: THERE, foreign: [ONE, TWO] } as const
    const all = [
      MANIFEST,
      foreign,
      { ...MANIFEST, repository: THERE, digest: TWO, absent: [] },
      { ...MANIFEST, digest: TWO, absent: [ONE] },
      DELETED,
      tagged(TWO, 7),
      { ...tagged(ONE, 8, THERE), order: ORDER },
      { ...DELETED, repository: THERE, order: ORDER },
      delivery(1, '{"digest":"x"}'),
      delivery(2, ''),
    ]
    await facts.write(all)
    t.same(await listed(facts), sorted(all))
    t.same(await listed(await reopen()), sorted(all))
  })

  t.test(
    'facts: what was told under another catalog says so, until it is told under this one',
    async t => {
      const { facts, reopen, spoil } = await makeFacts(t)
      const all = [MANIFEST, tagged(TWO, 7), delivery(1, '')]
      await facts.write(all)
      const later = await reopen('another one')
      t.same(await listed(later), sorted(all.map(fact => ({ ...fact, isEarlier: true }))))
      await later.write([MANIFEST])
      await later.remove([delivery(1, '')])
      t.same(await listed(later), sorted([MANIFEST, { ...tagged(TWO, 7), isEarlier: true }]))
      const earlier = { ...MANIFEST, isEarlier: true } as const
      await later.write([earlier])
      t.same(await later.find(MANIFEST), earlier, 'put back as it was')
      // As earlier versions of this program wrote them.
      await spoil(MANIFEST, JSON.stringify({ version: 1, ...MANIFEST }))
      const found = (await listed(later)).find(fact => isOf(fact, 'manifest'))
      t.match(found, { isEarlier: true })
    },
  )

  t.test('R335: facts: what is no order is none, and the fact says the rest', async t => {
    const { facts, spoil } = await makeFacts(t)
    const fact = tagged(TWO, 7)
    await facts.write([fact])
    for (const order of [
      undefined,
      null,
      7,
      {},
      { edge: 'e' },
      { edge: 1, number: 1 },
      { edge: 'e', number: 0.5 },
    ]) {
      await spoil(fact, JSON.stringify({ version: 1, ...fact, order }))
      t.same(await listed(facts), [{ ...fact, isEarlier: true }], JSON.stringify(order))
    }
  })

  t.test('facts: a later one takes the place of the one with its identity', async t => {
    const { facts } = await makeFacts(t)
    await facts.write([MANIFEST, tagged(ONE, 1), delivery(1, 'a')])
    const later = [{ ...MANIFEST, mediaType: 'text/plain' }, tagged(TWO, 2), delivery(1, 'b')]
    await facts.write(later)
    t.same(await listed(facts), sorted(later))
    await facts.write([tagged(ONE, 3), tagged(TWO, 4)])
    t.match(
      await listed(facts),
      sorted([...later.filter(each => each.kind !== 'tag'), tagged(TWO, 4)]),
    )
  })

  t.test('facts: kind, repository and name make different identities', async t => {
    const { facts } = await makeFacts(t)
    const different: Fact[] = [
      MANIFEST,
      DELETED,
      { ...DELETED, digest: TWO },
      { ...DELETED, repository: THERE },
      tagged(ONE, 1),
      tagged(ONE, 1, THERE),
      { kind: 'tag', repository: HERE, tag: 'LATEST' as Tag, digest: ONE, atMs: 1 },
      delivery(1, 'x'),
      delivery(11, 'x'),
    ]
    await facts.write(different)
    t.same(await listed(facts), sorted(different))
    for (const [index, each] of different.entries()) {
      await facts.remove([each])
      t.same(await listed(facts), sorted(different.slice(index + 1)))
    }
  })

  t.test(
    'facts: remove takes them away for good, and has no effect on what is not there',
    async t => {
      const { facts, reopen } = await makeFacts(t)
      await facts.write([MANIFEST, tagged(ONE, 1)])
      await facts.remove([{ kind: 'tag', repository: HERE, tag: LATEST }])
      await facts.remove([
        { kind: 'tag', repository: HERE, tag: LATEST },
        { kind: 'delivery', id: 9 },
      ])
      await facts.remove([])
      await facts.write([])
      t.same(await listed(facts), [MANIFEST])
      t.same(await listed(await reopen()), [MANIFEST])
    },
  )

  t.test('facts: whether there is one is told by its identity alone', async t => {
    const { facts, spoil } = await makeFacts(t)
    await facts.write([MANIFEST, tagged(ONE, 1)])
    t.equal(await facts.has(MANIFEST), true)
    t.equal(await facts.has({ kind: 'tag', repository: HERE, tag: LATEST }), true)
    t.equal(await facts.has({ kind: 'tag', repository: THERE, tag: LATEST }), false)
    t.equal(await facts.has(DELETED), false)
    await spoil(MANIFEST, '?')
    t.equal(await facts.has(MANIFEST), true, 'also one that cannot be read')
    t.equal(await facts.find(MANIFEST), 'unreadable')
    t.same(await listed(facts), sorted(['unreadable', tagged(ONE, 1)]))
    t.equal(await facts.find(DELETED), undefined)
    t.same(await facts.find({ kind: 'tag', repository: HERE, tag: LATEST }), tagged(ONE, 1))
    await facts.remove([MANIFEST])
    t.equal(await facts.has(MANIFEST), false)
  })

  t.test('facts: an outbox entry of full length is taken, a longer fact is not', async t => {
    const { facts } = await makeFacts(t)
    const longest = delivery(1, '"'.repeat(64 * 1024 - 1024))
    await facts.write([longest])
    t.same(await listed(facts), [longest])
    await t.rejects(facts.write([delivery(1, 'x'.repeat(128 * 1024))]))
    t.same(await listed(facts), [longest])
  })
}

function ordered(t: Test, makeFacts: MakeFacts): void {
  t.test('R115: of calls that overlap, the last one stands', async t => {
    const { facts, reopen } = await makeFacts(t)
    const calls: Promise<void>[] = []
    for (let atMs = 1; atMs <= 30; atMs += 1) {
      calls.push(facts.write([tagged(atMs % 2 === 0 ? ONE : TWO, atMs), delivery(atMs, 'x')]))
    }
    await Promise.all(calls)
    const all = await listed(facts)
    t.same(
      all.filter(fact => isOf(fact, 'tag')),
      [tagged(ONE, 30)],
    )
    t.equal((await listed(await reopen())).length, 31)
  })

  t.test('facts: a removal and a write that overlap keep their order', async t => {
    const { facts } = await makeFacts(t)
    for (let round = 1; round <= 10; round += 1) {
      await Promise.all([facts.write([tagged(ONE, round)]), facts.remove([tagged(ONE, round)])])
      t.same(await listed(facts), [])
      await Promise.all([facts.remove([tagged(ONE, 0)]), facts.write([tagged(TWO, round)])])
      t.same(await listed(facts), [tagged(TWO, round)])
    }
  })
}

function spoiled(t: Test, makeFacts: MakeFacts): void {
  t.test('facts: what cannot be read is told, left, and hides nothing else', async t => {
    const { facts, reopen, spoil, events } = await makeFacts(t)
    const good = { version: 1, ...tagged(ONE, 1) }
    const wrong = [
      '',
      'null',
      '[]',
      '{"version":1',
      JSON.stringify({ ...good, version: 2 }),
      JSON.stringify({ ...good, kind: 'label' }),
      JSON.stringify({ ...good, digest: 'sha256:abc' }),
      JSON.stringify({ ...good, digest: undefined }),
      JSON.stringify({ ...good, repository: 'localhost/../etc' }),
      JSON.stringify({ ...good, repository: 'LOCALHOST/team/app' }),
      JSON.stringify({ ...good, tag: '.latest' }),
      JSON.stringify({ ...good, tag: 'another' }),
      JSON.stringify({ ...good, atMs: '1' }),
      JSON.stringify({ version: 1, ...MANIFEST }),
      `${' '.repeat(200_000)}${JSON.stringify(good)}`,
    ]
    await facts.write([MANIFEST, tagged(ONE, 1)])
    for (const [index, text] of wrong.entries()) {
      await spoil(tagged(ONE, 1), text)
      t.same(await listed(await reopen()), sorted([MANIFEST, 'unreadable']), text.slice(0, 80))
      t.equal(events.length, index + 1)
      t.match(events[index], { kind: 'storage failed', failure: 'corrupt' })
    }
    await spoil(tagged(ONE, 1), JSON.stringify(good))
    t.match(await listed(facts), sorted([MANIFEST, tagged(ONE, 1)]))
    t.equal(events.length, wrong.length)
  })

  t.test('facts: one that cannot be read is replaced and removed like any other', async t => {
    const { facts, spoil, events } = await makeFacts(t)
    await facts.write([tagged(ONE, 1), delivery(3, 'x')])
    await spoil(tagged(ONE, 1), '?')
    await spoil(delivery(3, 'x'), '?')
    await facts.write([tagged(TWO, 2)])
    await facts.remove([{ kind: 'delivery', id: 3 }])
    t.same(await listed(facts), [tagged(TWO, 2)])
    t.same(events, [])
  })
}
