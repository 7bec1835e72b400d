// Goal: a process that dies before any one change of its disk in a retention or a collection loses
// nothing that stays, and the next one ends with what an undisturbed one ends with. Method: the
// changes of one run are counted over all threads by a preloaded shim; then as much is pushed again
// and goes once for each of a share of them (killed-calls.ts), killed before it. After each start
// the directory is compared with the catalog, what stays is read back, and the run is made once
// more. Graces pass by a clock that leaps.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { digestOf } from '../../src/oci/digest.ts'
import { runCli } from '../kit/cli.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { killedCalls } from '../kit/worlds/killed-calls.ts'
import { COMPARED, uncountedAfterStart } from '../kit/worlds/left-by-kill.ts'
import { compileLeapingClock } from '../kit/disk/leaping-clock.ts'
import { compileNthCall } from '../kit/disk/nth-call.ts'
import { judge } from '../kit/judges/oracle.ts'
import { createPushClient, manifestOver } from '../kit/clients/push-client.ts'

const REPOSITORY = 'localhost/app'
/** Of what is pushed the last tag stays, and the rest is off the disk once the grace has passed. */
const STORAGE = {
  gc: { delay: '10s', interval: '24h' },
  retention: {
    delay: '0s',
    policies: [{ repositories: ['localhost/**'], keeptags: [{ mostrecentlypushedcount: 1 }] }],
  },
}
/** Longer than the grace, that of leases too, and than the pause between two collections. */
const LEAP_MS = 61_000
const CALLS_EXPECTED_MIN = 5
const JOBS = ['retain', 'gc'] as const

t.setTimeout(900_000)

async function open(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-collected-'))
  const dataDirectory = join(directory, 'data')
  await mkdir(dataDirectory)
  const [nth, clock] = [await compileNthCall(dataDirectory), await compileLeapingClock()]
  const preloaded = [nth, clock].map(({ env }) => env['LD_PRELOAD']).join(' ')
  const env = { ...nth.env, ...clock.env, LD_PRELOAD: preloaded }
  const config = { storage: STORAGE, log: { level: 'debug' } }
  const edge = await startEdge({ directory, dataDirectory, env, config })
  t.teardown(async () => {
    if (edge.alive) await edge.kill()
    await Promise.all([nth.remove(), clock.remove()])
    await rm(directory, { recursive: true, force: true })
  })
  // Whoever is killed answers no more. What this client was told is here is leased until then.
  const run = async (job: string) => {
    clock.leap(LEAP_MS)
    // Whoever sleeps finds out when it wakes, and takes what has just come for a minute old.
    await fetch(`${edge.adminUrl}/livez`).catch(() => {})
    return runCli([job, '--json', '--socket', join(directory, 'admin.sock')])
  }
  return { nth, edge, run, temporary: join(dataDirectory, 'tmp') }
}

type World = Awaited<ReturnType<typeof open>>

const parts = ['layer', 'config'] as const
const bytesOf = (part: string, name: string) => Buffer.from(JSON.stringify({ [part]: name }))

function manifestOf(name: string) {
  const [layer, config] = parts.map(part => bytesOf(part, name)) as [Buffer, Buffer]
  return manifestOver(config, [layer, bytesOf('layer', 'shared')])
}

/** Of one image after the other, all blobs before its manifest. */
async function push(url: string, names: readonly string[]): Promise<void> {
  const client = createPushClient(url)
  for (const name of names) {
    const blobs = [...parts.map(part => bytesOf(part, name)), bytesOf('layer', 'shared')]
    for (const blob of blobs) t.equal((await client.blob(REPOSITORY, blob)).status, 201)
    t.equal((await client.manifest(REPOSITORY, name, manifestOf(name))).status, 201)
  }
  client.close()
}

/** What is wrong with the only image that stays; `hasLeft`: the others are off the disk. */
async function wrongWith({ edge }: World, name: string, hasLeft: boolean) {
  const found: string[] = []
  const blobs = [...parts.map(part => bytesOf(part, name)), bytesOf('layer', 'shared')]
  const paths = [`manifests/${name}`, ...blobs.map(blob => `blobs/${digestOf(blob)}`)]
  for (const path of paths) {
    const { status } = await edge.send('GET', `/v2/${REPOSITORY}/${path}`)
    if (status !== 200) found.push(`${path}: ${status}`)
  }
  const { body } = await edge.send('GET', `/v2/${REPOSITORY}/tags/list`)
  const { tags } = JSON.parse(body.toString()) as { tags: readonly string[] }
  if (tags.join() !== name) found.push(`tags ${tags.join()}`)
  if (!hasLeft) return found
  const all = await readdir(join(edge.dataDirectory, 'blobs'), { recursive: true })
  const files = all.map(file => file.slice(-64)).filter(hex => /^[0-9a-f]{64}$/.test(hex))
  const left = [manifestOf(name).digest, ...blobs.map(blob => digestOf(blob))].map(each =>
    each.slice(-64),
  )
  return [...found, ...files.filter(hex => !left.includes(hex)).map(hex => `still here: ${hex}`)]
}

for (const job of JOBS)
  t.test(`killed before each call of ${job}`, async t => {
    const world = await open(t)
    const { nth, edge, run, temporary } = world
    /** The last one stays. */
    const begin = async (round: string) => {
      await push(edge.url, [`a${round}`, `b${round}`])
      if (job === 'gc') t.equal((await run('retain')).exitCode, 0)
    }
    // The first one of a process makes more calls.
    await begin('first')
    await run(job)
    await begin('counted')
    nth.arm('count')
    t.equal((await run(job)).exitCode, 0)
    const calls = nth.calls()
    const { calls: chosen, how } = killedCalls(nth.kinds(), process.env)
    nth.arm('off')
    t.same(await wrongWith(world, 'bcounted', job === 'gc'), [])
    t.ok(calls >= CALLS_EXPECTED_MIN, `${calls} calls`)
    t.comment(how)
    const wrong: string[] = []
    let killed = 0
    for (const call of chosen) {
      await begin(`${call}`)
      nth.arm('kill', call)
      if ((await run(job)).exitCode !== 0) killed += 1
      nth.arm('off')
      if (edge.alive) await edge.kill()
      const from = edge.logs.length
      await edge.restart()
      await edge.untilLogged(({ msg }) => msg === COMPARED, from)
      const found = [...(await uncountedAfterStart(edge)), ...(await readdir(temporary))]
      const { exitCode, stderr } = await run(job)
      if (exitCode !== 0) found.push(`once more: ${stderr}`)
      found.push(...(await wrongWith(world, `b${call}`, job === 'gc')))
      if (found.length > 0) wrong.push(JSON.stringify({ call, found }))
    }
    t.comment(`${killed} of ${chosen.length} killed the process during ${job}`)
    t.same(wrong, [], 'every state that was left recovers')
    t.ok(killed >= chosen.length / 2, 'most of the calls are of the run')
    t.same((await judge(edge.dataDirectory)).wrong, [], 'no blob has wrong bytes')
  })
