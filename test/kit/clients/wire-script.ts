// Requests on one connection as a seeded client makes them: pipelined, ranged, read at some pace,
// broken off somewhere. The whole stream of bytes that comes back is what two servers are compared
// by.
import { connect } from 'node:net'
import type { Random } from '../seeded.ts'

export interface WireScript {
  /** Sent at once. */
  readonly requests: readonly string[]
  /** Ends its side right behind the requests. */
  readonly halfCloses: boolean
  /** Cuts the connection once so much has come; Infinity: reads to the end. */
  readonly abortAfterBytes: number
  /**
   * Lets this many turns of the event loop pass, with nothing read, each time so many bytes have
   * come.
   */
  readonly pause: { readonly everyBytes: number; readonly turns: number } | undefined
}

export interface WireTarget {
  readonly path: string
  readonly sizeBytes: number
  readonly digest: string
}

/** The last request asks for the end of the connection. */
export function makeScript(
  random: Random,
  targets: readonly [WireTarget, ...WireTarget[]],
): WireScript {
  const count = random.between(1, 4)
  const requests = Array.from({ length: count }, (_, at) =>
    makeRequest(random, random.pick(targets), at === count - 1),
  )
  return {
    requests,
    halfCloses: random.oneIn(4),
    abortAfterBytes: random.oneIn(3) ? random.below(4_000_000) : Number.POSITIVE_INFINITY,
    pause: random.oneIn(3)
      ? { everyBytes: random.between(20_000, 500_000), turns: random.between(1, 20) }
      : undefined,
  }
}

function makeRequest(
  random: Random,
  { path, sizeBytes, digest }: WireTarget,
  isLast: boolean,
): string {
  const lines = [`${random.oneIn(8) ? 'HEAD' : 'GET'} ${path} HTTP/1.1`, 'Host: localhost']
  if (!random.oneIn(3)) lines.push(`Range: bytes=${makeRanges(random, sizeBytes)}`)
  if (random.oneIn(10)) lines.push(`If-None-Match: "${random.oneIn(2) ? digest : 'other'}"`)
  if (random.oneIn(10)) lines.push(`If-Range: "${random.oneIn(2) ? digest : 'other'}"`)
  if (isLast) lines.push('Connection: close')
  return `${lines.join('\r\n')}\r\n\r\n`
}

function makeRanges(random: Random, sizeBytes: number): string {
  const count = random.oneIn(3) ? random.between(2, 5) : 1
  return Array.from({ length: count }, () => makeRange(random, sizeBytes)).join(',')
}

function makeRange(random: Random, sizeBytes: number): string {
  const first = random.below(sizeBytes + (random.oneIn(20) ? sizeBytes : 0))
  if (random.oneIn(5)) return `-${random.between(1, sizeBytes)}`
  if (random.oneIn(3)) return `${first}-`
  return `${first}-${first + random.below(sizeBytes)}`
}

/** Everything that came until the connection ended, whoever ended it. */
export async function play(url: string, script: WireScript): Promise<Buffer> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  const pieces: Buffer[] = []
  let bytes = 0
  let restBytes = 0
  socket.write(script.requests.join(''))
  if (script.halfCloses) socket.end()
  try {
    for await (const piece of socket) {
      pieces.push(piece as Buffer)
      bytes += piece.length
      restBytes += piece.length
      if (bytes >= script.abortAfterBytes) break
      if (script.pause === undefined || restBytes < script.pause.everyBytes) continue
      restBytes = 0
      for (let turn = 0; turn < script.pause.turns; turn += 1) await new Promise(setImmediate)
    }
  } catch {
    // Cut: what came is what counts.
  }
  socket.destroy()
  return Buffer.concat(pieces)
}

/**
 * What differs from one answer to the next whoever gives it: times, ids, boundaries, and whether a
 * fill was over. Lengths stay.
 */
export function withoutChance(stream: Buffer): string {
  return stream
    .toString('latin1')
    .replace(/\r\nDate: [^\r]*/g, '\r\nDate: -')
    .replace(/\r\nX-Request-Id: [^\r]*/g, '\r\nX-Request-Id: -')
    .replace(/\r\nX-Entrepot-Source: [^\r]*/g, '\r\nX-Entrepot-Source: -')
    .replace(/(boundary=|--)[0-9a-f]{48}/g, '$1-')
}
