// The load client in a process of its own: HTTP/1.1 over sockets that read into one buffer each, so
// that it costs little next to the server. Bodies need a Content-Length, as blobs and manifests
// have it. usage: forked by load.ts
import { createHash, type Hash } from 'node:crypto'
import { type Connection, connect, type Response, type Target } from './load-connection.ts'
import { logIn, type LoggedIn, type LogInCall } from './load-logins.ts'
import { type HoldCall, holdReaders, releaseReaders, type Held } from './load-stall.ts'

export type LoadCall =
  | {
      readonly call: 'pull'
      readonly target: Target
      readonly clients: number
      readonly hash: boolean
      /** Ends the connection as soon as the first byte of the last body is there. */
      readonly firstByteOnly: boolean
    }
  | {
      readonly call: 'loop'
      readonly target: Target
      readonly clients: number
      readonly seconds: number
    }
  | {
      /** All paths, each once, by so many clients over connections that stay open. */
      readonly call: 'ask'
      readonly target: Target
      readonly clients: number
    }
  | HoldCall
  | LogInCall

/** What one client saw; times count from the moment at which all clients set off. */
export interface Pulled {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** First byte of the body; NaN when there was none. */
  readonly firstByteMs: number
  readonly lastByteMs: number
  readonly bodyBytes: number
  /** As many bytes came as the head said. */
  readonly complete: boolean
  /** Hexadecimal; empty when it was not asked for. */
  readonly sha256: string
}

export interface Looped {
  readonly bytes: number
  readonly seconds: number
  /** Answers that were no 200, or not whole. */
  readonly failures: number
}

export interface Asked {
  /** For each path, from its request to its last byte. */
  readonly waitsMs: readonly number[]
  /** Answers that were no 200, or not whole. */
  readonly failures: number
}

process.on('message', (message: { id: number } & LoadCall) => {
  void answer(message).then(result => process.send?.({ id: message.id, result }))
})
process.once('disconnect', () => process.exit())
process.send?.({ id: 0, result: null })

async function answer(
  message: LoadCall,
): Promise<Pulled[] | Looped | Asked | Held | LoggedIn | null> {
  switch (message.call) {
    case 'loop':
      return loop(message)
    case 'ask':
      return ask(message)
    case 'hold':
      return holdReaders(message)
    case 'log in':
      return logIn(message)
    case 'release':
      releaseReaders()
      return null
    case 'pull': {
      const startMs = performance.now()
      return Promise.all(Array.from({ length: message.clients }, () => pull(message, startMs)))
    }
  }
}

async function pull(
  { target, hash, firstByteOnly }: Extract<LoadCall, { call: 'pull' }>,
  startMs: number,
): Promise<Pulled> {
  const connection = connect(target)
  let response: Response | undefined
  let digest: Hash | undefined
  let firstByteMs = Number.NaN
  for (const path of target.paths) {
    digest = hash ? createHash('sha256') : undefined
    firstByteMs = Number.NaN
    response = await connection.get(path, bytes => {
      if (Number.isNaN(firstByteMs)) firstByteMs = performance.now() - startMs
      digest?.update(bytes)
      if (firstByteOnly && path === target.paths.at(-1)) connection.close()
    })
  }
  const lastByteMs = performance.now() - startMs
  connection.close()
  const { status = 0, headers = {}, bodyBytes = 0, complete = false } = response ?? {}
  const sha256 = digest?.digest('hex') ?? ''
  return { status, headers, firstByteMs, lastByteMs, bodyBytes, complete, sha256 }
}

async function ask({ target, clients }: Extract<LoadCall, { call: 'ask' }>): Promise<Asked> {
  const waiting = [...target.paths]
  const waitsMs: number[] = []
  let failures = 0
  await Promise.all(
    Array.from({ length: clients }, async () => {
      let connection = connect(target)
      for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
        const startMs = performance.now()
        const { complete, status } = await connection.get(path, () => {})
        waitsMs.push(performance.now() - startMs)
        if (complete && status === 200) continue
        failures += 1
        connection.close()
        connection = connect(target)
      }
      connection.close()
    }),
  )
  return { waitsMs, failures }
}

/**
 * Every client asks again and again; bytes of an answer that is under way at the end count as far
 * as they came.
 */
async function loop({
  target,
  clients,
  seconds,
}: Extract<LoadCall, { call: 'loop' }>): Promise<Looped> {
  let bytes = 0
  let failures = 0
  let over = false
  const connections: Connection[] = []
  const startMs = performance.now()
  const running = Array.from({ length: clients }, async () => {
    while (!over) {
      const connection = connect(target)
      connections.push(connection)
      for (let alive = true; alive && !over; ) {
        const response = await connection.get(target.paths.at(-1) ?? '/', chunk => {
          if (!over) bytes += chunk.length
        })
        alive = response.complete && response.status === 200
        if (!alive && !over) failures += 1
      }
      connection.close()
    }
  })
  await new Promise(resolve => {
    setTimeout(resolve, seconds * 1000)
  })
  over = true
  const elapsedMs = performance.now() - startMs
  for (const connection of connections) connection.close()
  await Promise.all(running)
  return { bytes, seconds: elapsedMs / 1000, failures }
}
