// Who sent a request, as far as the request, this system and accounts tell. Nothing is looked at
// before somebody asks: most requests are pulls, which everybody may make.
import type { IncomingMessage } from 'node:http'
import type { Owner, Principal, ShownCertificate } from '../access/access.ts'
import type { Login } from '../access/accounts.ts'
import type { ConnectionOwners } from './connection-owners.ts'
import type { Logins } from './logins.ts'

/** How principals are found out about. */
export interface PrincipalSources {
  readonly owners: ConnectionOwners
  readonly logins: Logins
  /** See Transport. */
  readonly certificateOf: (socket: IncomingMessage['socket']) => ShownCertificate
}

export class RequestPrincipal implements Principal {
  readonly #request: IncomingMessage
  readonly #owners: ConnectionOwners
  readonly #logins: Logins
  readonly #certificateOf: PrincipalSources['certificateOf']
  #found: Owner | undefined
  /** With the state of accounts that it was found by: it holds for no other. */
  #foundLogin: { readonly login: Login; readonly revision: number } | undefined

  constructor(request: IncomingMessage, { owners, logins, certificateOf }: PrincipalSources) {
    this.#certificateOf = certificateOf
    this.#request = request
    this.#owners = owners
    this.#logins = logins
  }

  get login(): Login | undefined {
    const { revision } = this.#logins
    if (this.#foundLogin?.revision === revision) return this.#foundLogin.login
    const login = this.#logins.known(this.#request)
    if (login !== undefined) this.#foundLogin = { login, revision }
    return login
  }

  async findLogin(): Promise<Login> {
    const { revision } = this.#logins
    const login = await this.#logins.find(this.#request, this.address)
    this.#foundLogin = { login, revision }
    return login
  }

  get certificate(): ShownCertificate {
    return this.#certificateOf(this.#request.socket)
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
 * The client of a push: the account. Who pushes without one is on this machine and has the address
 * of all who do: what tells them apart is whose the connection is.
 */
export function pusherOf({ login, certificate, owner, address }: Principal): string | undefined {
  if (login?.kind === 'account') return `account ${login.name}`
  if (certificate.kind === 'named') return `certificate ${certificate.names[0]}`
  return owner?.kind === 'user' ? `uid ${owner.uid}` : address
}
