// Who sent a request, as far as the request itself tells. Nothing is looked at before somebody asks: most requests are pulls, which
// everybody may make.
import type { IncomingMessage } from 'node:http'
import type { Principal } from '../access/access.ts'

const FORWARDING = new Set(['forwarded', 'x-real-ip', 'via'])
const FORWARDING_PREFIX = 'x-forwarded-'

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

  get forwardedBy(): string | undefined {
    const names = Object.keys(this.#request.headers)
    return names.find(name => FORWARDING.has(name) || name.startsWith(FORWARDING_PREFIX))
  }

  get fromWebPage(): boolean {
    const { origin, 'sec-fetch-site': site } = this.#request.headers
    return origin !== undefined || (site !== undefined && site !== 'none')
  }
}
