// Goal: where facts say more than the catalog knows, retention takes nothing: what belongs to a
// lost manifest looks like nobody's. Method: the engine over in-memory twins, with facts that the
// catalog does not know; and an edge whose catalog is built anew without the bytes of an index.
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { parseTag, repositoryKey } from '../../../../src/oci/reference.ts'
import type { Fact } from '../../../../src/registry/ports/facts.ts'
import type { RetentionPolicy } from '../../../../src/registry/retain/rules.ts'
import { runCli } from '../../../kit/cli.ts'
import { NO_UPSTREAM, pushBlob } from '../../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../../kit/edge.ts'
import { createEngine, type Engine, localOf } from '../../../kit/engine.ts'
import { type Document, makeImage, makeIndex } from '../../../kit/image.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'
import { pushImage } from '../../../kit/clients/push-image.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const DAY_MS = 86_400_000
const [app, other] = [localOf('team/app'), localOf('team/other')]

/** Every tag stays. */
const policy: RetentionPolicy = {
  repositories: ['localhost/**'],
  deleteUntagged: true,
  deleteReferrers: false,
  keepTags: [],
}

function retain({ registry }: Engine, policies = [policy]) {
  return registry.retain(() => ({ delayMs: DAY_MS, policies }), quietRun())
}

async function withUntagged(): Promise<Engine> {
  const engine = createEngine()
  const { registry, clock } = engine
  for (const [seed, repository] of [app, other].entries())
    await pushImage(registry, repository, makeImage({ seed: `${seed}`, layers: [9] }))
  await clock.advance(2 * DAY_MS)
  return engine
}

const lost = digestOf(Buffer.from('lost'))
const repository = repositoryKey(app)
const UNKNOWN: readonly Fact[] = [
  { kind: 'manifest', repository, digest: lost, mediaType: 'a/b', atMs: 1 },
  { kind: 'tag', repository, tag: parseTag('v1'), digest: lost, atMs: 1 },
  { kind: 'delivery', id: 9, carrier: 'queue', key: repository, payload: '{}', createdAtMs: 1 },
]

for (const fact of UNKNOWN)
  t.test(`R425: nothing goes where a ${fact.kind} is known to the facts alone`, async t => {
    const engine = await withUntagged()
    await engine.facts.write([fact])
    const left = engine.events.filter(({ kind }) => kind === 'too unclear to retain')
    t.same(left, [])
    const { gone, note } = await retain(engine)
    t.equal(gone.length, 1)
    t.match(gone[0]?.what, /^localhost\/team\/other@/)
    t.match(note, /something is lost/)
    const told = engine.events.filter(({ kind }) => kind === 'too unclear to retain')
    t.match(told, [{ repository: app }])
    t.equal((await retain(engine, [])).note, undefined, 'without policies nothing is left out')
    await engine.facts.remove([fact])
    const again = await retain(engine)
    t.match(again.gone[0]?.what, /^localhost\/team\/app@/)
    t.equal(again.note, undefined)
  })

t.test('R425: nothing goes anywhere while a fact cannot be read', async t => {
  const engine = await withUntagged()
  const [name = ''] = engine.disk.facts.keys()
  const text = engine.disk.facts.get(name) ?? ''
  engine.disk.facts.set(name, 'spoiled')
  const { count, note } = await retain(engine)
  t.equal(count, 0)
  t.match(note, /cannot be read/)
  t.match(engine.events.at(-1), { kind: 'too unclear to retain', repository: undefined })
  engine.disk.facts.set(name, text)
  t.equal((await retain(engine)).count, 2)
})

t.test(
  'R622: nor where very many repositories are unclear, and that is told as what it is',
  async t => {
    const engine = await withUntagged()
    for (let at = 0; at <= 10_000; at += 1)
      await engine.facts.write([
        {
          kind: 'tag',
          repository: repositoryKey(localOf(`lost/${at}`)),
          tag: parseTag('v1'),
          digest: lost,
          atMs: 1,
        },
      ])
    const { count, note } = await retain(engine)
    t.equal(count, 0)
    t.match(note, /too many repositories/)
    t.ok(engine.registry.isLeftAlone(app))
  },
)

async function push(edge: TestEdge, { digest, mediaType, bytes }: Document, tag?: string) {
  const path = `/v2/localhost/app/manifests/${tag ?? digest}`
  const put = { headers: { 'content-type': mediaType }, body: bytes }
  const { status } = await edge.send('PUT', path, put)
  if (status !== 201) throw new Error(`${status}`)
}

t.test('R425: children of an index outlive a catalog that was built without it', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-test-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const policies = [{ repositories: ['**'], keeptags: [{ patterns: ['*'] }] }]
  const config = { storage: { retention: { policies } } }
  const start = (clock = createManualClock()) =>
    startTestEdge(t, { upstreams: NO_UPSTREAM, config, directory, clock })
  const edge = await start()
  const children = ['a', 'b'].map(seed => makeImage({ seed, layers: [10] }))
  const index = makeIndex(children).manifest
  for (const { config: one, layers, manifest } of children) {
    for (const blob of [one, ...layers]) await pushBlob(edge, 'localhost/app', blob.bytes())
    await push(edge, manifest)
  }
  await push(edge, index, 'v1')
  await edge.stop()

  const data = join(directory, 'data')
  const hex = index.digest.slice('sha256:'.length)
  const file = join(data, 'blobs/sha256', hex.slice(0, 2), hex)
  const bytes = await readFile(file)
  await rm(file)
  for (const name of await readdir(data))
    if (name.startsWith('catalog.db')) await rm(join(data, name))
  const clock = createManualClock()
  const next = await start(clock)
  await clock.advance(5 * DAY_MS)
  const { stdout } = await runCli(['retain', '--socket', next.socket])
  t.match(stdout, 'left alone')
  const child = `localhost/app@${children[0]?.manifest.digest}`
  const why = await runCli(['why', child, '--socket', next.socket])
  t.match(why.stdout, /lets it go, but the last run left this repository alone, since/)
  await next.stop()

  // From the backup.
  await writeFile(file, bytes)
  await chmod(file, 0o440)
  const last = await start(createManualClock(Date.UTC(2026, 0, 7)))
  const statusOf = async (of: string) =>
    (await last.get(`/v2/localhost/app/manifests/${of}`)).status
  for (const { manifest } of children) t.equal(await statusOf(manifest.digest), 200)
  await last.stop()
})
