// Goal: over the wire a client that guesses is told to wait, on whichever threads it asks, and
// everybody else logs in as before. Method: the whole edge in process, one and four threads, with
// clients at two loopback addresses on every thread.
import { join } from 'node:path'
import tap from 'tap'
import { OF_ACCOUNT_AND_ADDRESS } from '../../../src/accounts/failed-logins.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { reachThreads, type ThreadClient } from '../../kit/clients/thread-clients.ts'

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const { atOnce } = OF_ACCOUNT_AND_ADDRESS

function login(client: ThreadClient | undefined, name: string, password: string) {
  const encoded = Buffer.from(`${name}:${password}`).toString('base64')
  const headers = { authorization: `Basic ${encoded}` }
  if (client === undefined) throw new Error('there is no such client')
  return client.send('GET', '/v2/', { headers })
}

for (const threads of [1, 4])
  tap.test(`R139: ${threads} thread(s) count wrong logins together`, async t => {
    const htpasswd = {
      path: join(t.testdir({ htpasswd: `alice:${HASH}\nbob:${HASH}\n` }), 'htpasswd'),
    }
    const edge = await startTestEdge(t, {
      upstreams: {},
      config: { http: { addr: '127.0.0.1:0', threads }, default: 'localhost', auth: { htpasswd } },
    })
    const here = await reachThreads(t, edge.url, threads, '127.0.0.1')
    const there = await reachThreads(t, edge.url, threads, '127.0.0.2')
    const at = (index: number) => here[index % threads]
    t.equal((await login(at(0), 'bob', 's3cret')).status, 200)
    for (let index = 0; index < atOnce; index += 1)
      t.equal((await login(at(index), 'alice', `guess-${index}`)).status, 401)
    for (const client of here) {
      const answer = await login(client, 'alice', 's3cret')
      t.equal(answer.status, 429)
      t.equal(answer.headers['retry-after'], '60')
      t.equal(answer.headers['www-authenticate'], undefined)
      t.match(JSON.parse(answer.body.toString()), { errors: [{ code: 'TOOMANYREQUESTS' }] })
      t.equal((await login(client, 'alice', 'guess-0')).status, 401, 'as it was told before')
      t.equal((await login(client, 'bob', 's3cret')).status, 200)
    }
    for (const client of there) t.equal((await login(client, 'alice', 's3cret')).status, 200)
    const told = edge.lines().filter(({ msg }) => String(msg).startsWith('logins are refused'))
    t.match(told, [{ level: 'warn', limit: 'account and address', client: '127.0.0.1' }])
    t.equal(told.length, 1)
    t.notOk(JSON.stringify(edge.lines()).match(/guess-|s3cret|Basic [A-Za-z0-9]/))
    const metrics = await (await fetch(`${edge.adminUrl}/metrics`)).text()
    t.ok(metrics.includes(`entrepot_auth_passwords_total{outcome="limited"} ${threads}`))
  })
