// Goal: a password that an upstream refuses does not look green. Method: commands and an edge in
// process before a stub registry, whose token service refuses in the ways of real ones.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Status } from '../../../src/registry/operator/status.ts'
import { runCli } from '../../kit/cli.ts'
import { startPair } from '../../kit/worlds/edge-over-stub.ts'
import { makeImage } from '../../kit/image.ts'
import { startStub, type StubOptions } from '../../kit/stubs/stub-registry.ts'

const RIGHT = 'opens-sesame'
const WRONG = 'opens-nothing'

async function checked(test: Test, auth: StubOptions['auth'], password: string) {
  const stub = await startStub(test, { auth: { ...auth, username: 'site', password: RIGHT } })
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-test-'))
  test.teardown(() => rm(directory, { recursive: true }))
  const path = join(directory, 'entrepot.yaml')
  const entry = JSON.stringify({ url: stub.url, http: true, username: 'site', password })
  await writeFile(path, `upstreams:\n  docker.io: ${entry}\n`)
  const run = (...options: string[]) => runCli(['check', '--online', '--config', path, ...options])
  return { text: await run(), json: await run('--json') }
}

const REFUSALS: readonly { readonly by: string; readonly auth: StubOptions['auth'] }[] = [
  { by: 'its token service, with 401', auth: { scheme: 'bearer' } },
  { by: 'its token service, with 403', auth: { scheme: 'bearer', refusalStatus: 403 } },
  { by: 'itself', auth: { scheme: 'basic' } },
]

for (const { by, auth } of REFUSALS)
  t.test(`R482: check and status tell that an upstream refuses the password, ${by}`, async t => {
    const { text, json } = await checked(t, auth, WRONG)
    t.match(text, {
      exitCode: 1,
      stdout: /^docker\.io +refuses +.*correct them, or take them out$/m,
    })
    t.equal(json.exitCode, 1)
    t.match(JSON.parse(json.stdout), { upstreams: [{ answers: true, refusesCredentials: true }] })
    for (const { stdout, stderr } of [text, json]) t.notMatch(stdout + stderr, WRONG)

    const { edge } = await startPair(t, {
      images: { v1: makeImage({ seed: 'refused' }) },
      stub: { auth: { ...auth, username: 'site', password: RIGHT } },
      entry: { username: 'site', password: WRONG },
    })
    const status = async (...options: string[]) =>
      (await runCli(['status', '--socket', edge.socket, ...options])).stdout
    t.match(await status(), /^docker\.io +not asked yet/m)
    await edge.settle(edge.get('/v2/library/app/manifests/v1'))
    t.match(await status(), /^docker\.io +refuses .*the credentials .*: correct them/m)
    const { upstreams } = JSON.parse(await status('--json')) as Status
    t.match(upstreams, [{ registry: 'docker.io', credentials: 'refused' }])
    t.notMatch(await status('--json'), WRONG)
  })

t.test('R482: an upstream that takes it, and closes one repository, refuses nothing', async t => {
  for (const refusalStatus of [401, 403]) {
    const auth = { scheme: 'bearer', refusalStatus } as const
    t.match((await checked(t, auth, RIGHT)).text, { exitCode: 0, stdout: /^docker\.io +yes/m })
  }
  const closed = { scheme: 'bearer', refusalStatus: 403, closedPrefix: 'entrepot/' } as const
  t.match((await checked(t, closed, RIGHT)).text, { exitCode: 0, stdout: /^docker\.io +yes/m })
  const { text } = await checked(t, { scheme: 'basic' }, RIGHT)
  t.match(text, { exitCode: 0, stdout: /^docker\.io +yes/m })
})

t.test('R482: a password that was put right is told as that', async t => {
  const { stub, edge } = await startPair(t, {
    images: { v1: makeImage({ seed: 'right again' }) },
    stub: { auth: { scheme: 'basic', username: 'site', password: RIGHT } },
    entry: { username: 'site', password: WRONG },
  })
  const pull = async () => (await edge.settle(edge.get('/v2/library/app/manifests/v1'))).status
  const status = async () => (await runCli(['status', '--socket', edge.socket])).stdout
  t.not(await pull(), 200)
  t.match(await status(), /^docker\.io +refuses/m)
  edge.reload({ 'docker.io': { url: stub.url, username: 'site', password: RIGHT } })
  t.equal(await pull(), 200)
  t.match(await status(), /^docker\.io +ok/m)
})
