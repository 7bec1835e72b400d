// A pass-through HTTP proxy between the edge and an upstream: counts what is asked for, stops a
// blob's body half-way until it is released, and can be closed like a server that went away. It
// changes no byte and no header.
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type Server,
  type ServerResponse,
} from 'node:http'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'

/** One request as the gate saw it; the numbers grow while the body passes. */
export interface Passed {
  readonly method: string
  readonly path: string
  readonly range: string | undefined
  /** 0 until the upstream answered. */
  status: number
  /** Body bytes handed on to the edge. */
  bodyBytes: number
  /** The whole body was handed on. */
  complete: boolean
}

export interface Hold {
  /** Resolves when the bytes before the barrier were handed on and no more are coming. */
  readonly reached: Promise<void>
  /** Resolves when the edge has given up all requests that are held. */
  readonly gone: Promise<void>
  release(): void
}

export interface Gate {
  /** `http://127.0.0.1:PORT`; stays the same when closed and opened again. */
  readonly url: string
  /** Every request since the last `forget`. */
  passed(): readonly Passed[]
  forget(): void
  /**
   * Lets so many more bytes of this blob pass and then none until released, whether the edge asks
   * for it by one GET or in parts: that depends on how quick it found the upstream. One hold per
   * digest.
   */
  hold(digest: string, afterBytes: number): Hold
  /** Resolves when some GET of this blob was handed on to its last byte. */
  delivered(digest: string): Promise<void>
  /** Refuses connections and cuts those that are open. */
  close(): Promise<void>
  open(): Promise<void>
}

const EDGE_LEFT = 'the edge went away'

/** What all GETs of a held blob wait at. */
interface Barrier extends Hold {
  /** Of what may still pass before it is released, takes as much as there is of `bytes`. */
  take(bytes: number): number
  /** A GET is held; resolves when it may go on. `response`: the edge gives it up by closing it. */
  wait(response: ServerResponse): Promise<void>
}

/** Starts a gate in front of `upstreamUrl` on a port of the kernel's choice. */
export async function openGate(upstreamUrl: () => string): Promise<Gate> {
  let passed: Passed[] = []
  const barriers = new Map<string, Barrier>()
  const waiting = new Map<string, Set<() => void>>()
  const sockets = new Set<Socket>()
  let server: Server
  let port = 0

  const open = async () => {
    server = createServer((request, response) => {
      void pass(request, response)
    })
    server.on('connection', socket => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  }

  const pass = async (request: IncomingMessage, response: ServerResponse) => {
    const path = request.url ?? '/'
    const note: Passed = {
      method: request.method ?? '',
      path,
      range: request.headers.range,
      status: 0,
      bodyBytes: 0,
      complete: false,
    }
    passed.push(note)
    const barrier = note.method === 'GET' ? barriers.get(digestIn(path)) : undefined
    const outgoing = httpRequest(upstreamUrl() + path, {
      method: note.method,
      headers: request.headers,
      agent: false,
    })
    response.on('close', () => outgoing.destroy())
    request.pipe(outgoing)
    try {
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
      note.status = answer.statusCode ?? 0
      response.writeHead(note.status, answer.rawHeaders)
      // So that the edge sees the head, as from a server that is slow with the body.
      response.flushHeaders()
      await passBody(answer, response, { note, barrier })
      note.complete = true
      if (note.method === 'GET') for (const tell of waiting.get(digestIn(path)) ?? []) tell()
    } catch {
      response.destroy()
    }
  }

  await open()
  return {
    url: `http://127.0.0.1:${port}`,
    passed: () => passed,
    forget() {
      passed = []
    },
    hold(digest, afterBytes) {
      const barrier = createBarrier(afterBytes, () => barriers.delete(digest))
      barriers.set(digest, barrier)
      return barrier
    },
    delivered(digest) {
      const tellers = waiting.get(digest) ?? new Set()
      waiting.set(digest, tellers)
      return new Promise(resolve => tellers.add(resolve))
    },
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      if (server.listening) await once(server, 'close')
    },
    open,
  }
}

/** Blob bytes among `passed`: of `digest` only when given, heads not counted. */
export function blobBytes(passed: readonly Passed[], digest?: string): number {
  return passed
    .filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))
    .filter(({ path }) => digest === undefined || digestIn(path) === digest)
    .reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)
}

function createBarrier(afterBytes: number, released: () => void): Barrier {
  const reached = Promise.withResolvers<void>()
  const gone = Promise.withResolvers<void>()
  const open = Promise.withResolvers<void>()
  const held = new Set<ServerResponse>()
  let leftBytes = afterBytes
  return {
    reached: reached.promise,
    gone: gone.promise,
    take(bytes) {
      const taken = Math.min(bytes, leftBytes)
      leftBytes -= taken
      return taken
    },
    async wait(response) {
      if (response.destroyed) throw new Error(EDGE_LEFT)
      held.add(response)
      response.once('close', () => {
        held.delete(response)
        if (held.size === 0) gone.resolve()
      })
      reached.resolve()
      await open.promise
    },
    release() {
      leftBytes = Number.POSITIVE_INFINITY
      released()
      open.resolve()
    },
  }
}

async function passBody(
  answer: IncomingMessage,
  response: ServerResponse,
  { note, barrier }: { note: Passed; barrier: Barrier | undefined },
): Promise<void> {
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    const taken = barrier?.take(chunk.length) ?? chunk.length
    if (taken > 0) await write(response, chunk.subarray(0, taken), note)
    if (barrier === undefined || taken === chunk.length) continue
    await barrier.wait(response)
    await write(response, chunk.subarray(taken), note)
  }
  response.end()
}

async function write(response: ServerResponse, bytes: Buffer, note: Passed): Promise<void> {
  if (response.destroyed) throw new Error(EDGE_LEFT)
  const room = response.write(bytes)
  note.bodyBytes += bytes.length
  if (!room) await roomOrEnd(response)
}

function roomOrEnd(response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

function digestIn(path: string): string {
  return /\/blobs\/([a-z0-9]+:[0-9a-f]+)/.exec(path)?.[1] ?? ''
}
