// Goal: of many damages of the catalog, of facts and of sidecars fsck names each, the server
// starts after each of them, and no tag that was acknowledged is lost. Method: the real process,
// killed and harmed by chance while it is down; whoever operates it does what fsck says. The seed
// is told. Control: what is harmed twice, so that nothing tells of it any more, is seen to be lost.
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import t from 'tap'
import type { Digest } from '../../src/oci/digest.ts'
import type { DamageKind } from '../../src/registry/fsck/damage.ts'
import { createPushClient, manifestOver } from '../kit/clients/push-client.ts'
import { rot } from '../kit/disk/rot.ts'
import { createRandom, seedOf } from '../kit/seeded.ts'
import { type EdgeProcess, startEdge } from '../kit/worlds/edge-process.ts'
import { type Fsck, fsck, manifestFact, tagFact } from '../kit/worlds/fsck-world.ts'

t.setTimeout(900_000)

/** A start and two looks each, some two seconds; `DAMAGES=100` for as many as were promised. */
const DAMAGES = Number(process.env['DAMAGES'] ?? 50)
const KEY = 'localhost/team/app'
const ADOPTED = 'files without rows were adopted'
/** Rows enough for the second half of the catalog to have some. */
const TAGS_AT_FIRST = 40

const seed = seedOf(process.env)
const { below, pick } = createRandom(seed)

function oneOf<T>(values: readonly T[]): T {
  const [first, ...more] = values
  if (first === undefined) throw new Error('there is none')
  return pick([first, ...more])
}

interface Harmed {
  readonly kind: DamageKind
  /** What fsck calls it by; undefined: the catalog. */
  readonly what?: string
}

interface World {
  readonly root: string
  /** By tag, what was acknowledged. */
  readonly tags: ReadonlyMap<string, Digest>
}

type Harm = (world: World) => Harmed

function someTag({ tags }: World): { readonly tag: string; readonly digest: Digest } {
  const [tag, digest] = oneOf([...tags])
  return { tag, digest }
}

/** Whatever its log holds, in one file: what a log says would be read in its place. */
function catalogFile({ root }: World): string {
  const file = join(root, 'catalog.db')
  const database = new Sqlite(file)
  database.pragma('wal_checkpoint(TRUNCATE)')
  database.close()
  return file
}

function rewrite(path: string, bytes: string | Buffer): void {
  rmSync(path, { force: true })
  writeFileSync(path, bytes, { mode: 0o440 })
}

function hex(): string {
  return Array.from({ length: 64 }, () => below(16).toString(16)).join('')
}

const OF_FACTS: readonly Harm[] = [
  world => {
    const { tag } = someTag(world)
    rmSync(tagFact(world.root, KEY, tag))
    return { kind: 'fact missing', what: `${KEY}:${tag}` }
  },
  world => {
    const { digest } = someTag(world)
    rmSync(manifestFact(world.root, KEY, digest))
    return { kind: 'fact missing', what: `${KEY}@${digest}` }
  },
  world => {
    const { tag, digest } = someTag(world)
    const other = oneOf([...world.tags.values()].filter(each => each !== digest))
    const path = tagFact(world.root, KEY, tag)
    rewrite(path, readFileSync(path, 'utf8').replace(digest, other))
    return { kind: 'fact contradicts', what: `${KEY}:${tag}` }
  },
  world => spoil(tagFact(world.root, KEY, someTag(world).tag)),
  world => spoil(manifestFact(world.root, KEY, someTag(world).digest)),
]

/** Empty, cut, or with a byte that is another one. */
function spoil(path: string): Harmed {
  const bytes = readFileSync(path)
  const at = below(bytes.length - 1)
  const spoilt = Buffer.from(bytes)
  // No text has it, and so no JSON.
  spoilt[at] = 0
  rewrite(path, pick([Buffer.alloc(0), bytes.subarray(0, at), spoilt]))
  return { kind: 'fact unreadable', what: path.slice(path.lastIndexOf('facts/')) }
}

const OF_SIDECARS: readonly Harm[] = [
  ({ root }) => lay(root, 'part of no use', { name: `fills/sha256-${hex()}` }),
  ({ root }) =>
    lay(root, 'part of no use', { name: `fills/sha256-${hex()}`, sidecar: '{"version":9}' }),
  ({ root }) => {
    const name = `fills/sha256-${hex()}.json`
    return lay(root, 'part of no use', { name })
  },
  ({ root }) => lay(root, 'upload of no use', { name: `uploads/${hex()}` }),
  ({ root }) => lay(root, 'upload of no use', { name: `uploads/${hex()}`, sidecar: 'no JSON' }),
]

function lay(
  root: string,
  kind: DamageKind,
  { name, sidecar }: { readonly name: string; readonly sidecar?: string },
): Harmed {
  writeFileSync(join(root, name), 'some bytes')
  if (sidecar !== undefined) writeFileSync(join(root, `${name}.json`), sidecar)
  return { kind, what: name }
}

