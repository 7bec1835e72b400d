// Goal: a rule is called unreachable only when it is. Method: pairs of patterns, and for those that
// cover, the matcher that runs on names made from the narrower one.
import picomatch from 'picomatch'
import t from 'tap'
import { covers } from '../../../src/config/formats/globs.ts'

const COVERED: readonly (readonly [earlier: string, later: string, name: string])[] = [
  ['**', 'a/b', 'a/b'],
  ['a/**', 'a/b', 'a/b'],
  ['a/**', 'a/b/**', 'a/b/c/d'],
  ['a/**', 'a/*/c', 'a/b/c'],
  ['*/b', 'a/b', 'a/b'],
  ['a/*', 'a/x-*', 'a/x-1'],
  ['*/**', 'a/b', 'a/b'],
  ['a/{b,c}', 'a/{b,c}', 'a/b'],
]
const NOT_COVERED: readonly (readonly [earlier: string, later: string])[] = [
  ['a/*', 'a/**'],
  ['a/b', 'a/*'],
  ['a/*', 'a/b/c'],
  ['a/**', '{a,b/c}/d'],
  ['a/**', '**/b'],
  ['*/b', '**/b'],
  ['a/x*', 'a/x'],
  ['a/**', 'ab/c'],
  ['a/**', 'a'],
]

t.test('a wider pattern covers a narrower one, and matches its names', async t => {
  for (const [earlier, later, name] of COVERED) {
    t.ok(covers(earlier, later), `${earlier} ${later}`)
    t.ok(picomatch(later, { dot: true })(name), name)
    t.ok(picomatch(earlier, { dot: true })(name), `${earlier} matches ${name}`)
  }
})

t.test('what may match more, or cannot be told, is not covered', async t => {
  for (const [earlier, later] of NOT_COVERED) t.notOk(covers(earlier, later), `${earlier} ${later}`)
})
