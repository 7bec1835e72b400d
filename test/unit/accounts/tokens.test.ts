// Goal: a token of this edge is good for minutes, for the account as it is now, and for nobody who
// made one up; its keys outlast a restart, and no day. Method: the real keys in a file, and tokens
// that are taken apart and put together otherwise.
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { chmodSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { KEY_LIFE_MS, TokenKeys } from '../../../src/accounts/tokens/token-keys.ts'
import { ACCESS_SECONDS, REFRESH_SECONDS, Tokens } from '../../../src/accounts/tokens/tokens.ts'

type Test = Pick<typeof t, 'testdir'>

function open(test: Test, path = join(test.testdir(), 'tokens.json')) {
  const hashes = new Map([
    ['alice', 'hash of alice'],
    ['bob', 'hash of bob'],
  ])
  const lost: unknown[] = []
  let nowMs = Date.UTC(2030, 0, 1)
  const keys = new TokenKeys(path, {
    nowMs: () => nowMs,
    lost: error => lost.push(error),
    unwritten: error => lost.push(error),
  })
  const credentialsOf = (name: string) => {
    const hash = hashes.get(name)
    return hash === undefined ? [] : [{ hash, forMs: Infinity }]
  }
  const follow = () => keys.follow([...hashes.keys()])
  follow()
  const tokens = new Tokens({ keys, nowMs: () => nowMs, credentialsOf })
  return {
    path,
    keys,
    tokens,
    hashes,
    lost,
    follow,
    pass(ms: number) {
      nowMs += ms
    },
  }
}

const ALICE = { kind: 'account', name: 'alice' }
const REFUSED = { kind: 'refused', byToken: true }
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const decode = (text = '') => JSON.parse(Buffer.from(text, 'base64url').toString()) as object

function issued({ tokens }: { readonly tokens: Tokens }, name = 'alice'): string {
  const token = tokens.issue({ name })?.token
  if (token === undefined) throw new Error('there is no such account')
  return token
}

t.test('R135: a token is signed, and for minutes', async t => {
  const opened = open(t)
  const { tokens, pass } = opened
  const token = issued(opened)
  const [head, claims] = token.split('.')
  t.match(decode(head), { alg: 'EdDSA', typ: 'JWT', kid: /^[\w-]{11}$/ })
  const { iat, nbf, exp, ...rest } = decode(claims) as Record<string, number>
  t.match(rest, { iss: 'entrepot', aud: 'entrepot', sub: 'alice', jti: /^[0-9a-f-]{36}$/ })
  t.same([nbf, exp], [iat, Number(iat) + ACCESS_SECONDS])
  t.same(tokens.read(token), { login: ALICE, forMs: ACCESS_SECONDS * 1_000 })
  pass(ACCESS_SECONDS * 1_000 - 1)
  t.match(tokens.read(token), { login: ALICE, forMs: 1 })
  pass(1)
  t.same(tokens.read(token), { login: REFUSED, forMs: 0 })
  pass(-2 * ACCESS_SECONDS * 1_000)
  t.match(tokens.read(token), { login: REFUSED }, 'nor before it was given')
})

t.test('R135: what this edge has not signed is nobody’s, whatever it says of itself', async t => {
  const opened = open(t)
  const { tokens, keys } = opened
  const [head = '', claims = '', signature = ''] = issued(opened).split('.')
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const byOwnKey = (header: object, body = claims) => {
    const signed = `${encode(header)}.${body}`
    return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`
  }
  const kid = keys.signing().id
  const jwk = publicKey.export({ format: 'jwk' })
  const spki = keys.signing().publicKey.export({ type: 'spki', format: 'pem' })
  const hmac = createHmac('sha256', spki).update(`${encode({ alg: 'HS256', kid })}.${claims}`)
  const admin = encode({ ...decode(claims), sub: 'bob' })
  const [, ofAnother = ''] = issued(open(t, join(t.testdir(), 'other.json'))).split('.')
  const forged = {
    'alg none': `${encode({ alg: 'none', typ: 'JWT', kid })}.${claims}.`,
    'no signature': `${head}.${claims}.`,
    'a signature that is padded': `${head}.${claims}.${signature}=`,
    'a signature with what is no letter of it': `${head}.${claims}.~${signature}`,
    'another subject': `${head}.${admin}.${signature}`,
    'another key under this name': byOwnKey({ alg: 'EdDSA', typ: 'JWT', kid }),
    'a key in the head': byOwnKey({ alg: 'EdDSA', typ: 'JWT', kid, jwk }),
    'a key by a URL': byOwnKey({ alg: 'EdDSA', typ: 'JWT', kid, jku: 'https://evil.example/' }),
    'a key of nobody': byOwnKey({ alg: 'EdDSA', typ: 'JWT', kid: 'x' }),
    'the public key as a secret': `${encode({ alg: 'HS256', kid })}.${claims}.${hmac.digest('base64url')}`,
    'of another edge': `${head}.${ofAnother}.${signature}`,
    'the same said otherwise': `${encode({ kid, typ: 'JWT', alg: 'EdDSA' })}.${claims}.${signature}`,
    'one part more': `${head}.${claims}.${signature}.${signature}`,
    'two parts': `${head}.${claims}`,
    nothing: '',
    long: `${head}.${claims}.${signature}${'A'.repeat(3_000)}`,
  }
  for (const [what, token] of Object.entries(forged))
    t.same(tokens.read(token), { login: REFUSED, forMs: 0 }, what)
  t.match(tokens.read(`${head}.${claims}.${signature}`), { login: ALICE })
})

t.test('R128: a token of nobody’s is given to all, the same for a while', async t => {
  const { tokens, pass } = open(t)
  const first = tokens.issueAnonymous()
  t.match(tokens.read(first.token), { login: { kind: 'anonymous', byToken: true } })
  pass(59_000)
  const second = tokens.issueAnonymous()
  t.equal(second.token, first.token)
  t.equal(second.expiresInSeconds, ACCESS_SECONDS - 59)
  pass(2_000)
  t.not(tokens.issueAnonymous().token, first.token)
})

t.test('R520: another password, no account or a logout, and its tokens are nobody’s', async t => {
  for (const end of ['password', 'account', 'logout'] as const) {
    const opened = open(t, join(t.testdir(), `${end}.json`))
    const { tokens, keys, hashes } = opened
    const [alice, bob] = [issued(opened), issued(opened, 'bob')]
    const refresh = tokens.issueRefresh({ name: 'alice' }) ?? ''
    t.equal(tokens.redeem(refresh)?.name, 'alice')
    if (end === 'password') hashes.set('alice', 'another hash')
    if (end === 'account') hashes.delete('alice')
    if (end === 'logout') keys.endLoginsOf('alice')
    t.same(tokens.read(alice), { login: REFUSED, forMs: 0 }, end)
    t.equal(tokens.redeem(refresh), undefined)
    t.match(tokens.read(bob), { login: { kind: 'account', name: 'bob' } })
    t.equal(tokens.issue({ name: 'alice' }) === undefined, end === 'account')
    if (end !== 'account') t.match(tokens.read(issued(opened)), { login: ALICE })
  }
})

t.test('R527: who was gone and comes back has none of the tokens of before', async t => {
  const opened = open(t)
  const { tokens, hashes, follow, path } = opened
  const hash = hashes.get('alice') ?? ''
  const [token, refresh] = [issued(opened), tokens.issueRefresh({ name: 'alice' }) ?? '']
  const bobs = tokens.issueRefresh({ name: 'bob' }) ?? ''
  hashes.delete('alice')
  follow()
  t.notMatch(readFileSync(path, 'utf8'), /alice/, 'nothing is kept of who is gone')
  hashes.set('alice', hash)
  follow()
  t.match(tokens.read(token), { login: REFUSED })
  t.equal(tokens.redeem(refresh), undefined)
  t.equal(tokens.redeem(bobs)?.name, 'bob', 'of others nothing ends')
  const next = tokens.issueRefresh({ name: 'alice' }) ?? ''
  const after = open(t, path)
  t.equal(after.tokens.redeem(refresh), undefined, 'nor after a restart')
  t.equal(after.tokens.redeem(next)?.name, 'alice')
  after.hashes.delete('alice')
  after.follow()
  t.equal(open(t, path).tokens.redeem(next), undefined, 'gone over a restart')
})

t.test('R527: what could not be kept of who is gone is kept with the next look', async t => {
  const opened = open(t, join(t.testdir({ data: {} }), 'data', 'tokens.json'))
  const { keys, hashes, follow, lost, path, tokens } = opened
  const [hash, refresh] = [hashes.get('alice') ?? '', tokens.issueRefresh({ name: 'alice' }) ?? '']
  renameSync(dirname(path), `${dirname(path)}.away`)
  hashes.delete('alice')
  follow()
  t.equal(lost.length, 1)
  t.equal(keys.stayOf('alice'), undefined)
  renameSync(`${dirname(path)}.away`, dirname(path))
  follow()
  hashes.set('alice', hash)
  t.equal(open(t, path).tokens.redeem(refresh), undefined)
})

t.test(
  'R528: a token ends with the credential that bought it, whichever others there are',
  async t => {
    let credentials = [
      { hash: 'new', forMs: Infinity },
      { hash: 'old', forMs: 60_000 },
    ]
    const { keys } = open(t)
    const tokens = new Tokens({
      keys,
      nowMs: () => Date.UTC(2030, 0, 1),
      credentialsOf: () => credentials,
    })
    const [byNew, byOld] = ['new', 'old'].map(
      hash => tokens.issue({ name: 'robot:ci' }, hash)?.token ?? '',
    )
    const robot = { kind: 'account', name: 'robot:ci' }
    t.same(tokens.read(byNew ?? ''), { login: robot, forMs: ACCESS_SECONDS * 1_000 })
    t.same(tokens.read(byOld ?? ''), { login: robot, forMs: 60_000 })
    credentials = credentials.slice(0, 1)
    t.match(tokens.read(byNew ?? ''), { login: robot })
    t.match(tokens.read(byOld ?? ''), { login: REFUSED })
  },
)

t.test('R132: a refresh token is this edge’s own, and not for ever', async t => {
  const { tokens, pass } = open(t)
  const refresh = tokens.issueRefresh({ name: 'alice' }) ?? ''
  const [claims = '', mac = ''] = refresh.slice(4).split('.')
  const asBob = encode({ ...decode(claims), sub: 'bob' })
  for (const forged of ['', 'ert_', `ert_${claims}`, `ert_${asBob}.${mac}`, `${claims}.${mac}`])
    t.equal(tokens.redeem(forged), undefined, forged)
  t.same(tokens.read(refresh), { login: REFUSED, forMs: 0 }, 'it is no access token')
  t.equal(tokens.redeem(issued({ tokens })), undefined, 'nor the other way round')
  pass(REFRESH_SECONDS * 1_000 - 1)
  t.equal(tokens.redeem(refresh)?.name, 'alice')
  pass(1)
  t.equal(tokens.redeem(refresh), undefined)
  t.equal(tokens.issueRefresh({ name: 'nobody' }), undefined)
})

t.test('R521: keys are one file for its owner alone, and outlast a restart', async t => {
  const before = open(t)
  const token = issued(before)
  const refresh = before.tokens.issueRefresh({ name: 'alice' }) ?? ''
  before.keys.endLoginsOf('bob')
  const stay = before.keys.stayOf('bob')
  t.equal(statSync(before.path).mode & 0o777, 0o600)
  chmodSync(before.path, 0o644)
  const after = open(t, before.path)
  t.equal(statSync(before.path).mode & 0o777, 0o600, 'it is closed to others again')
  t.match(after.tokens.read(token), { login: ALICE })
  t.equal(after.tokens.redeem(refresh)?.name, 'alice')
  t.equal(after.keys.stayOf('bob'), stay)
  t.same(after.lost, [])
})

t.test('R521: a key signs for a day, and what it signed is good to its end', async t => {
  const opened = open(t)
  const { tokens, keys, pass } = opened
  const first = keys.signing().id
  pass(KEY_LIFE_MS - 1)
  const late = issued(opened)
  t.equal(keys.signing().id, first)
  pass(1)
  const next = issued(opened)
  t.not(keys.signing().id, first)
  for (const token of [late, next]) t.match(tokens.read(token), { login: ALICE })
  pass(-KEY_LIFE_MS)
  issued(opened)
  t.equal(keys.all.length, 2, 'a clock that goes back makes no heap of them')
})

t.test('R521: keys that are damaged are told, and made anew', async t => {
  const before = open(t)
  const refresh = before.tokens.issueRefresh({ name: 'alice' }) ?? ''
  const whole = JSON.parse(readFileSync(before.path, 'utf8')) as Record<string, unknown>
  const wrong: readonly Readonly<Record<string, unknown>>[] = [
    { secret: 'AAAA' },
    { secret: 7 },
    { keys: {} },
    { keys: [null] },
    { stays: null },
    { stays: { alice: 7 } },
    { version: undefined },
    { version: 0 },
  ]
  const texts = wrong.map(fields => JSON.stringify({ ...whole, ...fields }))
  for (const text of ['', '{}', 'null', '[]', ...texts]) {
    writeFileSync(before.path, text)
    const after = open(t, before.path)
    t.equal(after.lost.length, 1, text)
    t.match(after.lost, [new RegExp(before.path)])
    t.equal(after.tokens.redeem(refresh), undefined)
    t.match(after.tokens.read(issued(after)), { login: ALICE })
  }
})

t.test('R520: a logout that cannot be kept is not said to be done', async t => {
  const opened = open(t, join(t.testdir(), 'gone', 'tokens.json'))
  t.equal(opened.lost.length, 2, 'where nothing can be written tokens are good all the same')
  const token = issued(opened)
  t.throws(() => opened.keys.endLoginsOf('alice'))
  t.match(opened.tokens.read(token), { login: ALICE })
})

t.test('R655: keys that a newer program wrote are left as they are', async t => {
  const before = open(t)
  const text = JSON.stringify({ version: 2, whatever: true })
  writeFileSync(before.path, text)
  const after = open(t, before.path)
  t.match(after.lost[0], /version is 2/)
  t.match(after.tokens.read(issued(after)), { login: ALICE }, 'it goes by others meanwhile')
  t.throws(() => after.keys.endLoginsOf('alice'), /newer version/)
  t.equal(readFileSync(before.path, 'utf8'), text)
})
