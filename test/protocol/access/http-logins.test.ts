// Goal: whose credentials a request shows is read strictly, asked for no more often than needed,
// and told in the protocol's words. Method: the data port over a registry double, with accounts
// that count how often they are asked.
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import t from 'tap'
import type { Accounts, FoundLogin, LoginAttempt, Verified } from '../../../src/access/accounts.ts'
import { createLocalAccess } from '../../../src/access/local-access.ts'
import { Revision } from '../../../src/access/revision.ts'
import { KNOWN_MS } from '../../../src/http/logins.ts'
import { createTestApp, LOCAL_RULES } from '../../kit/worlds/http-app.ts'
import { createKeepAliveClient } from '../../kit/clients/keep-alive-client.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { errorCodeOf } from '../../kit/clients/raw-push.ts'

const ACCOUNTS = { realm: 'Registry', groups: {}, isEmpty: false }
const ALICE: Verified = { kind: 'account', name: 'alice' }
const NO_TOKEN: FoundLogin = { login: { kind: 'refused', byToken: true }, forMs: 0 }
/** A token for minutes, and one that does not end. */
const [SHORT, LONG] = ['a.short-lived.token', 'a-robot-s-secret']
const encode = (text: string | Uint8Array) => `Basic ${Buffer.from(text).toString('base64')}`

async function open(t: Parameters<typeof createTestApp>[0], verified?: Verified) {
  const asked: string[] = []
  const revision = new Revision()
  const verify = async ({ name, password }: LoginAttempt): Promise<FoundLogin<Verified>> => {
    asked.push(`${name}:${password}`)
    const login = verified ?? (password.startsWith('s3:cret') ? ALICE : { kind: 'refused' })
    return { login, forMs: Infinity }
  }
  const access = createLocalAccess(() => ({ ...LOCAL_RULES, accounts: ACCOUNTS }), revision)
  const accounts: Accounts = {
    verify,
    async readToken(token) {
      asked.push(token)
      const forMs = { [SHORT]: 200_000, [LONG]: Infinity }[token]
      return forMs === undefined ? NO_TOKEN : { login: ALICE, forMs }
    },
    issueToken: async () => ({ kind: 'refused' }),
  }
  const { app, clock, listen } = createTestApp(t, { access, accounts })
  // A cache takes the time 0 for none.
  await clock.advance(1)
  const url = await listen()
  const ping = (authorization?: string) =>
    get(`${url}/v2/`, authorization === undefined ? {} : { authorization })
  return { app, asked, clock, ping, revision, url }
}

t.test('R510: a ping without credentials is 401 with the challenge, and asks nobody', async t => {
  const { asked, ping, url } = await open(t)
  const answer = await ping()
  t.equal(answer.status, 401)
  t.equal(errorCodeOf(answer), 'UNAUTHORIZED')
  const challenge = `Bearer realm="${url}/v2/token",service="entrepot"`
  t.equal(answer.headers['www-authenticate'], challenge)
  t.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
  t.same(asked, [])
})

t.test('R516: Basic is read as it is written, and what is unclear is nobody’s', async t => {
  const { asked, ping, url } = await open(t)
  t.equal((await ping(encode('alice:s3:cret'))).status, 200)
  t.equal((await ping(encode('alice:s3:cret').replace('Basic', 'basic'))).status, 200)
  t.same(asked, ['alice:s3:cret'])
  asked.length = 0
  for (const unclear of [
    'Bearer abc',
    'Basic',
    'Basic !!!',
    `${encode('alice:s3:cret')}, Basic YTpi`,
    encode('alice'),
    encode(new Uint8Array([0x61, 0x3a, 0xff, 0xfe])),
    '',
  ])
    t.equal((await ping(unclear)).status, 401, unclear)
  const twice = { authorization: encode('alice:s3:cret'), Authorization: encode('alice:s3:cret') }
  t.equal((await get(`${url}/v2/`, twice)).status, 401)
  t.equal((await ping('Basic Og==')).status, 401, 'nothing is shown by that')
  t.same(asked, ['abc'])
})

t.test(
  'R505: what is known is asked once a minute, and again when accounts have changed',
  async t => {
    const { asked, clock, ping, revision } = await open(t)
    const login = () => ping(encode('alice:s3:cret'))
    for (let time = 0; time < 5; time += 1) t.equal((await login()).status, 200)
    t.equal(asked.length, 1)
    await clock.advance(KNOWN_MS + 1)
    t.equal((await login()).status, 200)
    t.equal(asked.length, 2)
    revision.raise()
    t.equal((await login()).status, 200)
    t.equal(asked.length, 3)
    for (let time = 0; time < 2; time += 1) t.equal((await ping(encode('alice:x'))).status, 401)
    t.equal(asked.length, 5, 'a wrong one is not remembered')
  },
)

