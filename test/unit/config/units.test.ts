// Goal: sizes and durations are read as people mean them, and what could mean two things is
// refused. Method: tables.
import t from 'tap'
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
} from '../../../src/config/formats/units.ts'

t.test('durations are numbers with units, in any combination', async t => {
  const table: Record<string, number> = {
    '0': 0,
    '0s': 0,
    '500ms': 500,
    '7s': 7_000,
    '5m': 300_000,
    '2h': 7_200_000,
    '1h30m': 5_400_000,
    '1.5h': 5_400_000,
    '30d': 2_592_000_000,
    '1d1h1m1s1ms': 90_061_001,
    forever: Number.POSITIVE_INFINITY,
  }
  for (const [text, value] of Object.entries(table))
    t.same(parseDuration(text), { kind: 'ok', value }, text)
})

t.test(
  'a duration without a unit, below zero or in words is refused with the right spelling',
  async t => {
    const table: Record<string, string | undefined> = {
      '300': '300s',
      '5 m': '5m',
      '5M': '5m',
      '5min': '5m',
      '10 seconds': '10s',
      '2w': '14d',
      '1 day': '1d',
      '-5m': undefined,
      '1e3s': undefined,
      m: undefined,
      '': undefined,
      '5m ': '5m',
    }
    for (const [text, suggestion] of Object.entries(table)) {
      const parsed = parseDuration(text)
      t.match(parsed, { kind: 'fault', message: /./ }, text)
      t.equal(parsed.kind === 'fault' ? parsed.suggestion : text, suggestion, text)
    }
    t.equal(parseDuration(`${'9'.repeat(20)}d`).kind, 'fault', 'more than a number holds')
  },
)

t.test('durations are written in falling units', async t => {
  t.equal(formatDuration(90_061_001), '1d1h1m1s1ms')
  t.equal(formatDuration(5_400_000), '1h30m')
  t.equal(formatDuration(0), '0')
  t.equal(formatDuration(Number.POSITIVE_INFINITY), 'forever')
})

t.test('sizes have binary and decimal units, shares have percent', async t => {
  const table: Record<string, number> = {
    '1048576': 1_048_576,
    '0': 0,
    '7B': 7,
    '3KiB': 3_072,
    '3MiB': 3_145_728,
    '3GiB': 3_221_225_472,
    '3TiB': 3_298_534_883_328,
    '3kB': 3_000,
    '3MB': 3_000_000,
    '3GB': 3_000_000_000,
    '3TB': 3_000_000_000_000,
    '1.5KiB': 1536,
    '64 mib': 67_108_864,
  }
  for (const [text, bytes] of Object.entries(table)) {
    t.same(parseSize(text), { kind: 'ok', value: { kind: 'bytes', bytes } }, text)
  }
  t.same(parseSize('80%'), { kind: 'ok', value: { kind: 'share', share: 0.8 } })
})

t.test('a size that could mean two things, or nothing, is refused', async t => {
  t.match(parseSize('10G'), { kind: 'fault', suggestion: '10GiB' })
  t.match(parseSize('10Gi'), { kind: 'fault', suggestion: '10GiB' })
  for (const text of ['', '-1', '0%', '101%', '1e3', '10 XB', 'GiB', '9999999999TiB']) {
    t.match(parseSize(text), { kind: 'fault' }, text)
  }
})

t.test('sizes are written in the largest unit that divides them', async t => {
  t.equal(formatSize({ kind: 'bytes', bytes: 200e9 }), '200GB')
  t.equal(formatSize({ kind: 'bytes', bytes: 3 * 2 ** 30 }), '3GiB')
  t.equal(formatSize({ kind: 'bytes', bytes: 1_048_577 }), '1048577')
  t.equal(formatSize({ kind: 'share', share: 0.07 }), '7%')
})
