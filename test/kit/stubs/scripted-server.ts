// An HTTP server whose every answer a test writes out: for what no registry does and no fault
// switch offers.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { listen } from '../loopback.ts'
import type { Teardown } from '../open-upstream.ts'

export interface Received {
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Scripted {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Buffer
}

/** Undefined: nothing is answered, and the connection stays open. */
export type Script = (request: Received, count: number) => Scripted | undefined

/** Listens on 127.0.0.1 until the test ends. `count` is how many requests came before this one. */
export async function startScript(t: Teardown, script: Script) {
  const received: Received[] = []
  const server = createServer((message, response) => {
    const chunks: Buffer[] = []
    message.on('data', (chunk: Buffer) => chunks.push(chunk))
    message.on('end', () => {
      const { method = '', url: target = '', headers } = message
      const request = { method, target, headers, body: Buffer.concat(chunks).toString() }
      const answer = script(request, received.length)
      received.push(request)
      if (answer !== undefined) send(response, answer)
    })
  })
  const port = await listen(t, server)
  return { url: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, port, received }
}

function send(response: ServerResponse, { status = 200, headers = {}, body = '' }: Scripted): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers })
  response.end(body)
}

const MANIFEST = '{"schemaVersion":2}'

/** A manifest, as short as can be. */
export const GOOD_MANIFEST: Scripted = {
  headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
  body: MANIFEST,
}
