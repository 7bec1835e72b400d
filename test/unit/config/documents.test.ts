// Goal: what is written about the configuration is true: the examples load, the documentation is
// what the schema renders, and editors are told the same as the server checks. Method: the files of
// the repository themselves.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Value } from 'typebox/value'
import { parse } from 'yaml'
import { renderConfigurationDoc } from '../../../scripts/docs/configuration.ts'
import { renderJsonSchema } from '../../../src/config/schema/json-schema.ts'
import { BYTES, DURATION, SHARE, SIZE } from '../../../src/config/formats/formats.ts'
import { isAnyKey, listKeys } from '../../../src/config/schema/keys.ts'
import { KEY_SCHEMA, LATER_KEYS } from '../../../src/config/schema/schema.ts'
import { makeAuthority, makeCertificate } from '../../kit/certificate.ts'
import { complaints, configOf } from '../../kit/load-text.ts'

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const directory = fileURLToPath(new URL('../../../config/', import.meta.url))
const examples = readdirSync(directory).filter(name => name.endsWith('.yaml'))
/** What the examples name on the operator's machine. */
const FILES = {
  '/etc/entrepot/hub.password': 'x\n',
  '/etc/entrepot/registry.password': 'x\n',
  '/etc/entrepot/site-ca.pem': makeAuthority().ca,
}

const CERTIFICATE = makeCertificate({ names: ['edge.example.com'] })
const HUB = makeCertificate({ names: ['hub.example.com'] })
/** What operations.md names there. */
const OPERATORS_FILES = {
  '/etc/entrepot/tls.crt': CERTIFICATE.cert,
  '/etc/entrepot/tls.key': CERTIFICATE.key,
  '/etc/entrepot/edge.crt': CERTIFICATE.cert,
  '/etc/entrepot/edge.key': CERTIFICATE.key,
  '/etc/entrepot/hub.crt': HUB.cert,
  '/etc/entrepot/hub.key': HUB.key,
  '/etc/entrepot/robots.crt': makeAuthority().ca,
  '/etc/entrepot/cluster-ca.pem': makeAuthority().ca,
  '/etc/entrepot/auth.crt': CERTIFICATE.cert,
  '/etc/entrepot/htpasswd': ['alice', 'bob'].map(name => `${name}:${HASH}\n`).join(''),
}

function read(name: string): string {
  return readFileSync(directory + name, 'utf8')
}

t.test('every example loads without a finding', async t => {
  t.ok(examples.length >= 5)
  for (const name of examples) t.same(complaints(read(name), { files: FILES }), [], name)
})

t.test('entrepot.yaml has every key, and each at its default', async t => {
  const text = read('entrepot.yaml')
  for (const { path } of listKeys(KEY_SCHEMA)) {
    const key = path.at(-1)
    if (!isAnyKey(key)) t.match(text, new RegExp(`(?:^|[\\s#{])${key}:`, 'm'), path.join('.'))
  }
  const described = configOf(text).settings.map(({ path, text }) => `${path.join('.')}: ${text}`)
  const built = configOf(undefined).settings.map(({ path, text }) => `${path.join('.')}: ${text}`)
  t.same(described.toSorted(), [...built, 'default: docker.io'].toSorted())
})

t.test('entrepot.yaml has lists that are commented out at their defaults', async t => {
  const text = read('entrepot.yaml')
  const defaults = [...listKeys(KEY_SCHEMA)].flatMap(({ path, schema }) => {
    const list = schema['x-default']
    // What is empty by default has an example there.
    return Array.isArray(list) && list.length > 0 ? [[path.at(-1) ?? '', list] as const] : []
  })
  t.ok(defaults.length > 0)
  for (const [key, list] of defaults)
    for (const [, written = ''] of text.matchAll(new RegExp(`^ *#[ #-]*${key}: (\\[.*?\\])`, 'gm')))
      t.same(parse(written), list, key)
})

t.test('every example of operations.md is taken by check as it stands', async t => {
  const file = fileURLToPath(new URL('../../../docs/operations.md', import.meta.url))
  const found = [...readFileSync(file, 'utf8').matchAll(/^```yaml\n([^]*?)^```$/gm)]
  t.ok(found.length >= 10)
  for (const [, text = ''] of found) {
    const told = complaints(text, { files: OPERATORS_FILES })
    // One that is about accounts leaves TLS to the chapter about it.
    const others = told.filter(line => !line.includes('passwords come over plain HTTP'))
    t.same(others, [], text)
  }
})

t.test('docs/configuration.md is what the schema renders', async t => {
  const file = fileURLToPath(new URL('../../../docs/configuration.md', import.meta.url))
  t.equal(readFileSync(file, 'utf8'), renderConfigurationDoc(), 'npm run docs writes it anew')
})

t.test('the documentation names every key and every later key', async t => {
  const text = renderConfigurationDoc()
  for (const { path, schema } of listKeys(KEY_SCHEMA)) {
    if (schema['x-format'] !== undefined) t.match(text, `\`${path.join('.')}\``)
    t.ok(schema.description, path.join('.'))
  }
  for (const key of LATER_KEYS) t.match(text, `\`${key}\``)
})

t.test('the JSON Schema accepts the examples and refuses what is refused', async t => {
  const schema = renderJsonSchema()
  for (const name of examples) t.ok(Value.Check(schema, parse(read(name))), name)
  const refused = [
    'adr: 1',
    'http: { addr: [] }',
    'upstreams: { docker.io: { tll: 1m } }',
    'upstreams: { docker.io: { tags: [{ match: "*:a" }] } }',
    'upstreams: { docker.io: { connections: 0 } }',
    'log: { level: loud }',
    'http: { tls: {} }',
  ]
  for (const text of refused) {
    t.notOk(Value.Check(schema, parse(text)), text)
    t.not(complaints(text).length, 0, text)
  }
})

t.test('R290: the schema has the spellings of durations and sizes that check takes', async t => {
  const texts =
    '5m 1h30m 1.5h 500ms forever 0 2w 30 m 5M 20GiB 200GB 1048576 64mib 80% 1b 10G -1GiB 1e3 .5GiB 5.m'
  const samples = [...texts.split(' '), '', '5 m', '1.5 gib', '80 %', '20 MiBs', 0, 30, 2 ** 20, -1]
  for (const { name, json, parse } of [DURATION, SIZE, BYTES, SHARE])
    for (const sample of samples) {
      const takes = parse({ text: String(sample), quoted: typeof sample === 'string' })
      const about = `${name}: ${JSON.stringify(sample)}`
      if (name !== 'share' || typeof sample === 'string')
        t.equal(Value.Check(json, sample), takes.kind === 'ok', about)
    }
})

t.test('the JSON Schema is plain JSON', async t => {
  const schema = renderJsonSchema()
  t.same(JSON.parse(JSON.stringify(schema)), schema)
  t.notMatch(JSON.stringify(schema), /"x-/)
})
