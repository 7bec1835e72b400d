// Goal: a login costs one computation, however many ask at one time, whoever it is and until the
// account changes; and no more wait than can be told soon. Method: the real check, over a
// computation that is counted and that the test lets go on; the real one with hashes of Apache's
// htpasswd at the end.
import { readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import t from 'tap'
import { Bcrypt } from '../../../src/accounts/bcrypt.ts'
import { PasswordCheck, REMEMBERED_MS, WAITING_MAX } from '../../../src/accounts/password-check.ts'
import { entryOf, HERE, openPasswordCheck } from '../../kit/password-check.ts'

const key = new Uint8Array(32).fill(7)
const NOTHING = { key, tried: () => {}, limited: () => {}, monotonicMs: () => 0 }

const ALICE = { kind: 'account', name: 'alice' }
const REFUSED = { kind: 'refused' }

t.test('R505: 200 equal logins at one time cost one computation, and the next none', async t => {
  const { check, verify, computed, hold, letGo } = openPasswordCheck()
  check.replace([entryOf('alice', 's3cret')])
  hold()
  const all = Array.from({ length: 200 }, () => verify('alice', 's3cret'))
  letGo()
  for (const found of await Promise.all(all)) t.same(found, ALICE)
  t.equal(computed.length, 1)
  t.same(await verify('alice', 's3cret'), ALICE)
  t.equal(computed.length, 1)
})

t.test('R505: what was right is remembered for minutes, and so is what was wrong', async t => {
  const { check, verify, computed, pass, tried } = openPasswordCheck()
  check.replace([entryOf('alice', 's3cret')])
  t.same(await verify('alice', 's3cret'), ALICE)
  pass(REMEMBERED_MS)
  t.same(await verify('alice', 's3cret'), ALICE)
  t.equal(computed.length, 1)
  pass(1)
  t.same(await verify('alice', 's3cret'), ALICE)
  t.equal(computed.length, 2)
  for (let time = 0; time < 20; time += 1) t.same(await verify('alice', 'wrong'), REFUSED)
  t.equal(computed.length, 3)
  t.same(await verify('alice', 's3cret'), ALICE, 'the same wrong one is one guess')
  pass(REMEMBERED_MS + 1)
  t.same(await verify('alice', 'wrong'), REFUSED)
  t.equal(computed.length, 4)
  t.same(tried, ['right', 'right', 'wrong', 'wrong'])
})

t.test('R506: who is not known costs as much as the dearest account', async t => {
  const { check, verify, computed } = openPasswordCheck()
  check.replace([entryOf('alice', 's3cret', 5), entryOf('bob', 'other', 11)])
  t.same(await verify('nobody', 's3cret'), REFUSED)
  t.match(computed, [{ hash: /^\$2b\$11\$.{53}$/ }])
  check.replace([])
  t.same(await verify('nobody', 's3cret'), REFUSED)
  t.match(computed[1], { hash: /^\$2b\$10\$.{53}$/ })
})

t.test('R506: nobody has the password that nobody is compared with', async t => {
  const { check, verify, computed } = openPasswordCheck()
  check.replace([entryOf('alice', 's3cret')])
  await verify('nobody', 'x')
  const password = computed[0]?.hash.slice(7) ?? ''
  const always = new PasswordCheck({ ...NOTHING, compare: async () => true })
  t.same(await always.verify({ name: 'nobody', password, address: HERE }), REFUSED)
})

t.test(
  'R507: another password, or no account, is obeyed at once; others are remembered',
  async t => {
    const { check, verify, computed } = openPasswordCheck()
    check.replace([entryOf('alice', 's3cret'), entryOf('bob', 'other')])
    await verify('alice', 's3cret')
    await verify('bob', 'other')
    check.replace([entryOf('alice', 'new'), entryOf('bob', 'other')])
    t.same(await verify('alice', 's3cret'), REFUSED)
    t.same(await verify('alice', 'new'), ALICE)
    t.equal(computed.length, 4)
    t.same(await verify('bob', 'other'), { kind: 'account', name: 'bob' })
    t.equal(computed.length, 4)
    check.replace([entryOf('bob', 'other')])
    t.same(await verify('alice', 'new'), REFUSED)
  },
)

t.test('R507: what was asked before a change is answered by what holds after it', async t => {
  const { check, verify, hold, letGo } = openPasswordCheck()
  check.replace([entryOf('alice', 's3cret')])
  hold()
  const gone = verify('alice', 's3cret')
  const come = verify('bob', 'other')
  check.replace([entryOf('bob', 'other')])
  letGo()
  t.same(await gone, REFUSED)
  t.same(await come, { kind: 'account', name: 'bob' })
})

t.test(
  'R508: of too many at one time the next are told to come back, and cost nothing',
  async t => {
    const { check, verify, computed, hold, letGo, tried } = openPasswordCheck()
    check.replace([entryOf('alice', 's3cret')])
    hold()
    const from = (at: number) => `192.0.2.${at}`
    const first = verify('first', 'x', from(0))
    await Promise.resolve()
    const taken = Array.from({ length: WAITING_MAX }, (_, at) => verify('n', `${at}`, from(at + 1)))
    const late = from(WAITING_MAX + 1)
    t.match(await verify('alice', 's3cret', late), { kind: 'busy', retryAfterSeconds: 2 })
    const joins = verify('first', 'x', late)
    letGo()
    for (const found of await Promise.all([first, ...taken, joins])) t.same(found, REFUSED)
    t.equal(computed.length, WAITING_MAX + 1)
    t.same(await verify('alice', 's3cret', late), ALICE)
    t.equal(tried.filter(outcome => outcome === 'busy').length, 1)
  },
)

t.test('R508: what cannot be computed is nobody’s, and may be tried again', async t => {
  let isBroken = true
  const check = new PasswordCheck({
    ...NOTHING,
    compare: async () => {
      if (isBroken) throw new Error('ended')
      return true
    },
  })
  check.replace([entryOf('alice', 's3cret')])
  const alice = { name: 'alice', password: 's3cret', address: HERE }
  t.match(await check.verify(alice), { kind: 'busy' })
  isBroken = false
  t.same(await check.verify(alice), ALICE)
})

t.test('R500: passwords that htpasswd hashed are right, in a thread of their own', async t => {
  const bcrypt = new Bcrypt()
  t.teardown(() => bcrypt.end())
  const check = new PasswordCheck({
    ...NOTHING,
    compare: (password, hash) => bcrypt.compare(password, hash),
  })
  const verify = (name: string, password: string) => check.verify({ name, password, address: HERE })
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
  t.same(await verify('alice', 's3cret'), ALICE)
  t.same(await verify('alice', 's3cret\0more'), REFUSED, 'bcrypt would not look behind it')
  t.same(await verify('alice', 's3cre'), REFUSED)
  t.same(await verify('long', long), { kind: 'account', name: 'long' })
  t.same(await verify('long', `${long}more`), { kind: 'account', name: 'long' }, 'as htpasswd')
  t.same(await verify('long', long.slice(0, 71)), REFUSED)
})

/** Of each thread of this process (proc_pid_stat(5)); the name before them may hold blanks. */
function niceValues(): readonly number[] {
  return readdirSync('/proc/self/task').map(task => {
    const fields = readFileSync(`/proc/self/task/${task}/stat`, 'utf8').split(') ')[1]?.split(' ')
    return Number(fields?.[16])
  })
}

t.test('R646: the thread that tries passwords stands back for all others', async t => {
  const bcrypt = new Bcrypt()
  t.teardown(() => bcrypt.end())
  const own = getPriority()
  const nicer = () => niceValues().filter(value => value === Math.min(own + 5, 19))
  const before = nicer().length
  await bcrypt.compare('s3cret', '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2')
  t.equal(nicer().length, before + 1, 'it alone')
  t.equal(getPriority(), own, 'and none that serves')
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
