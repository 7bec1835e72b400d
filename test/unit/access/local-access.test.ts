// Goal: until there are accounts, everybody may read but web pages and whoever wants to be known by
// name, and only who is plainly a registry client of this machine may write; a refusal names its
// rule. Method: the one function, asked with every combination of the signs that it looks at.
import t from 'tap'
import type { Action, Owner, Principal } from '../../../src/access/access.ts'
import type { Login } from '../../../src/access/accounts.ts'
import { type AccessSettings, createLocalAccess } from '../../../src/access/local-access.ts'
import { type AccessRule, RIGHTS } from '../../../src/access/rule.ts'
import { Revision } from '../../../src/access/revision.ts'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'

const RULES: AccessSettings = {
  serverUid: 998,
  localPushOff: undefined,
  hosts: undefined,
  rules: [],
}
const access = createLocalAccess(() => RULES)
const repository = parseRepositoryKey('localhost/team/app')

type Signs = Omit<Principal, 'login' | 'findLogin' | 'findOwner' | 'certificate' | 'isForwarded'> &
  Partial<Pick<Principal, 'certificate' | 'isForwarded'>>

function principal(signs: Signs, login: Login = { kind: 'anonymous' }): Principal {
  const owner = signs.owner ?? { kind: 'unknown', reason: 'this is a test' }
  const certificate = { kind: 'none' } as const
  const find = { findLogin: async () => login, findOwner: async () => owner }
  return { certificate, isForwarded: false, ...signs, login, ...find }
}

const user = (uid: number): Owner => ({ kind: 'user', uid })
const CLIENT = ['Host', 'localhost:5000', 'User-Agent', 'docker/29.0', 'Content-Length', '0']
const LOCAL: Signs = {
  address: '127.0.0.1',
  host: 'localhost:5000',
  isHttp10: false,
  rawHeaders: CLIENT,
  owner: user(1_000),
}
const STRANGER: Signs = {
  address: '203.0.113.9',
  host: 'edge.example.com',
  isHttp10: true,
  rawHeaders: [...CLIENT, 'X-Forwarded-For', '10.0.0.1'],
  owner: undefined,
}

function reasonFor(signs: Signs, action: Action = 'push', by = access): string | undefined {
  const decision = by.decide({ principal: principal(signs), resource: repository, action })
  return decision.kind === 'denied' ? decision.reason : undefined
}

t.test('everybody may pull and list, anonymously, from anywhere', async t => {
  const allowed = { kind: 'allowed', anonymously: true }
  for (const signs of [LOCAL, STRANGER]) {
    const who = principal(signs)
    t.same(access.admit(who), undefined)
    t.same(access.decide({ principal: who, resource: repository, action: 'pull' }), allowed)
    t.same(access.decide({ principal: who, resource: 'catalog', action: 'list' }), allowed)
    t.same(access.decide({ principal: who, resource: 'unrouted', action: 'pull' }), allowed)
  }
})

