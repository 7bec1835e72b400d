// Goal: a process that dies before any one change of its disk, while it takes a push over something
// that is lost, gives that up by nothing (R704). Method: of many pushed images the manifests are
// taken away, and the catalog with them; the changes that one push over such a one makes are
// counted over all threads by a preloaded shim. Then the push is done over another one for each of
// a share of them (killed-calls.ts), killed before it, and what was lost is brought back.
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { patternBlob } from '../kit/content.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { killedCalls } from '../kit/worlds/killed-calls.ts'
import { COMPARED } from '../kit/worlds/left-by-kill.ts'
import { compileNthCall } from '../kit/disk/nth-call.ts'
import { createPushClient, manifestOver, type SmallManifest } from '../kit/clients/push-client.ts'
import { blobPath } from '../kit/disk/store-directory.ts'

/** More than the calls of one push of a manifest: the first one of a process makes some 65. */
const LOST = 100
const CALLS_EXPECTED_MIN = 10
const ADOPTED = 'files without rows were adopted'

t.setTimeout(600_000)

interface Pushed {
  readonly config: Buffer
  readonly layer: Buffer
  readonly manifest: SmallManifest
}

function imageNamed(seed: string): Pushed {
  const layer = patternBlob(seed, 1_000).bytes()
  const config = Buffer.from(JSON.stringify({ seed }))
  return { layer, config, manifest: manifestOver(config, [layer]) }
}

async function pushParts(url: string, repository: string, { config, layer }: Pushed) {
  const client = createPushClient(url)
  for (const blob of [config, layer]) await client.blob(repository, blob)
  client.close()
}

/** Resolves to the status; undefined when the process went. */
async function pushManifest(url: string, repository: string, { manifest }: Pushed) {
  const client = createPushClient(url)
  const answer = await client.manifest(repository, 'v1', manifest).catch(() => undefined)
  client.close()
  return answer?.status
}

const repositoryOf = (n: number) => `localhost/lost/${n}`
const lostOf = (n: number) => imageNamed(`lost ${n}`)

/** The edge has looked for what is lost, which is all of them. */
async function openLost(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-lost-calls-'))
  const dataDirectory = join(directory, 'data')
  await mkdir(dataDirectory)
  const nth = await compileNthCall(dataDirectory)
  const config = { log: { level: 'debug' } }
  const edge = await startEdge({ directory, dataDirectory, env: nth.env, config })
  t.teardown(async () => {
    if (edge.alive) await edge.kill()
    await nth.remove()
    await rm(directory, { recursive: true, force: true })
  })
  for (let n = 0; n < LOST; n++) {
    await pushParts(edge.url, repositoryOf(n), lostOf(n))
    t.equal(await pushManifest(edge.url, repositoryOf(n), lostOf(n)), 201)
  }
  await edge.terminate()
  const files = Array.from({ length: LOST }, (_, n) =>
    blobPath(dataDirectory, lostOf(n).manifest.digest),
  )
  const bytes = files.map(file => readFileSync(file))
  for (const file of files) rmSync(file)
  for (const name of await readdir(dataDirectory))
    if (name.startsWith('catalog.db')) rmSync(join(dataDirectory, name))
  const restart = async () => {
    const from = edge.logs.length
    await edge.restart()
    await edge.untilLogged(({ msg }) => msg === COMPARED, from)
    await edge.untilLogged(({ msg }) => msg === ADOPTED, from)
  }
  await restart()
  const find = (n: number) => {
    const file = files[n] ?? ''
    rmSync(file, { force: true })
    writeFileSync(file, bytes[n] ?? '')
    chmodSync(file, 0o440)
  }
  return { nth, edge, restart, find }
}

type World = Awaited<ReturnType<typeof openLost>>

/** What a client that was told of it finds wrong. */
async function wrongOf({ edge }: World, n: number, tagged: readonly string[]): Promise<string[]> {
  const path = `/v2/${repositoryOf(n)}/manifests`
  const look = async (reference: string) => {
    const { status, headers } = await edge.send('GET', `${path}/${reference}`)
    return { status, digest: String(headers['docker-content-digest']) }
  }
  const [byDigest, byTag] = [await look(lostOf(n).manifest.digest), await look('v1')]
  const wrong = byDigest.status === 200 ? [] : [`${path} by its digest: ${byDigest.status}`]
  if (byTag.status === 200 && tagged.includes(byTag.digest)) return wrong
  return [...wrong, `${path} by its tag: ${byTag.status} ${byTag.digest}`]
}

const PUSHED = {
  'of itself': lostOf,
  'of another to its tag': (n: number) => imageNamed(`other ${n}`),
} as const

for (const [what, imageOf] of Object.entries(PUSHED))
  t.test(`R704: killed before each call of a push ${what}, it is not given up`, async t => {
    const world = await openLost(t)
    const { nth, edge, restart, find } = world
    await pushParts(edge.url, repositoryOf(0), imageOf(0))
    nth.arm('count')
    t.equal(await pushManifest(edge.url, repositoryOf(0), imageOf(0)), 201)
    const [calls, kinds] = [nth.calls(), nth.kinds()]
    nth.arm('off')
    const { calls: chosen, how } = killedCalls(kinds, process.env)
    t.comment(how)
    t.ok(calls >= CALLS_EXPECTED_MIN && calls < LOST, `${calls} calls`)
    const wrong: string[] = []
    let killed = 0
    for (const n of chosen) {
      const image = imageOf(n)
      await pushParts(edge.url, repositoryOf(n), image)
      nth.arm('kill', n)
      const status = await pushManifest(edge.url, repositoryOf(n), image)
      nth.arm('off')
      if (status === undefined) killed += 1
      if (edge.alive) await edge.kill()
      find(n)
      await restart()
      const found = await wrongOf(world, n, [lostOf(n).manifest.digest, image.manifest.digest])
      wrong.push(...found.map(each => `before call ${n}: ${each}`))
    }
    t.same(wrong, [])
    // What comes behind the last answer may be fewer calls than counted.
    t.ok(killed >= chosen.length / 2, `${killed} of ${chosen.length} were killed`)
  })
