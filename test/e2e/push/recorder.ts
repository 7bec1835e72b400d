// Stands between clients and an edge and writes down which headers they send by themselves with
// what may be a part of a push. What it found is test/kit/clients/recorded-headers.json, which
// src/access/client-headers.ts is held against. It passes everything on as it came.
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import {
  Agent,
  createServer,
  type IncomingMessage,
  request as send,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'

export interface Recorder {
  /** `127.0.0.1:PORT`, in place of the edge's. */
  readonly authority: string
  /** What comes from now on is this client's. */
  about(client: string): void
  /** Adds what was seen to the file: names in lower case, by client. */
  write(file: string): void
  stop(): Promise<void>
}

export async function startRecorder(target: string): Promise<Recorder> {
  const { hostname, port } = new URL(`http://${target}`)
  const agent = new Agent({ keepAlive: false })
  const seen = new Map<string, Set<string>>()
  let client = 'nobody'

  function note({ method, url = '', rawHeaders }: IncomingMessage): void {
    if (method === 'GET' && !url.includes('/blobs/uploads/')) return
    const names = seen.get(client) ?? new Set()
    seen.set(client, names)
    for (let at = 0; at < rawHeaders.length; at += 2) {
      names.add((rawHeaders[at] ?? '').toLowerCase())
    }
  }

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    note(incoming)
    const { method, url, rawHeaders } = incoming
    const place = { hostname, port, method, path: url, agent }
    const onward = send({ ...place, headers: rawHeaders as unknown as Record<string, string> })
    const answered = once(onward, 'response')
    const sent = pipeline(incoming, onward).catch(() => {})
    const [answer] = (await answered) as [IncomingMessage]
    outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
    await pipeline(answer, outgoing)
    await sent
  }

  const passOrCut = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    pass(incoming, outgoing).catch(() => outgoing.destroy())
  }
  const server = createServer(passOrCut)
  server.on('checkContinue', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    outgoing.writeContinue()
    passOrCut(incoming, outgoing)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    authority: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    about(next) {
      client = next
    },
    write(file) {
      const before = JSON.parse(readFileSync(file, 'utf8')) as Record<string, readonly string[]>
      const now = [...seen].map(([name, names]) => [name, [...names].sort()] as const)
      const all = { ...before, ...Object.fromEntries(now) }
      const sorted = Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1))
      writeFileSync(file, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`)
    },
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
