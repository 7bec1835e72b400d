// Goal: who guesses passwords is stopped, wherever the guesses are aimed, and nobody who knows one
// is locked out or kept waiting by that. Method: the real check over computations that are counted
// and held; time passes when the test says so.
import t from 'tap'
import { siteOf } from '../../../src/access/network.ts'
import {
  OF_ACCOUNT,
  OF_ACCOUNT_AND_ADDRESS,
  OF_ADDRESS,
} from '../../../src/accounts/failed-logins.ts'
import { PLACE_KNOWN_MS, PLACES_MAX } from '../../../src/accounts/known-places.ts'
import { REMEMBERED_MS, WAITING_MAX } from '../../../src/accounts/password-check.ts'
import { entryOf, HERE, type OpenCheck, openPasswordCheck } from '../../kit/password-check.ts'

const THERE = '198.51.100.7'
const ALICE = { kind: 'account', name: 'alice' }
const REFUSED = { kind: 'refused' }

function open(): OpenCheck {
  const opened = openPasswordCheck()
  opened.check.replace([entryOf('alice', 's3cret'), entryOf('bob', 'other')])
  return opened
}

/** `count` different ones. @returns what came of each */
async function guess(
  { verify }: OpenCheck,
  name: string,
  { count, from = HERE }: { readonly count: number; readonly from?: string },
): Promise<readonly string[]> {
  const kinds: string[] = []
  for (let at = 0; at < count; at += 1)
    kinds.push((await verify(name, `guess ${at} from ${from}`, from)).kind)
  return kinds
}

for (const name of ['alice', 'nobody'])
  t.test(`R139: after ten wrong passwords for ${name} an address is told to wait`, async t => {
    const opened = open()
    const { verify, computed, pass, limited, tried } = opened
    const { atOnce, eachMs } = OF_ACCOUNT_AND_ADDRESS
    const kinds = await guess(opened, name, { count: atOnce + 5 })
    t.same(new Set(kinds.slice(0, atOnce)), new Set(['refused']))
    t.same(new Set(kinds.slice(atOnce)), new Set(['limited']))
    t.equal(computed.length, atOnce, 'a refusal costs no computation')
    const told = await verify(name, 's3cret')
    t.same(told, { kind: 'limited', retryAfterSeconds: eachMs / 1_000 })
    t.equal(limited.length, 6)
    t.match(limited[0], { limit: 'account and address', address: HERE })
    t.equal(limited[0]?.name, name === 'alice' ? 'alice' : undefined)
    t.equal(tried.filter(outcome => outcome === 'limited').length, 6)
    pass(eachMs)
    t.same(await verify(name, 'one more'), REFUSED)
    t.match(await verify(name, 'and another'), { kind: 'limited' })
    pass(eachMs)
    t.equal((await verify(name, 's3cret')).kind, name === 'alice' ? 'account' : 'refused')
  })

t.test('R139: an address that tries one name after the other is told to wait', async t => {
  const { verify } = open()
  const kinds: string[] = []
  for (let at = 0; at <= OF_ADDRESS.atOnce; at += 1)
    kinds.push((await verify(`name ${at}`, 'Winter2026')).kind)
  t.equal(kinds.indexOf('limited'), OF_ADDRESS.atOnce)
  t.same(await verify('alice', 's3cret', THERE), ALICE)
})

t.test('R139: an account that many addresses guess at gives each of them one guess', async t => {
  const opened = open()
  const addresses = Array.from({ length: OF_ACCOUNT.atOnce }, (_, at) => `203.0.113.${at}`)
  for (const from of addresses) await guess(opened, 'alice', { count: 1, from })
  t.same(await guess(opened, 'alice', { count: 2, from: HERE }), ['refused', 'limited'])
  t.match(opened.limited, [{ limit: 'account', name: 'alice', address: HERE }])
  t.same(await opened.verify('alice', 's3cret', THERE), ALICE)
  t.same(await opened.verify('bob', 'other', HERE), { kind: 'account', name: 'bob' })
})

