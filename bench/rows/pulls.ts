// Row: real clients pull a cold image of ten layers from an upstream that gives each connection 10
// MB/s, through a server and directly.
import { removeDirectory } from '../../test/e2e/processes.ts'
import type { PullClient, RunningClient } from '../clients/client.ts'
import { containerd, CTR } from '../clients/containerd.ts'
import {
  DOCKERD_CONTAINERD,
  DOCKERD_GRAPH,
  dockerdContainerd,
  dockerdGraph,
} from '../clients/docker.ts'
import { SKOPEO, skopeo } from '../clients/skopeo.ts'
import type { Sample } from '../figures.ts'
import { limitConnections, type ShapedUpstream, startShapedUpstream } from '../link.ts'
import {
  collectSamples,
  inRounds,
  isLeftOut,
  joinSeen,
  type Row,
  type RowContext,
  type Seen,
  type Started,
  startServers,
} from '../row.ts'
import { absenceOf, absentEverywhere, DIRECT, REGISTRIES } from '../servers.ts'

const LAYERS = 10
const LAYER_BYTES = 9_800_000
/**
 * Of each server, before anything is counted: its first pull is that of a compiler, and no service
 * has seen only one.
 */
const WARM_IMAGES = 2
/** For the first pull of a client, which is not counted. */
const WARM_BYTES = 10_000
const PER_CONNECTION = 10_000_000
const REPOSITORY = 'bench/image'
const CLIENTS = [skopeo, containerd, dockerdGraph, dockerdContainerd]

export const limited = (client: string) => `${client}, 10 MB/s each`
export const LIMITED_SKOPEO = limited(SKOPEO)
export const LIMITED_DAEMONS = [CTR, DOCKERD_GRAPH, DOCKERD_CONTAINERD].map(limited)
const UNLIMITED_SKOPEO = `${SKOPEO}, not limited`
/**
 * What all connections have together, at the far end of a network namespace. Neither dockerd takes
 * plain HTTP from beyond loopback.
 */
const FAR = { totalBytesPerSecond: 50_000_000, roundTripMs: 40 }
const FAR_CLIENTS = [skopeo, containerd]
const far = (client: string) => `${client}, 50 MB/s in all and 40 ms`

export const pulls: Row = {
  id: 'pulls',
  goal: 'P7',
  title: 'Real clients: an image of 98 MB in 10 layers, cold',
  rounds: { short: 2, full: 7 },
  method:
    'A fresh image for every pull, after two through each server that are not counted. Each connection to the upstream has 10 MB/s of its ' +
    'own, as networks of registries and long fat pipes do; or all together have 50 MB/s, behind a network namespace (tc tbf) and 40 ms, ' +
    'where who takes several blobs at a time fills the line alone. skopeo copies into a directory, one blob after the other. `ctr images pull` ' +
    'takes three at a time, and so do both dockerds; ' +
    'they unpack what they have while they download the rest. Their download is over when the last blob stands verified in containerd’s ' +
    'content store, or with the last "Download complete" of a dockerd that has none; "whole pull" ends when the client says so, with ' +
    'everything unpacked. The layers are not compressed, so that unpacking costs little. In the short form the others are measured with skopeo ' +
    'only, and once.',
  tables: [
    {
      table: 'pulls',
      title: 'Whole image by real clients',
      lineHeading: 'client, upstream',
      columns: [
        { measure: 'downloadSeconds', heading: 'download, s', digits: 2 },
        { measure: 'faster', heading: 'faster than direct, ×', digits: 2 },
        { measure: 'wholeSeconds', heading: 'whole pull, s', digits: 2 },
        { measure: 'wholeFaster', heading: 'faster than direct, ×', digits: 2 },
        { measure: 'blobGets', heading: 'blob GETs upstream' },
        { measure: 'bytesRatio', heading: 'bytes upstream, ×', digits: 2 },
        { measure: 'failures', heading: 'failed pulls' },
      ],
    },
  ],
  async run(context) {
    return joinSeen([
      await measure(context, [{ client: skopeo, line: UNLIMITED_SKOPEO }]),
      await measureLimited(context),
      await measureFar(context),
    ])
  },
}

async function measureLimited(context: RowContext): Promise<Seen> {
  const upstream = await limitConnections(context.upstream, PER_CONNECTION)
  try {
    const cases = CLIENTS.map(client => ({ client, line: limited(client.name) }))
    return await measure({ ...context, upstream }, cases)
  } finally {
    await upstream.stop()
  }
}

