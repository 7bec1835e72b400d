// Changes a recorded request as a broken or hostile client would: bytes of the whole message, parts
// of its target, its headers. Most changes keep it HTTP, so that they get past the parser and into
// the product.
import type { RecordedRequest } from './recorded-sessions.ts'
import { requestBytes } from './recorded-sessions.ts'
import type { Random } from '../seeded.ts'

/** What is put where it does not belong. */
const TOKENS = [
  '..',
  '%2e%2e',
  '%2F',
  '%252F',
  '%00',
  '%',
  '%zz',
  '//',
  '\\',
  '\0',
  ';',
  '?',
  '#',
  '&ns=',
  '&n=',
  '@',
  'sha256:',
  'sha512:',
  ':',
  ' ',
  '\t',
  '\u00e9',
  '__',
  '-',
  'a'.repeat(300),
  '/v2/',
  '_catalog',
  'localhost/',
] as const

const HEADERS = [
  'Range: bytes=',
  'Range: bytes=5-1',
  'Range: bytes=-0',
  'Range: bytes=99999999999999999999-',
  `Range: bytes=${Array.from({ length: 2000 }, (_, index) => `${index * 2}-${index * 2}`).join(',')}`,
  'Range: lines=0-1',
  'If-Range: "x"',
  'If-None-Match: *',
  'If-None-Match: "',
  'If-Modified-Since: yesterday',
  'Accept: */*;q=0',
  'Accept: ;;;,,,',
  'Accept-Encoding: *;q=0',
  'Authorization: Bearer ',
  'Authorization: Basic !!!',
  'Authorization: Negotiate x',
  'Content-Length: 5',
  'Content-Length: -1',
  'Content-Length: 99999999',
  'Content-Range: 0-4',
  'Content-Range: 5-1',
  'Content-Range: 0-99999999999999999999',
  'Content-Range: bytes 0-4/5',
  'Content-Encoding: gzip',
  'Content-Type: ',
  'Content-Type: application/vnd.oci.image.index.v1+json',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: chunked, identity',
  'Expect: 100-continue',
  'Expect: nothing',
  'Upgrade: websocket',
  'Connection: upgrade, close',
  'Host: other.example',
  'Host: [::1',
  'X-Forwarded-For: 10.0.0.1',
  'X-Request-Id: \u00ff',
  `X-Long: ${'x'.repeat(70_000)}`,
  'Via: 1.1 x',
  'Origin: null',
  'Sec-Fetch-Site: cross-site',
] as const

const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'BREW',
] as const
const QUERIES = [
  'n=0',
  'n=-1',
  'n=1e9',
  'last=%',
  'ns=',
  'ns=docker.io',
  'ns=nowhere.example',
  'artifactType=',
  'digest=',
  'digest=sha256:00',
  'digest-algorithm=sha512',
  'digest-algorithm=md5',
  'mount=sha256:00',
  'from=..',
  'tag=a&tag=b',
  'tag=.',
] as const

/** The mutated message. One to three changes. */
export function mutateRequest(random: Random, request: RecordedRequest, host: string): Buffer {
  let changed = request
  const changes = random.between(1, 3)
  let bytesToo = false
  for (let change = 0; change < changes; change += 1) {
    if (random.oneIn(4)) bytesToo = true
    else changed = mutateParts(random, changed)
  }
  const bytes = requestBytes(changed, host)
  return bytesToo ? ended(mutateBytes(random, bytes)) : bytes
}

/** A head without an end is waited for by any server, which is another test's matter. */
function ended(bytes: Buffer): Buffer {
  return bytes.includes('\r\n\r\n') ? bytes : Buffer.concat([bytes, Buffer.from('\r\n\r\n')])
}

function mutateParts(random: Random, request: RecordedRequest): RecordedRequest {
  const { target, headers } = request
  const position = random.below(headers.length + 1)
  switch (random.below(8)) {
    case 0:
      return { ...request, method: random.pick(METHODS) as RecordedRequest['method'] }
    case 1:
    case 2:
      return { ...request, target: insert(random, target, random.pick(TOKENS)) }
    case 3:
      return { ...request, target: withoutSlice(random, target) }
    case 4:
      return { ...request, target: swapSegments(random, target) }
    case 5:
      return {
        ...request,
        target: `${target}${target.includes('?') ? '&' : '?'}${random.pick(QUERIES)}`,
      }
    case 6:
      return { ...request, headers: headers.toSpliced(position, 0, random.pick(HEADERS)) }
    default:
      return { ...request, headers: headers.toSpliced(position, 1) }
  }
}

function insert(random: Random, text: string, token: string): string {
  // The slash that begins a target stays, or the parser has the last word.
  const at = random.between(1, text.length)
  return text.slice(0, at) + token + text.slice(at)
}

function withoutSlice(random: Random, text: string): string {
  const at = random.between(1, text.length)
  return text.slice(0, at) + text.slice(at + random.between(1, 12))
}

function swapSegments(random: Random, target: string): string {
  const segments = target.split('/')
  const [one, other] = [random.below(segments.length), random.below(segments.length)]
  const swapped = segments.with(one, segments[other] ?? '').with(other, segments[one] ?? '')
  return `/${swapped.join('/').replace(/^\/+/, '')}`
}

function mutateBytes(random: Random, bytes: Buffer): Buffer {
  const at = random.below(bytes.length)
  const some = bytes.subarray(at, at + random.between(1, 40))
  switch (random.below(5)) {
    case 0: {
      const flipped = Buffer.from(bytes)
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8))
      return flipped
    }
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + some.length)])
    case 2:
      return Buffer.concat([bytes.subarray(0, at), some, some, bytes.subarray(at)])
    case 3:
      return bytes.subarray(0, at)
    default: {
      const noise = Buffer.from(
        Array.from({ length: random.between(1, 8) }, () => random.below(256)),
      )
      return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)])
    }
  }
}
