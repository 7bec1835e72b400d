// Goal: who asks while something is under way shares its answer, and nobody shares one that is old
// news. Method: promises that the test settles by hand.
import t from 'tap'
import { Flights } from '../../../src/async/flights.ts'

t.test(
  'what is closed is joined by nobody, and its end takes nothing from its successor',
  async t => {
    const flights = new Flights<string>()
    const first = Promise.withResolvers<string>()
    const second = Promise.withResolvers<string>()
    const early = flights.run('key', () => first.promise)
    flights.close('key')
    const late = flights.run('key', () => second.promise)
    t.equal(late.joined, false)
    first.resolve('old')
    t.equal(await early.promise, 'old')
    const later = flights.run('key', () => Promise.reject(new Error('asked once more')))
    t.equal(later.joined, true)
    second.resolve('new')
    t.same(await Promise.all([late.promise, later.promise]), ['new', 'new'])
    t.equal(flights.size, 0)
  },
)
