// Goal: an import under way is seen, paused, resumed and cancelled as other work is, and each that
// ended has one line in the log and counts. Method: the edge in process, a bundle whose second half
// waits, and `jobs` beside it.
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { runCli } from '../../kit/cli.ts'
import type { TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { untilStill } from '../../kit/threads/under-way.ts'
import { at, pulls, startTwoEdges } from '../../kit/worlds/two-edges.ts'

const image = makeImage({ seed: 'import jobs', layers: [3_000_000] })
const PIECE_BYTES = 64 * 1024

const metricsOf = async ({ adminUrl }: TestEdge) => (await fetch(`${adminUrl}/metrics`)).text()

/** The second half of the bundle comes once `goOn` was called. */
async function start(t: Test) {
  const world = await startTwoEdges(t)
  const { stub, to, exported } = world
  stub.addImage('library/app', 'v1', image)
  const bundle = readFileSync(await exported('bundle.tar', 'docker.io/library/app:v1'))
  const { promise, resolve: goOn } = Promise.withResolvers<void>()
  // Far more than sockets hold: its inventory has been read by then.
  const { promise: half, resolve: isHalf } = Promise.withResolvers<void>()
  async function* halves() {
    for (let from = 0; from < bundle.length; from += PIECE_BYTES) {
      if (from > bundle.length / 2) {
        isHalf()
        await promise
      }
      yield bundle.subarray(from, from + PIECE_BYTES)
    }
  }
  const stdin = Object.assign(Readable.from(halves()), { isTTY: false })
  const importing = runCli(['import', '-', '--socket', to.socket], { stdin })
  await half
  await untilStill(() => false)
  return { ...world, importing, goOn, jobs: (...argv: string[]) => at(to)('jobs', ...argv) }
}

t.test('R904: jobs ls tells of an import, which stands still while it is paused', async t => {
  const { to, importing, goOn, jobs } = await start(t)
  t.match(await jobs('ls'), {
    stdout: /^import +runs since .*, 1 image, [\d.]+ [KM]iB of 2\.\d MiB/m,
  })
  t.match(await jobs('pause', 'import'), { exitCode: 0, stdout: /import is paused/ })
  let isOver = false
  const ended = importing.then(result => {
    isOver = true
    return result
  })
  goOn()
  await untilStill(() => false)
  t.equal(isOver, false)
  t.match(await jobs('ls'), { stdout: /^import +paused, runs since /m })
  t.match(await jobs('resume', 'import'), { exitCode: 0 })
  t.match(await ended, { exitCode: 0 })
  await pulls(t, to, 'library/app', image)
  t.notMatch(await jobs('ls'), { stdout: /^import /m })
  t.match(
    to.lines().filter(({ msg }) => msg === 'import ended'),
    [{ outcome: 'imported', images: 1, written: 3, dryRun: false }],
  )
  t.match(await metricsOf(to), /^entrepot_imports_total\{outcome="imported"\} 1$/m)
})

t.test('R904: a cancelled import says that it was, and goes on by the same command', async t => {
  const { to, importing, goOn, jobs } = await start(t)
  t.match(await jobs('cancel', 'import'), { exitCode: 0 })
  goOn()
  t.match(await importing, { exitCode: 1, stderr: /an operator has cancelled this import/ })
  t.equal((await to.get('/v2/library/app/manifests/v1')).status, 404)
  t.match(await metricsOf(to), /^entrepot_imports_total\{outcome="cancelled"\} 1$/m)
})
