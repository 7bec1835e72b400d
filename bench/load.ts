// The bench's side of the load process.
import { forkWorker } from './worker.ts'
import type { LoadCall, Looped, Pulled, Target } from './load-process.ts'

export interface Load {
  /** `clients` connections set off at once, each asking for `paths` one after another; what each saw of the last. */
  pull(url: string, paths: readonly string[], options?: PullOptions): Promise<readonly Pulled[]>
  /** `clients` connections asking for `path` again and again. */
  loop(url: string, path: string, options: LoopOptions): Promise<Looped>
  stop(): Promise<void>
}

export interface PullOptions {
  /** Default 1. */
  readonly clients?: number
  /** Computes the digest of what came: costs the client time. Default false. */
  readonly hash?: boolean
}

export interface LoopOptions {
  readonly clients: number
  readonly seconds: number
}

export async function startLoad(): Promise<Load> {
  const worker = forkWorker('./load-process.ts')
  await worker.first
  const call = (message: LoadCall) => worker.call(message)
  return {
    pull: async (url, paths, { clients = 1, hash = false } = {}) =>
      (await call({ call: 'pull', target: targetOf(url, paths), clients, hash })) as Pulled[],
    loop: async (url, path, options) =>
      (await call({ call: 'loop', target: targetOf(url, [path]), ...options })) as Looped,
    stop: () => worker.stop(),
  }
}

function targetOf(url: string, paths: readonly string[]): Target {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port), paths }
}
