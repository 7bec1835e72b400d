// Goal: syncs of what can be fetched again leave threads for everything else, and none is
// forgotten. Method: syncs that end when told.
import t from 'tap'
import { SyncTurns } from '../../../src/store/filesystem/sync-turns.ts'

/** Threads of the pool, unless the environment says otherwise: see main.ts. */
const THREADS = 16

t.test('many syncs at once leave half of the threads free, and all come to their end', async t => {
  const turns = new SyncTurns()
  const ends: (() => void)[] = []
  let atOnce = 0
  let most = 0
  const sync = async () => {
    atOnce += 1
    most = Math.max(most, atOnce)
    await new Promise<void>(resolve => ends.push(resolve))
    atOnce -= 1
  }
  const all = Promise.all(Array.from({ length: 40 }, () => turns.take(sync)))
  let isOver = false
  void all.then(() => {
    isOver = true
  })
  while (!isOver) {
    ends.shift()?.()
    await new Promise(setImmediate)
  }
  t.equal(most, THREADS / 2)
})

t.test('one that fails says so, and keeps nobody from the next', async t => {
  const turns = new SyncTurns()
  const fails = async () => {
    throw new Error('the disk is gone')
  }
  const works = async () => {}
  const syncs = [fails, works, works, works].map(sync => turns.take(sync))
  const ended = await Promise.allSettled(syncs)
  t.match(ended, [{ reason: { message: 'the disk is gone' } }, {}, {}, {}])
  t.same(
    ended.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled', 'fulfilled'],
  )
})
