// The state of this edge in one page: what it holds, what it saved, and how its upstreams are.
import type { CatalogTotals } from '../ports/catalog.ts'
import type { UpstreamHealth } from '../ports/upstream.ts'
import type { OperatorDeps, Traffic } from './operator.ts'

export interface Status {
  readonly version: string
  readonly content: CatalogTotals
  readonly storage: {
    readonly freeBytes: number
    readonly totalBytes: number
    /** Absent when only the disk limits. */
    readonly maxBytes?: number
  }
  readonly traffic: Traffic
  readonly upstreams: readonly (UpstreamHealth & { readonly offline: boolean })[]
}

export async function describeStatus(deps: OperatorDeps): Promise<Status> {
  const { catalog, store, namespaces, maxStorageBytes } = deps
  const [content, space, traffic] = await Promise.all([
    catalog.totals(),
    store.space(),
    deps.traffic(),
  ])
  const limit = Number.isFinite(maxStorageBytes) ? { maxBytes: maxStorageBytes } : {}
  return {
    version: deps.version,
    content,
    storage: { freeBytes: space.freeBytes, totalBytes: space.totalBytes, ...limit },
    traffic,
    upstreams: namespaces
      .list()
      .map(({ upstream, policy }) => ({ ...upstream.health(), offline: policy.offline })),
  }
}
