// Goal: what was acknowledged is there afterwards, and one bad write harms no other. Method: a
// second connection looks into the file the moment a promise resolves; a child process that
// acknowledges on stdout is killed with SIGKILL.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { prepareBatches } from '../../../src/catalog/sqlite/writer/batch.ts'
import { openForWriting } from '../../../src/catalog/sqlite/file/database.ts'
import type { Operation } from '../../../src/catalog/sqlite/operations.ts'
import { parseDigest } from '../../../src/oci/digest.ts'
import { parseTag } from '../../../src/oci/reference.ts'
import { alpine, blobOf, digestNamed, latest } from '../../contract/catalog-samples.ts'
import { openCatalog, queryBeside } from '../../kit/open-catalog.ts'
import { isMemberOf } from '../../kit/judges/membership.ts'

/** Acknowledgements to wait for before the kill. */
const ACKNOWLEDGED = 200

t.test('a write is in the file for everyone when its promise resolves', async t => {
  const directory = t.testdir({})
  const { catalog } = await openCatalog(t, directory)
  for (let n = 1; n <= 20; n++) {
    await catalog.recordTag(alpine, parseTag(`t${n}`), digestNamed(`${n}`), { checkedAtMs: n })
    t.strictSame(queryBeside(directory, 'SELECT count(*) FROM tag'), [n])
  }
})

t.test('the writer syncs every commit, and guards itself, after its first statements', async t => {
  const { database } = openForWriting(join(t.testdir({}), 'catalog.db'), 0)
  t.teardown(() => database.close())
  const pragma = (name: string) => database.pragma(name, { simple: true })
  const expected = {
    synchronous: 2,
    journal_mode: 'wal',
    busy_timeout: 5000,
    foreign_keys: 1,
    trusted_schema: 0,
    cell_size_check: 1,
    mmap_size: 0,
    journal_size_limit: 67_108_864,
    wal_autocheckpoint: 1000,
    cache_size: -12_000,
  }
  database.exec(`INSERT INTO meta (key, value) VALUES ('x', 1)`)
  for (const [name, value] of Object.entries(expected)) t.equal(pragma(name), value, name)
})

t.test('kill -9 of the process loses no acknowledged write', async t => {
  const directory = t.testdir({})
  const program = fileURLToPath(new URL('../../kit/disk/acknowledging-writer.ts', import.meta.url))
  const child = spawn(process.execPath, [program, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const acknowledged: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(line)
    if (acknowledged.length === ACKNOWLEDGED) child.kill('SIGKILL')
  }
  t.strictSame(await exited, [null, 'SIGKILL'])
  t.ok(acknowledged.length >= ACKNOWLEDGED)

  const { catalog, events } = await openCatalog(t, directory)
  t.equal(catalog.damaged, false)
  t.strictSame(events, [])
  const lost = []
  const given: number[] = []
  for (const line of acknowledged) {
    const [digest = '', number] = line.split(' ')
    if (!(await isMemberOf(catalog, alpine, parseDigest(digest)))) lost.push(line)
    if (number === undefined) continue
    given.push(Number(number))
    const tag = await catalog.findTag(alpine, parseTag(`t${number}`))
    const isWhole = tag?.digest === digest && tag.local
    if (!isWhole || (await catalog.findDelivery(Number(number))) === undefined) lost.push(line)
  }
  t.strictSame(lost, [])
  t.equal(new Set(given).size, given.length, 'no number came twice')
  t.ok(catalog.sequence() > Math.max(0, ...given), 'nor does one now')
})

t.test('one operation that fails leaves the others of its batch alone', async t => {
  const { catalog } = await openCatalog(t, t.testdir({}))
  const record = (name: string, sizeBytes: number) =>
    catalog.recordBlob(blobOf(name, { sizeBytes }))
  const settled = await Promise.allSettled([
    record('before', 1),
    record('bad', -1),
    record('after', 2),
    record('also bad', 1.5),
    record('last', 3),
  ])
  t.strictSame(
    settled.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'],
  )
  t.match(settled[1], {
    reason: { name: 'StoreError', failure: 'io', message: /CHECK constraint/ },
  })
  for (const name of ['before', 'after', 'last']) t.ok(await catalog.findContent(digestNamed(name)))
  for (const name of ['bad', 'also bad']) {
    t.equal(await catalog.findContent(digestNamed(name)), undefined)
    t.equal(await isMemberOf(catalog, alpine, digestNamed(name)), false, 'nothing of it stays')
  }
  t.match(await catalog.totals(), { blobs: 3, contentBytes: 6 })
})

t.test('a full disk fails the writes with a hint, and heals when there is space again', async t => {
  const { database } = openForWriting(join(t.testdir({}), 'catalog.db'), 0)
  t.teardown(() => database.close())
  const commit = prepareBatches(database)
  const blob = (n: number): Operation => ({
    name: 'recordBlob',
    args: [
      {
        repository: alpine,
        digest: digestNamed(`${n}`),
        sizeBytes: 1,
        hold: 'awaited',
        atMs: 1,
      },
    ],
  })
  const batch = Array.from({ length: 500 }, (_, n) => blob(n))
  const pages = Number(database.pragma('page_count', { simple: true }))
  // SQLite reports this limit as it reports ENOSPC.
  database.pragma(`max_page_count = ${pages}`)
  t.match(commit(batch), [{ fault: { failure: 'full', hint: /free space/ } }])
  t.equal(database.prepare('SELECT count(*) FROM content').pluck().get(), 0)
  database.pragma('max_page_count = 1000000')
  t.ok(commit(batch).every(({ fault }) => fault === undefined))
  t.equal(database.prepare('SELECT blobs FROM totals').pluck().get(), 500)
})

t.test('many writes at once are few transactions', async t => {
  const directory = t.testdir({})
  const { catalog } = await openCatalog(t, directory)
  await catalog.recordTag(alpine, latest, digestNamed('x'), { checkedAtMs: 1 })
  const walBytes = () => statSync(join(directory, 'catalog.db-wal')).size
  const before = walBytes()
  await Promise.all(
    Array.from({ length: 500 }, (_, n) =>
      catalog.recordTag(alpine, latest, digestNamed('x'), { checkedAtMs: n }),
    ),
  )
  // Each transaction writes at least the page of the tag; 500 of them would be 2 MB.
  t.ok(walBytes() - before < 20 * 4096, `${walBytes() - before} bytes`)
})

t.test('close leaves one file with everything in it, and the lock free', async t => {
  const directory = t.testdir({})
  const first = await openCatalog(t, directory)
  const digest = digestNamed('b')
  const blob = { repository: alpine, digest, sizeBytes: 1, hold: 'nothing' } as const
  // Not awaited: close waits for what was asked before it.
  const written = first.catalog.recordBlob({ ...blob, atMs: 1 })
  const noted = first.catalog.noteUses([{ repository: alpine, digest, count: 1, atMs: 77 }])
  await first.catalog.close()
  await Promise.all([written, noted])
  t.equal(existsSync(join(directory, 'catalog.db-wal')), false)
  const second = await openCatalog(t, directory)
  t.equal((await second.catalog.findContent(digest))?.lastUsedAtMs, 77)
})