async function measureFar(context: RowContext): Promise<Seen> {
  const upstream = await startFarUpstream().catch(absentEverywhere)
  if ('why' in upstream) return { samples: [], absences: [{ ...upstream, line: far('all') }] }
  try {
    const cases = FAR_CLIENTS.map(client => ({ client, line: far(client.name) }))
    return await measure({ ...context, upstream }, cases)
  } finally {
    await upstream.stop()
  }
}

/** @throws Error where networks cannot be made or shaped */
async function startFarUpstream(): Promise<ShapedUpstream> {
  const upstream = await startShapedUpstream()
  try {
    await upstream.shape(FAR)
    return upstream
  } catch (error) {
    await upstream.stop()
    throw error
  }
}

interface Case {
  readonly client: PullClient
  readonly line: string
}

async function measure(context: RowContext, cases: readonly Case[]): Promise<Seen> {
  const { samples, add } = collectSamples()
  await using servers = await startServers(context, REGISTRIES)
  const absences = [...servers.absences]
  for (const [index, each] of cases.entries()) {
    const directory = `${context.directory}/c${index}`
    const client = await each.client.start(directory).catch((error: unknown) => {
      absences.push({ ...absenceOf({ name: 'all' }, error), line: each.line })
    })
    if (client === undefined) continue
    try {
      const warm = { url: context.upstream.url, seed: `${each.line}/warm`, layer: WARM_BYTES }
      await pullOnce(context, client, warm)
      if (index === 0) await warmUp(context, client, servers.running)
      add(...(await measureCase(context, servers.running, { ...each, running: client })))
    } finally {
      await client.stop()
      removeDirectory(directory)
    }
  }
  return { samples, absences }
}

async function measureCase(
  context: RowContext,
  servers: readonly Started[],
  { client, running, line }: Case & { readonly running: RunningClient },
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  for (const { round } of inRounds(context, [{ line }])) {
    let direct: Pulled | undefined
    for (const started of [undefined, ...servers]) {
      if (isLeftOut(context, started?.kind, client === skopeo ? round : 2)) continue
      const server = started?.kind.name ?? DIRECT
      const url = started?.server.url ?? context.upstream.url
      const pulled = await pullOnce(context, running, { url, seed: `${line}/${round}/${server}` })
      direct ??= pulled
      const compared = {
        faster: direct.downloadSeconds / pulled.downloadSeconds,
        wholeFaster: direct.wholeSeconds / pulled.wholeSeconds,
      }
      add({ table: 'pulls', line, server, round, measures: { ...pulled, ...compared } })
    }
  }
  return samples
}

async function warmUp(
  context: RowContext,
  client: RunningClient,
  running: readonly Started[],
): Promise<void> {
  for (const { kind, server } of running) {
    for (let image = 1; image <= WARM_IMAGES; image += 1) {
      const seed = `${kind.name}/warm/${image}`
      await pullOnce(context, client, { url: server.url, seed })
    }
  }
}

interface Pull {
  readonly url: string
  /** The same seed is the same image: one for each pull. */
  readonly seed: string
  /** Bytes of each layer. */
  readonly layer?: number
}

type Pulled = Awaited<ReturnType<typeof pullOnce>>

async function pullOnce(
  { upstream, tell }: RowContext,
  client: RunningClient,
  { url, seed, layer = LAYER_BYTES }: Pull,
) {
  const tag = seed.replace(/[^A-Za-z0-9]+/g, '-')
  const layerBytes = Array.from({ length: LAYERS }, () => layer)
  const image = { repository: REPOSITORY, tag, seed, layerBytes, archives: true }
  const { layers, config } = await upstream.addImage(image)
  await upstream.clearCounts()
  const blobs = [config, ...layers]
  const wanted = { authority: new URL(url).host, repository: REPOSITORY, tag, blobs }
  const times = await client.pull(wanted).catch((error: unknown) => {
    tell(error instanceof Error ? error.message : String(error))
  })
  const { requests, bytes } = await upstream.count({ kind: 'blob', method: 'GET' })
  await upstream.forget(REPOSITORY, layers)
  return {
    ...(times ?? { downloadSeconds: Number.NaN, wholeSeconds: Number.NaN }),
    blobGets: requests,
    bytesRatio: bytes / (LAYERS * layer),
    failures: times === undefined ? 1 : 0,
  }
}
