// Goal: what a name server does not answer holds up nobody who asks for another name, and names
// that clients made up hold up no configured upstream (R263). Method: a resolver with eight
// threads, as the system's is; the whole of the namespaces over it, and the look-ups alone.
import t from 'tap'
import { loadConfig } from '../../../src/config/load.ts'
import { parseHost } from '../../../src/oci/reference.ts'
import type { LookupAll } from '../../../src/upstream/connect/connector.ts'
import { createLookUps } from '../../../src/upstream/connect/look-ups.ts'
import { Upstreams } from '../../../src/server/upstreams.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { failureOf, LATEST, NAME } from '../../kit/open-upstream.ts'

const ADDRESSES = [{ address: '192.0.2.1', family: 4 }] as const
const THREADS = 8

/**
 * Eight at a time, the others in turn; names under `silent.example` are not answered until
 * `answer`.
 */
function createResolver() {
  const queue: (() => void)[] = []
  const held: (() => void)[] = []
  const asked: string[] = []
  let free = THREADS
  const lookup: LookupAll = async hostname => {
    if (free === 0) await new Promise<void>(resolve => queue.push(resolve))
    else free -= 1
    asked.push(hostname)
    if (hostname.endsWith('silent.example')) await new Promise<void>(resolve => held.push(resolve))
    const next = queue.shift()
    if (next === undefined) free += 1
    else next()
    return ADDRESSES
  }
  const answer = (): void => {
    for (const resolve of held.splice(0)) resolve()
  }
  return { lookup, asked, answer }
}

function openUpstreams(t: { teardown(undo: () => Promise<void>): void }, lookup: LookupAll) {
  const upstreams = {
    'registry.example': { url: 'https://registry.silent.example' },
    'good.example': { url: 'https://good.example' },
    '*': {},
  }
  const text = JSON.stringify({ upstreams })
  const readFile = () => undefined as never
  const loaded = loadConfig({ file: { path: 'test.yaml', text }, env: {}, readFile })
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.findings))
  const clock = createManualClock()
  const deps = { clock, note: () => {}, random: () => 0.5, version: 'test', lookup }
  const namespaces = new Upstreams(loaded.config, deps)
  t.teardown(() => namespaces.close())
  const head = (host: string): Promise<unknown> | undefined =>
    namespaces.find(parseHost(host))?.upstream.headManifest(NAME, LATEST)
  return { head, clock }
}

t.test('R263: names that clients make up leave threads for configured upstreams', async t => {
  const resolver = createResolver()
  const { head } = openUpstreams(t, resolver.lookup)
  for (let at = 0; at < 30; at += 1) head(`made-up-${at}.silent.example`)?.catch(() => {})
  // Their look-ups have begun as far as they can.
  for (let turn = 0; turn < 5; turn += 1) await new Promise(resolve => setImmediate(resolve))
  head('good.example')?.catch(() => {})
  for (let turn = 0; turn < 5; turn += 1) await new Promise(resolve => setImmediate(resolve))
  t.ok(resolver.asked.includes('good.example'))
  t.ok(resolver.asked.length <= 3)
  resolver.answer()
})

t.test('R263: one upstream whose name server is silent has one thread', async t => {
  const resolver = createResolver()
  const { head } = openUpstreams(t, resolver.lookup)
  for (let at = 0; at < 20; at += 1) head('registry.example')?.catch(() => {})
  for (let turn = 0; turn < 5; turn += 1) await new Promise(resolve => setImmediate(resolve))
  head('good.example')?.catch(() => {})
  for (let turn = 0; turn < 5; turn += 1) await new Promise(resolve => setImmediate(resolve))
  t.same(resolver.asked, ['registry.silent.example', 'good.example'])
  resolver.answer()
})

t.test('R263: a look-up has a time limit, and the failure says whose it was', async t => {
  const resolver = createResolver()
  const { head, clock } = openUpstreams(t, resolver.lookup)
  const asked = head('registry.example') ?? Promise.resolve()
  const failed = failureOf(asked)
  const settled = failed.then(() => true)
  for (;;) {
    const waits = clock.untilSleeping(4_000).then(() => false)
    if (await Promise.race([settled, waits])) break
    await clock.advance(4_000)
  }
  t.match(await failed, { failure: 'unavailable', message: /name server/, hint: /DNS/ })
  resolver.answer()
})

t.test('R263: made-up names get their turn, and too many are refused', async t => {
  const resolver = createResolver()
  const clock = createManualClock()
  const { named } = createLookUps(resolver.lookup, clock)
  const slow = ['a', 'b'].map(name => named(`${name}.silent.example`))
  const turns = Array.from({ length: 64 }, (_, at) => named(`${at}.example`))
  await t.rejects(named('one-more.example'), { code: 'EAI_AGAIN' })
  t.equal(resolver.asked.length, 2)
  resolver.answer()
  t.same(
    await Promise.all([...slow, ...turns]),
    Array.from({ length: 66 }, () => ADDRESSES),
  )
  t.same(await named('a.silent.example-not'), ADDRESSES, 'every place was given back')
})

t.test('R263: who waited in vain leaves no place taken', async t => {
  const resolver = createResolver()
  const clock = createManualClock()
  const { named } = createLookUps(resolver.lookup, clock)
  const vain = ['a', 'b', 'c'].map(name => named(`${name}.silent.example`))
  const refused = Promise.all(vain.map(each => t.rejects(each, { code: 'EAI_AGAIN' })))
  await clock.advance(4_000)
  await refused
  resolver.answer()
  t.same(await named('d.example'), ADDRESSES)
  t.notOk(resolver.asked.includes('c.silent.example'), 'nobody waits for it')
})

t.test(
  'R263: while the name server is silent the last addresses are used, for an hour',
  async t => {
    const clock = createManualClock()
    let silent = false
    const system: LookupAll = () => (silent ? new Promise(() => {}) : Promise.resolve(ADDRESSES))
    const { configured } = createLookUps(system, clock)
    await configured('good.example')
    silent = true
    const known = configured('good.example')
    await clock.advance(1_000)
    t.same(await known, ADDRESSES)
    const strange = t.rejects(configured('other.example'), { code: 'EAI_AGAIN' })
    await clock.advance(4_000)
    await strange
    await clock.advance(3_600_000)
    const old = t.rejects(configured('good.example'), { code: 'EAI_AGAIN' })
    await clock.advance(4_000)
    await old
  },
)

t.test('R263: a name that is gone is gone, whatever its addresses were', async t => {
  let isGone = false
  const system: LookupAll = async () => {
    if (isGone) throw Object.assign(new Error('gone'), { code: 'ENOTFOUND' })
    return ADDRESSES
  }
  const { configured } = createLookUps(system, createManualClock())
  await configured('good.example')
  isGone = true
  await t.rejects(configured('good.example'), { code: 'ENOTFOUND' })
})
