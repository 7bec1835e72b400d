// Row: what a client sees when the upstream misbehaves. Words and counts, not times; each server
// meets each fault once.
import { rmSync } from 'node:fs'
import { collectSamples, directoryOf, type Row, type RowContext } from '../row.ts'
import type { Load } from '../load.ts'
import type { Pulled } from '../load-process.ts'
import type { ServerKind } from '../servers/kind.ts'
import { absenceOf, REGISTRIES } from '../servers.ts'
import { startUpstream, type Upstream } from '../upstream.ts'
import { tooManyRequests } from '../../test/kit/stubs/stub-faults.ts'

const REPOSITORY = 'bench/faults'
const BLOB_BYTES = 1_000_000
const RETRY_AFTER_SECONDS = 37
/** Inside the last piece, where a server may hope that all is well. */
const FLIP_AT = BLOB_BYTES - 1000
const MANIFESTS = `/v2/${REPOSITORY}/manifests`

interface Scene {
  readonly context: RowContext
  readonly kind: ServerKind
  readonly upstream: Upstream
  readonly load: Load
}

interface Fault {
  readonly name: string
  readonly play: (scene: Scene) => Promise<string>
}

const FAULTS: readonly Fault[] = [
  { name: `upstream answers 429 (Retry-After: ${RETRY_AFTER_SECONDS}), cold tag`, play: rateLimit },
  { name: 'start while the upstream is down', play: startAlone },
  { name: 'upstream flips a bit of a blob', play: flippedBit },
  { name: 'tag deleted upstream', play: deletedTag },
]

export const faults: Row = {
  id: 'faults',
  goal: 'Faults',
  rounds: { short: 1, full: 1 },
  title: 'What clients see when something is wrong with the upstream',
  method:
    "Tags are checked each time (Entrepot's `ttl: 0`; the others have no such setting). *Complete wrong answer* means status 200, as " +
    'many bytes as promised, and another digest than the one asked for.',
  tables: [
    {
      table: 'faults',
      title: 'What the client sees',
      lineHeading: 'fault',
      columns: [{ measure: 'seen', heading: 'what the client sees' }],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const absent = new Map<string, string>()
    for (const { name, play } of FAULTS) {
      for (const kind of REGISTRIES) {
        if (absent.has(kind.name)) continue
        context.tell(`${name}: ${kind.name}`)
        const upstream = await startUpstream()
        try {
          const seen = await play({ context, kind, upstream, load: context.load })
          add({ table: 'faults', line: name, server: kind.name, round: 1, measures: { seen } })
        } catch (error) {
          absent.set(kind.name, absenceOf(kind, error).why)
        } finally {
          await upstream.stop()
          rmSync(directoryOf(context.directory, kind), { recursive: true, force: true })
        }
      }
    }
    return { samples, absences: [...absent].map(([server, why]) => ({ server, why })) }
  },
}

async function serve({ context, kind, upstream }: Scene) {
  const directory = directoryOf(context.directory, kind)
  return kind.start({ upstreamUrl: upstream.url, directory, ttl: '0s' })
}

async function addImage({ upstream }: Scene) {
  const image = { repository: REPOSITORY, tag: 'v1', seed: 'faults', layerBytes: [BLOB_BYTES] }
  const { config, layers } = await upstream.addImage(image)
  const pathOf = (digest = '') => `/v2/${REPOSITORY}/blobs/${digest}`
  return { config: pathOf(config), blob: pathOf(layers[0]) }
}

async function get({ load }: Scene, url: string, ...paths: string[]): Promise<Pulled> {
  const [pulled] = await load.pull(url, paths, { hash: true })
  if (pulled === undefined) throw new Error('the load client said nothing')
  return pulled
}

async function rateLimit(scene: Scene): Promise<string> {
  const server = await serve(scene)
  try {
    await addImage(scene)
    await scene.upstream.fault({ kind: 'manifest' }, tooManyRequests('errors', RETRY_AFTER_SECONDS))
    const { status, headers } = await get(scene, server.url, `${MANIFESTS}/v1`)
    const after = headers['retry-after']
    return `${status}, ${after === undefined ? 'no Retry-After' : `Retry-After: ${after}`}`
  } finally {
    await server.stop()
  }
}

/** Fills the cache, ends both, and starts the server alone. */
async function startAlone(scene: Scene): Promise<string> {
  const { config, blob } = await addImage(scene)
  const before = await serve(scene)
  try {
    await get(scene, before.url, `${MANIFESTS}/v1`, config, blob)
  } finally {
    await before.stop()
    await scene.upstream.stop()
  }
  const server = await serve(scene).catch(() => undefined)
  if (server === undefined) return 'does not start'
  try {
    const tag = describe(await get(scene, server.url, `${MANIFESTS}/v1`))
    return `starts; tag: ${tag}; blob: ${describe(await get(scene, server.url, blob), blob)}`
  } finally {
    await server.stop()
  }
}

async function flippedBit(scene: Scene): Promise<string> {
  const server = await serve(scene)
  try {
    const { blob } = await addImage(scene)
    await scene.upstream.fault({ kind: 'blob', method: 'GET' }, { flipAt: FLIP_AT })
    const paths = scene.kind.wantsManifestFirst ? [`${MANIFESTS}/v1`, blob] : [blob]
    const wrong = describe(await get(scene, server.url, ...paths), blob)
    await scene.upstream.clearFaults()
    return `${wrong}; when the upstream is well again: ${describe(await get(scene, server.url, ...paths), blob)}`
  } finally {
    await server.stop()
  }
}

async function deletedTag(scene: Scene): Promise<string> {
  const server = await serve(scene)
  try {
    await addImage(scene)
    await get(scene, server.url, `${MANIFESTS}/v1`)
    await scene.upstream.deleteTag(REPOSITORY, 'v1')
    const seen = describe(await get(scene, server.url, `${MANIFESTS}/v1`))
    return seen === 'served' ? 'still served' : seen
  } finally {
    await server.stop()
  }
}

/** With the path of a blob, its digest is compared. */
function describe({ status, complete, sha256 }: Pulled, blobPath?: string): string {
  if (status === 0) return 'connection ended without an answer'
  if (status !== 200) return `refused, ${status}`
  if (!complete) return 'cut short, never complete'
  const isRight = blobPath === undefined || blobPath.endsWith(`sha256:${sha256}`)
  return isRight ? 'served' : '**complete wrong answer**'
}
