// Goal: a wait ends with its signal and leaves nothing behind. Method: promises that never end, and
// the signal's own listeners counted.
import { getEventListeners } from 'node:events'
import t from 'tap'
import { unlessAborted } from '../../../src/async/aborting.ts'

t.test('whoever waits is let go at once, and leaves no listener', async t => {
  const leaving = new AbortController()
  const never = new Promise<void>(() => {})
  const waiting = unlessAborted(never, leaving.signal)
  leaving.abort(new Error('left'))
  await t.rejects(waiting, { message: 'left' })
  await t.rejects(unlessAborted(never, leaving.signal), { message: 'left' })
  const staying = new AbortController()
  t.equal(await unlessAborted(Promise.resolve(5), staying.signal), 5)
  t.equal(getEventListeners(staying.signal, 'abort').length, 0)
})
