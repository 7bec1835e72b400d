// An image that no server has seen, pulled through one by a client that only reads: its manifest
// and then its blobs, some at a time.
import { isWhole } from './load.ts'
import { watchCpu } from './processes.ts'
import type { RowContext, Started } from './row.ts'

export const TAG = 'v1'

interface ImagePull {
  readonly seed: string
  /** Whose manifests are asked for before the blobs. */
  readonly tags: readonly string[]
  readonly atOnce: number
  /** One blob for each. */
  readonly layerBytes: readonly number[]
}

/** From a repository that no server has seen: what its tags say, then all of its blobs. */
export async function pullImage(
  { upstream, load }: RowContext,
  { server }: Started,
  { seed, tags, atOnce, layerBytes }: ImagePull,
) {
  const repository = `bench/${seed.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`
  const { layers } = await upstream.addImage({ repository, tag: TAG, seed, layerBytes })
  await upstream.clearCounts()
  const cpu = watchCpu(server.pid)
  const startMs = performance.now()
  const manifests = tags.map(tag => `/v2/${repository}/manifests/${tag}`)
  const pulled = manifests.length === 0 ? [] : await load.pull(server.url, manifests)
  const blobs = layers.map(digest => `/v2/${repository}/blobs/${digest}`)
  const { failures } = await load.ask(server.url, blobs, atOnce)
  const seconds = (performance.now() - startMs) / 1000
  const { cpuSeconds } = cpu()
  const { requests } = await upstream.count({})
  await upstream.forget(repository, layers)
  const notPulled = pulled.filter(each => !isWhole(each)).length
  return { seconds, cpuSeconds, requests, failures: failures + notPulled }
}
