// Who sent a request, as far as the request itself tells. Nothing is looked at before somebody asks: most requests are pulls, which
// everybody may make.
import type { IncomingMessage } from 'node:http'
import type { Principal } from '../access/access.ts'

const FORWARDING = new Set([
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
])
const FORWARDING_PREFIX = 'x-forwarded'

export class RequestPrincipal implements Principal {
  readonly kind = 'anonymous'
  readonly #request: IncomingMessage

  constructor(request: IncomingMessage) {
    this.#request = request
  }

  get address(): string | undefined {
    return this.#request.socket.remoteAddress
  }

  get host(): string | undefined {
    return this.#request.headers.host
  }

  /** An nginx that was told nothing adds no header and calls the registry by its own name, but in HTTP/1.0, which no client speaks. */
  get forwardedBy(): string | undefined {
    const { rawHeaders, httpVersionMajor, httpVersionMinor } = this.#request
    if (httpVersionMajor === 1 && httpVersionMinor === 0) return 'HTTP/1.0'
    // By the raw ones, for a request that is answered from memory needs none of the others.
    for (let at = 0; at < rawHeaders.length; at += 2) {
      const name = (rawHeaders[at] ?? '').toLowerCase()
      if (FORWARDING.has(name) || name.startsWith(FORWARDING_PREFIX)) return name
    }
    return undefined
  }

  get fromWebPage(): boolean {
    const { rawHeaders } = this.#request
    for (let at = 0; at < rawHeaders.length; at += 2) {
      const name = (rawHeaders[at] ?? '').toLowerCase()
      if (name === 'origin') return true
      if (name === 'sec-fetch-site' && rawHeaders[at + 1] !== 'none') return true
    }
    return false
  }
}
