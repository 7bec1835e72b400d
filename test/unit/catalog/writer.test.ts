// Goal: every write is settled, whatever becomes of the writer thread; uses cost no commit each.
// Method: a real thread that ends by itself when work arrives; data_version of a second connection,
// which counts the commits of others.
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'
import t from 'tap'
import type { Operation } from '../../../src/catalog/sqlite/operations.ts'
import { Uses } from '../../../src/catalog/sqlite/uses.ts'
import { Writer } from '../../../src/catalog/sqlite/writer.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { alpine, blobOf, digestNamed, latest } from '../../contract/catalog-samples.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { openCatalog } from '../../kit/open-catalog.ts'

const TAG = {
  name: 'recordTag',
  args: [alpine, latest, digestNamed('x'), { checkedAtMs: 1 }],
} satisfies Operation

t.test('the death of the writer thread rejects what waits and what comes later', async t => {
  const endings = {
    exit: 'process.exit(3)',
    throw: 'setImmediate(() => { throw new Error("out of order") })',
  }
  for (const [name, ending] of Object.entries(endings)) {
    const thread = new Worker(
      `require('node:worker_threads').parentPort.once('message', () => { ${ending} })`,
      { eval: true },
    )
    const deaths: Error[] = []
    const writer = new Writer(thread, error => deaths.push(error))
    const first = writer.write(TAG, 1)
    await Promise.resolve()
    const waiting = [first, writer.write(TAG, 1), writer.write(TAG, 1)]
    const expected = {
      name: 'StoreError',
      failure: 'io',
      message: /writer thread/,
      hint: /restart/,
    }
    for (const write of waiting) await t.rejects(write, expected, name)
    await t.rejects(writer.write(TAG, 1), expected)
    t.equal(deaths.length, 1, 'and is told once')
    await writer.close()
  }
})

t.test('writes are refused, not queued without end, while the disk does not answer', async t => {
  const thread = new Worker(`require('node:worker_threads').parentPort.once('message', () => {})`, {
    eval: true,
  })
  const writer = new Writer(thread, () => {})
  const uses = Array.from({ length: 100_000 }, () => [digestNamed('x'), 1] as const)
  const large = { name: 'noteUses', args: [uses] } satisfies Operation
  const settled = [writer.write(TAG, 1)]
  await Promise.resolve()
  settled.push(writer.write(large, uses.length), writer.write(large, uses.length))
  await t.rejects(writer.write(large, uses.length), {
    name: 'StoreError',
    failure: 'busy',
    hint: String,
  })
  const all = Promise.allSettled(settled)
  await thread.terminate()
  for (const { status } of await all) t.equal(status, 'rejected')
})

t.test('uses cost no commit of their own; a write takes them along, before it', async t => {
  const directory = t.testdir({})
  const { catalog } = await openCatalog(t, directory)
  const digest = digestNamed('b')
  await catalog.recordBlob(blobOf('b'))
  const beside = new Sqlite(join(directory, 'catalog.db'), { readonly: true })
  t.teardown(() => beside.close())
  const version = () => beside.pragma('data_version', { simple: true })
  const before = version()
  for (let n = 0; n < 1000; n++) catalog.noteUse(digest, 1000 + n)
  t.equal(version(), before)
  await catalog.forgetTag(alpine, latest)
  t.not(version(), before)
  t.equal((await catalog.findContent(digest))?.lastUsedAtMs, 1999)
})

t.test('uses are handed on after five seconds, once, coalesced by digest', async t => {
  const clock = createManualClock()
  const flushed: (readonly (readonly [Digest, number])[])[] = []
  const uses = new Uses(clock, async taken => void flushed.push(taken))
  for (const atMs of [1, 9, 5]) uses.note(digestNamed('a'), atMs)
  uses.note(digestNamed('b'), 2)
  await clock.advance(4999)
  t.strictSame(flushed, [])
  await clock.advance(1)
  t.strictSame(flushed, [
    [
      [digestNamed('a'), 9],
      [digestNamed('b'), 2],
    ],
  ])
  t.equal(clock.sleepers, 0)
  uses.note(digestNamed('a'), 10)
  uses.stop()
  uses.note(digestNamed('late'), 11)
  await clock.advance(10_000)
  t.equal(flushed.length, 1)
  await uses.flush()
  t.strictSame(flushed[1], [[digestNamed('a'), 10]])
})

t.test('uses of very many digests do not pile up until the time has come', t => {
  const flushed: number[] = []
  const uses = new Uses(createManualClock(), async taken => void flushed.push(taken.length))
  for (let n = 0; n < 9000; n++) uses.note(digestNamed(`${n}`), 5)
  uses.stop()
  t.strictSame(flushed, [4000, 4000])
  t.end()
})
