// Goal: a process that dies before any one change of its disk during a push, or whose disk refuses
// any one of them, never says 201 for what is not durable, leaves no temporary file, and takes the
// same push afterwards (R03, R04). Method: the changes that one push makes are counted over all
// threads by a preloaded shim; then the push is done once for each of a share of them
// (killed-calls.ts), killed before it, and once for each of all of them with it failing. After each
// the process is looked at from outside.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { patternBlob } from '../kit/content.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { killedCalls } from '../kit/worlds/killed-calls.ts'
import { compileNthCall, type NthMode } from '../kit/disk/nth-call.ts'
import { judge } from '../kit/judges/oracle.ts'
import { createPushClient, manifestOver, type SmallManifest } from '../kit/clients/push-client.ts'

/**
 * Under `localhost` a push is kept; for the other it is also put into the queue, whose upstream is
 * never there.
 */
const REPOSITORIES = ['localhost/calls/app', 'registry.test/calls/app'] as const
const LAYER_BYTES = 70_000
const CALLS_EXPECTED_MIN = 20
/** What a process says that was started after a kill, once it writes no more facts by itself. */
const COMPARED = 'what is kept beside the content was compared with the catalog'

t.setTimeout(900_000)
// Most of the time goes by in starts of processes that share nothing.
t.jobs = REPOSITORIES.length

interface Pushed {
  readonly layer: Buffer
  readonly config: Buffer
  readonly manifest: SmallManifest
}

function imageNamed(seed: string): Pushed {
  const layer = patternBlob(seed, LAYER_BYTES).bytes()
  const config = Buffer.from(JSON.stringify({ seed }))
  return { layer, config, manifest: manifestOver(config, [layer]) }
}

/**
 * Until something is refused. Resolves with what was acknowledged: paths that must be there from
 * now on. Never rejects.
 */
async function push(url: string, repository: string, image: Pushed) {
  const client = createPushClient(url)
  const acknowledged: string[] = []
  const refusals: number[] = []
  try {
    for (const blob of [image.layer, image.config]) {
      const { status, headers } = await client.blob(repository, blob)
      if (status !== 201) return { acknowledged, refusals: [status], whole: false }
      acknowledged.push(String(headers['location']))
    }
    const { status, headers } = await client.manifest(repository, 'v1', image.manifest)
    if (status === 201) {
      acknowledged.push(String(headers['location']), `/v2/${repository}/manifests/v1`)
    } else refusals.push(status)
  } catch {
    // The process is gone.
  } finally {
    client.close()
  }
  return { acknowledged, refusals, whole: acknowledged.length === 4 }
}

async function missing(url: string, paths: readonly string[]): Promise<readonly string[]> {
  const client = createPushClient(url)
  const gone: string[] = []
  for (const path of paths) {
    const { status } = await client.send('GET', path)
    if (status !== 200) gone.push(`${path}: ${status}`)
  }
  client.close()
  return gone
}

async function openDirectory(t: Test) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-calls-'))
  const dataDirectory = join(directory, 'data')
  await mkdir(dataDirectory)
  const nth = await compileNthCall(dataDirectory)
  const edge = await startEdge({
    directory,
    dataDirectory,
    env: nth.env,
    upstreams: { 'registry.test': { url: 'http://127.0.0.1:9', http: true } },
    config: {
      default: 'localhost',
      log: { level: 'debug' },
      repositories: [{ match: 'registry.test/**', push: 'queue' }],
    },
  })
  t.teardown(async () => {
    if (edge.alive) await edge.kill()
    await nth.remove()
    await rm(directory, { recursive: true, force: true })
  })
  return { nth, edge, temporary: join(dataDirectory, 'tmp') }
}

/**
 * How many calls one push makes when nothing happens; the first one of a process makes some more,
 * and is not counted.
 */
async function countCalls(
  { nth, edge }: Awaited<ReturnType<typeof openDirectory>>,
  repository: string,
): Promise<{ readonly calls: number; readonly kinds: string }> {
  await push(edge.url, repository, imageNamed(`${repository} warm`))
  nth.arm('count')
  await push(edge.url, repository, imageNamed(`${repository} counted`))
  const [calls, kinds] = [nth.calls(), nth.kinds()]
  nth.arm('off')
  return { calls, kinds }
}

for (const repository of REPOSITORIES) {
  t.test(`R03: killed before each call of a push to ${repository}`, { buffered: true }, async t => {
    const parts = await openDirectory(t)
    const { nth, edge, temporary } = parts
    const { calls, kinds } = await countCalls(parts, repository)
    t.ok(calls >= CALLS_EXPECTED_MIN, `${calls} calls`)
    const { calls: chosen, how } = killedCalls(kinds, process.env)
    t.comment(how)
    const wrong: string[] = []
    let killed = 0
    for (const call of chosen) {
      const image = imageNamed(`${repository} kill ${call}`)
      nth.arm('kill', call)
      const { acknowledged, whole } = await push(edge.url, repository, image)
      nth.arm('off')
      // What comes after the last answer may be fewer calls than counted.
      if (!whole || !edge.alive) killed += 1
      if (edge.alive) await edge.kill()
      const from = edge.logs.length
      await edge.restart()
      await edge.untilLogged(({ msg }) => msg === COMPARED, from)
      const gone = await missing(edge.url, acknowledged)
      const left = await readdir(temporary)
      const again = await push(edge.url, repository, image)
      if (gone.length + left.length > 0 || !again.whole)
        wrong.push(JSON.stringify({ call, gone, left, again: again.refusals }))
    }
    t.comment(`${killed} of ${chosen.length} killed the process during a push`)
    t.same(wrong, [], 'every state that was left recovers')
    t.ok(killed >= chosen.length / 2, 'most of the calls are on the way to an answer')
    t.same((await judge(edge.dataDirectory)).wrong, [], 'no blob has wrong bytes')
  })

  for (const mode of ['EIO', 'ENOSPC'] as const satisfies readonly NthMode[]) {
    t.test(`R04: ${mode} at each call of a push to ${repository}`, { buffered: true }, async t => {
      const parts = await openDirectory(t)
      const { nth, edge, temporary } = parts
      const { calls } = await countCalls(parts, repository)
      const wrong: string[] = []
      let refused = 0
      let restarts = 0
      for (let call = 1; call <= calls; call += 1) {
        const image = imageNamed(`${repository} ${mode} ${call}`)
        nth.arm(mode, call)
        const { acknowledged, refusals } = await push(edge.url, repository, image)
        nth.arm('off')
        if (refusals.length > 0) refused += 1
        const gone: string[] = edge.alive
          ? [...(await missing(edge.url, acknowledged))]
          : ['it died']
        const left = await readdir(temporary)
        let again = await push(edge.url, repository, image)
        if (!again.whole) {
          // A database that failed to sync is not used any more by the process that saw it.
          restarts += 1
          const from = edge.logs.length
          await edge.restart()
          // It writes beside the content, too.
          await edge.untilLogged(({ msg }) => msg === COMPARED, from)
          gone.push(...(await missing(edge.url, acknowledged)))
          again = await push(edge.url, repository, image)
        }
        if (gone.length + left.length > 0 || !again.whole || refusals.some(each => each < 500))
          wrong.push(JSON.stringify({ call, gone, left, refusals, again: again.refusals }))
      }
      t.comment(`${calls} failures: ${refused} pushes refused, ${restarts} restarts needed`)
      t.same(wrong, [], 'a clear refusal or a durable push, and nothing left behind')
      t.ok(refused > 0, 'some failures were felt')
      t.same((await judge(edge.dataDirectory)).wrong, [], 'no blob has wrong bytes')
    })
  }
}
