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
    const { headers, httpVersion } = this.#request
    if (httpVersion === '1.0') return 'HTTP/1.0'
    const names = Object.keys(headers)
    return names.find(name => FORWARDING.has(name) || name.startsWith(FORWARDING_PREFIX))
  }

  get fromWebPage(): boolean {
    const { origin, 'sec-fetch-site': site } = this.#request.headers
    return origin !== undefined || (site !== undefined && site !== 'none')
  }
}
