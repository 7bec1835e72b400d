// How fast the SQLite catalog is: manifests recorded by many clients at once, look-ups of
// membership one after another, pushes and the outbox that they leave while a line is down, and the
// start before and after. usage: node bench/catalog.ts [MANIFESTS [DIRECTORY]]; as many pushes as
// manifests; 100000 need 1 GB and some minutes.
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { createEpochs } from '../src/registry/epochs.ts'
import { openSqliteCatalog } from '../src/catalog/sqlite/open.ts'
import type { SqliteCatalog } from '../src/catalog/sqlite/catalog.ts'
import { digestOf } from '../src/oci/digest.ts'
import { parseRepositoryKey, parseTag, repositoryKey } from '../src/oci/reference.ts'
import type { Edge, RecordManifest } from '../src/registry/ports/catalog-content.ts'
import type { RecordPush } from '../src/registry/ports/catalog-pushes.ts'
import type { Clock } from '../src/registry/ports/clock.ts'

const CLIENTS = 64
const LAYERS = 10
const REPOSITORIES = 1000
const LOOKUPS = 1_000_000
const DELIVERIES = 5000
/** Look-ups between two turns of the event loop. */
const TURN = 1000

const clock: Clock = {
  nowMs: Date.now,
  monotonicMs: () => performance.now(),
  sleep: () => Promise.resolve(),
}

function recordOf(n: number): RecordManifest {
  const layer = (at: number): Edge => ({
    child: digestOf(Buffer.from(`layer ${n}/${at}`)),
    kind: at === 0 ? 'config' : 'layer',
    sizeBytes: 1000 + at,
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    platform: undefined,
    distributable: true,
  })
  return {
    repository: parseRepositoryKey(`docker.io/team-${n % REPOSITORIES}/app`),
    manifest: {
      digest: digestOf(Buffer.from(`manifest ${n}`)),
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      sizeBytes: 2000,
      edges: Array.from({ length: LAYERS }, (_, at) => layer(at)),
    },
    tag: parseTag(`v${n}`),
    atMs: n,
  }
}

/**
 * A push that waits for its upstream; its payload is as long as one with a tag that was pushed a
 * few times.
 */
function pushOf(n: number, id: number): RecordPush {
  const { repository, manifest, tag, atMs } = recordOf(n)
  const delivery = {
    id,
    carrier: 'queue',
    key: repositoryKey(repository),
    payload: JSON.stringify({ ...manifest, edges: manifest.edges.slice(0, 3) }),
    createdAtMs: atMs,
  } as const
  const tags = tag === undefined ? [] : [tag]
  return { repository, manifest, hold: 'undelivered', tags, delivery, atMs }
}

/** Does `each` for every number below `count`, by as many clients at once. */
async function measureWrites(
  name: string,
  count: number,
  each: (n: number) => Promise<void>,
): Promise<void> {
  const latenciesMs: number[] = []
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const startMs = performance.now()
  let next = 0
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (next < count) {
        const n = next++
        const beganMs = performance.now()
        await each(n)
        latenciesMs.push(performance.now() - beganMs)
      }
    }),
  )
  const seconds = (performance.now() - startMs) / 1000
  delay.disable()
  latenciesMs.sort((a, b) => a - b)
  print(name, {
    'per second': Math.round(count / seconds),
    'p50 ms': round(latenciesMs[Math.floor(count * 0.5)]),
    'p99 ms': round(latenciesMs[Math.floor(count * 0.99)]),
    'event loop p99 ms': round(delay.percentile(99) / 1e6),
  })
}

