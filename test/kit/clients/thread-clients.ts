// One client for each HTTP thread of an edge. The kernel decides which thread gets a connection;
// ids of requests begin alike when the same thread gave them, so connections are made until there
// is one to each.
import { Agent, type IncomingMessage, request } from 'node:http'
import { once } from 'node:events'

export interface ThreadAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** As received: name, value, name, value. */
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
}

interface SentToThread {
  readonly body?: Uint8Array
  readonly headers?: Readonly<Record<string, string>>
}

export interface ThreadClient {
  /** What the ids of this thread's requests begin with. */
  readonly thread: string
  /**
   * On one connection, one at a time. `path` may be a Location.
   * @throws when the connection breaks
   */
  send(method: string, path: string, sent?: SentToThread): Promise<ThreadAnswer>
  /** The same, of whose body nothing was read; whoever asks reads it, or destroys it. */
  begin(method: string, path: string, sent?: SentToThread): Promise<IncomingMessage>
  close(): void
}

/** So many connections to one of four threads by chance are one in 10^24. */
const TRIES_MAX = 200

/**
 * Closed when the test ends. `from`: the address that they call from; default what the kernel
 * takes.
 * @throws when the connections do not reach as many threads
 */
export async function reachThreads(
  t: { teardown(fn: () => unknown): unknown },
  url: string,
  threads: number,
  from?: string,
): Promise<readonly ThreadClient[]> {
  const clients = new Map<string, ThreadClient>()
  for (let tries = 0; clients.size < threads && tries < TRIES_MAX; tries += 1) {
    const client = await connect(url, from)
    if (clients.has(client.thread)) client.close()
    else clients.set(client.thread, client)
  }
  t.teardown(() => {
    for (const client of clients.values()) client.close()
  })
  if (clients.size < threads) throw new Error(`${clients.size} of ${threads} threads answer`)
  return [...clients.values()]
}

async function connect(url: string, from: string | undefined): Promise<ThreadClient> {
  const localAddress = from === undefined ? {} : { localAddress: from }
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ...localAddress })
  const begin: ThreadClient['begin'] = async (method, path, { body, headers = {} } = {}) => {
    const length = body === undefined ? {} : { 'content-length': String(body.length) }
    const outgoing = request(new URL(path, url), {
      method,
      agent,
      headers: { ...length, ...headers },
    })
    outgoing.end(body)
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
    return incoming
  }
  const send: ThreadClient['send'] = async (method, path, sent) => {
    const incoming = await begin(method, path, sent)
    const pieces: Buffer[] = []
    for await (const piece of incoming) pieces.push(piece as Buffer)
    const { statusCode: status = 0, headers, rawHeaders } = incoming
    return { status, headers, rawHeaders, body: Buffer.concat(pieces) }
  }
  const { headers } = await send('GET', '/v2/')
  const [thread = ''] = String(headers['x-request-id']).split('-')
  return { thread, send, begin, close: () => agent.destroy() }
}
