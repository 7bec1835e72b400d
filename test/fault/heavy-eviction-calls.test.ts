// Goal: a process that dies before any one change of its disk while content leaves for want of room
// loses nothing that a client was told is kept, gives nobody wrong or missing bytes, and leaves no
// file that nobody counts. Method: the changes that one eviction makes are counted over all threads
// by a preloaded shim; then images are pulled anew and evicted once for each of a share of them
// (killed-calls.ts), killed before it. After each start the directory is compared with the catalog,
// and measured from outside.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCli } from '../kit/cli.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { pullImage } from '../kit/clients/herd.ts'
import { type Image, makeImage } from '../kit/image.ts'
import { killedCalls } from '../kit/worlds/killed-calls.ts'
import { COMPARED, uncountedAfterStart } from '../kit/worlds/left-by-kill.ts'
import { compileNthCall } from '../kit/disk/nth-call.ts'
import { judge } from '../kit/judges/oracle.ts'
import { createPushClient, manifestOver } from '../kit/clients/push-client.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'
import { takenBytes } from '../kit/disk/taken-bytes.ts'

const MIB = 1024 * 1024
/** Of these the coldest leave, with a layer of their own; they have another one in common. */
const IMAGES = 6
const LAYER_BYTES = 2 * MIB
const SHARED_BYTES = MIB
/** All of them are more than half of it, and content leaves down to that when it is asked for. */
const STORAGE = { maxsize: `${20 * MIB}`, lowwater: '50%', minfree: '0' }
const CALLS_EXPECTED_MIN = 10
/** Less than any layer: catalog and directories are measured some seconds apart. */
const COUNTED_WITHIN_BYTES = MIB / 2

t.setTimeout(900_000)

type Edge = Awaited<ReturnType<typeof startEdge>>

const imageOf = (n: number): Image =>
  makeImage({ seed: 'evicted', layers: [SHARED_BYTES, LAYER_BYTES + n] })

async function open(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-evicted-'))
  const dataDirectory = join(directory, 'data')
  await mkdir(dataDirectory)
  const nth = await compileNthCall(dataDirectory)
  const stub = await startStub(t)
  const images = Array.from({ length: IMAGES }, (_, n) => imageOf(n))
  for (const [n, image] of images.entries()) stub.addImage('library/app', `v${n}`, image)
  const upstreams = { 'docker.io': { url: stub.url, http: true } }
  const config = { storage: STORAGE, log: { level: 'debug' } }
  const edge = await startEdge({ directory, dataDirectory, env: nth.env, upstreams, config })
  t.teardown(async () => {
    if (edge.alive) await edge.kill()
    await nth.remove()
    await rm(directory, { recursive: true, force: true })
  })
  const pullAll = async () => {
    const faults: string[] = []
    for (const [n, image] of images.entries()) {
      const base = `${edge.url}/v2/library/app`
      faults.push(...(await pullImage(base, { tag: `v${n}`, image, hash: true, atOnce: 2 })))
    }
    return faults
  }
  // Whoever is killed answers no more.
  const evict = () => runCli(['evict', '--json', '--socket', join(directory, 'admin.sock')])
  return { nth, edge, pullAll, evict, temporary: join(dataDirectory, 'tmp') }
}

/** What is kept here, and shares nothing with what leaves; paths that must be there from now on. */
async function pushKept({ url }: Edge): Promise<readonly string[]> {
  const client = createPushClient(url)
  const [config, layer] = [Buffer.from('{"kept":true}'), Buffer.alloc(70_000, 'kept')]
  const paths: string[] = []
  for (const blob of [config, layer]) {
    const { headers } = await client.blob('localhost/app', blob)
    paths.push(String(headers['location']))
  }
  const { status } = await client.manifest('localhost/app', 'v1', manifestOver(config, [layer]))
  t.equal(status, 201)
  client.close()
  return [...paths, '/v2/localhost/app/manifests/v1']
}

/** How far its count is from what `du` says. */
async function miscounted(edge: Edge): Promise<readonly string[]> {
  const { storage } = (await edge.askAdmin('/status')) as { storage: { takenBytes: number } }
  const bytes = storage.takenBytes - takenBytes(edge.dataDirectory)
  return Math.abs(bytes) <= COUNTED_WITHIN_BYTES ? [] : [`${bytes} bytes more than du`]
}

t.test('killed before each call of an eviction', async t => {
  const { nth, edge, pullAll, evict, temporary } = await open(t)
  const kept = await pushKept(edge)
  t.same(await pullAll(), [])
  // The first one of a process makes more calls.
  await evict()
  await pullAll()
  nth.arm('count')
  const { stdout } = await evict()
  const calls = nth.calls()
  const { calls: chosen, how } = killedCalls(nth.kinds(), process.env)
  nth.arm('off')
  t.match(stdout, /evicted|"freedBytes": ?[1-9]/, 'some leave')
  t.ok(calls >= CALLS_EXPECTED_MIN, `${calls} calls`)
  t.comment(how)
  const wrong: string[] = []
  let killed = 0
  for (const call of chosen) {
    const refilled = await pullAll()
    nth.arm('kill', call)
    const { exitCode } = await evict()
    nth.arm('off')
    // Who was killed answered nothing.
    if (exitCode !== 0) killed += 1
    if (edge.alive) await edge.kill()
    const from = edge.logs.length
    await edge.restart()
    await edge.untilLogged(({ msg }) => msg === COMPARED, from)
    const found = [...refilled, ...(await uncountedAfterStart(edge)), ...(await miscounted(edge))]
    for (const path of kept) {
      const { status } = await edge.send('GET', path)
      if (status !== 200) found.push(`${path}: ${status}`)
    }
    found.push(...(await readdir(temporary)))
    if (found.length > 0) wrong.push(JSON.stringify({ call, found }))
  }
  t.comment(`${killed} of ${chosen.length} killed the process during an eviction`)
  t.same(wrong, [], 'every state that was left recovers')
  t.ok(killed >= chosen.length / 2, 'most of the calls are of the eviction')
  t.same(await pullAll(), [])
  t.same((await judge(edge.dataDirectory)).wrong, [], 'no blob has wrong bytes')
})
