// Goal: one sync of a directory serves everybody whose change came before it, and nobody whose
// change came after it. Method: syncs that end when told.
import t from 'tap'
import { DirectorySync } from '../../../src/store/filesystem/directory-sync.ts'

/** Each sync waits until it is told how it ends. */
function slowDirectory() {
  const running: PromiseWithResolvers<void>[] = []
  let begun = 0
  const directory = new DirectorySync('/data/facts', async () => {
    begun += 1
    const sync = Promise.withResolvers<void>()
    running.push(sync)
    await sync.promise
  })
  return {
    directory,
    begun: () => begun,
    end: () => running.shift()?.resolve(),
    fail: () => running.shift()?.reject(new Error('EIO')),
  }
}

/** Lets everything go on that waits for nothing. */
async function turn(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

t.test('whoever comes while a sync is running shares the next one', async t => {
  const { directory, begun, end } = slowDirectory()
  const done: string[] = []
  const settle = (name: string) => {
    directory.touch()
    return directory.settle().then(() => done.push(name))
  }
  const calls = [settle('first'), settle('with the first')]
  await turn()
  t.equal(begun(), 1)
  calls.push(settle('second'), settle('with the second'), settle('third of them'))
  await turn()
  t.equal(begun(), 1)
  end()
  await turn()
  t.same(done, ['first', 'with the first'], 'what came during a sync is not covered by it')
  t.equal(begun(), 2)
  end()
  await Promise.all(calls)
  t.equal(begun(), 2)
})

t.test('where nothing has changed nothing is synced, but what runs is waited for', async t => {
  const { directory, begun, end } = slowDirectory()
  const first = directory.settle()
  await turn()
  t.equal(begun(), 1, 'an earlier process may have been killed before its sync')
  let isSettled = false
  const second = directory.settle().then(() => {
    isSettled = true
  })
  await turn()
  t.equal(isSettled, false)
  end()
  await Promise.all([first, second])
  await directory.settle()
  t.equal(begun(), 1)
})

t.test(
  'R04: all who shared a sync that failed are told, and it is not run again for them',
  async t => {
    const { directory, begun, end, fail } = slowDirectory()
    const shared = [directory.settle(), directory.settle()]
    await turn()
    const later = directory.settle()
    fail()
    for (const call of shared) await t.rejects(call, { message: 'EIO' })
    await turn()
    t.equal(begun(), 2, 'one for the call that came later')
    end()
    await later
  },
)
