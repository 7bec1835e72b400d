// The bench's side of the load process.
import { forkWorker } from './worker.ts'
import type { Target } from './load-connection.ts'
import type { Asked, LoadCall, Looped, Pulled } from './load-process.ts'
import type { LoggedIn, Shown } from './load-logins.ts'
import type { Held } from './load-stall.ts'

export interface Load {
  /**
   * `clients` connections set off at once, each asking for `paths` one after another; what each saw
   * of the last.
   */
  pull(url: string, paths: readonly string[], options?: PullOptions): Promise<readonly Pulled[]>
  /** `clients` connections asking for `path` again and again. */
  loop(url: string, path: string, options: LoopOptions): Promise<Looped>
  /** All of `paths`, each once, by `clients` connections. */
  ask(url: string, paths: readonly string[], clients: number): Promise<Asked>
  /**
   * `clients` connections, from many addresses, that ask for `path` and read its beginning only;
   * until `release`.
   */
  hold(url: string, path: string, clients: number): Promise<Held>
  release(): Promise<void>
  /**
   * Each of `shown` on a connection of its own, `everyMs` after the one before whatever became of
   * that; 0: all at once.
   */
  logIn(url: string, path: string, options: LogInOptions): Promise<LoggedIn>
  stop(): Promise<void>
}

export interface PullOptions {
  /** Default 1. */
  readonly clients?: number
  /** Computes the digest of what came: costs the client time. Default false. */
  readonly hash?: boolean
  /** Leaves when the first byte is there. Default false. */
  readonly firstByteOnly?: boolean
  /** PEM: who signed the certificate of a server that speaks TLS. */
  readonly authority?: string
  /** What is shown with each request. Default: nothing. */
  readonly authorization?: string
}

export interface LogInOptions {
  readonly shown: readonly Shown[]
  readonly everyMs: number
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
    pull: async (url, paths, { authority, authorization, ...options } = {}) => {
      const target = { ...targetOf(url, paths), authority, authorization }
      const usual = { clients: 1, hash: false, firstByteOnly: false }
      return (await call({ call: 'pull', target, ...usual, ...options })) as Pulled[]
    },
    loop: async (url, path, options) =>
      (await call({ call: 'loop', target: targetOf(url, [path]), ...options })) as Looped,
    ask: async (url, paths, clients) =>
      (await call({ call: 'ask', target: targetOf(url, paths), clients })) as Asked,
    hold: async (url, path, clients) =>
      (await call({ call: 'hold', target: targetOf(url, [path]), clients })) as Held,
    release: async () => void (await call({ call: 'release' })),
    logIn: async (url, path, options) =>
      (await call({ call: 'log in', target: targetOf(url, [path]), ...options })) as LoggedIn,
    stop: () => worker.stop(),
  }
}

/** A 200 that came to its end. */
export function isWhole({ status, complete }: Pick<Pulled, 'status' | 'complete'>): boolean {
  return status === 200 && complete
}

function targetOf(url: string, paths: readonly string[]): Target {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port), paths }
}
