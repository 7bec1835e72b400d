// Goal: a program of the machine that follows the challenge to a token of nobody's, as every real
// client does, is a program of the machine still, and whoever shows such a token without being one
// gets nothing by it. Method: the whole edge in process, with one and with four threads and a file
// of accounts; clients on each thread that ask as real ones do: a ping, a token, then the rest.
import { join } from 'node:path'
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { reachThreads, type ThreadClient } from '../../kit/clients/thread-clients.ts'
import { manifestOver } from '../../kit/clients/push-client.ts'
import { withDigest } from '../../kit/clients/raw-push.ts'
import { startTestEdge } from '../../kit/edge.ts'

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const ALICE = { authorization: `Basic ${Buffer.from('alice:s3cret').toString('base64')}` }
/** What no client sends by itself: somebody passed it on. */
const PASSED_ON = { 'x-forwarded-for': '192.0.2.1' }
const ALL = ['pull', 'push'] as const
const RULES = [
  { who: 'local', match: 'localhost/here/**', allow: ALL },
  { who: 'alice', match: 'localhost/**', allow: ALL },
]
const CONFIG = Buffer.from('{}')

type Headers = Readonly<Record<string, string>>

async function open(
  test: Parameters<typeof startTestEdge>[0] & Pick<typeof t, 'testdir'>,
  threads: number,
  { accounts = `alice:${HASH}\n`, access = RULES }: { accounts?: string; access?: object[] } = {},
) {
  const file = join(test.testdir({ htpasswd: accounts }), 'htpasswd')
  const config = {
    default: 'localhost',
    http: { addr: '127.0.0.1:0', threads },
    auth: { htpasswd: { path: file } },
    access,
  }
  const edge = await startTestEdge(test, { upstreams: {}, config })
  const clients = await reachThreads(test, edge.url, threads)
  return { edge, config, clients }
}

/** A token as a client is sent to one by the challenge. */
async function anonymousToken(client: ThreadClient, headers: Headers = {}): Promise<Headers> {
  const ping = await client.send('GET', '/v2/', { headers })
  const [realm] = /(?<=realm=")[^"]+/.exec(String(ping.headers['www-authenticate'])) ?? ['']
  const { pathname } = new URL(realm)
  const answer = await client.send('GET', `${pathname}?service=entrepot&scope=x`, { headers })
  const { token } = JSON.parse(answer.body.toString()) as { readonly token: string }
  return { authorization: `Bearer ${token}` }
}

/** As clients push: what is there is asked for first. The statuses, up to the first refusal. */
async function push({ send }: ThreadClient, name: string, headers: Headers): Promise<number[]> {
  const statuses: number[] = []
  const ask: ThreadClient['send'] = async (method, path, sent) => {
    const answer = await send(method, path, { ...sent, headers: { ...headers, ...sent?.headers } })
    statuses.push(answer.status)
    return answer
  }
  const manifest = manifestOver(CONFIG, [CONFIG])
  await ask('HEAD', `/v2/${name}/blobs/${digestOf(CONFIG)}`)
  const begun = await ask('POST', `/v2/${name}/blobs/uploads/`)
  if (begun.status !== 202) return statuses
  const place = new URL(String(begun.headers['location']), 'http://localhost')
  await ask('PUT', withDigest(place.pathname + place.search, digestOf(CONFIG)), { body: CONFIG })
  await ask('PUT', `/v2/${name}/manifests/v1`, {
    body: manifest.bytes,
    headers: { 'content-type': manifest.mediaType },
  })
  return statuses
}

const PUSHED = [201, 201]

for (const threads of [1, 4]) {
  t.test(`R797: on ${threads} threads a token of nobody's leaves a program one`, async t => {
    const { edge, config, clients } = await open(t, threads)
    for (const client of clients) {
      const token = await anonymousToken(client)
      const pushed = await push(client, `localhost/here/${client.thread}`, token)
      t.same(pushed, [404, 202, ...PUSHED])
      const path = `/v2/localhost/here/${client.thread}/manifests/v1`
      // The second time, and those after it, from memory.
      for (let time = 0; time < 4; time += 1)
        t.equal((await client.send('GET', path, { headers: token })).status, 200)
      t.same(await push(client, 'localhost/there/x', token), [401, 401], 'no more than the rule')
      const passedOn = { ...token, ...PASSED_ON }
      t.equal((await client.send('GET', path, { headers: passedOn })).status, 401, 'from memory')
      t.same(await push(client, 'localhost/here/x', passedOn), [401, 401])
      const wrong = { authorization: `${token['authorization']}x` }
      t.equal((await client.send('GET', path, { headers: wrong })).status, 401, 'nobody’s at all')
      t.equal((await client.send('GET', path, { headers: ALICE })).status, 200, 'by her own rule')
    }
    const tokens = await Promise.all(clients.map(client => anonymousToken(client)))
    await edge.reloaded({}, { ...config, access: RULES.slice(1) })
    for (const [index, client] of clients.entries()) {
      const path = `/v2/localhost/here/${client.thread}/manifests/v1`
      const headers = tokens[index] ?? {}
      t.equal((await client.send('GET', path, { headers })).status, 401, 'the rule is gone')
    }
  })
}

t.test('R797: a token of nobody’s gives nothing to who shows it elsewhere', async t => {
  const { clients } = await open(t, 1)
  const [client] = clients
  if (client === undefined) throw new Error('no client')
  const fromHere = await anonymousToken(client)
  const fromElsewhere = await anonymousToken(client, PASSED_ON)
  const path = '/v2/localhost/here/app/manifests/v1'
  t.same(await push(client, 'localhost/here/app', fromElsewhere), [404, 202, ...PUSHED])
  const answerTo = async (headers: Headers) => {
    const { status, body } = await client.send('GET', path, { headers })
    return [status, body.toString()]
  }
  t.same(await answerTo({ ...fromHere, ...PASSED_ON }), await answerTo(PASSED_ON))
  t.same(await answerTo(fromElsewhere), await answerTo({}), 'judged as who shows nothing')
})

t.test('R797: before the first account it takes no rights either', async t => {
  const { clients } = await open(t, 1, { accounts: '', access: [] })
  const [client] = clients
  if (client === undefined) throw new Error('no client')
  const token = await anonymousToken(client, PASSED_ON)
  t.same(await push(client, 'localhost/app', token), [404, 202, ...PUSHED])
  t.same(await push(client, 'localhost/app', { ...token, ...PASSED_ON }), [401, 401])
})