async function measureReads(catalog: SqliteCatalog, manifests: number): Promise<void> {
  const asked = Array.from({ length: TURN }, (_, n) => {
    const { repository, manifest } = recordOf(Math.floor((n * manifests) / TURN))
    return { repository, digest: manifest.edges[n % LAYERS]?.child ?? manifest.digest, manifest }
  })
  const at = (n: number) => asked[n % TURN] as (typeof asked)[number]
  await time('findMember, a million times', LOOKUPS, n =>
    catalog.findMember(at(n).repository, at(n).digest),
  )
  await time('sizeOf', LOOKUPS / 10, n => catalog.sizeOf(at(n).repository, at(n).digest))
  await time('findManifest with 10 edges', LOOKUPS / 10, n =>
    catalog.findManifest(at(n).repository, at(n).manifest.digest),
  )
  await time('listTags, 100', 1000, n => catalog.listTags(at(n).repository, { limit: 100 }))
  await time('listRepositories, 100', 1000, () => catalog.listRepositories({ limit: 100 }))
  await time('totals', 1000, () => catalog.totals())
}

async function measureOutbox(catalog: SqliteCatalog): Promise<void> {
  const { key } = pushOf(0, 1).delivery ?? { key: '' }
  const page = { carrier: 'queue', limit: 100 } as const
  await time('listDue, 100', 1000, () => catalog.listDue(page))
  await time('listDeliveriesOf', 1000, () => catalog.listDeliveriesOf(key))
  await time('outboxTotals', 1000, () => catalog.outboxTotals())
  await time('listLocalTags, 100', 1000, n =>
    catalog.listLocalTags(recordOf(n).repository, { limit: 100 }),
  )
}

/** An attempt that is begun, and then either is delivered or fails. */
async function deliver(catalog: SqliteCatalog, n: number): Promise<void> {
  const [first] = await catalog.listDue({ carrier: 'queue', limit: 1 })
  if (first === undefined) return
  await catalog.changeDelivery(first.id, { ...first, attempts: n, inDoubt: true })
  const { repository, manifest, tag } = recordOf(n)
  const tags = tag === undefined ? [] : [tag]
  await catalog.removeDelivery(first.id, { repository, digest: manifest.digest, tags, atMs: n })
}

async function time(name: string, count: number, ask: (n: number) => Promise<unknown>) {
  const startMs = performance.now()
  for (let n = 0; n < count; n++) await ask(n)
  print(name, { 'µs each': round(((performance.now() - startMs) * 1000) / count) })
}

function print(name: string, figures: Record<string, number>): void {
  const text = Object.entries(figures).map(([unit, value]) => `${value} ${unit}`)
  console.log(`${name}: ${text.join(', ')}`)
}

function round(value: number | undefined): number {
  return Math.round((value ?? Number.NaN) * 100) / 100
}

async function main(manifests: number, directory: string): Promise<void> {
  const open = () =>
    openSqliteCatalog({ directory, clock, note: console.log, epochs: createEpochs() })
  const start = async (name: string) => {
    const startMs = performance.now()
    const opened = await open()
    print(name, {
      ms: Math.round(performance.now() - startMs),
      MB: Math.round(statSync(join(directory, 'catalog.db')).size / 1e6),
    })
    return opened
  }
  let catalog = await open()
  await measureWrites('manifests of 10 children recorded, 64 at once', manifests, n =>
    catalog.recordManifest(recordOf(n)),
  )
  await measureReads(catalog, manifests)
  await catalog.close()
  catalog = await start('start with check')
  await measureWrites('pushes of the same with an entry of the outbox, 64 at once', manifests, n =>
    catalog.recordPush(pushOf(n, catalog.sequence())),
  )
  await measureOutbox(catalog)
  await catalog.close()
  catalog = await start('start with the outbox')
  await measureWrites('deliveries, 64 at once', DELIVERIES, n => deliver(catalog, n))
  await catalog.close()
}

const manifests = Number(process.argv[2] ?? 10_000)
const directory = process.argv[3] ?? mkdtempSync(join(tmpdir(), 'entrepot-bench-'))
try {
  await main(manifests, directory)
} finally {
  if (process.argv[3] === undefined) rmSync(directory, { recursive: true })
}
