// What an edge may take, for tests that say a number, and what it counts.
import type { Status } from '../../src/registry/operator/status.ts'
import type { StorageLimits } from '../../src/registry/space/limits.ts'
import { askSocket } from './clients/admin-socket.ts'
import type { TestEdge, TestEdgeOptions } from './edge.ts'

/** By default the disk alone limits. Beside this edge's own reserve nothing needs to stay free. */
export function limitsOf(
  maxBytes = Number.POSITIVE_INFINITY,
  { minFreeBytes = 0, lowWaterShare = 0.95 } = {},
): StorageLimits {
  return {
    maxSize: { kind: 'bytes', bytes: maxBytes },
    minFree: { kind: 'bytes', bytes: minFreeBytes },
    lowWaterShare,
  }
}

/** What an edge counts of its data directory. */
export async function takenBytes({ socket }: Pick<TestEdge, 'socket'>): Promise<number> {
  const { body } = await askSocket(socket, '/api/v1/status', { headers: { host: 'localhost' } })
  return (JSON.parse(body) as Status).storage.takenBytes
}

/**
 * Lets so many bytes more in: a reload with that limit, since an empty directory takes some of it.
 * `config`: what else stands there.
 */
export async function leaveRoom(
  edge: TestEdge,
  bytes: number,
  { upstreams, config }: Pick<TestEdgeOptions, 'upstreams' | 'config'>,
): Promise<void> {
  const maxsize = String((await takenBytes(edge)) + bytes)
  await edge.reloaded(upstreams, { ...config, storage: { maxsize } })
}
