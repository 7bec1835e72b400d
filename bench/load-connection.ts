// One connection of the load client: GET requests one after another, answers parsed by hand. It
// knows Content-Length and the end of the connection; of a chunked body, which only errors have
// here, it looks for the end and leaves the coding in.
import { connect as connectPlain } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface Response {
  /** 0 when the connection ended before the head. */
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly bodyBytes: number
  readonly complete: boolean
}

export interface Connection {
  /**
   * Never rejects. `onBody` gets a view that is good for the call only; when it returns false,
   * nothing more is read.
   */
  get(path: string, onBody: (bytes: Uint8Array) => boolean | void): Promise<Response>
  close(): void
}

export interface Target {
  readonly host: string
  readonly port: number
  /** PEM; undefined for plain HTTP. */
  readonly authority?: string | undefined
  /** Undefined: no login is shown. */
  readonly authorization?: string | undefined
  /** Asked for one after another on the same connection; the last is the one that is measured. */
  readonly paths: readonly string[]
}

export interface ConnectOptions {
  readonly host: string
  readonly port: number
  /** PEM: speaks TLS 1.3 and trusts this. */
  readonly authority?: string | undefined
  /** Shown with each request. Default: nothing is. */
  readonly authorization?: string | undefined
  /** Where to connect from. Default: as the kernel likes. */
  readonly localAddress?: string | undefined
  /** A server that sends nothing for so long has hung. Default 60 s; 0: never. */
  readonly silenceMs?: number
  /** The most that is read at once. Default 256 KiB. */
  readonly readBytes?: number
}

/** Large reads make a cheap client; larger ones than the kernel's buffers hold come to nothing. */
const READ_BYTES = 256 * 1024
const HEAD_END = '\r\n\r\n'
const LAST_CHUNK = '0\r\n\r\n'
const SILENCE_MS = 60_000
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
  readonly onBody: (bytes: Uint8Array) => boolean | void
  readonly done: (response: Response) => void
}

export function connect(options: ConnectOptions): Connection {
  const { host, port, authority, authorization, localAddress } = options
  const { silenceMs = SILENCE_MS, readBytes = READ_BYTES } = options
  let current: Exchange | undefined
  let closed = false
  const login = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`

  const finish = () => {
    const ending = current
    current = undefined
    ending?.done(ending.response)
  }
  /** False: read no more. */
  const onBytes = (bytes: Buffer): boolean => {
    if (current === undefined) return true
    const body = current.expectedBytes === undefined ? takeHead(current, bytes) : bytes
    if (current.expectedBytes === undefined) return true
    current.response.bodyBytes += body.length
    const goesOn = body.length === 0 || current.onBody(body) !== false
    if (current.response.bodyBytes < current.expectedBytes && !endsChunked(current, body))
      return goesOn
    current.response.complete = current.response.bodyBytes <= current.expectedBytes
    finish()
    return goesOn
  }
  const buffer = Buffer.allocUnsafeSlow(readBytes)
  const onread = {
    buffer,
    callback: (count: number) => onBytes(buffer.subarray(0, count)),
  }
  const socket =
    authority === undefined
      ? connectPlain({ host, port, noDelay: true, onread, ...from(localAddress) })
      : connectTls({ host, port, ca: authority, minVersion: 'TLSv1.3' })
  // Of a TLS socket every piece is a buffer of its own, which is well enough: wrk is the client
  // there when it matters.
  if (authority !== undefined) {
    socket.on('data', (bytes: Buffer) => {
      if (!onBytes(bytes)) socket.pause()
    })
  }
  socket.setTimeout(silenceMs, () => socket.destroy())
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
        const head = `Host: ${host}:${port}\r\nAccept: ${ACCEPT}\r\n${login}`
        socket.write(`GET ${path} HTTP/1.1\r\n${head}\r\n`)
      })
    },
    close: () => socket.destroy(),
  }
}

function from(localAddress: string | undefined) {
  return localAddress === undefined ? {} : { localAddress }
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
