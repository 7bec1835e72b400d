// Clients that send many requests at once on a connection that they keep, one connection for each
// HTTP thread of an edge: for tests of very many answers. Each answer is known by its length.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { testCertificate } from '../over-tls.ts'
import type { ThreadAnswer } from './thread-clients.ts'

export interface PipelinedRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Only where it is asked alone. */
  readonly body?: Uint8Array
}

/** Over `https` it trusts testCertificate. */
export interface Way {
  /** The address that it calls from. */
  readonly from: string
  /** Shown where it is asked for. Default: none. */
  readonly certificate?: { readonly key: string; readonly cert: string } | undefined
}

/** So many connections to one of four threads by chance are one in 10^24. */
const TRIES_MAX = 200

/**
 * Closed when the test ends.
 * @throws when the connections do not reach as many threads
 */
export async function reachPipelined(
  t: { teardown(fn: () => unknown): unknown },
  url: string,
  threads: number,
  way: Way,
): Promise<readonly PipelinedClient[]> {
  const { host } = new URL(url)
  const clients = new Map<string, PipelinedClient>()
  t.teardown(() => {
    for (const client of clients.values()) client.close()
  })
  for (let tries = 0; clients.size < threads && tries < TRIES_MAX; tries += 1) {
    const client = new PipelinedClient(await dial(url, way))
    await client.ask([{ method: 'GET', path: '/v2/', headers: { host } }])
    if (clients.has(client.thread)) client.close()
    else clients.set(client.thread, client)
  }
  if (clients.size < threads) throw new Error(`${clients.size} of ${threads} threads answer`)
  return [...clients.values()]
}

/** Over a connection of its own: one that has a body, and whose refusal ends it. */
export async function askAlone(
  url: string,
  way: Way,
  { body = Buffer.alloc(0), ...request }: PipelinedRequest,
): Promise<ThreadAnswer> {
  const client = new PipelinedClient(await dial(url, way))
  try {
    const headers = { ...request.headers, 'content-length': String(body.length) }
    const [answer] = await client.ask([{ ...request, headers, body }])
    if (answer === undefined) throw new Error('no answer')
    return answer
  } finally {
    client.close()
  }
}

async function dial(url: string, { from, certificate }: Way): Promise<Socket> {
  const { hostname, port, protocol } = new URL(url)
  const plain = connect({ host: hostname, port: Number(port), localAddress: from, noDelay: true })
  await once(plain, 'connect')
  if (protocol !== 'https:') return plain
  const { ca } = testCertificate()
  const { key, cert } = certificate ?? {}
  const socket = connectTls({ socket: plain, ca, servername: 'localhost', key, cert })
  await once(socket, 'secureConnect')
  return socket
}

export class PipelinedClient {
  /** What the ids of this thread's requests begin with. */
  thread = ''
  readonly #socket: Socket
  readonly #pieces: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(socket: Socket) {
    this.#socket = socket
    this.#pieces = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  close(): void {
    this.#socket.destroy()
  }

  /** @throws when the connection ends before all are answered */
  async ask(requests: readonly PipelinedRequest[]): Promise<readonly ThreadAnswer[]> {
    const heads = requests.map(({ method, path, headers }) => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
      return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
    })
    this.#socket.write(heads.join(''))
    for (const { body } of requests) if (body !== undefined) this.#socket.write(body)
    const answers: ThreadAnswer[] = []
    for (const { method } of requests) answers.push(await this.#read(method === 'HEAD'))
    return answers
  }

  async #read(isHead: boolean): Promise<ThreadAnswer> {
    let end = this.#rest.indexOf(HEAD_END)
    while (end < 0) {
      this.#rest = Buffer.concat([this.#rest, await this.#next()])
      end = this.#rest.indexOf(HEAD_END)
    }
    const [first = '', ...lines] = this.#rest.subarray(0, end).toString('latin1').split('\r\n')
    this.#rest = this.#rest.subarray(end + HEAD_END.length)
    const rawHeaders = lines.flatMap(line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1).trim()]
    })
    const headers: Record<string, string> = {}
    for (let at = 0; at < rawHeaders.length; at += 2)
      headers[(rawHeaders[at] ?? '').toLowerCase()] = rawHeaders[at + 1] ?? ''
    const status = Number(first.split(' ')[1])
    const isBodiless = isHead || status === 204 || status === 304
    const body = await this.#take(isBodiless ? 0 : lengthIn(headers))
    this.thread ||= headers['x-request-id']?.split('-')[0] ?? ''
    return { status, headers, rawHeaders, body }
  }

  async #take(sizeBytes: number): Promise<Buffer> {
    const pieces = [this.#rest]
    let left = sizeBytes - this.#rest.length
    while (left > 0) {
      const piece = await this.#next()
      left -= piece.length
      pieces.push(piece)
    }
    const all = pieces.length === 1 ? this.#rest : Buffer.concat(pieces)
    this.#rest = all.subarray(sizeBytes)
    return all.subarray(0, sizeBytes)
  }

  async #next(): Promise<Buffer> {
    const { value, done } = await this.#pieces.next()
    if (done === true) throw new Error('the connection ended')
    return value
  }
}

const HEAD_END = '\r\n\r\n'

function lengthIn(headers: Readonly<Record<string, string>>): number {
  const length = headers['content-length']
  if (length === undefined) throw new Error(`no length: ${JSON.stringify(headers)}`)
  return Number(length)
}
