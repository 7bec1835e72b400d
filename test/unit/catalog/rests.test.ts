// Goal: the thread that writes rests at what leaves by itself, bit by bit, and at nothing that
// somebody waits for. Method: rests over a clock that the test moves, counted; the real statements,
// which say where a rest may be; another thread, which would else rest for an hour; and the
// catalog's own file over a writer that notes what it is told.
import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { createSqliteCatalog } from '../../../src/catalog/sqlite/catalog.ts'
import { openForWriting } from '../../../src/catalog/sqlite/file/database.ts'
import type { Operation } from '../../../src/catalog/sqlite/operations.ts'
import { prepareBatches } from '../../../src/catalog/sqlite/writer/batch.ts'
import { createRests, HurriedWrites } from '../../../src/catalog/sqlite/writer/rests.ts'
import { Spare } from '../../../src/catalog/sqlite/writer/spare.ts'
import { Writer } from '../../../src/catalog/sqlite/writer/writer.ts'
import { createEpochs } from '../../../src/registry/epochs.ts'
import { alpine, digestNamed, latest, manifestNamed } from '../../contract/catalog-samples.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

const HOUR_MS = 3_600_000

const TAG = {
  name: 'recordTag',
  args: [alpine, latest, digestNamed('x'), { checkedAtMs: 1 }],
} satisfies Operation
const FINISH = { name: 'finishLeaving', args: [[digestNamed('x')]] } satisfies Operation

t.test('R763: the thread rests for as long as it has worked, again and again', t => {
  let nowMs = 0
  const rested: number[] = []
  const rests = createRests({ restUntilAny: ms => void rested.push(ms) }, () => nowMs)
  // Of what was done before it is not tired.
  nowMs += 10
  rests.begin()
  let workedMs = 0
  for (let step = 0; step < 100; step += 1) {
    nowMs += 0.1
    workedMs += 0.1
    rests.between()
  }
  const restedMs = rested.reduce((sum, ms) => sum + ms, 0)
  t.ok(rested.length >= 20, `${rested.length} rests`)
  t.ok(rested.every(ms => ms < 1))
  t.ok(restedMs >= workedMs * 0.7 && restedMs <= workedMs, `${restedMs} of ${workedMs} ms`)
  t.end()
})

t.test('R763: at each content that leaves it may rest, and at nothing else', t => {
  const { database } = openForWriting(join(t.testdir({}), 'catalog.db'), 0)
  t.teardown(() => database.close())
  let [begun, steps] = [0, 0]
  const rests = { begin: () => void (begun += 1), between: () => void (steps += 1) }
  const commit = prepareBatches(database, rests)
  const stepsOf = (...operations: readonly Operation[]) => {
    const before = steps
    for (const { fault } of commit(operations)) t.equal(fault, undefined)
    return steps - before
  }
  const digests = ['a', 'b', 'c'].map(digestNamed)
  const files = digests.map(digest => ({ digest, sizeBytes: 1 }))
  const manifest = manifestNamed('image')
  t.equal(stepsOf({ name: 'adopt', args: [files, 1] }), 0)
  t.equal(stepsOf({ name: 'recordManifest', args: [{ repository: alpine, manifest, atMs: 1 }] }), 0)
  t.equal(stepsOf(TAG), 0)
  t.equal(stepsOf({ name: 'letGo', args: [{ digests, reason: 'evicted', atMs: 2 }] }), 3)
  const image = { repository: alpine, digest: manifest.digest, reason: 'evicted', atMs: 3 } as const
  t.equal(stepsOf({ name: 'evictImage', args: [image] }), 1)
  t.equal(stepsOf({ name: 'finishLeaving', args: [digests] }), 3)
  t.equal(begun, 6)
  t.end()
})

t.test('R764: whoever comes ends a rest, and there is none while anybody waits', async t => {
  const hurried = new HurriedWrites()
  const rests = new URL('../../../src/catalog/sqlite/writer/rests.ts', import.meta.url).href
  const thread = new Worker(
    `import(${JSON.stringify(rests)}).then(({ HurriedWrites }) => {
      const { parentPort, workerData } = require('node:worker_threads')
      const hurried = new HurriedWrites(workerData)
      parentPort.postMessage('rests')
      hurried.restUntilAny(${HOUR_MS})
      hurried.restUntilAny(${HOUR_MS})
      parentPort.postMessage('goes on')
    })`,
    { eval: true, workerData: hurried.memory },
  )
  t.teardown(() => thread.terminate())
  t.strictSame(await once(thread, 'message'), ['rests'])
  const goesOn = once(thread, 'message')
  hurried.begin()
  t.strictSame(await goesOn, ['goes on'])
})

t.test('R764: what waits and what is in flight is waited for, unless nobody does', async t => {
  const hurried = new HurriedWrites()
  const thread = new Worker(
    `const { parentPort } = require('node:worker_threads')
    parentPort.on('message', ({ kind, operations }) => {
      if (kind === 'close') return parentPort.close()
      const outcomes = operations.map(({ name }) =>
        name === 'recordTag' ? { fault: { failure: 'full', message: 'no room' } } : {})
      parentPort.postMessage({ kind: 'committed', outcomes })
    })`,
    { eval: true },
  )
  const writer = new Writer(thread, () => {}, hurried)
  const finished = writer.write(FINISH, 1, true)
  t.equal(hurried.count, 0)
  await Promise.resolve()
  const behind = [writer.write(FINISH, 1), writer.write(TAG, 1)]
  t.equal(hurried.count, 2, 'while another one is in flight')
  await finished
  t.equal(hurried.count, 2)
  await Promise.allSettled(behind)
  t.equal(hurried.count, 0, 'also after a write that failed')
  await writer.close()
})

t.test('R764: only what leaves may be rested at, and only while nobody waits for it', async t => {
  const seen: Record<string, boolean | undefined> = {}
  let isHurried = false
  const writer: Pick<Writer, 'write' | 'settled' | 'close'> = {
    write: async ({ name }, _rows, mayRest) => void (seen[name] = mayRest),
    settled: async () => {},
    close: async () => {},
  }
  const meta = {
    reservedSequence: () => 0,
    identity: () => 'edge',
    isRebuilt: () => true,
    isCompared: () => true,
    damagedPredecessor: () => undefined,
  }
  const catalog = createSqliteCatalog({
    reader: {
      reads: { listRepositoriesLeft: () => [], findTag: () => undefined } as never,
      meta: meta as never,
      close: () => {},
    },
    writer: writer as Writer,
    spare: new Spare(join(t.testdir(), 'catalog.spare'), 0),
    lock: { release: () => {} },
    clock: createManualClock(),
    epochs: createEpochs(),
    isHurried: () => isHurried,
  })
  const digests = [digestNamed('x')]
  const leave = async () => {
    await catalog.letGo({ digests, reason: 'evicted', atMs: 1 })
    await catalog.finishLeaving(digests)
  }
  await leave()
  await catalog.recordTag(alpine, latest, digestNamed('x'), { checkedAtMs: 1 })
  t.strictSame(seen, { letGo: true, finishLeaving: true, recordTag: false })
  isHurried = true
  await leave()
  t.strictSame(seen, { letGo: false, finishLeaving: false, recordTag: false })
})
