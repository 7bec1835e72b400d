// Goal: the write protocol is what the store asks of the operating system, in that order, and a
// disk that fails or lies leads to an error and nothing left over (R03, R04 and R06 of the
// programme). Method: one writer under strace, which injects the faults.
import t, { type Test } from 'tap'
import { sharedStoreDirectory } from '../kit/disk/store-directory.ts'
import {
  count,
  type StoreTask,
  traceContent,
  traced,
  type TracedTask,
} from '../kit/disk/store-traced.ts'

t.setTimeout(300_000)
const emptyDirectory = sharedStoreDirectory(t)
const KIB = 1024
const PUBLISHED_PART = ['chmod part', 'sync part', 'close part', 'rename part blob']
/** Where prefixes are, where algorithms are, and the root. */
const STARTS_SYNCS = 3
const SYNCED_PREFIX = ['open prefix', 'sync prefix', 'close prefix']

const trace = async (options: Omit<TracedTask, 'root'>) =>
  await traceContent(await emptyDirectory(), options)

t.test('R86: cached content is written, synced, closed and renamed', async t => {
  const { calls, outcome } = await trace({
    task: 'commit cached',
    sizeBytes: 100,
    chunkBytes: 100,
  })
  t.same(outcome, { kind: 'done' })
  t.same(withoutSidecar(calls), ['open part', 'write part', ...PUBLISHED_PART])
})

t.test('R86: kept content has its directory synced after the rename, too', async t => {
  const { calls } = await trace({ task: 'commit kept', sizeBytes: 100, chunkBytes: 100 })
  const order = ['open part', 'write part', ...PUBLISHED_PART, ...SYNCED_PREFIX]
  t.same(withoutSidecar(calls), order)
})

t.test('R804: directories whose parent an earlier process may not have synced count', async t => {
  const directory = await emptyDirectory()
  await directory.open()
  const options = { task: 'put kept', sizeBytes: 100, chunkBytes: 0 } as const
  const { calls } = await traced({ root: directory.root, ...options })
  t.equal(count(calls, 'sync blobs'), 2, 'once each, by whoever starts')
  t.ok(calls.lastIndexOf('sync blobs') < calls.indexOf('rename temporary blob'))
})

t.test('R86: small content takes the same way from a temporary file', async t => {
  const published = PUBLISHED_PART.map(call => call.replace('part', 'temporary'))
  const written = ['open temporary', 'write temporary', ...published]
  const cached = await trace({ task: 'put cached', sizeBytes: 100, chunkBytes: 0 })
  t.same(cached.calls, written)
  const kept = await trace({ task: 'put kept', sizeBytes: 100, chunkBytes: 0 })
  t.same(kept.calls, [...written, ...SYNCED_PREFIX])
})

t.test('R86: a parked part is synced before its sidecar says so', async t => {
  const { calls } = await trace({ task: 'park', sizeBytes: 100, chunkBytes: 100 })
  t.same(calls.slice(calls.indexOf('write part')), [
    'write part',
    'datasync part',
    'open temporary',
    'write temporary',
    'sync temporary',
    'close temporary',
    'rename temporary sidecar',
    'close part',
  ])
})

t.test('R86: the sidecar says that there are holes before the first is made', async t => {
  const options = { sizeBytes: 3_000, chunkBytes: 1_000 }
  const { calls, outcome } = await trace({ task: 'commit ahead', ...options })
  t.same(outcome, { kind: 'done' })
  const first = calls.indexOf('write part')
  t.same(calls.slice(first - 4, first), [
    'open temporary',
    'write temporary',
    'close temporary',
    'rename temporary sidecar',
  ])
  t.equal(count(calls.slice(0, first), 'rename temporary sidecar'), 2, 'and once before without')
  t.equal(count(calls, 'write part'), 3)
  const untold = await trace({ task: 'commit ahead', ...options, inject: 'rename:error=EIO' })
  t.match(untold.outcome, { kind: 'failed', failure: 'io' })
  t.equal(count(untold.calls, 'write part'), 0, 'what could not be written down is not done')
  t.same(await untold.directory.files(), [])
})

