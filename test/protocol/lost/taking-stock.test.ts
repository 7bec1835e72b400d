// Goal: where what an edge does after an end out of order fails, it is done again by itself: what
// comes meanwhile is not held for it, and what may be of something that is lost stays. Method: the
// whole edge over a directory whose catalog is lost; its facts cannot be read while they are
// compared, which stands still after some of them.
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCli } from '../../kit/cli.ts'
import type { TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { LOST, loseManifest, partsOf, pushTo } from '../../kit/worlds/lost-edge.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const MINUTE_MS = 60 * 1000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** More than are compared at once. */
const TAGS = Array.from({ length: 70 }, (_, at) => `v${at}`)
const COMPARED = 'what is kept beside the content was compared with the catalog'
const NOT_COMPARED = 'facts and catalog could not be compared'
const ADOPTED = 'files without rows were adopted'

const whole = makeImage({ seed: 'whole', layers: [20] })
const pulled = makeImage({ seed: 'pulled', layers: [30] })

/** Resolves when comparing has failed for it. Returns what mends it. */
async function breakFacts(edge: TestEdge): Promise<() => void> {
  const facts = join(edge.dataDirectory, 'facts')
  await edge.clock.untilSleepingFor(5)
  renameSync(facts, `${facts}-away`)
  writeFileSync(facts, '')
  await edge.clock.advance(5)
  await edge.untilLogged(NOT_COMPARED)
  return () => {
    rmSync(facts)
    renameSync(`${facts}-away`, facts)
  }
}

async function pullAndPurge(t: Test, edge: TestEdge): Promise<void> {
  const path = '/v2/docker.io/library/app'
  t.equal((await edge.get(`${path}/manifests/v1`)).status, 200)
  for (const { digest } of partsOf(pulled))
    t.equal((await edge.get(`${path}/blobs/${digest}`)).status, 200)
  const purged = await runCli(['purge', 'docker.io/library/app', '--socket', edge.socket])
  t.match(purged, { exitCode: 0 })
}

t.test('R630: facts that could not be compared are compared again by itself', async t => {
  const stub = await startStub(t)
  stub.addImage('library/app', 'v1', pulled)
  const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
  const push = async (edge: TestEdge) => {
    await pushTo(edge, 'localhost/app', { image: LOST, tags: ['v1'] })
    await pushTo(edge, 'localhost/whole', { image: whole, tags: TAGS })
  }
  const { start, find, isHere } = await loseManifest(t, push, { upstreams })
  const edge = await start()
  const mend = await breakFacts(edge)
  t.match(await edge.untilLogged(ADOPTED), { files: 2, hint: /tried again/ })

  await t.test('what is pulled meanwhile leaves as any other', async t => {
    await pullAndPurge(t, edge)
    for (const { digest } of [pulled.manifest, ...partsOf(pulled)]) t.notOk(isHere(digest), digest)
  })
  await t.test('what may be of something that is lost stays, and failing is told once', async t => {
    for (let passedMs = 0; passedMs < 3 * DAY_MS; passedMs += HOUR_MS) await edge.pass(HOUR_MS)
    for (const { digest } of partsOf(LOST)) t.ok(isHere(digest), digest)
    const failures = edge.lines().filter(({ msg }) => msg === NOT_COMPARED)
    t.ok(failures.length > 1, 'it was tried again')
    t.match(failures[0], { level: 'error', hint: /tried again/ })
    t.ok(failures.slice(1).every(({ level }) => level === 'debug'))
  })
  await t.test('and once it can be done, what was lost is found without a start', async t => {
    mend()
    await find()
    await edge.pass(HOUR_MS)
    t.match(await edge.settle(edge.untilLogged(COMPARED)), { lost: 0, level: 'warn' })
    t.equal((await edge.get('/v2/localhost/app/manifests/v1')).status, 200)
    await edge.untilLogged(ADOPTED, 2)
    const path = `/v2/localhost/app/manifests/${LOST.manifest.digest}`
    t.match(await edge.send('DELETE', path), { status: 202 })
    for (const _ of ['noted', 'over', 'gone']) await edge.pass(DAY_MS)
    for (const { digest } of partsOf(LOST)) t.notOk(isHere(digest), 'nothing is held for it')
  })
})

t.test('R719: what was given up is looked for at once, however long it waits', async t => {
  const push = async (edge: TestEdge) => {
    await pushTo(edge, 'localhost/app', { image: LOST, tags: ['v1'] })
    await pushTo(edge, 'localhost/whole', { image: whole, tags: TAGS })
  }
  const { start } = await loseManifest(t, push)
  const edge = await start()
  const mend = await breakFacts(edge)
  await edge.untilLogged(ADOPTED)
  for (let passedMs = 0; passedMs < 6 * HOUR_MS; passedMs += HOUR_MS) await edge.pass(HOUR_MS)
  mend()
  const purge = ['purge', 'localhost/app', '--kept', '--socket', edge.socket]
  t.match(await runCli(purge), { exitCode: 0, stdout: /^1 gone/m })
  t.match(await edge.settle(edge.untilLogged(COMPARED), MINUTE_MS / 2), { lost: 0 })
})
