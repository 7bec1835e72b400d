// Goal: whoever may delete a pushed manifest that is lost gives it up: it does not come back, and
// nothing is held for it any more. Method: the whole edge over a directory whose catalog is lost
// with the bytes of a manifest, or with its fact.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { RepositoryKey } from '../../../src/oci/reference.ts'
import type { Status } from '../../../src/registry/operator/status.ts'
import { UNUSED_MS } from '../../../src/registry/collect/collect.ts'
import { factName } from '../../../src/store/fact-text.ts'
import { runCli } from '../../kit/cli.ts'
import type { TestEdge, TestEdgeOptions } from '../../kit/edge.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { LOST, type LostEdge, loseManifest, partsOf, pushTo } from '../../kit/worlds/lost-edge.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const COMPARED = 'what is kept beside the content was compared with the catalog'
const ADOPTED = 'files without rows were adopted'
const { digest } = LOST.manifest
const PATH = `/v2/localhost/app/manifests/${digest}`

const lose = (t: Test, options: Partial<TestEdgeOptions> = {}) =>
  loseManifest(t, edge => pushTo(edge, 'localhost/app', { image: LOST, tags: ['v1'] }), options)

function factPath({ dataDirectory }: LostEdge): string {
  const fact = { kind: 'manifest', repository: 'localhost/app' as RepositoryKey, digest } as const
  return join(dataDirectory, 'facts', factName(fact))
}

/** Once it has looked for what this start has to. */
async function startLooked({ start }: LostEdge): Promise<TestEdge> {
  const edge = await start()
  t.match(await edge.settle(edge.untilLogged(ADOPTED)), {
    hint: /entrepot purge REPOSITORY@DIGEST --kept/,
  })
  return edge
}

const purge = (edge: TestEdge, ...argv: string[]) =>
  runCli(['purge', ...argv, '--socket', edge.socket])

async function isHeld(edge: TestEdge, { isHere }: LostEdge): Promise<boolean> {
  for (let passedMs = 0; passedMs <= UNUSED_MS + DAY_MS; passedMs += DAY_MS) await edge.pass(DAY_MS)
  return partsOf(LOST).some(part => isHere(part.digest))
}

/** Also when its bytes are back, and the catalog is lost once more. */
async function mustBeGone(t: Test, edge: TestEdge, lost: LostEdge): Promise<void> {
  await edge.stop()
  await lost.find()
  lost.loseCatalog()
  const again = await lost.start()
  for (const reference of ['v1', digest])
    t.equal((await again.get(`/v2/localhost/app/manifests/${reference}`)).status, 404)
  await again.stop()
}

t.test('R631: a purge of what was pushed gives up what is lost of it', async t => {
  const lost = await lose(t)
  const edge = await startLooked(lost)
  for (const image of ['localhost/app:v1', `localhost/app@${digest}`])
    t.match(await runCli(['why', image, '--socket', edge.socket]), { stdout: /here, and is lost/ })
  t.match(await purge(edge, 'localhost/app:v1'), { exitCode: 1, stdout: /lost: --kept/ })
  t.match(await purge(edge, 'localhost/app', '--dry-run'), {
    stdout: /^localhost\/app:v1 .* lost/m,
  })
  t.match(await purge(edge, 'localhost/*:v1', '--kept', '--dry-run'), {
    exitCode: 0,
    stdout: /^localhost\/app:v1 .*lost, and given up\n1 would go/ms,
  })
  t.match(await purge(edge, 'localhost/app:v2', '--kept'), { exitCode: 1 })
  t.match(await purge(edge, 'localhost/*:v1', '--kept'), { exitCode: 0, stdout: /^1 gone/m })
  t.match(await edge.untilLogged(COMPARED, 2), { lost: 0, level: 'info' })
  await edge.untilLogged(ADOPTED, 2)
  t.match(await runCli(['why', 'localhost/app:v1', '--socket', edge.socket]), {
    stdout: /^(?!.* is lost)/s,
  })
  t.match(await purge(edge, 'localhost/app', '--kept'), { exitCode: 1 }, 'once')
  t.equal(await isHeld(edge, lost), false)
  await mustBeGone(t, edge, lost)
})

