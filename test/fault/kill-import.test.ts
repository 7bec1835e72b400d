// Goal: kill -9 anywhere in an import leaves whole images or none, and the same command goes on
// (R893). Method: the edge as a process, its bundle sent through standard input; it is killed when
// so much of that was sent, at the last byte too, where names are published. Then it is started
// again, looked at as a client would, and given the same bundle.
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { runCli } from '../kit/cli.ts'
import { startTestEdge } from '../kit/edge.ts'
import { type Image, makeImage } from '../kit/image.ts'
import { judge } from '../kit/judges/oracle.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'

t.setTimeout(300_000)

const images = Array.from({ length: 6 }, (_, at) =>
  makeImage({ seed: `import-${at}`, layers: [100_000, 30_000] }),
)
const OFFLINE = { 'docker.io': { url: 'http://127.0.0.1:1', http: true, offline: true } }
const PIECE_BYTES = 16 * 1024

async function bundleOf(): Promise<Buffer> {
  const stub = await startStub(t)
  for (const [at, image] of images.entries()) stub.addImage('library/app', `v${at}`, image)
  const edge = await startTestEdge(t, { upstreams: { 'docker.io': { url: stub.url } } })
  const directory = await mkdtemp(join(tmpdir(), 'bundle-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const file = join(directory, 'bundle.tar')
  const names = images.map((_, at) => `docker.io/library/app:v${at}`)
  const result = await runCli(['export', ...names, '-o', file, '--socket', edge.socket])
  if (result.exitCode !== 0) throw new Error(result.stderr)
  return readFileSync(file)
}

/** Whole, or not there by its tag. */
async function stateOf(edge: Awaited<ReturnType<typeof startEdge>>, image: Image, tag: string) {
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

t.test('R893: an import that is killed anywhere goes on by the same command', async t => {
  const bundle = await bundleOf()
  for (const share of [0.1, 0.3, 0.5, 0.7, 0.9, 1]) {
    const edge = await startEdge({ upstreams: OFFLINE })
    t.teardown(() => edge.stop())
    const socket = join(edge.directory, 'admin.sock')
    const argv = ['import', '-', '--socket', socket]
    async function* sent() {
      for (let at = 0; at < bundle.length; at += PIECE_BYTES) {
        if (at >= bundle.length * share) await edge.kill()
        yield bundle.subarray(at, at + PIECE_BYTES)
      }
      if (share === 1) await edge.kill()
    }
    const stdin = Object.assign(Readable.from(sent()), { isTTY: false })
    const killed = await runCli(argv, { stdin })
    t.not(killed.exitCode, 0, `at ${share}: ${killed.stderr}`)
    await edge.restart()
    for (const [at, image] of images.entries())
      t.match(await stateOf(edge, image, `v${at}`), /^(?:none|whole)$/)
    const again = Object.assign(Readable.from([bundle]), { isTTY: false })
    t.match(await runCli(argv, { stdin: again }), { exitCode: 0 })
    for (const [at, image] of images.entries())
      t.equal(await stateOf(edge, image, `v${at}`), 'whole')
    t.same((await judge(edge.dataDirectory)).wrong, [])
    await edge.terminate()
  }
})
