// Goal: a sidecar says after a restart what it said before, and whatever else is in such a file
// says nothing. Method: the format and its inverse over generated values; texts that are nearly
// sidecars; names that are nearly digests.
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { seeding } from '../../kit/arbitraries.ts'
import {
  fillEntry,
  layoutUnder,
  partPath,
  sidecarPath,
} from '../../../src/store/filesystem/layout.ts'
import { formatSidecar, parseSidecar } from '../../../src/store/filesystem/growing/sidecar.ts'
import { digestBy } from '../../kit/disk/store-directory.ts'

const GOOD = { version: 1, sizeBytes: 9, validator: '"v1"', bootId: 'b', syncedBytes: 3 }

t.test('R86: parseSidecar is the inverse of formatSidecar', async t => {
  const expected = fc.record(
    {
      sizeBytes: fc.option(fc.maxSafeNat(), { nil: undefined }),
      validator: fc.option(fc.string({ maxLength: 512 }), { nil: undefined }),
    },
    { noNullPrototype: true },
  )
  const sidecars = fc.record(
    {
      expected,
      bootId: fc.string(),
      syncedBytes: fc.maxSafeNat(),
      prefixBytes: fc.option(fc.maxSafeNat(), { nil: undefined }),
    },
    { noNullPrototype: true },
  )
  const holds = fc.property(sidecars, sidecar =>
    isDeepStrictEqual(parseSidecar(formatSidecar(sidecar)), sidecar),
  )
  t.doesNotThrow(() => fc.assert(holds, { ...seeding(), numRuns: 300 }))
})

t.test('a validator too long to be an ETag is not written down', async t => {
  const expected = { sizeBytes: 1, validator: 'x'.repeat(513) }
  const text = formatSidecar({ expected, bootId: 'b', syncedBytes: 0, prefixBytes: undefined })
  t.same(parseSidecar(text)?.expected, { sizeBytes: 1, validator: undefined })
})

t.test(
  'R86: who knows version 1 alone does not take a part with holes for a whole one',
  async t => {
    const expected = { sizeBytes: 9, validator: undefined }
    const sparse = formatSidecar({ expected, bootId: 'b', syncedBytes: 0, prefixBytes: 3 })
    t.equal(JSON.parse(sparse).version, 2)
  },
)

t.test('R86: what is nearly a sidecar is none', async t => {
  t.ok(parseSidecar(JSON.stringify(GOOD)))
  const wrong: Record<string, unknown>[] = [
    { version: 2 },
    { version: 2, prefixBytes: null },
    { version: 2, prefixBytes: -1 },
    { version: 3, prefixBytes: 1 },
    { version: '1' },
    { sizeBytes: -1 },
    { sizeBytes: 1.5 },
    { sizeBytes: '9' },
    { sizeBytes: undefined },
    { validator: 1 },
    { validator: undefined },
    { bootId: null },
    { syncedBytes: null },
    { syncedBytes: 1e300 },
  ]
  for (const fields of wrong) {
    t.equal(parseSidecar(JSON.stringify({ ...GOOD, ...fields })), undefined, JSON.stringify(fields))
  }
  const text = JSON.stringify(GOOD)
  for (let length = 0; length < text.length; length += 1) {
    t.equal(parseSidecar(text.slice(0, length)), undefined)
  }
  for (const other of ['null', '[]', '1', '"x"', '\0'.repeat(100)]) {
    t.equal(parseSidecar(other), undefined, other)
  }
})

t.test('R191: names in fills/ are those of digests, there and back', async t => {
  const layout = layoutUnder('/data')
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const digest = digestBy(algorithm, 'x')
    const name = `${algorithm}-${digest.slice(7)}`
    t.equal(partPath(layout, digest), `/data/fills/${name}`)
    t.equal(sidecarPath(layout, digest), `/data/fills/${name}.json`)
    t.same(fillEntry(name), { kind: 'part', digest })
    t.same(fillEntry(`${name}.json`), { kind: 'sidecar', digest })
    const wrong = [
      name.toUpperCase(),
      `${name}.json.json`,
      `${name}0`,
      name.slice(0, -1),
      `x${name}`,
    ]
    for (const other of [...wrong, name.replace('-', ':-'), name.replace('-', '--'), '', '.json']) {
      t.equal(fillEntry(other), undefined, other)
    }
  }
})
