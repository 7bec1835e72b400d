// Goal: what takes content away is written down on a full disk too, in the room that is kept for
// it, and nothing else is. Method: the catalog's own file, whose writer refuses what comes while
// the spare room is taken, as a disk without a free byte does; test/fault has such a disk.
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { createSqliteCatalog } from '../../../src/catalog/sqlite/catalog.ts'
import { openSqliteCatalog } from '../../../src/catalog/sqlite/open.ts'
import { Spare } from '../../../src/catalog/sqlite/writer/spare.ts'
import type { Writer } from '../../../src/catalog/sqlite/writer/writer.ts'
import { createEpochs } from '../../../src/registry/epochs.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

const BYTES = 10_000

async function start(t: Test, bytes = BYTES) {
  const file = join(t.testdir(), 'catalog.spare')
  const spare = new Spare(file, bytes)
  await spare.keep()
  const written: string[] = []
  const writer: Pick<Writer, 'write' | 'settled' | 'close'> = {
    write: async ({ name }) => {
      if (existsSync(file) || bytes === 0) throw new StoreError('full', 'no room')
      written.push(name)
    },
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
      reads: { listRepositoriesLeft: () => [], tidied: () => ({ upTo: 0, forgotten: 0 }) } as never,
      meta: meta as never,
      close: () => {},
    },
    writer: writer as Writer,
    spare,
    lock: { release: () => {} },
    clock: createManualClock(),
    epochs: createEpochs(),
    isHurried: () => true,
  })
  return { catalog, file, spare, written }
}

const letGo = { digests: [], reason: 'evicted', atMs: 1 } as const

t.test('R415: on a full disk content leaves in the spare room, which comes back then', async t => {
  const { catalog, file, written } = await start(t)
  t.equal(statSync(file).size, BYTES)
  await t.rejects(catalog.noteUses([]), { message: 'no room' }, 'nothing else takes it')
  t.ok(existsSync(file))
  await catalog.letGo(letGo)
  t.same(written, ['letGo'])
  t.notOk(existsSync(file))
  await catalog.finishLeaving([])
  t.equal(statSync(file).size, BYTES)
})

t.test('R415: there is spare room for files as well, where they are counted', async t => {
  const { catalog, file } = await start(t)
  const files = () => readdirSync(dirname(file)).sort()
  const all = ['catalog.spare', 'catalog.spare-2', 'catalog.spare-3', 'catalog.spare-4']
  t.same(files(), all)
  await catalog.letGo(letGo)
  t.same(files(), [])
  await catalog.finishLeaving([])
  t.same(files(), all)
})

t.test('R415: spare room that went comes back within the hour, whatever leaves', async t => {
  const { catalog, file } = await start(t)
  await catalog.letGo(letGo)
  t.notOk(existsSync(file))
  await catalog.tidy({ beforeMs: 1, rows: 1 })
  t.equal(statSync(file).size, BYTES)
})

t.test(
  'R415: what else takes content away is given the spare room, which an end brings back',
  async t => {
    const { catalog, file } = await start(t)
    t.equal(await catalog.giveRoom(), true)
    t.notOk(existsSync(file))
    await catalog.close()
    t.equal(statSync(file).size, BYTES)
    t.equal(await (await start(t, 0)).catalog.giveRoom(), false, 'there never is any')
  },
)

t.test('R415: whoever finds the directory in use leaves the spare room there', async t => {
  const directory = t.testdir()
  const options = { directory, note: () => {}, clock: createManualClock(), spareBytes: BYTES }
  const catalog = await openSqliteCatalog({ ...options, epochs: createEpochs() })
  t.teardown(() => catalog.close())
  const inode = () => statSync(join(directory, 'catalog.spare')).ino
  const before = inode()
  await t.rejects(openSqliteCatalog({ ...options, epochs: createEpochs() }), {
    message: /in use by/,
  })
  t.equal(inode(), before)
})

t.test('spare room that was cut off is made whole; where none is wanted none stays', async t => {
  const file = join(t.testdir(), 'catalog.spare')
  writeFileSync(file, 'half')
  await new Spare(file, BYTES).keep()
  t.equal(statSync(file).size, BYTES)
  await new Spare(file, 0).keep()
  t.notOk(existsSync(file))
  const { catalog } = await start(t, 0)
  await t.rejects(catalog.letGo(letGo), { message: 'no room' })
})

t.test('R415: spare room that is given back while it is being made can be made again', async t => {
  const file = join(t.testdir(), 'catalog.spare')
  const bytes = 16 * 1024 * 1024
  const spare = new Spare(file, bytes)
  const kept = spare.keep()
  while (!existsSync(file)) await new Promise(setImmediate)
  t.equal(await spare.release(), true)
  await kept
  await spare.keep()
  t.equal(statSync(file).size, bytes)
})
