// Goal: a login costs one computation, however many ask at one time, whoever it is and until the
// account changes; and no more wait than can be told soon. Method: the real check, over a
// computation that is counted and that the test lets go on; the real one with hashes of Apache's
// htpasswd at the end.
import t from 'tap'
import type { Entry } from '../../../src/access/htpasswd/parse.ts'
import { Bcrypt } from '../../../src/accounts/bcrypt.ts'
import {
  PasswordCheck,
  REMEMBERED_MS,
  TRIED_AT_ONCE_MAX,
} from '../../../src/accounts/password-check.ts'

const key = new Uint8Array(32).fill(7)

function entry(name: string, hash: string, cost = 4): Entry {
  return { name, cost, hash: `$2y$${String(cost).padStart(2, '0')}$${hash.padEnd(53, '.')}` }
}

/** Right is the password that the hash begins with. */
function openCheck() {
  const computed: string[] = []
  const tried: string[] = []
  let nowMs = 1
  let isHeld = false
  let waiting: (() => void)[] = []
  const check = new PasswordCheck({
    async compare(password, hash) {
      computed.push(hash)
      if (isHeld) await new Promise<void>(resolve => waiting.push(resolve))
      return hash.slice(7).startsWith(`${password}.`)
    },
    monotonicMs: () => nowMs,
    key,
    tried: outcome => tried.push(outcome),
  })
  return {
    check,
    computed,
    tried,
    hold() {
      isHeld = true
    },
    letGo() {
      isHeld = false
      const all = waiting
      waiting = []
      for (const go of all) go()
    },
    pass(ms: number) {
      nowMs += ms
    },
  }
}

const ALICE = { kind: 'account', name: 'alice' }
const REFUSED = { kind: 'refused' }

t.test('R505: 200 equal logins at one time cost one computation, and the next none', async t => {
  const { check, computed, hold, letGo } = openCheck()
  check.replace([entry('alice', 's3cret')])
  hold()
  const all = Array.from({ length: 200 }, () => check.verify('alice', 's3cret'))
  letGo()
  for (const found of await Promise.all(all)) t.same(found, ALICE)
  t.equal(computed.length, 1)
  t.same(await check.verify('alice', 's3cret'), ALICE)
  t.equal(computed.length, 1)
})

t.test('R505: what was right is remembered for minutes, and what was wrong is not', async t => {
  const { check, computed, pass, tried } = openCheck()
  check.replace([entry('alice', 's3cret')])
  t.same(await check.verify('alice', 's3cret'), ALICE)
  pass(REMEMBERED_MS)
  t.same(await check.verify('alice', 's3cret'), ALICE)
  t.equal(computed.length, 1)
  pass(1)
  t.same(await check.verify('alice', 's3cret'), ALICE)
  t.equal(computed.length, 2)
  t.same(await check.verify('alice', 'wrong'), REFUSED)
  t.same(await check.verify('alice', 'wrong'), REFUSED)
  t.equal(computed.length, 4)
  t.same(tried, ['right', 'right', 'wrong', 'wrong'])
})

t.test('R506: who is not known costs as much as the dearest account', async t => {
  const { check, computed } = openCheck()
  check.replace([entry('alice', 's3cret', 5), entry('bob', 'other', 11)])
  t.same(await check.verify('nobody', 's3cret'), REFUSED)
  t.match(computed, [/^\$2b\$11\$.{53}$/])
  check.replace([])
  t.same(await check.verify('nobody', 's3cret'), REFUSED)
  t.match(computed[1], /^\$2b\$10\$.{53}$/)
})

t.test('R506: nobody has the password that nobody is compared with', async t => {
  const { check, computed } = openCheck()
  check.replace([entry('alice', 's3cret')])
  await check.verify('nobody', 'x')
  const password = computed[0]?.slice(7) ?? ''
  const always = new PasswordCheck({
    compare: async () => true,
    monotonicMs: () => 0,
    key,
    tried: () => {},
  })
  t.same(await always.verify('nobody', password), REFUSED)
})

