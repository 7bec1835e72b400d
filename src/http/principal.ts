// Who sent a request, as far as the request and this system tell. Nothing is looked at before
// somebody asks: most requests are pulls, which everybody may make.
import type { IncomingMessage } from 'node:http'
import type { Owner, Principal } from '../access/access.ts'
import type { ConnectionOwners } from './connection-owners.ts'

export class RequestPrincipal implements Principal {
  readonly kind = 'anonymous'
  readonly #request: IncomingMessage
  readonly #owners: ConnectionOwners
  #found: Owner | undefined

  constructor(request: IncomingMessage, owners: ConnectionOwners) {
    this.#request = request
    this.#owners = owners
  }

  get address(): string | undefined {
    return clientOf(this.#request)
  }

  get host(): string | undefined {
    return this.#request.headers.host
  }

  get isHttp10(): boolean {
    const { httpVersionMajor, httpVersionMinor } = this.#request
    return httpVersionMajor === 1 && httpVersionMinor === 0
  }

  get rawHeaders(): readonly string[] {
    return this.#request.rawHeaders
  }

  get owner(): Owner | undefined {
    return this.#found ?? this.#owners.known(this.#request.socket)
  }

  async findOwner(): Promise<Owner> {
    this.#found = await this.#owners.find(this.#request.socket)
    return this.#found
  }
}

/**
 * Who shares with others what there is too little of, and whose pulls are told apart: an address.
 * Behind a proxy all are one. Undefined of a connection that ended before anybody asked.
 */
export function clientOf({ socket }: Pick<IncomingMessage, 'socket'>): string | undefined {
  return socket.remoteAddress
}

/**
 * The client of a push. Who pushes is on this machine and has the address of all who do: what tells
 * them apart is whose the connection is.
 */
export function pusherOf({ owner, address }: Principal): string | undefined {
  return owner?.kind === 'user' ? `uid ${owner.uid}` : address
}
