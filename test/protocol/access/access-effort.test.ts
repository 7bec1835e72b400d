// Goal: a refusal costs the same whether what was asked for is there or not, so that its time tells
// nothing. Method: the whole edge in process over a stub registry; what is counted, and may not
// differ, is what it looks up: statements of the catalog and requests to upstreams. Times are
// printed and not judged, since machines of tests are busy.
import Database from 'better-sqlite3'
import t from 'tap'
import { CHIEF, NOWHERE, SECRET, startAccessWorld } from '../../kit/worlds/access-world.ts'
import { createKeepAliveClient } from '../../kit/clients/keep-alive-client.ts'

/** Of each kind, in turns. */
const REQUESTS = 400

/** Counts what any statement of this process is asked for. */
function countStatements(test: { teardown(fn: () => unknown): unknown }) {
  const database = new Database(':memory:')
  const prototype = Object.getPrototypeOf(database.prepare('SELECT 1')) as Record<
    string,
    (...args: unknown[]) => unknown
  >
  database.close()
  const counted = { reads: 0 }
  for (const name of ['get', 'all', 'iterate', 'run']) {
    const original = prototype[name]
    if (original === undefined) throw new Error(`no ${name}`)
    prototype[name] = function count(this: unknown, ...args: unknown[]) {
      counted.reads += 1
      return original.apply(this, args)
    }
    test.teardown(() => {
      prototype[name] = original
    })
  }
  return counted
}

t.test('R641: a refusal looks nothing up, whether what was asked for is there or not', async t => {
  const counted = countStatements(t)
  const { edge, stub, askers } = await startAccessWorld(t, 1)
  const client = createKeepAliveClient(edge.url)
  t.teardown(() => client.close())
  const path = (repository: string) => `/v2/${repository}/manifests/own`
  counted.reads = 0
  t.equal((await client.ask(path(SECRET), { headers: CHIEF })).status, 200)
  t.ok(counted.reads > 0 && stub.count({}) > 0, 'what is looked up is counted')
  for (let count = 0; count < 4; count += 1) await client.ask(path(SECRET), { headers: CHIEF })

  for (const name of ['anonymous', 'carol', 'alice, by a token', 'a wrong password']) {
    const asker = askers.find(each => each.name === name)
    const headers = { ...asker?.headers, host: asker?.calledAs ?? '' }
    const hidden = name.startsWith('alice') ? 'localhost/hidden/app' : SECRET
    const tookMs = new Map([hidden, NOWHERE].map(repository => [repository, [] as number[]]))
    await client.ask(path(NOWHERE), { headers })
    const before = [counted.reads, stub.count({})]
    for (let count = 0; count < REQUESTS; count += 1)
      for (const [repository, times] of tookMs) {
        const begun = performance.now()
        const { status } = await client.ask(path(repository), { headers })
        times.push(performance.now() - begun)
        if (status !== 404 && status !== 401) t.fail(`${status}`)
      }
    t.same([counted.reads, stub.count({})], before, `${name}: nothing was looked up`)
    const told = [...tookMs].map(([repository, times]) => {
      const sorted = times.toSorted((one, other) => one - other)
      const at = (share: number) => sorted[Math.floor(sorted.length * share)]?.toFixed(3)
      return `${repository} median ${at(0.5)} ms, upper quartile ${at(0.75)} ms`
    })
    t.comment(`${name}, n = ${REQUESTS} each: ${told.join('; ')}`)
  }
})