t.test(
  'R232: small chunks cost a write per buffer, and a long fill one sync on the way',
  async t => {
    const { calls } = await trace({
      task: 'commit cached',
      sizeBytes: 72 * 1024 * KIB,
      chunkBytes: 16 * KIB,
    })
    // The first chunk goes alone; the others, sixteen to a buffer, fill 288 of them.
    t.equal(count(calls, 'write part'), 289)
    t.equal(count(calls, 'datasync part'), 1)
    t.equal(count(calls, 'sync part'), 1)
  },
)

t.test('R04: a failed sync is not tried again; the content is not stored', async t => {
  for (const task of ['commit kept', 'commit cached', 'put kept', 'upload kept'] as const) {
    const { directory, outcome, calls } = await trace({
      task,
      sizeBytes: 100,
      chunkBytes: 100,
      // Those before are the start's, of directories.
      inject: `fsync:error=EIO:when=${STARTS_SYNCS + 1}+`,
    })
    t.match(outcome, { kind: 'failed', failure: 'io', hint: /kernel log/ }, task)
    const syncs = calls.filter(call => call.startsWith('sync') && !call.endsWith(' blobs'))
    t.equal(syncs.length, 1, task)
    t.same(await directory.files(), [], task)
  }
})

t.test('R04: a failed sync on the way fails the fill, and its part is not believed', async t => {
  for (const [task, sizeBytes] of [
    ['park', 100] as const,
    ['commit cached', 72 * 1024 * KIB] as const,
    ['park upload', 100] as const,
    ['upload kept', 72 * 1024 * KIB] as const,
  ]) {
    const { directory, outcome, calls } = await trace({
      task,
      sizeBytes,
      chunkBytes: 256 * KIB,
      inject: 'fdatasync:error=EIO',
    })
    t.match(outcome, { kind: 'failed', failure: 'io' }, task)
    t.equal(calls.filter(call => call.startsWith('datasync')).length, 1, task)
    t.same(await directory.files(), [], task)
  }
})

t.test('R04: a failed open, write or rename is an error, and nothing is left over', async t => {
  const faults: [string, string][] = [
    ['pwrite64:error=ENOSPC', 'full'],
    ['pwrite64:error=EDQUOT', 'full'],
    ['pwrite64:error=EIO', 'io'],
    ['rename:error=EIO', 'io'],
    ['fchmod:error=EIO', 'io'],
    ['pwrite64:error=EUCLEAN', 'io'],
  ]
  for (const [inject, failure] of faults) {
    for (const task of ['commit kept', 'put kept', 'upload kept'] as const) {
      const { directory, outcome } = await trace({ task, sizeBytes: 100, chunkBytes: 100, inject })
      t.match(outcome, { kind: 'failed', failure }, `${inject} ${task}`)
      t.same(await directory.files(), [], `${inject} ${task}`)
    }
  }
})

t.test(
  'R04, R06: a write ahead that fails or only pretends is an error, and nothing is left',
  async t => {
    const options = { task: 'commit ahead', sizeBytes: 3_000, chunkBytes: 1_000 } as const
    for (const [inject, failure] of [
      ['pwritev:error=ENOSPC', 'full'],
      ['pwritev:error=EIO', 'io'],
    ] as const) {
      const { directory, outcome } = await trace({ ...options, inject })
      t.match(outcome, { kind: 'failed', failure }, inject)
      t.same(await directory.files(), [], inject)
    }
    const pretended = await trace({ ...options, inject: 'pwritev:retval=100' })
    t.match(pretended.outcome, { kind: 'failed', failure: /corrupt|io/ })
    t.ok(count(pretended.calls, 'write part') > 3, 'short writes are continued')
    t.notOk((await pretended.directory.files()).some(file => file.startsWith('blobs/')))
  },
)

t.test('R06: a disk that only pretends to write is found out before publication', async t => {
  await pretending(t, 'commit kept', 'write part')
  await pretending(t, 'put kept', 'write temporary')
  await pretending(t, 'upload kept', 'write upload')
})

async function pretending(t: Test, task: StoreTask, write: string): Promise<void> {
  const inject = 'pwrite64:retval=100'
  const { directory, outcome, calls } = await trace({
    task,
    sizeBytes: 1000,
    chunkBytes: 1000,
    inject,
  })
  t.match(outcome, { kind: 'failed', failure: 'io' })
  t.equal(count(calls, write), 10, 'short writes are continued')
  t.same(await directory.files(), [])
}

function withoutSidecar(calls: readonly string[]): string[] {
  return calls.filter(call => !call.includes('sidecar'))
}