t.test('R707: status, metrics and why tell of what is lost', async t => {
  const lost = await lose(t)
  const edge = await startLooked(lost)
  const run = async (...argv: string[]) => (await runCli([...argv, '--socket', edge.socket])).stdout
  const told = async () => {
    const { lost } = JSON.parse(await run('status', '--json')) as Status
    const gauge = /^entrepot_lost (\d+)$/m.exec(
      (await get(`${edge.adminUrl}/metrics`)).body.toString(),
    )
    return [lost, Number(gauge?.[1])]
  }
  t.same(await told(), [2, 2], 'a manifest, and its tag')
  t.match(await run('status'), /^lost +2 things that were pushed here, .* "unclear"/m)
  await pushTo(edge, 'localhost/app', { image: LOST, tags: ['v1'] })
  await edge.untilLogged(ADOPTED, 2)
  t.same(await told(), [0, 0])
  t.notMatch(await run('status'), /^lost/m)
})

t.test('R631: a delete of a client does so as well', async t => {
  const lost = await lose(t)
  const edge = await startLooked(lost)
  t.equal((await edge.send('DELETE', PATH)).status, 202)
  t.match(await edge.untilLogged(COMPARED, 2), { lost: 0 })
  await edge.untilLogged(ADOPTED, 2)
  t.equal((await edge.send('DELETE', PATH)).status, 404)
  t.equal(await isHeld(edge, lost), false)
  await mustBeGone(t, edge, lost)
})

for (const loss of ['its bytes', 'its fact'])
  t.test(
    `R706: what is held for ${loss} goes once it is pushed again, without a start`,
    async t => {
      const lost = await lose(t)
      if (loss === 'its fact') {
        await lost.find()
        writeFileSync(factPath(lost), 'damaged')
      }
      const edge = await startLooked(lost)
      await pushTo(edge, 'localhost/app', { image: LOST, tags: ['v1'] })
      await edge.untilLogged(ADOPTED, 2)
      t.equal((await edge.send('DELETE', PATH)).status, 202)
      t.equal(await isHeld(edge, lost), false)
      await mustBeGone(t, edge, lost)
    },
  )

t.test('R631: where it may, and no immutable tag leads to it', async t => {
  const cases = [
    [{ match: 'localhost/**', push: 'store', immutable: ['v*'] }, 403],
    [{ match: 'localhost/**', push: 'store', delete: false }, 405],
  ] as const
  for (const [rule, status] of cases) {
    const lost = await lose(t, { config: { repositories: [rule] } })
    const edge = await startLooked(lost)
    t.equal((await edge.send('DELETE', PATH)).status, status)
    await edge.stop()
    await lost.find()
    const again = await lost.start()
    t.match(await again.untilLogged(COMPARED), { lost: 0 })
    t.equal((await again.get('/v2/localhost/app/manifests/v1')).status, 200)
    await again.stop()
  }
})

t.test('R631: one whose fact cannot be read is given up by its digest', async t => {
  const lost = await lose(t)
  writeFileSync(factPath(lost), 'damaged', { mode: 0o640 })
  const edge = await lost.start()
  t.match(await edge.settle(edge.untilLogged(ADOPTED)), { hint: /none leaves before/ })
  // R718
  for (const how of [['--dry-run'], ['--kept', '--dry-run']])
    t.match(await purge(edge, 'localhost/app', ...how), {
      stdout:
        /^not all files in facts\/ can be read, .* "entrepot purge REPOSITORY@DIGEST --kept"/m,
    })
  const image = `localhost/app@${digest}`
  t.match(await purge(edge, image, '--kept'), { exitCode: 0, stdout: /^1 gone/m })
  t.match(await edge.untilLogged(COMPARED, 2), { lost: 0, unreadable: 0 })
  await edge.untilLogged(ADOPTED, 2)
  t.equal(await isHeld(edge, lost), false)
})

t.test('R631: what was to be delivered of it is not any more', async t => {
  const config = { repositories: [{ match: 'docker.io/**', push: 'queue' }] }
  const name = 'docker.io/team/app'
  const lost = await loseManifest(
    t,
    edge => edge.settle(pushTo(edge, name, { image: LOST, tags: ['v1'] })),
    {
      config,
    },
  )
  const edge = await startLooked(lost)
  const queue = () => runCli(['queue', 'ls', '--socket', edge.socket])
  t.match((await queue()).stdout, /team\/app/)
  t.match(await purge(edge, name, '--kept'), { exitCode: 0, stdout: /^1 gone/m })
  t.notMatch((await queue()).stdout, /team\/app/)
  t.match(await edge.settle(edge.untilLogged(COMPARED, 2)), { lost: 0 })
  await edge.settle(edge.stop())
})
