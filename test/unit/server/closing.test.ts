// Goal: a stop gives back everything, whatever fails on the way. Method: steps that note themselves
// and may throw.
import t from 'tap'
import { Closing } from '../../../src/server/closing.ts'

t.test('everything is closed, newest first, and the first failure told at the end', async t => {
  const closing = new Closing()
  const closed: string[] = []
  const step = (name: string, failure?: Error) =>
    closing.push(async () => {
      closed.push(name)
      if (failure !== undefined) throw failure
    })
  step('catalog')
  step('upstreams', new Error('second'))
  step('registry', new Error('first'))
  step('listener')
  await t.rejects(closing.run(), { message: 'first' })
  t.same(closed, ['listener', 'registry', 'upstreams', 'catalog'])
  await closing.run()
  t.equal(closed.length, 4, 'nothing is closed twice')
})
