// Goal: a process that dies before any change of its disk during an import has published whole
// images or none, and the same command goes on and ends the same (R893). Method: the changes that
// one import makes are counted over all threads by a preloaded shim; then the same import is done
// on an empty edge for every fiftieth of them (EVERY=1: for each), killed before it, looked at as a
// client would, and done again; what is there by then is compared with what an import leaves that
// nobody killed.
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCli } from '../kit/cli.ts'
import { compileNthCall } from '../kit/disk/nth-call.ts'
import { type Image, makeImage } from '../kit/image.ts'
import { judge } from '../kit/judges/oracle.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { killedCalls } from '../kit/worlds/killed-calls.ts'
import { startTwoEdges } from '../kit/worlds/two-edges.ts'

t.setTimeout(900_000)

const images = Array.from({ length: 2 }, (_, each) =>
  makeImage({ seed: `import calls ${each}`, layers: [20_000, 3_000] }),
)
const OFFLINE = { 'docker.io': { url: 'http://127.0.0.1:1', http: true, offline: true } }
const CALLS_EXPECTED_MIN = 100
const EVERY_DEFAULT = '50'

async function startEmpty(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-import-calls-'))
  const dataDirectory = join(directory, 'data')
  await mkdir(dataDirectory)
  const nth = await compileNthCall(dataDirectory)
  const edge = await startEdge({ directory, dataDirectory, env: nth.env, upstreams: OFFLINE })
  let isOver = false
  const end = async () => {
    if (isOver) return
    isOver = true
    if (edge.alive) await edge.kill()
    await nth.remove()
    await rm(directory, { recursive: true, force: true })
  }
  t.teardown(end)
  const socket = join(directory, 'admin.sock')
  return { nth, edge, end, run: (...argv: string[]) => runCli([...argv, '--socket', socket]) }
}

type Edge = Awaited<ReturnType<typeof startEmpty>>['edge']

async function stateOf(edge: Edge, image: Image, tag: string) {
  const headers = { accept: image.manifest.mediaType }
  const answer = await edge.send('GET', `/v2/library/app/manifests/${tag}`, { headers })
  if (answer.status === 404) return 'none'
  if (!answer.body.equals(image.manifest.bytes)) return 'wrong'
  for (const blob of [image.config, ...image.layers]) {
    const { status, body } = await edge.send('GET', `/v2/library/app/blobs/${blob.digest}`)
    if (status !== 200 || !body.equals(Buffer.from(blob.bytes()))) return 'half'
  }
  return 'whole'
}

/** All that an edge says of what is there, but for who it is and who signs. */
const contentOf = (inventory: string) => inventory.split('\n').slice(1, -2)

t.test(
  'R893: killed before every fiftieth change of its disk, an import ends the same',
  async t => {
    const { stub, exported } = await startTwoEdges(t)
    for (const [each, image] of images.entries()) stub.addImage('library/app', `v${each}`, image)
    const names = images.map((_, each) => `docker.io/library/app:v${each}`)
    const file = await exported('bundle.tar', ...names)
    t.ok(readFileSync(file).length > 0)
    const first = await startEmpty(t)
    first.nth.arm('count')
    t.match(await first.run('import', file), { exitCode: 0 })
    const kinds = first.nth.kinds()
    first.nth.arm('off')
    const whole = contentOf((await first.run('inventory')).stdout)
    await first.end()
    t.ok(kinds.length >= CALLS_EXPECTED_MIN, `${kinds.length} calls`)
    const { calls, how } = killedCalls(kinds, { EVERY: EVERY_DEFAULT, ...process.env })
    t.comment(how)
    const wrong: string[] = []
    let killed = 0
    for (const call of calls) {
      const { nth, edge, end, run } = await startEmpty(t)
      nth.arm('kill', call)
      const { exitCode } = await run('import', file)
      nth.arm('off')
      if (exitCode !== 0) killed += 1
      if (edge.alive) await edge.kill()
      await edge.restart()
      for (const [each, image] of images.entries()) {
        const state = await stateOf(edge, image, `v${each}`)
        if (state !== 'none' && state !== 'whole') wrong.push(`call ${call}: v${each} is ${state}`)
      }
      const again = await run('import', file)
      if (again.exitCode !== 0) wrong.push(`call ${call}: ${again.stderr}`)
      const now = contentOf((await run('inventory')).stdout)
      if (now.join('\n') !== whole.join('\n')) wrong.push(`call ${call}: another state`)
      for (const each of (await judge(edge.dataDirectory)).wrong)
        wrong.push(`call ${call}: ${each}`)
      await end()
    }
    t.comment(`${killed} of ${calls.length} killed the process during the import`)
    t.same(wrong, [])
    t.ok(killed >= calls.length / 2, 'most of the calls are on the way to the end')
  },
)