const OF_CATALOG: readonly Harm[] = [
  world => {
    rot(catalogFile(world))
    return { kind: 'catalog damaged' }
  },
  world => {
    const file = catalogFile(world)
    const bytes = readFileSync(file)
    bytes.fill(below(256), 0, 100)
    writeFileSync(file, bytes)
    return { kind: 'catalog damaged' }
  },
  world => {
    const file = catalogFile(world)
    truncateSync(file, 4096 * (1 + below(8)))
    return { kind: 'catalog damaged' }
  },
  world => {
    for (const suffix of ['', '-wal', '-shm'])
      rmSync(join(world.root, `catalog.db${suffix}`), { force: true })
    return { kind: 'catalog missing' }
  },
]

const KINDS = { facts: OF_FACTS, sidecars: OF_SIDECARS, catalog: OF_CATALOG } as const

async function push(edge: EdgeProcess, tag: string): Promise<Digest> {
  const client = createPushClient(edge.url)
  const config = Buffer.from(JSON.stringify({ tag, seed }))
  const manifest = manifestOver(config, [])
  await client.blob(KEY, config)
  const { status } = await client.manifest(KEY, tag, manifest)
  client.close()
  if (status !== 201) throw new Error(`the push was answered with ${status}`)
  return manifest.digest as Digest
}

async function lostOf(edge: EdgeProcess, tags: World['tags']): Promise<readonly string[]> {
  const lost: string[] = []
  for (const [tag, digest] of tags) {
    const { headers } = await edge.send('HEAD', `/v2/${KEY}/manifests/${tag}`)
    if (headers['docker-content-digest'] !== digest) lost.push(tag)
  }
  return lost
}

async function restarted(edge: EdgeProcess): Promise<void> {
  const from = edge.logs.length
  await edge.restart()
  // Facts were compared before.
  await edge.untilLogged(({ msg }) => msg === ADOPTED, from)
}

/** What fsck tells an operator to do about it. */
async function doAsTold(found: Fsck, harmed: Harmed, place: Parameters<typeof fsck>[0]) {
  if (harmed.kind !== 'fact unreadable') return
  for (const path of found.whats('fact unreadable')) rmSync(join(place.root, path))
  await fsck(place, '--repair')
}

t.test(`R978: ${DAMAGES} damages by chance, SEED=${seed}`, async t => {
  const edge = await startEdge({ config: { default: 'localhost', log: { level: 'debug' } } })
  t.teardown(() => edge.stop())
  const place = { root: edge.dataDirectory, config: edge.configFile }
  const tags = new Map<string, Digest>()
  const world = { root: place.root, tags }
  for (let n = 0; n < TAGS_AT_FIRST; n++) tags.set(`first-${n}`, await push(edge, `first-${n}`))
  await edge.untilLogged(({ msg }) => msg === ADOPTED)
  await edge.kill()
  t.match(await fsck(place), { exitCode: 0 }, 'a kill is no damage')
  const counts = new Map<string, number>()
  for (let n = 0; n < DAMAGES; n++) {
    const of = pick(['facts', 'facts', 'sidecars', 'catalog'] as const)
    const harmed = oneOf<Harm>(KINDS[of])(world)
    counts.set(harmed.kind, (counts.get(harmed.kind) ?? 0) + 1)
    const found = await fsck(place)
    const whats = found.whats(harmed.kind)
    const isNamed = whats.includes(harmed.what ?? 'catalog.db')
    if (!isNamed || found.exitCode !== 1)
      t.fail(`damage ${n} is not named`, { harmed, found: found.found })
    await doAsTold(found, harmed, place)
    await restarted(edge)
    const lost = await lostOf(edge, tags)
    if (lost.length > 0) t.fail(`lost after damage ${n}`, { harmed, lost })
    tags.set(`later-${n}`, await push(edge, `later-${n}`))
    await edge.kill()
    const after = await fsck(place)
    if (after.exitCode !== 0) t.fail(`not clean after damage ${n}`, { harmed, found: after.found })
  }
  t.comment(JSON.stringify([...counts]))
  t.equal(
    [...counts.values()].reduce((sum, each) => sum + each),
    DAMAGES,
  )
  t.equal(tags.size, TAGS_AT_FIRST + DAMAGES)

  // What is harmed twice nothing tells of any more, and that is seen.
  const { tag } = someTag(world)
  rmSync(tagFact(world.root, KEY, tag))
  for (const suffix of ['', '-wal', '-shm'])
    rmSync(join(world.root, `catalog.db${suffix}`), { force: true })
  await restarted(edge)
  t.same(await lostOf(edge, tags), [tag], 'control: a tag that is lost is seen to be')
})