t.test('R139: the addresses of one network of IPv6 count as one', async t => {
  const opened = open()
  for (let at = 0; at < OF_ACCOUNT_AND_ADDRESS.atOnce; at += 1)
    await guess(opened, 'alice', { count: 1, from: `2001:db8::${at}:1` })
  t.match(await opened.verify('alice', 's3cret', '2001:db8::ffff'), { kind: 'limited' })
  t.same(await opened.verify('alice', 's3cret', '2001:db8:0:1::1'), ALICE)
  t.equal(siteOf('::ffff:192.0.2.1'), '192.0.2.1')
  t.equal(siteOf('fe80::1%eth0'), 'fe80::')
  t.equal(siteOf(undefined), 'unknown')
})

t.test('R139: a client that repeats one wrong password has made one guess', async t => {
  const { verify, computed } = open()
  for (let time = 0; time < 100; time += 1) t.same(await verify('alice', 'old'), REFUSED)
  t.equal(computed.length, 1)
  t.same(await verify('alice', 's3cret'), ALICE)
})

t.test(
  'R517: who was let in lately still is, from the address of whoever guesses, too',
  async t => {
    const opened = open()
    const { verify, pass } = opened
    t.same(await verify('alice', 's3cret'), ALICE)
    await guess(opened, 'alice', { count: OF_ACCOUNT_AND_ADDRESS.atOnce + 1 })
    t.same(await verify('alice', 's3cret'), ALICE, 'what is remembered')
    for (let hour = 0; hour < 3; hour += 1) {
      pass(REMEMBERED_MS + 1)
      await guess(opened, `alice`, { count: 20 })
      t.same(await verify('alice', 's3cret'), ALICE, 'what was right there is known for a day')
    }
    opened.check.replace([entryOf('alice', 'new'), entryOf('bob', 'other')])
    t.same(await verify('alice', 's3cret'), REFUSED, 'but not after a change')
    t.same(await verify('alice', 'new', THERE), ALICE)
  },
)

t.test('R517: an account is let in where it has been, whatever others try from there', async t => {
  const { check, verify, pass } = open()
  t.same(await verify('alice', 's3cret'), ALICE)
  pass(PLACE_KNOWN_MS - 60_000)
  for (let at = 0; at <= OF_ADDRESS.atOnce; at += 1) await verify(`name ${at}`, 'Winter2026')
  t.match(await verify('bob', 'other'), { kind: 'limited' })
  t.same(await verify('alice', 's3cret'), ALICE)
  check.replace([entryOf('alice', 'new'), entryOf('bob', 'other')])
  t.same(await verify('alice', 'new'), ALICE, 'by a new password, too')
})

t.test('R526: what is remembered makes a place known as well', async t => {
  const { verify, pass } = open()
  t.same(await verify('alice', 's3cret'), ALICE)
  t.same(await verify('alice', 's3cret', THERE), ALICE, 'computed a moment ago, elsewhere')
  pass(REMEMBERED_MS + 1)
  for (let at = 0; at <= OF_ADDRESS.atOnce; at += 1) await verify(`name ${at}`, 'x', THERE)
  t.same(await verify('alice', 's3cret', THERE), ALICE, 'behind the address of a guesser')
})

t.test('R691: an account that comes from everywhere takes no place from another', async t => {
  const { verify, pass } = open()
  const bob = { kind: 'account', name: 'bob' }
  t.same(await verify('alice', 's3cret'), ALICE)
  const sites = Array.from({ length: 10_000 }, (_, at) => `10.1.${at >> 8}.${at & 255}`)
  for (const site of sites) await verify('bob', 'other', site)
  pass(REMEMBERED_MS + 1)
  const [first = '', last = ''] = [sites[0], sites.at(-1)]
  t.ok(sites.length > PLACES_MAX)
  for (const site of [HERE, first, last])
    for (let at = 0; at <= OF_ADDRESS.atOnce; at += 1) await verify(`name ${at}`, site, site)
  t.same(await verify('alice', 's3cret', HERE), ALICE, 'behind the address of a guesser')
  t.match(await verify('bob', 'other', first), { kind: 'limited' }, 'that was long ago for him')
  t.same(await verify('bob', 'other', last), bob)
})

