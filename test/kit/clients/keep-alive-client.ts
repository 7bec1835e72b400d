// A client that keeps its connection, as clients that ask for the same things all the time do, and
// sees the answer's head as it was sent.
import { once } from 'node:events'
import { Agent, type AgentOptions, type IncomingMessage, request } from 'node:http'
import { Agent as TlsAgent, request as requestOverTls } from 'node:https'
import { testCertificate } from '../over-tls.ts'

export interface KeepAliveAnswer {
  readonly status: number
  /** As received: name, value, name, value. */
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
}

export interface KeepAliveClient {
  /** One request at a time goes out on a connection; default one connection. */
  ask(
    path: string,
    options?: {
      readonly method?: string
      /** Of several values each goes into a line of its own. */
      readonly headers?: Readonly<Record<string, string | string[]>>
    },
  ): Promise<KeepAliveAnswer>
  close(): void
}

/** `from`: the address that it calls from; default what the kernel takes. */
export function createKeepAliveClient(
  url: string,
  connections = 1,
  from?: string,
): KeepAliveClient {
  const isTls = url.startsWith('https:')
  const localAddress = from === undefined ? {} : { localAddress: from }
  const agent = createAgent(isTls, { keepAlive: true, maxSockets: connections, ...localAddress })
  const send = isTls ? requestOverTls : request
  return {
    async ask(path, { method = 'GET', headers = {} } = {}) {
      const outgoing = send(new URL(path, url), { method, headers, agent })
      const [answer] = (await once(outgoing.end(), 'response')) as [IncomingMessage]
      const pieces: Buffer[] = []
      for await (const piece of answer) pieces.push(piece as Buffer)
      const { statusCode = 0, rawHeaders } = answer
      return { status: statusCode, rawHeaders, body: Buffer.concat(pieces) }
    },
    close: () => agent.destroy(),
  }
}

/**
 * Tests call servers by addresses that no certificate is for; that the right authority signed is
 * checked all the same.
 */
function createAgent(isTls: boolean, options: AgentOptions): Agent {
  if (!isTls) return new Agent(options)
  return new TlsAgent({
    ...options,
    ca: testCertificate().ca,
    checkServerIdentity: () => undefined,
  })
}

/** The value of one header, by its name in lower case. */
export function headerOf({ rawHeaders }: KeepAliveAnswer, name: string): string | undefined {
  const at = rawHeaders.findIndex((each, index) => index % 2 === 0 && each.toLowerCase() === name)
  return at < 0 ? undefined : rawHeaders[at + 1]
}
