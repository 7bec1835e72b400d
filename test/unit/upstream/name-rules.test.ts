// Goal: only what the operator lets through is asked for. Method: rules and names, as tables.
import t from 'tap'
import { parseName } from '../../../src/oci/reference.ts'
import { createNameRules } from '../../../src/upstream/name-rules.ts'
import { failureThrownBy } from '../../kit/open-upstream.ts'

const passes = (name: string, include: readonly string[], exclude: readonly string[] = []) =>
  failureThrownBy(() => createNameRules(include, exclude).assertAllowed(parseName(name))) ===
  undefined

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

t.test('exclude is stronger than include', async t => {
  t.notOk(passes('library/secret', ['library/**'], ['library/secret']))
  t.notOk(passes('library/secret', [], ['**/secret']))
})
