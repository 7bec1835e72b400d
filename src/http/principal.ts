// Who sent a request, as far as the request, this system and accounts tell. Nothing is looked at
// before somebody asks: most requests are pulls, which everybody may make.
import type { IncomingMessage } from 'node:http'
import type { Owner, Principal, ShownCertificate } from '../access/access.ts'
import type { Login } from '../access/accounts.ts'
import { siteOf } from '../access/network.ts'
import { formatName, type Name } from '../access/names.ts'
import type { Requester } from '../observe/note-request.ts'
import type { ConnectionOwners } from './connection-owners.ts'
import type { Logins } from './logins.ts'
import { type Caller, type Callers, hostOf } from './proxies/callers.ts'

/** How principals are found out about. */
export interface PrincipalSources {
  readonly callers: Callers
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
  readonly #callers: Callers
  #lastCaller: Caller
  #found: Owner | undefined
  /** With the state of accounts that it was found by: it holds for no other. */
  #foundLogin: { readonly login: Login; readonly revision: number } | undefined

  /** `caller`: of `request`, by the settings of any time. */
  constructor(request: IncomingMessage, caller: Caller, sources: PrincipalSources) {
    const { owners, logins, certificateOf, callers } = sources
    this.#certificateOf = certificateOf
    this.#callers = callers
    this.#lastCaller = caller
    this.#request = request
    this.#owners = owners
    this.#logins = logins
  }

  get login(): Login | undefined {
    const { revision } = this.#logins
    if (this.#foundLogin?.revision === revision) return this.#foundLogin.login
    const login = this.#logins.known(this.#request, this.address)
    if (login !== undefined) this.#foundLogin = { login, revision }
    return login
  }

  async findLogin(): Promise<Login> {
    const { revision } = this.#logins
    const login = await this.#logins.find(this.#request, this.address)
    this.#foundLogin = { login, revision }
    return login
  }

  /** As far as it was asked for. */
  get who(): Requester {
    return whoIs(this.#foundLogin?.login, this)
  }

  get certificate(): ShownCertificate {
    return this.#certificateOf(this.#request.socket)
  }

  get address(): string | undefined {
    return this.#caller.address
  }

  get isForwarded(): boolean {
    return this.#caller.isForwarded
  }

  get host(): string | undefined {
    return hostOf(this.#request, this.#caller)
  }

  /** By the settings of now: what has waited is decided again by them. */
  get #caller(): Caller {
    this.#lastCaller = this.#callers.again(this.#lastCaller, this.#request)
    return this.#lastCaller
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

/** `login`: what came of it. */
export function whoIs(
  login: Login | undefined,
  sources: Pick<Principal, 'certificate' | 'owner'>,
): Requester {
  if (login?.kind === 'account') return { name: login.name, isKnown: true, login: 'account' }
  const name = login === undefined || login.kind === 'anonymous' ? nameOf(sources) : NOBODY
  // A program of this machine without a login begins as all clients do.
  const isKnown = name.kind === 'certificate'
  return { name: formatName(name), isKnown, login: login?.kind }
}

const NOBODY: Name = { kind: 'nobody' }

/** Of who has not logged in. */
function nameOf({ certificate, owner }: Pick<Principal, 'certificate' | 'owner'>): Name {
  const [name] = certificate.kind === 'named' ? certificate.names : []
  if (name !== undefined) return { kind: 'certificate', name }
  return owner?.kind === 'user' ? { kind: 'user', uid: owner.uid } : { kind: 'anonymous' }
}

/**
 * Whose a push is, by the name that it has everywhere. Programs of this machine all have its
 * address: what tells them apart is whose the connection is. Who has no name has its site, of whose
 * addresses one machine may choose any, and which is written as no name is.
 */
export function pusherOf(principal: Principal): string {
  const { login, address } = principal
  if (login?.kind === 'account') return login.name
  const name = nameOf(principal)
  return name.kind === 'anonymous' ? `from:${siteOf(address)}` : formatName(name)
}
