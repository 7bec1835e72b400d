// Who may do what, asked before any look-up that could reveal whether something exists (appendix of
// error precedence: 403 before 404). Until there are accounts everybody but web pages may pull and
// list, and programs of this machine may push and delete (local-access.ts); accounts and rules come
// in behind this one interface.
import type { Repository } from '../oci/reference.ts'

/**
 * Who asks. `anonymous`: nobody is known by name here. The rest is what tells programs from web
 * pages, and those on this machine from others.
 */
export interface Principal {
  readonly kind: 'anonymous'
  /** The peer's address as the socket has it; undefined when the connection is gone. */
  readonly address: string | undefined
  /** The `Host` header. */
  readonly host: string | undefined
  /** The request came in HTTP/1.0. */
  readonly isHttp10: boolean
  /** All headers as they came: name, value, name, value. */
  readonly rawHeaders: readonly string[]
  /**
   * Whom the program at the other end of the connection belongs to, once `findOwner` has found it.
   */
  readonly owner: Owner | undefined
  /** Asks this system, and remembers it for the connection. Only for peers of this machine. */
  findOwner(): Promise<Owner>
}

/** `unknown`: this system does not say, for this `reason`. */
export type Owner =
  | { readonly kind: 'user'; readonly uid: number }
  | { readonly kind: 'unknown'; readonly reason: string }

/**
 * `list` reads the catalog of repositories; `pull` everything else that is read; `push` uploads and
 * manifests; `delete` deletes.
 */
export type Action = 'pull' | 'list' | 'push' | 'delete'

export interface AccessRequest {
  readonly principal: Principal
  /**
   * `unrouted`: the name leads to no configured registry; asked all the same, so that a refusal
   * hides that too (R178).
   */
  readonly resource: Repository | 'catalog' | 'unrouted'
  readonly action: Action
}

/**
 * `anonymously`: readable without credentials too, so that a shared cache in front may keep it
 * (R11). `reason` is for the client: which rule it was, and what to do.
 */
export type Decision =
  | { readonly kind: 'allowed'; readonly anonymously: boolean }
  | { readonly kind: 'denied'; readonly reason: string }

/** `unauthorized`: by credentials that are nobody's. */
export interface Refusal {
  readonly kind: 'denied' | 'unauthorized'
  readonly reason: string
}

/** None of these MAY ask the network, or depend on whether content exists. */
export interface Access {
  /**
   * What speaks against any answer to this request, whatever it asks for; asked first of all.
   * Undefined: nothing.
   */
  admit(principal: Principal): Refusal | undefined
  /**
   * What speaks against its credentials where they matter: for a ping, which is how clients try a
   * login, and for writes.
   */
  judgeCredentials(principal: Principal): Refusal | undefined
  /**
   * Finds out what `decide` goes by and no request tells. MUST be awaited before a push or a delete
   * is decided.
   */
  meet(principal: Principal): Promise<void>
  decide(request: AccessRequest): Decision
  /**
   * A short text that is the same for principals of whom the same is decided: for `pull` alone, or
   * `pull or push`. Only a reload of the configuration may decide anew for a class. Undefined: that
   * takes `meet`.
   */
  classOf(principal: Principal, about: 'pull' | 'pull or push'): string | undefined
}
