// Goal: exports under way are seen, paused, resumed and cancelled as other work is. Method: the
// edge in process over a stub registry, an export held in the middle, and `jobs` beside it.
import t, { type Test } from 'tap'
import { runCli } from '../../kit/cli.ts'
import { beginExport } from '../../kit/clients/begun-export.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { untilStill } from '../../kit/threads/under-way.ts'

const image = makeImage({ seed: 'jobs', layers: [3_000_000] })

async function start(t: Test) {
  const stub = await startStub(t)
  stub.addImage('library/app', 'v1', image)
  const edge = await startTestEdge(t, { upstreams: { 'docker.io': { url: stub.url } } })
  const { session, gather, read } = await beginExport(edge)
  t.teardown(() => session.end())
  const jobs = (...argv: string[]) => runCli(['jobs', ...argv, '--socket', edge.socket])
  return { session, read, jobs, gather: () => gather('docker.io/library/app:v1') }
}

t.test('jobs ls tells of an export, and how far it is', async t => {
  const { jobs, gather, read, session } = await start(t)
  t.match(await jobs('ls'), { stdout: /^export +runs since .*, 0 images so far/m })
  await gather()
  t.match(await jobs('ls'), { stdout: /^export +runs since .*, 1 image, 0 B of 2\.\d MiB/m })
  t.equal(await read(), true)
  t.match(await jobs('ls'), { stdout: /^export +.*, (2\.\d MiB) of \1/m })
  session.end()
  await untilStill(() => false)
  t.notMatch(await jobs('ls'), { stdout: /^export /m })
})

t.test('a paused export stands still, and goes on when it is resumed', async t => {
  const { jobs, gather, read } = await start(t)
  await gather()
  t.match(await jobs('pause', 'export'), { exitCode: 0, stdout: /export is paused/ })
  let isRead = false
  const reading = read().then(whole => (isRead = whole))
  await untilStill(() => false)
  t.equal(isRead, false)
  t.match(await jobs('ls'), { stdout: /^export +paused, runs since /m })
  t.match(await jobs('resume', 'export'), { exitCode: 0 })
  t.equal(await reading, true)
})

t.test('a cancelled export says that it was', async t => {
  const { jobs, gather, read, session } = await start(t)
  await gather()
  await jobs('pause', 'export')
  const reading = read()
  await untilStill(() => false)
  t.match(await jobs('cancel', 'export'), { exitCode: 0 })
  await t.rejects(reading)
  t.equal(await session.brokenBy(), 'an operator has cancelled this export')
  await t.rejects(gather(), /an operator has cancelled this export/)
})
