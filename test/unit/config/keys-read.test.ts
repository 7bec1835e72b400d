// Goal: no key of the configuration is accepted and then read by nobody. Method: the name that the
// code has for each key is looked for in the code of src/, beside the schema itself; a key under a
// name that much else has as well may pass unseen.
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type KeySchema, listKeys } from '../../../src/config/schema/keys.ts'
import { KEY_SCHEMA } from '../../../src/config/schema/schema.ts'
import { readSources } from '../../kit/source-text.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const words = new Set(
  readSources(ROOT, 'src')
    .filter(({ path }) => !/^src\/config\/[a-z-]*schema\.ts$/.test(path))
    .flatMap(({ code }) => code.match(/\w+/g) ?? []),
)

/**
 * Those that hold a value, also in items of lists: its own name, and that in the code. Not those
 * that the operator names, which the schema has as `<group>` and the like.
 */
function* allKeys(schema: KeySchema): Generator<{ readonly key: string; readonly as: string }> {
  for (const { path, schema: child } of listKeys(schema)) {
    const key = path.at(-1) ?? ''
    if (child.type !== 'object' && !key.startsWith('<')) yield { key, as: child['x-as'] ?? key }
    if (child.items !== undefined) yield* allKeys(child.items)
  }
}

function unread(schema: KeySchema): readonly string[] {
  const named = new Map<string, Set<string>>()
  // An upstream's own is read by the name of the one for all.
  for (const { key, as } of allKeys(schema))
    named.set(key, (named.get(key) ?? new Set([key])).add(as))
  return [...named].flatMap(([key, names]) => ([...names].some(each => words.has(each)) ? [] : key))
}

t.test('every key of the configuration is read somewhere', async t => {
  t.ok([...allKeys(KEY_SCHEMA)].length > 50)
  t.same(unread(KEY_SCHEMA), [])
})

t.test('one that nobody reads is found', async t => {
  const more: KeySchema = {
    properties: {
      readbynobody: {},
      match: { items: { properties: { 'x-1': { 'x-as': 'readByNobody' } } } },
    },
  }
  t.same(unread({ properties: { ...KEY_SCHEMA.properties, ...more.properties } }), [
    'readbynobody',
    'x-1',
  ])
})
