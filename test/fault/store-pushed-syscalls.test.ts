// Goal: what a client is told is kept was synced before, content and facts alike, in the order that
// docs/storage-format.md gives; and a sync that failed acknowledges nothing (R04 of the programme).
// Method: one writer under strace, which injects the faults.
import t from 'tap'
import { sharedStoreDirectory } from '../kit/disk/store-directory.ts'
import { count, traceContent, type TracedTask } from '../kit/disk/store-traced.ts'

t.setTimeout(300_000)
const emptyDirectory = sharedStoreDirectory(t)
const KIB = 1024
const PUBLISHED_UPLOAD = ['chmod upload', 'sync upload', 'close upload', 'rename upload blob']
const SYNCED_PREFIX = ['open prefix', 'sync prefix', 'close prefix']
const SYNCED_FACTS = ['open facts', 'sync facts', 'close facts']
const NEW_SIDECAR = [
  'open temporary',
  'write temporary',
  'close temporary',
  'rename temporary sidecar',
]
const WRITTEN_FACT = [
  'open temporary',
  'write temporary',
  'sync temporary',
  'close temporary',
  'rename temporary fact',
]

const trace = async (options: Omit<TracedTask, 'root'>) =>
  await traceContent(await emptyDirectory(), options)

t.test('a pushed blob is written, synced, renamed and its name synced, in that order', async t => {
  const written = ['open upload', ...NEW_SIDECAR, 'write upload', ...PUBLISHED_UPLOAD]
  const kept = await trace({ task: 'upload kept', sizeBytes: 100, chunkBytes: 10 })
  t.same(kept.outcome, { kind: 'done' })
  t.same(kept.calls, [...written, ...SYNCED_PREFIX, 'unlink sidecar'])
  const cached = await trace({ task: 'upload cached', sizeBytes: 100, chunkBytes: 10 })
  t.same(cached.calls, [...written, 'unlink sidecar'])
})

t.test('a parked upload is synced before its sidecar says so', async t => {
  const { calls } = await trace({ task: 'park upload', sizeBytes: 100, chunkBytes: 100 })
  t.same(calls.slice(calls.indexOf('write upload')), [
    'write upload',
    'datasync upload',
    'open temporary',
    'write temporary',
    'sync temporary',
    'close temporary',
    'rename temporary sidecar',
    'close upload',
  ])
})

t.test('content that becomes kept has its file and its name synced', async t => {
  const { calls, outcome } = await trace({ task: 'keep', sizeBytes: 100, chunkBytes: 0 })
  t.same(outcome, { kind: 'done' })
  const kept = ['open blob', 'sync blob', ...SYNCED_PREFIX, 'close blob']
  t.same(calls.slice(calls.indexOf('open blob')), kept)
})

t.test('a fact is written, synced, renamed and its name synced, in that order', async t => {
  const written = await trace({ task: 'write fact', sizeBytes: 100, chunkBytes: 0 })
  t.same(written.outcome, { kind: 'done' })
  t.same(written.calls, [...WRITTEN_FACT, ...SYNCED_FACTS])
  const removed = await trace({ task: 'remove fact', sizeBytes: 100, chunkBytes: 0 })
  t.same(removed.calls, [...WRITTEN_FACT, ...SYNCED_FACTS, 'unlink fact', ...SYNCED_FACTS])
})

t.test('R232: an upload costs few writes, and few bytes are left to sync at its end', async t => {
  const sizeBytes = 72 * 1024 * KIB
  const { calls } = await trace({ task: 'upload kept', sizeBytes, chunkBytes: 64 * KIB })
  t.equal(count(calls, 'write upload'), 144)
  t.equal(count(calls, 'datasync upload'), 1)
  t.equal(count(calls, 'sync upload'), 1)
})

t.test(
  'R04: content whose sync failed once is not kept by a second one, only by new bytes',
  async t => {
    // Three are those of a start, the fourth is that of the put.
    const inject = 'fsync:error=EIO:when=5'
    const { calls, outcome } = await trace({
      task: 'keep again',
      sizeBytes: 9,
      chunkBytes: 0,
      inject,
    })
    t.same(outcome, { kind: 'done' })
    t.equal(count(calls, 'open blob'), 3)
    t.equal(count(calls, 'sync blob'), 2)
    t.equal(count(calls, 'sync prefix'), 1)
  },
)

t.test('R04: a fact whose sync failed is not written, or not acknowledged', async t => {
  for (const [inject, files, syncs] of [
    ['fsync:error=EIO:when=4+', 0, ['sync temporary']] as const,
    ['fsync:error=EIO:when=5', 1, ['sync temporary', 'sync facts']] as const,
  ]) {
    const { directory, calls, outcome } = await trace({
      task: 'write fact',
      sizeBytes: 9,
      chunkBytes: 0,
      inject,
    })
    t.match(outcome, { kind: 'failed', failure: 'io', hint: /kernel log/ }, inject)
    t.same(
      calls.filter(call => call.startsWith('sync')),
      syncs,
    )
    t.equal((await directory.files()).length, files, inject)
  }
})

t.test('R04: a fact that cannot be written leaves nothing over', async t => {
  const faults: [string, string][] = [
    ['pwrite64:error=ENOSPC', 'full'],
    ['pwrite64:error=EIO', 'io'],
    ['rename:error=EIO', 'io'],
  ]
  for (const [inject, failure] of faults) {
    const { directory, outcome } = await trace({
      task: 'write fact',
      sizeBytes: 9,
      chunkBytes: 0,
      inject,
    })
    t.match(outcome, { kind: 'failed', failure }, inject)
    t.same(await directory.files(), [], inject)
  }
})