const ADDRESSES = {
  good: ['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '::ffff:127.8.0.1'],
  bad: [
    undefined,
    '',
    '10.0.0.1',
    '172.17.0.1',
    '169.254.1.1',
    '0.0.0.0',
    '128.0.0.1',
    '::',
    '::2',
    'fe80::1',
    '2001:db8::1',
    '::ffff:10.0.0.1',
    '64:ff9b::7f00:1',
    'localhost',
  ],
}
const HOSTS = {
  good: [
    'localhost',
    'localhost:5000',
    'LocalHost:5000',
    'edge.localhost',
    'a.b.localhost:80',
    '127.0.0.1',
    '127.0.0.1:5000',
    '127.1.2.3:1',
    '[::1]',
    '[::1]:5000',
    '[0:0:0:0:0:0:0:1]:5000',
    '[::ffff:127.0.0.1]:5000',
  ],
  bad: [
    undefined,
    '',
    'edge.example.com',
    'edge:5000',
    'localhost.example.com',
    'localhost.example.com:5000',
    'notlocalhost',
    'localhost.',
    '.localhost',
    '127.0.0.1.example.com',
    '127.example.com',
    '127.0.0.256',
    '127.0.0',
    '128.0.0.1:5000',
    '10.0.0.1:5000',
    '0.0.0.0:5000',
    '[::]:5000',
    '[::2]',
    '[fe80::1]:5000',
    '::1',
    '127.0.0.1:5000:1',
    '127.0.0.1@example.com',
    'example.com#localhost',
  ],
}
/**
 * Of root, of the server, of persons here and from a directory service; of daemons, of systemd's
 * services, of nobody.
 */
const OWNERS = {
  good: [0, 998, 1_000, 60_513, 61_183, 65_536, 2_000_200_000].map(user),
  bad: [
    undefined,
    { kind: 'unknown', reason: 'not listed' } as const,
    ...[1, 33, 103, 997, 999, 61_184, 65_519, 65_534, 65_535].map(user),
  ],
}
const HEADERS = {
  good: [CLIENT, ['host', 'x', 'CONTENT-RANGE', '0-1', 'Accept', '*/*', 'accept', 'a/b'], []],
  bad: [
    ['Host', 'localhost', 'Via', ''],
    ['X-Forwarded-For', '127.0.0.1', 'Host', 'localhost'],
    ['Host', 'localhost', 'X-Request-Start', 't=1'],
    ['Host', 'localhost', 'Authorization', 'Basic eDp5'],
    ['Host', 'localhost', 'Accept-Language', '*'],
    ['Host', 'localhost', '', ''],
  ],
}

t.test(
  'R642: a program of this machine reads with the headers of a pull, and no write has them',
  async t => {
    const rules: readonly AccessRule[] = [
      { who: { kind: 'local' }, match: '**', tags: [], allow: RIGHTS },
    ]
    const ruled = createLocalAccess(() => ({ ...RULES, rules }))
    for (const name of ['Range', 'If-Range', 'If-None-Match', 'Cache-Control']) {
      const signs = { ...LOCAL, rawHeaders: [...CLIENT, name, 'x'] }
      const decided = (action: Action) =>
        ruled.decide({ principal: principal(signs), resource: repository, action }).kind
      t.equal(ruled.decideNow(principal(signs), repository, 'pull'), true, name)
      t.equal(decided('pull'), 'allowed', name)
      t.equal(decided('push'), 'denied', name)
      t.equal(decided('delete'), 'denied', name)
    }
  },
)

t.test('R243: the whole matrix: pushes and deletes only when every sign agrees', async t => {
  let allowed = 0
  const wrong: unknown[] = []
  const all = <T>({ good, bad }: { good: readonly T[]; bad: readonly T[] }) => [...good, ...bad]
  for (const address of all<string | undefined>(ADDRESSES)) {
    for (const host of all<string | undefined>(HOSTS)) {
      for (const owner of all<Owner | undefined>(OWNERS)) {
        for (const rawHeaders of all<string[]>(HEADERS)) {
          for (const isHttp10 of [false, true]) {
            const isGood =
              ADDRESSES.good.includes(address as string) &&
              HOSTS.good.includes(host as string) &&
              OWNERS.good.includes(owner as { kind: 'user'; uid: number }) &&
              HEADERS.good.includes(rawHeaders) &&
              !isHttp10
            const signs = { address, host, owner, rawHeaders, isHttp10 }
            for (const action of ['push', 'delete'] as const) {
              const isAllowed = reasonFor(signs, action) === undefined
              if (isAllowed) allowed += 1
              if (isAllowed !== isGood) wrong.push({ action, ...signs })
            }
          }
        }
      }
    }
  }
  t.same(wrong, [])
  const { length: addresses } = ADDRESSES.good
  t.equal(allowed, addresses * HOSTS.good.length * OWNERS.good.length * HEADERS.good.length * 2)
})

t.test('a refusal says which rule it was and what to do', async t => {
  t.match(reasonFor({ ...LOCAL, address: '10.0.0.1' }), /takes pushes only .*another address/)
  t.match(reasonFor({ ...LOCAL, host: 'evil.example' }), /use localhost or 127\.0\.0\.1/)
  t.match(reasonFor({ ...LOCAL, isHttp10: true }), /passed on by a proxy \(it came in HTTP\/1\.0/)
  const via = [...CLIENT, 'Via', '1.1 proxy']
  t.match(reasonFor({ ...LOCAL, rawHeaders: via }), /no registry client sends by itself \(via\)/)
  t.match(
    reasonFor({ ...LOCAL, owner: user(33) }),
    /a service's user \(uid 33\).*call the registry/,
  )
  t.match(reasonFor({ ...LOCAL, owner: user(65_534) }), /\(uid 65534, .*PrivateUsers=/)
  const unknown = { kind: 'unknown', reason: 'no such file' } as const
  t.match(reasonFor({ ...LOCAL, owner: unknown }), /does not say who .*\(no such file\)/)
  t.match(reasonFor({ ...LOCAL, address: '10.0.0.1' }, 'delete'), /deletes only/)
})

t.test('a push to a name that leads nowhere takes the same right', async t => {
  const ask = (signs: Signs) =>
    access.decide({ principal: principal(signs), resource: 'unrouted', action: 'push' }).kind
  t.equal(ask(STRANGER), 'denied')
  t.equal(ask(LOCAL), 'allowed')
})

t.test('R244: where local pushes are off nobody writes, and is told why', async t => {
  for (const [localPushOff, why] of [
    ['set to false', /http\.localpush is false/],
    ['public name', /http\.localpush: true, because http\.host/],
    ['certificate', /certificate/],
    // Who runs an unprivileged container of LXC does not know it by the word of container
    // engines.
    ['user namespace', /http\.localpush: true, because it runs in a container .*rootless.*LXC/],
    ['pod', /http\.localpush: true, because it runs in a pod/],
  ] as const) {
    const off = createLocalAccess(() => ({ ...RULES, localPushOff }))
    t.match(reasonFor(LOCAL, 'push', off), why)
    t.match(reasonFor(LOCAL, 'delete', off), why)
    t.equal(off.decideNow(principal(LOCAL), repository, 'push'), false)
  }
})

t.test('whom a connection belongs to is asked when all else agrees, and only then', async t => {
  let asked = 0
  const counted = (signs: Signs): Principal => ({
    ...principal(signs),
    findOwner: async () => {
      asked += 1
      return user(0)
    },
  })
  const about = 'pull or push'
  await access.meet(counted(STRANGER), about)
  await access.meet(counted({ ...LOCAL, host: 'edge' }), about)
  const off = createLocalAccess(() => ({ ...RULES, localPushOff: 'set to false' }))
  await off.meet(counted(LOCAL), about)
  await access.meet(counted(LOCAL), 'pull')
  t.equal(asked, 0)
  await access.meet(counted(LOCAL), about)
  t.equal(asked, 1)
})

t.test('all pull alike; who may push is known after a look at whom it belongs to', async t => {
  for (const signs of [LOCAL, STRANGER])
    t.equal(access.decideNow(principal(signs), repository, 'pull'), true)
  const push = (signs: Signs) => access.decideNow(principal(signs), repository, 'push')
  t.equal(push(STRANGER), false)
  t.equal(push({ ...LOCAL, owner: undefined }), undefined)
  t.equal(push(LOCAL), true)
  t.equal(push({ ...LOCAL, owner: user(33) }), false)
})

const ALL = { match: '**', tags: [], allow: ['pull', 'push', 'delete', 'list'] } as const

t.test('R407: a rule about local programs goes by all their signs, for pulls too', async t => {
  const rules = [{ ...ALL, who: { kind: 'local' } }] as const
  const by = createLocalAccess(() => ({ ...RULES, rules }))
  const kindOf = (signs: Signs, action: Action) =>
    by.decide({ principal: principal(signs), resource: repository, action }).kind
  for (const signs of [STRANGER, { ...LOCAL, host: 'edge' }, { ...LOCAL, owner: user(33) }]) {
    t.equal(kindOf(signs, 'pull'), 'hidden')
    t.equal(kindOf(signs, 'push'), 'denied')
    t.equal(by.decideNow(principal(signs), repository, 'pull'), false)
  }
  for (const action of ALL.allow) t.equal(kindOf(LOCAL, action), 'allowed', action)
  t.equal(by.decideNow(principal(LOCAL), repository, 'pull'), true)
  const unmet = { ...LOCAL, owner: undefined }
  t.equal(by.decideNow(principal(unmet), repository, 'pull'), undefined, 'before it was asked')
  t.equal(kindOf(unmet, 'pull'), 'hidden', 'who was not met is nobody')
  t.not(by.meet(principal(unmet), 'pull'), undefined)
  const off = createLocalAccess(() => ({ ...RULES, rules, localPushOff: 'pod' }))
  t.equal(
    off.decideNow(principal(LOCAL), repository, 'pull'),
    false,
    'where they are not told apart',
  )
})

t.test('R407: with rules nothing holds but them, and a reload brings others', async t => {
  let rules: AccessSettings['rules'] = [{ ...ALL, who: { kind: 'everybody' }, allow: ['pull'] }]
  const by = createLocalAccess(() => ({ ...RULES, rules }))
  const push = () =>
    by.decide({ principal: principal(LOCAL), resource: repository, action: 'push' })
  t.match(push(), { kind: 'denied', reason: /access test/, by: 'access[0]' })
  t.equal(by.meet(principal(LOCAL), 'pull'), undefined, 'whom it belongs to is no matter')
  rules = [{ ...ALL, who: { kind: 'anonymous' } }]
  t.match(push(), { kind: 'allowed' })
})

function refusalOf(headers: readonly string[], rules: Partial<AccessSettings> = {}, host = 'edge') {
  const by = createLocalAccess(() => ({ ...RULES, ...rules }))
  return by.admit(principal({ ...LOCAL, host, rawHeaders: ['Host', host, ...headers] }))
}

t.test('R246: what a browser sends is refused, whatever it asks for', async t => {
  for (const mark of [
    ['Origin', 'null'],
    ['origin', 'http://localhost:5000'],
    ['Sec-Fetch-Site', 'none'],
    ['SEC-FETCH-SITE', 'cross-site'],
    ['Sec-Fetch-Dest', 'image'],
    ['Sec-Fetch-Mode', 'no-cors', 'Sec-Fetch-Site', 'cross-site'],
    ['sec-ch-ua', '"Chromium"'],
    ['Sec-WebSocket-Key', 'x'],
    ['Upgrade-Insecure-Requests', '1'],
    ['Accept-Language', 'en'],
    // Pages may set these two, and take none away.
    ['Accept-Language', '*', 'User-Agent', 'x'],
    ['Accept-Language', '', 'User-Agent', ''],
    ['accept-language', '*', 'sec-fetch-mode', 'cors', 'sec-fetch-site', 'same-origin'],
    ['accept-language', 'en', 'sec-fetch-mode', 'cors'],
    ['Priority', 'u=4', 'User-Agent', 'x'],
    ['Access-Control-Request-Method', 'PUT'],
    ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0'],
  ]) {
    t.match(refusalOf(mark), { kind: 'denied', reason: /web pages .*registry client/ }, mark.join())
  }
  for (const program of [
    ['User-Agent', 'docker/29.0'],
    ['User-Agent', 'Mozilla/5.0 (Windows NT; de-DE) WindowsPowerShell/5.1', 'Accept', '*/*'],
    // Node's own fetch, which sends no other mark; what it sends stands in any order.
    ['user-agent', 'node', 'sec-fetch-mode', 'cors', 'accept-language', '*'],
    ['accept-language', '*', 'sec-fetch-mode', 'cors', 'user-agent', 'node'],
    ['Referer', 'http://front.example/'],
  ]) {
    t.equal(refusalOf(program), undefined, program.join())
  }
})

t.test('R247: with a list of hosts only those and loopback names are answered', async t => {
  const hosts = ['edge', 'registry.example.com:8443', '[2001:db8::1]']
  for (const [host, isGood] of [
    ['edge', true],
    ['EDGE:5000', true],
    ['registry.example.com:8443', true],
    ['registry.example.com', false],
    ['registry.example.com:443', false],
    ['[2001:db8::1]:5000', true],
    ['[2001:db8::2]', false],
    ['localhost:5000', true],
    ['127.0.0.1', true],
    ['192.0.2.1', false],
    ['evil.example', false],
    ['edge.evil.example', false],
    ['', false],
  ] as const) {
    const refusal = refusalOf([], { hosts }, host)
    t.equal(refusal === undefined, isGood, host)
    if (!isGood) t.match(refusal, { kind: 'denied', reason: /http\.hosts/ })
    t.equal(refusalOf([], {}, host), undefined, 'without a list any name will do')
  }
})

t.test('R248: credentials are nobody’s, and are not taken for good', async t => {
  const by = createLocalAccess(() => RULES)
  const asked = principal({ ...LOCAL, rawHeaders: ['authorization', 'Basic dTpw'] })
  t.same(by.admit(asked), undefined)
  const refusal = by.judgeCredentials(asked, 'ping')
  t.match(refusal, { kind: 'unauthorized', reason: /has no accounts/ })
})

t.test('R409: who is behind the rules of now knows nothing', async t => {
  const newest = new Revision()
  const held = new Revision(newest.memory, newest.newest)
  const behind = createLocalAccess(() => RULES, held)
  t.equal(behind.decideNow(principal(LOCAL), repository, 'pull'), true)
  const next = newest.raise()
  t.equal(behind.decideNow(principal(LOCAL), repository, 'pull'), undefined)
  let isHeld = false
  const waiting = held.untilHeld().then(() => (isHeld = true))
  const last = newest.raise()
  held.hold(next)
  await new Promise(setImmediate)
  t.notOk(isHeld, 'it is behind still')
  held.hold(last)
  await waiting
  t.equal(behind.decideNow(principal(LOCAL), repository, 'pull'), true)
  t.equal(newest.held, held.held)
})

const ACCOUNTS = { realm: 'Registry', groups: {}, isEmpty: false }
const ALICE: Login = { kind: 'account', name: 'alice' }
const CHALLENGE = {
  kind: 'unauthorized',
  challenge: { kind: 'token', realm: 'Registry' },
} as const
const ACTIONS: readonly Action[] = ['pull', 'list', 'push', 'delete']

t.test(
  'R509: with accounts alone, who has logged in may do all, and nobody else anything',
  async t => {
    const by = createLocalAccess(() => ({ ...RULES, accounts: ACCOUNTS }))
    for (const signs of [LOCAL, STRANGER]) {
      for (const action of ACTIONS) {
        const ask = (login: Login) =>
          by.decide({ principal: principal(signs, login), resource: repository, action })
        t.same(ask(ALICE), { kind: 'allowed', anonymously: false }, 'no shared cache may keep it')
        t.match(ask({ kind: 'anonymous' }), CHALLENGE)
        t.match(ask({ kind: 'refused' }), { ...CHALLENGE, reason: /not good here/ })
        t.match(ask({ kind: 'busy', retryAfterSeconds: 2 }), { kind: 'busy', retryAfterSeconds: 2 })
      }
      t.equal(by.decideNow(principal(signs, ALICE), repository, 'pull'), true)
      t.equal(by.decideNow(principal(signs), repository, 'pull'), false)
      t.equal(by.decideNow(principal(signs, { kind: 'refused' }), repository, 'pull'), undefined)
    }
  },
)

t.test('R509: programs of the machine keep their rights until there is an account', async t => {
  const by = createLocalAccess(() => ({ ...RULES, accounts: { ...ACCOUNTS, isEmpty: true } }))
  for (const action of ACTIONS) {
    const ask = (signs: Signs) =>
      by.decide({ principal: principal(signs), resource: repository, action })
    t.same(ask(LOCAL), { kind: 'allowed', anonymously: false })
    t.match(ask(STRANGER), CHALLENGE)
  }
  t.equal(by.judgeCredentials(principal(LOCAL), 'ping'), undefined)
  t.match(by.judgeCredentials(principal(STRANGER), 'ping'), CHALLENGE)
})

t.test('R510: a ping asks everybody alike for a login, unless nobody needs one', async t => {
  let rules: AccessSettings['rules'] = []
  const by = createLocalAccess(() => ({ ...RULES, rules, accounts: ACCOUNTS }))
  const all = { who: { kind: 'everybody' }, match: '**', tags: [] } as const
  const ping = (signs: Signs, login?: Login) => by.judgeCredentials(principal(signs, login), 'ping')
  for (const next of [[], [{ ...all, allow: ['pull', 'list'] }]] as const) {
    rules = next
    for (const signs of [LOCAL, STRANGER]) t.match(ping(signs), CHALLENGE)
    t.equal(ping(STRANGER, ALICE), undefined)
    t.match(ping(STRANGER, { kind: 'refused' }), CHALLENGE)
  }
  rules = [{ ...all, allow: ['pull', 'push', 'delete', 'list'] }]
  t.equal(ping(STRANGER), undefined)
  t.match(ping(STRANGER, { kind: 'refused' }), CHALLENGE, 'a wrong login is told all the same')
  rules = [{ ...all, tags: ['v*'], allow: ['pull', 'push', 'delete', 'list'] }]
  t.match(ping(STRANGER), CHALLENGE, 'the first rule is about some tags alone')
})

t.test('R129: who has shown a token is told what was wrong with it', async t => {
  const by = createLocalAccess(() => ({ ...RULES, accounts: ACCOUNTS }))
  const ask = (login: Login) =>
    by.decide({ principal: principal(STRANGER, login), resource: repository, action: 'pull' })
  const errorOf = (login: Login) => {
    const decision = ask(login)
    return decision.kind === 'unauthorized' && decision.challenge.kind === 'token'
      ? decision.challenge.error
      : decision.kind
  }
  t.equal(errorOf({ kind: 'anonymous' }), undefined)
  t.equal(errorOf({ kind: 'refused' }), undefined)
  t.equal(errorOf({ kind: 'refused', byToken: true }), 'invalid_token')
  t.equal(errorOf({ kind: 'anonymous', byToken: true }), 'insufficient_scope')
  const ping = (login: Login) => by.judgeCredentials(principal(STRANGER, login), 'ping')
  t.equal(ping({ kind: 'anonymous', byToken: true }), undefined)
  t.match(ping({ kind: 'refused', byToken: true }), CHALLENGE)
})

t.test('R511: rules know accounts and groups, and the anonymous from them', async t => {
  const rules = [
    { who: { kind: 'account', name: 'alice' }, allow: ['pull', 'push'] },
    { who: { kind: 'group', name: 'ci' }, allow: ['pull'] },
    { who: { kind: 'anonymous' }, allow: ['list'] },
  ] as const
  const groups = { ci: ['bob', 'alice'] }
  const settings = {
    ...RULES,
    rules: rules.map(rule => ({ ...rule, match: '**', tags: [] })),
    accounts: { ...ACCOUNTS, groups },
  }
  const by = createLocalAccess(() => settings)
  const ask = (action: Action, login?: Login) =>
    by.decide({ principal: principal(STRANGER, login), resource: repository, action })
  const as = (name: string): Login => ({ kind: 'account', name })
  t.same(ask('push', ALICE), { kind: 'allowed', anonymously: false })
  t.match(ask('push', as('bob')), { kind: 'denied', by: 'access[1]' })
  t.match(ask('pull', as('bob')), { kind: 'allowed' })
  t.match(ask('pull', as('carol')), { kind: 'hidden', by: 'no access rule is about it' })
  t.match(ask('pull'), { ...CHALLENGE, by: 'access[2]' }, 'a login may help')
  t.equal(by.decideNow(principal(STRANGER, as('bob')), repository, 'pull'), true)
  t.equal(by.decideNow(principal(STRANGER, as('bob')), repository, 'push'), false)
  t.equal(by.decideNow(principal(STRANGER), repository, 'pull'), false)
})

t.test('R519: by a name that asks nobody there is no challenge, whatever is shown', async t => {
  const anonymousHosts = ['mirror.example.com', 'edge.example.com:5443']
  const pull = { match: 'localhost/team/**', tags: [], allow: ['pull'] } as const
  let rules: AccessSettings['rules'] = []
  const by = createLocalAccess(() => ({ ...RULES, rules, anonymousHosts, accounts: ACCOUNTS }))
  const named = (host: string) => ({ ...STRANGER, host })
  for (const host of ['mirror.example.com', 'MIRROR.example.com:5000', 'edge.example.com:5443']) {
    const ask = (action: Action, login?: Login) =>
      by.decide({ principal: principal(named(host), login), resource: repository, action })
    rules = []
    t.equal(by.judgeCredentials(principal(named(host)), 'ping'), undefined)
    t.match(ask('pull'), { kind: 'hidden' })
    for (const action of ['push', 'delete', 'list'] as const)
      t.match(ask(action), { kind: 'denied', reason: /only who has logged in/ })
    t.same(ask('push', ALICE), { kind: 'allowed', anonymously: false }, 'a login is one here, too')
    rules = [{ who: { kind: 'anonymous' }, ...pull }]
    t.match(ask('pull'), { kind: 'allowed' })
    t.match(ask('push'), { kind: 'denied', by: 'access[0]' })
    const wrong = { kind: 'denied', reason: /not good here.*http\.anonymous/ }
    t.match(ask('pull', { kind: 'refused' }), wrong, 'nobody is anonymous by a wrong login')
    t.match(by.judgeCredentials(principal(named(host), { kind: 'refused' }), 'ping'), wrong)
    t.equal(by.decideNow(principal(named(host)), repository, 'pull'), true)
    t.equal(by.decideNow(principal(named(host)), repository, 'push'), false)
  }
  for (const host of ['edge.example.com', 'edge.example.com:5000', 'x.mirror.example.com', ''])
    t.match(by.judgeCredentials(principal(named(host)), 'ping'), CHALLENGE, host)
})

t.test('R545, R551: who shows a certificate is who rules say, and may log in besides', async t => {
  const accounts = ACCOUNTS
  const rules = [
    rule({ kind: 'certificate', name: 'build-7' }, ['pull']),
    rule({ kind: 'anonymous' }, []),
    rule({ kind: 'certificate', name: 'others' }, ['pull', 'push']),
    rule({ kind: 'account', name: 'alice' }, ['pull', 'push']),
  ]
  const by = createLocalAccess(() => ({ ...RULES, rules, accounts }))
  const shows = (certificate: Principal['certificate'], login?: Login) =>
    principal({ ...STRANGER, certificate }, login)
  const pull = (who: Principal) =>
    by.decide({ principal: who, resource: repository, action: 'pull' }).kind
  const build = shows({ kind: 'named', names: ['other', 'build-7'] })
  t.equal(pull(build), 'allowed', 'by each name of the certificate')
  t.equal(by.decideNow(build, repository, 'pull'), true)
  const byToken: Login = { kind: 'anonymous', byToken: true }
  const named = { kind: 'named', names: ['build-7'] } as const
  t.equal(pull(shows(named, byToken)), 'allowed', 'clients that are asked show such a token')
  t.match(by.judgeCredentials(build, 'ping'), CHALLENGE, 'as everybody is')
  t.equal(by.judgeCredentials(shows(named, byToken), 'ping'), undefined)
  const push = (who: Principal) =>
    by.decide({ principal: who, resource: repository, action: 'push' })
  t.match(push(build), { kind: 'unauthorized', by: 'access[0]' }, 'a login may help')
  const unknown = shows({ kind: 'named', names: ['unknown'] })
  t.equal(pull(unknown), 'unauthorized', 'also where no rule names it')
  t.match(push(shows({ kind: 'named', names: ['unknown'] }, ALICE)), { kind: 'allowed' })
  t.equal(pull(shows({ kind: 'none' })), 'unauthorized')
  t.match(by.judgeCredentials(shows({ kind: 'none' }), 'ping'), { kind: 'unauthorized' })
})

t.test('R546: a certificate that is not good gets nothing, from memory neither', async t => {
  const who = principal({ ...STRANGER, certificate: { kind: 'refused', reason: 'it is old' } })
  t.same(access.admit(who), { kind: 'denied', reason: 'it is old' })
  t.equal(access.decideNow(who, repository, 'pull'), undefined)
})

function rule(who: AccessRule['who'], allow: AccessRule['allow']): AccessRule {
  return { who, match: '**', tags: [], allow }
}

t.test(
  'R525: who calls from here is known by all signs and the owner, logged in or not',
  async t => {
    const isHere = (signs: Partial<Signs>) =>
      access.namesFor(principal({ ...LOCAL, ...signs })).isHere
    t.equal(isHere({}), true)
    t.equal(isHere({ rawHeaders: [...CLIENT, 'Authorization', 'Basic eA=='] }), true)
    t.equal(isHere({ rawHeaders: [...CLIENT, 'Range', 'bytes=100-'] }), true)
    t.equal(isHere({ rawHeaders: [...CLIENT, 'X-Forwarded-For', '192.0.2.1'] }), false)
    t.equal(isHere({ owner: user(33) }), false, 'a proxy')
    t.equal(isHere({ owner: undefined }), false, 'nobody has asked')
    t.equal(isHere({ isHttp10: true }), false)
    t.equal(isHere({ address: '192.0.2.1' }), false)
    t.equal(isHere({ host: 'edge.example.com' }), false)
  },
)
