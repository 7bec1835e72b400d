// Goal: only somebody whom a rule about the whole edge names may run it from elsewhere, whatever
// else a rule says, by whatever way it got past the configuration. Method: the one question, over
// rules and callers.
import t from 'tap'
import type { Principal } from '../../../src/access/access.ts'
import type { KnownAccount, Login } from '../../../src/access/accounts.ts'
import type { AccessSettings } from '../../../src/access/local-access.ts'
import { OperatorAccess } from '../../../src/access/operator-access.ts'
import type { Who } from '../../../src/access/names.ts'
import type { AccessRule } from '../../../src/access/rule.ts'

const RIGHTS = ['pull', 'admin'] as const
const ACCOUNTS = { realm: 'test', groups: { ops: ['alice'] }, isEmpty: false }
const ALICE: KnownAccount = { kind: 'account', name: 'alice' }
const ANONYMOUS: Login = { kind: 'anonymous' }

const rule = (who: Who, more: Partial<AccessRule> = {}): AccessRule => ({
  who,
  match: '**',
  tags: [],
  allow: RIGHTS,
  ...more,
})

function caller(login: Login, certificates: readonly string[] = []): Principal {
  const owner = { kind: 'user', uid: 0 } as const
  return {
    login,
    findLogin: async () => login,
    certificate:
      certificates.length === 0 ? { kind: 'none' } : { kind: 'named', names: certificates },
    address: '127.0.0.1',
    isForwarded: false,
    host: 'localhost',
    isHttp10: false,
    rawHeaders: ['Host', 'localhost'],
    owner,
    findOwner: async () => owner,
  }
}

async function answerTo(
  principal: Principal,
  rules: readonly AccessRule[],
  accounts: AccessSettings['accounts'] = ACCOUNTS,
): Promise<string> {
  const settings = { serverUid: 0, localPushOff: undefined, hosts: undefined, rules, accounts }
  return (await new OperatorAccess(() => settings).judge(principal, [])).refusal?.kind ?? 'allowed'
}

const byAlice = rule({ kind: 'account', name: 'alice' })
const byCertificate = rule({ kind: 'certificate', name: 'ops' })

t.test('R740: an account, its group and a certificate may', async t => {
  t.equal(await answerTo(caller(ALICE), [byAlice]), 'allowed')
  t.equal(await answerTo(caller(ALICE), [rule({ kind: 'group', name: 'ops' })]), 'allowed')
  t.equal(await answerTo(caller(ANONYMOUS, ['ops']), [byCertificate]), 'allowed')
  t.equal(await answerTo(caller(ANONYMOUS, ['dev']), [byCertificate]), 'unauthorized')
  t.equal(await answerTo(caller({ ...ALICE, name: 'bob' }), [byAlice]), 'denied')
  const others = ['pull', 'push', 'delete', 'list'] as const
  t.equal(await answerTo(caller(ALICE), [{ ...byAlice, allow: others }]), 'denied')
})

t.test('R740: a rule about whoever comes lets nobody in', async t => {
  const network = { address: '127.0.0.0', bits: 8 }
  for (const who of [
    { kind: 'everybody' },
    { kind: 'anonymous' },
    { kind: 'local' },
    { kind: 'network', network },
  ] as const) {
    t.equal(await answerTo(caller(ALICE), [rule(who)]), 'denied', who.kind)
    t.equal(await answerTo(caller(ANONYMOUS), [rule(who)]), 'unauthorized', who.kind)
    t.equal(await answerTo(caller(ANONYMOUS, ['ops']), [rule(who)]), 'unauthorized', who.kind)
  }
})

t.test('R740: nor does one about all whom an identity provider knows', async t => {
  const known = { ...ALICE, name: 'oidc:gh:alice', groups: ['oidc:gh', 'oidc:gh:ops'] }
  t.equal(
    await answerTo(caller(known), [rule({ kind: 'provider group', provider: 'gh' })]),
    'denied',
  )
  const ops = rule({ kind: 'provider group', provider: 'gh', group: 'ops' })
  t.equal(await answerTo(caller(known), [ops]), 'allowed')
})

t.test('R740: the first rule about the whole edge decides', async t => {
  const none = rule({ kind: 'everybody' }, { allow: ['pull'] })
  t.equal(await answerTo(caller(ALICE), [none, byAlice]), 'denied')
  const narrow = rule({ kind: 'account', name: 'alice' }, { match: 'docker.io/**', allow: [] })
  t.equal(await answerTo(caller(ALICE), [narrow, byAlice]), 'allowed')
  t.equal(await answerTo(caller(ALICE), [{ ...byAlice, match: 'docker.io/**' }]), 'denied')
  t.equal(await answerTo(caller(ALICE), [{ ...byAlice, tags: ['v1'] }]), 'denied')
})

t.test('R740: a token of a token server runs no edge', async t => {
  const everything = [{ type: 'repository', name: 'app', actions: ['*'] }]
  t.equal(await answerTo(caller({ ...ALICE, grants: everything }), [byAlice]), 'denied')
})

t.test('R740: without accounts a login is nobody’s', async t => {
  const without = { serverUid: 0, localPushOff: undefined, hosts: undefined, rules: [byAlice] }
  const access = new OperatorAccess(() => ({ ...without, accounts: undefined }))
  t.match(await access.judge(caller(ALICE), []), { refusal: { kind: 'denied' } })
})

t.test('R741: wrong logins are told, also beside a good certificate', async t => {
  t.equal(await answerTo(caller({ kind: 'refused' }, ['ops']), [byCertificate]), 'unauthorized')
  const limited = { kind: 'limited', retryAfterSeconds: 9 } as const
  t.equal(await answerTo(caller(limited, ['ops']), [byCertificate]), 'limited')
})

t.test('a login is tried again while accounts change meanwhile, and not for ever', async t => {
  /** That comes to nothing so many times. */
  const changing = (times: number): Principal => {
    let tried = 0
    let login: Login | undefined
    return {
      ...caller(ALICE),
      get login() {
        return login
      },
      async findLogin() {
        tried += 1
        if (tried > times) login = ALICE
        return ALICE
      },
    }
  }
  for (const times of [0, 1, 2]) t.equal(await answerTo(changing(times), [byAlice]), 'allowed')
  t.not(await answerTo(changing(Number.POSITIVE_INFINITY), [byAlice]), 'allowed')
})
