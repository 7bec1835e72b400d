// One connection of the load client: GET requests one after another, answers parsed by hand. It knows Content-Length and the end of
// the connection; of a chunked body, which only errors have here, it looks for the end and leaves the coding in.
import { connect as connectSocket } from 'node:net'

export interface Response {
  /** 0 when the connection ended before the head. */
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly bodyBytes: number
  readonly complete: boolean
}

export interface Connection {
  /** Never rejects. `onBody` gets a view that is good for the call only. */
  get(path: string, onBody: (bytes: Uint8Array) => void): Promise<Response>
  close(): void
}

/** Large reads make a cheap client; larger ones than the kernel's buffers hold come to nothing. */
const READ_BYTES = 256 * 1024
const HEAD_END = '\r\n\r\n'
const LAST_CHUNK = '0\r\n\r\n'
/** A server that sends nothing for so long has hung. */
const SILENCE_MS = 30_000
/** Whatever a registry may be asked for here. */
const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  '*/*',
].join(', ')

interface Exchange {
  head: string
  response: { -readonly [Name in keyof Response]: Response[Name] }
  /** Infinity where the end of the connection ends the body; undefined until the head is whole. */
  expectedBytes: number | undefined
  readonly onBody: (bytes: Uint8Array) => void
  readonly done: (response: Response) => void
}

export function connect(host: string, port: number): Connection {
  let current: Exchange | undefined
  let closed = false

  const finish = () => {
    const ending = current
    current = undefined
    ending?.done(ending.response)
  }
  const onBytes = (bytes: Buffer) => {
    if (current === undefined) return
    const body = current.expectedBytes === undefined ? takeHead(current, bytes) : bytes
    if (current.expectedBytes === undefined) return
    if (body.length > 0) {
      current.response.bodyBytes += body.length
      current.onBody(body)
    }
    if (current.response.bodyBytes < current.expectedBytes && !endsChunked(current, body)) return
    current.response.complete = current.response.bodyBytes <= current.expectedBytes
    finish()
  }
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  const socket = connectSocket({
    host,
    port,
    noDelay: true,
    onread: {
      buffer,
      callback: count => {
        onBytes(buffer.subarray(0, count))
        return true
      },
    },
  })
  socket.setTimeout(SILENCE_MS, () => socket.destroy())
  socket.on('error', () => {
    // The close that follows says enough.
  })
  socket.on('close', () => {
    closed = true
    finish()
  })
  return {
    get(path, onBody) {
      return new Promise(resolve => {
        const response = { status: 0, headers: {}, bodyBytes: 0, complete: false }
        if (closed) return resolve(response)
        current = { head: '', response, expectedBytes: undefined, onBody, done: resolve }
        socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\nAccept: ${ACCEPT}\r\n\r\n`)
      })
    },
    close: () => socket.destroy(),
  }
}

function endsChunked({ response }: Exchange, body: Buffer): boolean {
  if (response.headers['transfer-encoding'] !== 'chunked') return false
  return body.subarray(-LAST_CHUNK.length).toString('latin1') === LAST_CHUNK
}

/** Reads as much of the head as there is; returns what follows it. */
function takeHead(exchange: Exchange, bytes: Buffer): Buffer {
  const before = exchange.head.length
  exchange.head += bytes.toString('latin1')
  const end = exchange.head.indexOf(HEAD_END)
  if (end === -1) return bytes.subarray(bytes.length)
  const [statusLine = '', ...lines] = exchange.head.slice(0, end).split('\r\n')
  const headers = lines.map(line => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  })
  const { response } = exchange
  response.status = Number(statusLine.split(' ')[1])
  response.headers = Object.fromEntries(headers)
  exchange.expectedBytes = Number(response.headers['content-length'] ?? Infinity)
  return bytes.subarray(end + HEAD_END.length - before)
}
