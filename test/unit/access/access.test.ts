// Goal: until there are accounts, everybody may read, and only who is plainly a program on this machine may write; a refusal names its
// rule. Method: the one function, asked with every combination of the signs that it looks at.
import t from 'tap'
import { type Action, createLocalAccess, type Principal } from '../../../src/access/access.ts'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'

const access = createLocalAccess()
const repository = parseRepositoryKey('localhost/team/app')
const LOCAL: Principal = {
  kind: 'anonymous',
  address: '127.0.0.1',
  host: 'localhost:5000',
  forwardedBy: undefined,
  fromWebPage: false,
}
const STRANGER: Principal = {
  kind: 'anonymous',
  address: '203.0.113.9',
  host: 'edge.example.com',
  forwardedBy: 'x-forwarded-for',
  fromWebPage: true,
}

function reasonFor(principal: Principal, action: Action = 'push'): string | undefined {
  const decision = access.decide({ principal, resource: repository, action })
  return decision.kind === 'denied' ? decision.reason : undefined
}

t.test('everybody may pull and list, anonymously, from anywhere', async t => {
  const allowed = { kind: 'allowed', anonymously: true }
  for (const principal of [LOCAL, STRANGER]) {
    t.same(access.decide({ principal, resource: repository, action: 'pull' }), allowed)
    t.same(access.decide({ principal, resource: 'catalog', action: 'list' }), allowed)
    t.same(access.decide({ principal, resource: 'unrouted', action: 'pull' }), allowed)
  }
})

const ADDRESSES = {
  good: [
    '127.0.0.1',
    '127.0.0.2',
    '127.255.255.254',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:127.8.0.1',
  ],
  bad: [
    undefined,
    '',
    '10.0.0.1',
    '192.168.1.7',
    '172.17.0.1',
    '169.254.1.1',
    '0.0.0.0',
    '128.0.0.1',
    '::',
    '::2',
    'fe80::1',
    'fd00::1',
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

t.test('the whole matrix: pushes and deletes only when every sign agrees', async t => {
  const addresses = [...ADDRESSES.good, ...ADDRESSES.bad]
  const hosts = [...HOSTS.good, ...HOSTS.bad]
  let allowed = 0
  const wrong: unknown[] = []
  for (const address of addresses) {
    for (const host of hosts) {
      for (const forwardedBy of [undefined, 'via']) {
        for (const fromWebPage of [false, true]) {
          const principal: Principal = {
            kind: 'anonymous',
            address,
            host,
            forwardedBy,
            fromWebPage,
          }
          const isGood =
            ADDRESSES.good.includes(address as string) &&
            HOSTS.good.includes(host as string) &&
            forwardedBy === undefined &&
            !fromWebPage
          for (const action of ['push', 'delete'] as const) {
            const isAllowed = reasonFor(principal, action) === undefined
            if (isAllowed) allowed += 1
            if (isAllowed !== isGood) wrong.push({ action, ...principal })
          }
        }
      }
    }
  }
  t.same(wrong, [])
  t.equal(allowed, ADDRESSES.good.length * HOSTS.good.length * 2)
})

t.test('a refusal says which rule it was and what to do', async t => {
  t.match(reasonFor({ ...LOCAL, address: '10.0.0.1' }), /takes pushes only .*another address/)
  t.match(reasonFor({ ...LOCAL, host: 'evil.example' }), /use localhost or 127\.0\.0\.1/)
  t.match(reasonFor({ ...LOCAL, forwardedBy: 'via' }), /passed on by a proxy \(via says so\)/)
  t.match(reasonFor({ ...LOCAL, fromWebPage: true }), /web page .*use a registry client/)
  t.match(reasonFor({ ...LOCAL, fromWebPage: true }, 'delete'), /deletes only/)
})

t.test('a push to a name that leads nowhere takes the same right', async t => {
  const ask = (principal: Principal) =>
    access.decide({ principal, resource: 'unrouted', action: 'push' }).kind
  t.equal(ask(STRANGER), 'denied')
  t.equal(ask(LOCAL), 'allowed')
})
