// Goal: only what the operator lets through is asked for. Method: rules and names, as tables.
import t from 'tap'
import { parseName } from '../../../src/oci/reference.ts'
import { readNameGlob } from '../../../src/config/formats/globs.ts'
import { compileNames } from '../../../src/registry/routing/route.ts'
import { createNameRules } from '../../../src/upstream/name-rules.ts'
import { failureThrownBy } from '../../kit/open-upstream.ts'

const passes = (name: string, include: readonly string[], exclude: readonly string[] = []) =>
  failureThrownBy(() => {
    createNameRules(compileNames({ include, exclude })).assertAllowed(parseName(name))
  }) === undefined

t.test('without rules everything may be pulled', async t => {
  t.ok(passes('library/alpine', []))
})

t.test('one star stays within a component, two cross slashes', async t => {
  t.ok(passes('library/alpine', ['library/*']))
  t.notOk(passes('library/a/b', ['library/*']))
  t.ok(passes('library/a/b', ['library/**']))
  t.notOk(passes('other/a', ['library/**', 'team/*']))
  t.ok(passes('team/a', ['library/**', 'team/*']))
})

t.test(
  'R254: an exclamation mark with brackets is all but these, as `check` judges it',
  async t => {
    const most = ['!(library|team)/**']
    t.notOk(passes('other/a', [], most))
    t.ok(passes('library/a', [], most))
    t.ok(passes('team/a/b', [], most))
    t.same(readNameGlob(most[0] ?? ''), { kind: 'ok', value: most[0] })
    t.match(readNameGlob('!library/**'), { kind: 'fault' })
  },
)

t.test('exclude is stronger than include', async t => {
  t.notOk(passes('library/secret', ['library/**'], ['library/secret']))
  t.notOk(passes('library/secret', [], ['**/secret']))
})
