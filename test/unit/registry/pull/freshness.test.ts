// Goal: the freshness rule of docs/configuration.md. Method: a table of ages, no clock.
import t from 'tap'
import { parseHost, parseName, parseTag } from '../../../../src/oci/reference.ts'
import {
  compileTtl,
  freshnessOf,
  isServableStale,
} from '../../../../src/registry/pull/freshness.ts'

t.test(
  'a tag is fresh for its ttl, then in grace for as long again but at most a minute, then expired',
  async t => {
    const table = [
      // [ttlMs, ageMs, expected]
      [300_000, 0, 'fresh'],
      [300_000, 299_999, 'fresh'],
      [300_000, 300_000, 'grace'],
      [300_000, 359_999, 'grace'],
      [300_000, 360_000, 'expired'],
      [10_000, 19_999, 'grace'],
      [10_000, 20_000, 'expired'],
      [0, 0, 'expired'],
      [Number.POSITIVE_INFINITY, 1e12, 'fresh'],
    ] as const
    for (const [ttlMs, ageMs, expected] of table) {
      t.equal(
        freshnessOf(1_000_000, ttlMs, 1_000_000 + ageMs),
        expected,
        `ttl ${ttlMs}, age ${ageMs}`,
      )
    }
  },
)

t.test('what was checked in the future is not known to be fresh', async t => {
  t.equal(freshnessOf(2_000, 300_000, 1_000), 'expired')
})

t.test('R89: stale answers have a limit, which may be forever', async t => {
  t.ok(isServableStale(0, 1_000, 1_000))
  t.notOk(isServableStale(0, 1_000, 1_001))
  t.ok(isServableStale(0, Number.POSITIVE_INFINITY, 1e15))
})

t.test('the first matching rule sets the ttl, by repository and tag', async t => {
  const ttl = compileTtl({
    ttlMs: 5,
    maxStaleMs: 0,
    offline: false,
    tagRules: [
      { repository: 'library/**', tag: 'latest', ttlMs: 1 },
      { repository: '*', tag: 'latest', ttlMs: 2 },
      { repository: '**', tag: 'release-*', ttlMs: 3 },
    ],
  })
  const ttlOf = (name: string, tag: string) =>
    ttl({ registry: parseHost('docker.io'), name: parseName(name) }, parseTag(tag))
  t.equal(ttlOf('library/alpine', 'latest'), 1)
  t.equal(ttlOf('team/sub/app', 'latest'), 2)
  t.equal(ttlOf('team/app', 'release-7'), 3)
  t.equal(ttlOf('team/app', 'v1'), 5)
})