t.test('R517: guesses that wait are judged when their turn comes', async t => {
  const { verify, computed, hold, letGo } = open()
  hold()
  const all = Array.from({ length: 30 }, (_, at) => verify('alice', `guess ${at}`))
  letGo()
  const kinds = (await Promise.all(all)).map(({ kind }) => kind)
  const { atOnce } = OF_ACCOUNT_AND_ADDRESS
  t.equal(kinds.filter(kind => kind === 'refused').length, atOnce)
  t.equal(kinds.filter(kind => kind === 'limited').length, 30 - atOnce)
  t.equal(computed.length, atOnce)
})

t.test('R518: a right login does not wait behind wrong ones from elsewhere', async t => {
  const { verify, computed, hold, letGo, tried } = open()
  hold()
  const wrong = Array.from({ length: 3 * WAITING_MAX }, (_, at) => verify(`n${at}`, 'x'))
  const right = [verify('alice', 's3cret', THERE), verify('bob', 'other', '203.0.113.9')]
  letGo()
  t.same(await Promise.all(right), [ALICE, { kind: 'account', name: 'bob' }])
  const order = computed.map(({ password }) => password)
  t.ok(order.indexOf('s3cret') <= 2, 'they come right after what is being computed')
  t.ok(order.indexOf('other') <= 2)
  await Promise.all(wrong)
  t.ok(tried.includes('busy'), 'of the wrong ones some are sent away')
})

t.test('R518: nor behind guesses at another account from its own address', async t => {
  const { verify, hold, letGo } = open()
  hold()
  const wrong = Array.from({ length: 3 * WAITING_MAX }, (_, at) => verify('bob', `guess ${at}`))
  const right = verify('alice', 's3cret')
  letGo()
  t.same(await right, ALICE)
  await Promise.all(wrong)
})

t.test(
  'R518: a right password that many show at one time is judged by the best of them',
  async t => {
    const opened = open()
    const { verify, computed, hold, letGo } = opened
    await guess(opened, 'alice', { count: 5 })
    hold()
    const first = verify('n', 'x')
    await Promise.resolve()
    const all = [verify('alice', 's3cret'), verify('alice', 's3cret', THERE)]
    const others = Array.from({ length: WAITING_MAX }, (_, at) =>
      verify('m', 'x', `203.0.113.${at}`),
    )
    letGo()
    t.same(await Promise.all(all), [ALICE, ALICE])
    t.equal(computed.filter(({ password }) => password === 's3cret').length, 1)
    await Promise.all([first, ...others])
  },
)

t.test('R529: a new password is let in at a known place, whatever was guessed there', async t => {
  const opened = open()
  const { check, verify } = opened
  const { atOnce } = OF_ACCOUNT_AND_ADDRESS
  t.same(await verify('alice', 's3cret'), ALICE)
  t.same((await guess(opened, 'alice', { count: atOnce + 1 })).at(-1), 'limited')
  const elsewhere = await guess(opened, 'alice', { count: atOnce + 1, from: THERE })
  t.equal(elsewhere.at(-1), 'limited')
  check.replace([entryOf('alice', 'n3w'), entryOf('bob', 'other')])
  t.match(await verify('alice', 'n3w', THERE), { kind: 'limited' }, 'where it never was it waits')
  t.same(await verify('alice', 's3cret'), REFUSED, 'the old one is a guess')
  t.same(await verify('alice', 'n3w'), ALICE)
  for (let at = 0; at < atOnce; at += 1) await verify('alice', `another ${at}`)
  t.match(await verify('alice', 'one more'), { kind: 'limited' })
  t.same(await verify('alice', 'n3w'), ALICE, 'it is known there by now')
})

t.test('R518: a login that others show as well has the best of their places', async t => {
  const opened = open()
  const { verify, computed, hold, letGo } = opened
  await guess(opened, 'bob', { count: 5, from: THERE })
  await guess(opened, 'bob', { count: 1, from: '203.0.113.9' })
  const before = computed.length
  hold()
  const first = verify('bob', 'other')
  const fromThere = verify('alice', 's3cret', THERE)
  const another = verify('nobody', 'x', '203.0.113.9')
  const mine = verify('alice', 's3cret')
  letGo()
  t.same(await mine, ALICE)
  await Promise.all([first, fromThere, another])
  t.same(
    computed.slice(before).map(({ password }) => password),
    ['other', 's3cret', 'x'],
  )
})