/** How often anything is hashed, by whoever asks for one. */
function countHashes(test: { teardown(fn: () => unknown): unknown }) {
  const counted = { hashes: 0 }
  const { hash } = crypto
  crypto.hash = ((...given: Parameters<typeof hash>) => {
    counted.hashes += 1
    return hash(...given)
  }) as typeof hash
  syncBuiltinESMExports()
  test.teardown(() => {
    crypto.hash = hash
    syncBuiltinESMExports()
  })
  return counted
}

t.test('R643: a token for minutes is known by its header, with nothing computed', async t => {
  const counted = countHashes(t)
  const { asked, clock, ping, revision } = await open(t)
  const bearer = (token: string) => ping(`Bearer ${token}`)
  t.equal((await bearer(SHORT)).status, 200)
  const { hashes } = counted
  for (let time = 0; time < 20; time += 1) t.equal((await bearer(SHORT)).status, 200)
  t.same([asked, counted.hashes], [[SHORT], hashes])
  await clock.advance(KNOWN_MS + 1)
  t.equal((await bearer(SHORT)).status, 200)
  t.same(asked, [SHORT, SHORT], 'asked again after a minute')
  revision.raise()
  t.equal((await bearer(SHORT)).status, 200)
  t.same(asked, [SHORT, SHORT, SHORT], 'and when accounts have changed')
  t.equal((await ping(`bearer ${SHORT}`)).status, 200)
  t.equal((await bearer(`${SHORT}x`)).status, 401, 'another one is another one')
})

t.test('R644: what is good for long is not kept as it was shown', async t => {
  const counted = countHashes(t)
  const { asked, ping } = await open(t)
  for (const shown of [`Bearer ${LONG}`, encode('alice:s3:cret')]) {
    t.equal((await ping(shown)).status, 200)
    const { hashes } = counted
    t.equal((await ping(shown)).status, 200)
    t.equal(counted.hashes, hashes + 1, 'it is known by its mark')
  }
  t.same(asked, [LONG, 'alice:s3:cret'])
})

t.test('R692: whoever shows the same in other spellings is one that is known', async t => {
  const { asked, ping } = await open(t)
  const [, encoded = ''] = encode('alice:s3:cret?').split(' ')
  t.match(encoded, /=$/)
  const spellings = [`Basic ${encoded}`, `BASIC   ${encoded}`, `Basic ${encoded.replace('=', '')}`]
  for (const each of spellings) t.equal((await ping(each)).status, 200, each)
  t.same(asked, ['alice:s3:cret?'])
})

t.test('R526: an address that shows what is known is told to who tries passwords', async t => {
  const { asked, url } = await open(t)
  const pings = async (address: string) => {
    const { ask, close } = createKeepAliveClient(url, 1, address)
    const { status } = await ask('/v2/', { headers: { authorization: encode('alice:s3:cret') } })
    close()
    t.equal(status, 200)
  }
  const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
  for (const address of [...addresses, ...addresses]) await pings(address)
  t.same(asked.length, addresses.length, 'each once')
})

t.test('R508: where too many are tried a client is told to come back', async t => {
  const { ping, url } = await open(t, { kind: 'busy', retryAfterSeconds: 2 })
  const headers = { authorization: encode('alice:s3:cret') }
  for (const answer of [
    await ping(headers.authorization),
    await get(`${url}/v2/team/app/tags/list`, headers),
    await get(`${url}/v2/_catalog`, headers),
  ]) {
    t.equal(answer.status, 503)
    t.equal(answer.headers['retry-after'], '2')
    t.equal(answer.headers['www-authenticate'], undefined)
  }
})

t.test('R139: where too many were wrong a client is told when to come back', async t => {
  const { url } = await open(t, { kind: 'limited', retryAfterSeconds: 37 })
  const headers = { authorization: encode('alice:s3:cret') }
  for (const path of ['/v2/', '/v2/team/app/tags/list', '/v2/_catalog']) {
    const answer = await get(`${url}${path}`, headers)
    t.equal(answer.status, 429)
    t.equal(errorCodeOf(answer), 'TOOMANYREQUESTS')
    t.equal(answer.headers['retry-after'], '37')
    t.equal(answer.headers['www-authenticate'], undefined)
  }
})
