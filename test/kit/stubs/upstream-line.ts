// The line between an edge and its upstream: passes every request on, says how far each one is, and
// can be cut. A request that came whole is carried out whatever becomes of whoever sent it, as on
// real lines.
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export type LineRequest =
  | 'HEAD of a blob'
  | 'POST of an upload'
  | 'PUT of a blob'
  /** By its digest. */
  | 'PUT of a manifest'
  | 'PUT of a tag'

/**
 * `taken, not answered`: the upstream has answered, and the edge does not know yet. `answered`: the
 * kernel has the answer.
 */
export type LinePhase = 'arrives' | 'half-way' | 'taken, not answered' | 'answered'

export interface LineMoment {
  /** The same for all moments of one request. */
  readonly id: number
  readonly request: LineRequest
  readonly phase: LinePhase
  readonly repository: string
}

/**
 * What becomes of a request that arrives: `lost` never gets to the upstream, a promise holds it
 * back. No effect in other phases.
 */
export type LineFate = 'lost' | Promise<void> | undefined

/** `see` is called in the middle of each moment. It is up at first. */
export async function startUpstreamLine(upstream: string, see: (moment: LineMoment) => LineFate) {
  const agent = new Agent({ keepAlive: true })
  const sockets = new Set<Socket>()
  let isUp = true
  let last = 0
  let moved = (): void => {}

  async function pass(message: IncomingMessage, response: ServerResponse): Promise<void> {
    last += 1
    moved()
    const about = { id: last, ...classify(message) }
    const at = (phase: LinePhase): LineFate => {
      const { request: kind } = about
      return kind === undefined ? undefined : see({ ...about, request: kind, phase })
    }
    const body = await readWhole(message, () => at('half-way'))
    const fate = at('arrives')
    if (fate === 'lost') return void response.destroy()
    await fate
    const answer = await ask(message, { upstream, agent, body })
    moved()
    void at('taken, not answered')
    response.once('finish', () => at('answered'))
    response.writeHead(answer.status, answer.headers).end(answer.body)
  }

  const server = createServer((message, response) => {
    // Somebody left, or everything ends.
    pass(message, response).catch(() => response.destroy())
  })
  server.on('connection', socket => {
    if (!isUp) return socket.destroy()
    sockets.add(socket)
    return socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    up: (): void => {
      isUp = true
    },
    /** Cuts what is under way; what is connected from now on is cut at once. */
    down: (): void => {
      isUp = false
      cut()
    },
    /** Resolves when no request has come and none was carried out for `ms`. For one at a time. */
    untilQuiet: (ms: number): Promise<void> =>
      new Promise(resolve => {
        const timer = setTimeout(resolve, ms)
        moved = () => void timer.refresh()
      }),
    stop: async (): Promise<void> => {
      cut()
      agent.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function classify({ method, url = '' }: IncomingMessage): {
  readonly request: LineRequest | undefined
  readonly repository: string
} {
  const found = /^\/v2\/(?<repository>.+)\/(?<kind>blobs|manifests)\/(?<rest>[^?]*)/.exec(url)
  const { repository = '', kind, rest = '' } = found?.groups ?? {}
  return { request: requestOf(`${method} ${kind}`, rest), repository }
}

function requestOf(what: string, rest: string): LineRequest | undefined {
  switch (what) {
    case 'HEAD blobs':
      return 'HEAD of a blob'
    case 'POST blobs':
      return 'POST of an upload'
    case 'PUT blobs':
      return 'PUT of a blob'
    case 'PUT manifests':
      return rest.includes(':') ? 'PUT of a manifest' : 'PUT of a tag'
    default:
      return undefined
  }
}

/** @throws when it ends early */
async function readWhole(message: IncomingMessage, halfWay: () => void): Promise<Buffer> {
  const lengthBytes = Number(message.headers['content-length'] ?? 0)
  const chunks: Buffer[] = []
  let bytes = 0
  let isTold = false
  for await (const chunk of message as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (isTold || bytes < lengthBytes / 2 || bytes >= lengthBytes) continue
    isTold = true
    halfWay()
  }
  return Buffer.concat(chunks)
}

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host'])

async function ask(
  { method, url, headers }: IncomingMessage,
  { upstream, agent, body }: { upstream: string; agent: Agent; body: Buffer },
) {
  const outgoing = request(new URL(url ?? '', upstream), {
    ...(method === undefined ? {} : { method }),
    agent,
    headers: endToEnd(headers),
  })
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject).end(body)
  })
  const chunks: Buffer[] = []
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk)
  return {
    status: answer.statusCode ?? 0,
    headers: endToEnd(answer.headers),
    body: Buffer.concat(chunks),
  }
}

function endToEnd(headers: IncomingMessage['headers']) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)))
}
