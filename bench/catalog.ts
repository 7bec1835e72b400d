// How fast the SQLite catalog is: manifests recorded by many clients at once, look-ups of membership one after another, and the
// start over what that left. usage: node bench/catalog.ts [MANIFESTS [DIRECTORY]]; 100000 need 0.5 GB and a minute.
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { openSqliteCatalog } from '../src/catalog/sqlite/open.ts'
import type { SqliteCatalog } from '../src/catalog/sqlite/catalog.ts'
import { digestOf } from '../src/oci/digest.ts'
import { parseRepositoryKey, parseTag } from '../src/oci/reference.ts'
import type { Edge, RecordManifest } from '../src/registry/ports/catalog.ts'
import type { Clock } from '../src/registry/ports/clock.ts'

const CLIENTS = 64
const LAYERS = 10
const REPOSITORIES = 1000
const LOOKUPS = 1_000_000
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
    contentClass: 'cached',
    tag: parseTag(`v${n}`),
    atMs: n,
  }
}

async function measureWrites(catalog: SqliteCatalog, manifests: number): Promise<void> {
  const latenciesMs: number[] = []
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const startMs = performance.now()
  let next = 0
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (next < manifests) {
        const record = recordOf(next++)
        const beganMs = performance.now()
        await catalog.recordManifest(record)
        latenciesMs.push(performance.now() - beganMs)
      }
    }),
  )
  const seconds = (performance.now() - startMs) / 1000
  delay.disable()
  latenciesMs.sort((a, b) => a - b)
  print('manifests of 10 children recorded, 64 at once', {
    'per second': Math.round(manifests / seconds),
    'p50 ms': round(latenciesMs[Math.floor(manifests * 0.5)]),
    'p99 ms': round(latenciesMs[Math.floor(manifests * 0.99)]),
    'event loop p99 ms': round(delay.percentile(99) / 1e6),
  })
}

async function measureReads(catalog: SqliteCatalog, manifests: number): Promise<void> {
  const asked = Array.from({ length: TURN }, (_, n) => {
    const { repository, manifest } = recordOf(Math.floor((n * manifests) / TURN))
    return { repository, digest: manifest.edges[n % LAYERS]?.child ?? manifest.digest, manifest }
  })
  const time = async (name: string, count: number, ask: (n: number) => Promise<unknown>) => {
    const startMs = performance.now()
    for (let n = 0; n < count; n++) await ask(n)
    print(name, { 'µs each': round(((performance.now() - startMs) * 1000) / count) })
  }
  const at = (n: number) => asked[n % TURN] as (typeof asked)[number]
  await time('isMember, a million times', LOOKUPS, n =>
    catalog.isMember(at(n).repository, at(n).digest),
  )
  await time('sizeOf', LOOKUPS / 10, n => catalog.sizeOf(at(n).repository, at(n).digest))
  await time('findManifest with 10 edges', LOOKUPS / 10, n =>
    catalog.findManifest(at(n).repository, at(n).manifest.digest),
  )
  await time('listTags, 100', 1000, n => catalog.listTags(at(n).repository, { limit: 100 }))
  await time('listRepositories, 100', 1000, () => catalog.listRepositories({ limit: 100 }))
  await time('totals', 1000, () => catalog.totals())
}

function print(name: string, figures: Record<string, number>): void {
  const text = Object.entries(figures).map(([unit, value]) => `${value} ${unit}`)
  console.log(`${name}: ${text.join(', ')}`)
}

function round(value: number | undefined): number {
  return Math.round((value ?? Number.NaN) * 100) / 100
}

async function main(manifests: number, directory: string): Promise<void> {
  const open = () => openSqliteCatalog({ directory, clock, note: console.log })
  let catalog = await open()
  await measureWrites(catalog, manifests)
  await measureReads(catalog, manifests)
  await catalog.close()
  const startMs = performance.now()
  catalog = await open()
  print('start with check', {
    ms: Math.round(performance.now() - startMs),
    MB: Math.round(statSync(join(directory, 'catalog.db')).size / 1e6),
  })
  await catalog.close()
}

const manifests = Number(process.argv[2] ?? 10_000)
const directory = process.argv[3] ?? mkdtempSync(join(tmpdir(), 'entrepot-bench-'))
try {
  await main(manifests, directory)
} finally {
  if (process.argv[3] === undefined) rmSync(directory, { recursive: true })
}
