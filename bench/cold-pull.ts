// One blob that no server has seen, asked for by some clients at once: from the upstream itself, or
// through a server.
import { setTimeout as wait } from 'node:timers/promises'
import { isWhole } from './load.ts'
import { residentMiB, watchCpu } from './processes.ts'
import type { RowContext, Started } from './row.ts'

export interface Cold {
  readonly repository: string
  /** The same seed is the same blob: one for each pull. */
  readonly seed: string
  readonly sizeBytes: number
  readonly clients: number
  /** Clients leave when they have their first byte. Default false. */
  readonly firstByteOnly?: boolean
}

/** For what a server does after its last client has gone. */
const SETTLE_MS = 300
const WARM_PULLS = 10
/** Large enough to go the way of large blobs. */
const WARM_BYTES = 10_000_000
const WARM_CLIENTS = 20
/** How often memory is looked at. */
const LOOK_MS = 200

export type ColdPulled = Awaited<ReturnType<typeof coldPull>>

/** Through the upstream itself when nothing was started. Its CPU and memory are then NaN. */
export async function coldPull(
  { upstream, load }: Pick<RowContext, 'upstream' | 'load'>,
  started: Started | undefined,
  { repository, seed, sizeBytes, clients, firstByteOnly = false }: Cold,
) {
  const image = { repository, tag: 'cold', seed, layerBytes: [sizeBytes] }
  const { layers } = await upstream.addImage(image)
  await upstream.clearCounts()
  const url = started?.server.url ?? upstream.url
  const blob = `/v2/${repository}/blobs/${layers[0]}`
  const manifest = `/v2/${repository}/manifests/cold`
  const paths = started?.kind.wantsManifestFirst ? [manifest, blob] : [blob]
  const cpu = watchCpu(started?.server.pid)
  const memory = watchMemory(started?.server.pid)
  const pulled = await load.pull(url, paths, { clients, firstByteOnly })
  await wait(SETTLE_MS)
  const mostMiB = memory()
  const { cpuSeconds, boxSeconds } = cpu()
  const counts = await upstream.count({ kind: 'blob', method: 'GET', reference: layers[0] ?? '' })
  await upstream.forget(repository, layers)
  return {
    clients: pulled,
    /** Until the last client was done. */
    seconds: Math.max(...pulled.map(({ lastByteMs }) => lastByteMs)) / 1000,
    /** Clients without a whole blob. */
    failures: pulled.filter(client => !isWhole(client)).length,
    counts,
    cpuSeconds,
    boxSeconds,
    mostMiB,
  }
}

/** The first requests of a process are those of its compiler, and no service has seen only one. */
export async function warmUp(
  context: Pick<RowContext, 'upstream' | 'load'>,
  started: Started | undefined,
  repository: string,
): Promise<void> {
  for (let pull = 0; pull < WARM_PULLS; pull += 1) {
    const seed = `warm/${pull}/${started?.kind.name}`
    await coldPull(context, started, {
      repository,
      seed,
      sizeBytes: WARM_BYTES,
      clients: WARM_CLIENTS,
    })
  }
}

/** The result tells the most that was seen, in MiB. */
function watchMemory(pid: number | undefined): () => number {
  if (pid === undefined) return () => Number.NaN
  let most = residentMiB(pid)
  const look = () => {
    most = Math.max(most, residentMiB(pid))
  }
  const timer = setInterval(look, LOOK_MS)
  return () => {
    clearInterval(timer)
    look()
    return most
  }
}