t.test(
  'R507: another password, or no account, is obeyed at once; others are remembered',
  async t => {
    const { check, computed } = openCheck()
    check.replace([entry('alice', 's3cret'), entry('bob', 'other')])
    await check.verify('alice', 's3cret')
    await check.verify('bob', 'other')
    check.replace([entry('alice', 'new'), entry('bob', 'other')])
    t.same(await check.verify('alice', 's3cret'), REFUSED)
    t.same(await check.verify('alice', 'new'), ALICE)
    t.equal(computed.length, 4)
    t.same(await check.verify('bob', 'other'), { kind: 'account', name: 'bob' })
    t.equal(computed.length, 4)
    check.replace([entry('bob', 'other')])
    t.same(await check.verify('alice', 'new'), REFUSED)
  },
)

t.test('R507: what was asked before a change is answered by what holds after it', async t => {
  const { check, hold, letGo } = openCheck()
  check.replace([entry('alice', 's3cret')])
  hold()
  const gone = check.verify('alice', 's3cret')
  const come = check.verify('bob', 'other')
  check.replace([entry('bob', 'other')])
  letGo()
  t.same(await gone, REFUSED)
  t.same(await come, { kind: 'account', name: 'bob' })
})

t.test(
  'R508: of too many at one time the next are told to come back, and cost nothing',
  async t => {
    const { check, computed, hold, letGo, tried } = openCheck()
    check.replace([entry('alice', 's3cret')])
    hold()
    const taken = Array.from({ length: TRIED_AT_ONCE_MAX }, (_, at) => check.verify(`n${at}`, 'x'))
    t.match(await check.verify('alice', 's3cret'), { kind: 'busy', retryAfterSeconds: 2 })
    const joins = check.verify('n0', 'x')
    t.equal(computed.length, TRIED_AT_ONCE_MAX)
    letGo()
    for (const found of await Promise.all([...taken, joins])) t.same(found, REFUSED)
    t.same(await check.verify('alice', 's3cret'), ALICE)
    t.equal(tried.filter(outcome => outcome === 'busy').length, 1)
  },
)

t.test('R508: what cannot be computed is nobody’s, and may be tried again', async t => {
  let isBroken = true
  const check = new PasswordCheck({
    compare: async () => {
      if (isBroken) throw new Error('ended')
      return true
    },
    monotonicMs: () => 0,
    key,
    tried: () => {},
  })
  check.replace([entry('alice', 's3cret')])
  t.match(await check.verify('alice', 's3cret'), { kind: 'busy' })
  isBroken = false
  t.same(await check.verify('alice', 's3cret'), ALICE)
})

t.test('R500: passwords that htpasswd hashed are right, in a thread of their own', async t => {
  const bcrypt = new Bcrypt()
  t.teardown(() => bcrypt.end())
  const check = new PasswordCheck({
    compare: (password, hash) => bcrypt.compare(password, hash),
    monotonicMs: () => 0,
    key,
    tried: () => {},
  })
  const long = 'a'.repeat(80)
  check.replace([
    {
      name: 'alice',
      cost: 4,
      hash: '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2',
    },
    {
      name: 'long',
      cost: 4,
      hash: '$2y$04$n.BNmsAoJVQrUE6/P5H0F.Y47C4Uf2h1t6IoniyZX7dADt4Hf/HTe',
    },
  ])
  t.same(await check.verify('alice', 's3cret'), ALICE)
  t.same(await check.verify('alice', 's3cret\0more'), REFUSED, 'bcrypt would not look behind it')
  t.same(await check.verify('alice', 's3cre'), REFUSED)
  t.same(await check.verify('long', long), { kind: 'account', name: 'long' })
  t.same(
    await check.verify('long', `${long}more`),
    { kind: 'account', name: 'long' },
    'as htpasswd',
  )
  t.same(await check.verify('long', long.slice(0, 71)), REFUSED)
})

t.test('R508: a thread that died is started again for the next password', async t => {
  const bcrypt = new Bcrypt()
  t.teardown(() => bcrypt.end())
  const hash = '$2y$12$SKXkTNS9XCbhIodH2DGS8.WvmVf3Jfit7oxcR7wpDB8L/Z1Krm5hC'
  const waiting = bcrypt.compare('s3cret', hash)
  const ended = t.rejects(waiting, /has ended/)
  await bcrypt.end()
  await ended
  t.equal(await bcrypt.compare('s3cret', hash), true)
})
