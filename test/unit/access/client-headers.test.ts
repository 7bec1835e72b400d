// Goal: the headers that a write may have are those that clients were recorded to send, no fewer
// and no more. Method: the recordings of the push matrix (test/e2e/push/recorder.ts), each client's
// against the one function.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { SENT_BY_CLIENTS, unusualHeader } from '../../../src/access/client-headers.ts'

const FILE = new URL('../../kit/clients/recorded-headers.json', import.meta.url)
const recorded = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, readonly string[]>

const CLIENTS = [
  'BuildKit',
  'buildah',
  'containerd',
  'cosign',
  'crane',
  'curl',
  'dockerd 20.10',
  'dockerd on containerd',
  'helm',
  'oras',
  'podman',
  'regctl',
  'skopeo',
]

t.test('R243: every client was recorded, and all that it sends is taken', async t => {
  for (const client of CLIENTS) {
    const names = recorded[client] ?? []
    t.ok(names.length > 0, client)
    const inCapitals = names.flatMap(name => [name.toUpperCase(), 'value'])
    t.equal(unusualHeader(inCapitals), undefined, client)
  }
})

t.test('nothing is on the list that no client was recorded to send', async t => {
  const all = new Set(Object.values(recorded).flat())
  t.same([...SENT_BY_CLIENTS].sort(), [...all].sort())
  t.notOk(all.has('authorization'), 'there is nobody yet whose it could be')
})
