// Goal: whoever rules, tokens and the audit log speak of has one name, and nobody two. Method: one
// of each kind is written and read again.
import t from 'tap'
import {
  formatGroup,
  formatName,
  isNamed,
  isReserved,
  isSomebody,
  KINDS_OF_WHO,
  type LoginName,
  type Name,
  parseGroup,
  parseLoginName,
  readWho,
  type Who,
} from '../../../src/access/names.ts'

const LOGINS: readonly LoginName[] = [
  { kind: 'account', name: 'alice' },
  { kind: 'robot', name: 'ci' },
  { kind: 'identity', provider: 'gh', name: 'repo:team/app:ref' },
]
const GROUPS = [
  { kind: 'group', name: 'ci' },
  { kind: 'provider group', provider: 'gh' },
  { kind: 'provider group', provider: 'gh', group: 'the devs:all' },
] as const
const WHO: readonly Who[] = [
  ...LOGINS,
  ...GROUPS,
  { kind: 'certificate', name: 'spiffe://site/ops' },
  { kind: 'network', network: { address: '10.0.0.0', bits: 8 } },
  { kind: 'local' },
  { kind: 'everybody' },
  { kind: 'anonymous' },
]
const OTHERS: readonly Name[] = [
  { kind: 'user', uid: 1_000 },
  { kind: 'operator' },
  { kind: 'nobody' },
]

t.test('what is written for somebody is read as the same, and as nobody else', async t => {
  for (const who of WHO) t.same(readWho(formatName(who)), { kind: 'ok', value: who })
  for (const login of LOGINS) t.same(parseLoginName(formatName(login)), login)
  for (const group of GROUPS) t.same(parseGroup(formatGroup(group)), group)
  const all = [...WHO, ...OTHERS].map(formatName)
  t.equal(new Set(all).size, all.length)
})

t.test('the example of each kind of who, which documents show, is of that kind', async t => {
  for (const [kind, { example }] of Object.entries(KINDS_OF_WHO))
    t.match(readWho(example), { kind: 'ok', value: { kind } }, example)
  t.strictSame(new Set(Object.keys(KINDS_OF_WHO)), new Set(WHO.map(({ kind }) => kind)))
})

t.test('who gives out names of accounts gives none that is somebody else’s', async t => {
  for (const name of [...WHO, ...OTHERS]) {
    if (name.kind !== 'account') t.ok(isReserved(formatName(name)), formatName(name))
  }
  for (const name of ['alice', 'user:alice', 'robots', 'operators']) t.notOk(isReserved(name), name)
})

t.test('somebody is told from others by a name that not everybody can have', async t => {
  const isOne = (kind: Who['kind']) => ['everybody', 'anonymous', 'local', 'network'].includes(kind)
  for (const who of WHO) t.equal(isNamed(who), !isOne(who.kind), formatName(who))
  const named = WHO.filter(isNamed)
  t.same(
    named.filter(who => !isSomebody(who)).map(formatName),
    ['group:oidc:gh'],
    'whom a public provider knows is anybody',
  )
})
