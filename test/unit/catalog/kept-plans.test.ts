// Goal: a statement of the catalog is compiled once, whatever it is asked about, and not before it
// is run. Method: the same questions on a connection as the catalog opens it and on one as the
// library does; what compiles each time takes many times as long, whatever else the machine does.
// The best of many tries of each counts. A table that comes after its statement tells the rest.
import { join } from 'node:path'
import Sqlite, { type Database } from 'better-sqlite3'
import t from 'tap'
import { openForReading, openForWriting } from '../../../src/catalog/sqlite/file/database.ts'
import { LISTERS_THERE, UNPROMISED_THERE } from '../../../src/catalog/sqlite/needed.ts'

const TRIES = 40
const QUESTIONS = 50
const QUESTION = `SELECT m.reason FROM repository_content m CROSS JOIN content c ON c.id = m.content
  WHERE m.repository = ? AND m.content = ? AND ${UNPROMISED_THERE} AND NOT EXISTS (${LISTERS_THERE}) LIMIT ?`

function askOf(database: Database): () => number {
  const statement = database.prepare(QUESTION)
  return () => {
    const startMs = performance.now()
    for (let n = 0; n < QUESTIONS; n += 1) statement.get(n, n, 7)
    return performance.now() - startMs
  }
}

t.test('a statement is compiled once, and not each time that it is asked something else', t => {
  const file = join(t.testdir({}), 'catalog.db')
  const { database: writer } = openForWriting(file, 0)
  const [reader, bare] = [openForReading(file), new Sqlite(file, { readonly: true })]
  const asks = [writer, reader, bare].map(askOf)
  const best = asks.map(() => Number.POSITIVE_INFINITY)
  for (let n = 0; n < TRIES; n += 1)
    for (const [at, ask] of asks.entries()) best[at] = Math.min(best[at] ?? 0, ask())
  const [writerMs = 0, readerMs = 0, bareMs = 0] = best
  t.ok(3 * writerMs < bareMs, `${writerMs} ms of ${bareMs}`)
  t.ok(3 * readerMs < bareMs, `${readerMs} ms of ${bareMs}`)
  for (const each of [bare, reader, writer]) each.close()
  t.end()
})

t.test('what is asked means the same', t => {
  const { database } = openForWriting(join(t.testdir({}), 'catalog.db'), 0)
  t.teardown(() => database.close())
  const digest = Buffer.from('a digest')
  database.prepare('INSERT INTO content (digest) VALUES (?)').run(digest)
  const ask = database.prepare('SELECT digest FROM content WHERE digest = ? LIMIT ?').pluck()
  t.strictSame(ask.get(digest, 1), digest)
  t.equal(ask.get(digest, 0), undefined)
  const named = database.prepare('SELECT @text AS text, @number - @less AS number, @none AS none')
  const values = { text: '12', number: 3, less: 1, none: null }
  t.strictSame({ ...(named.get(values) as object) }, { text: '12', number: 2, none: null })
  t.end()
})

t.test('a statement is compiled when it is first run', t => {
  const { database } = openForWriting(join(t.testdir({}), 'catalog.db'), 0)
  t.teardown(() => database.close())
  const row = database.prepare('SELECT x FROM later')
  const plucked = database.prepare('SELECT x FROM later').pluck()
  t.throws(() => row.get(), { code: 'SQLITE_ERROR' }, 'what is wrong is told then')
  database.exec('CREATE TABLE later (x); INSERT INTO later VALUES (1), (2)')
  t.strictSame({ ...(row.get() as object) }, { x: 1 })
  t.strictSame(plucked.all(), [1, 2])
  t.strictSame([...plucked.iterate()], [1, 2])
  t.equal(database.prepare('DELETE FROM later').run().changes, 2)
  t.end()
})
