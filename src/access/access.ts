// Who may do what, asked before any look-up that could reveal whether something exists (appendix of
// error precedence: 403 before 404). Rules say it (rulebook.ts), or what holds where there are none
// (decide-without-rules.ts). Accounts come in behind this one interface.
import type { ErrorCode } from '../oci/errors.ts'
import type { Repository, RepositoryKey, Tag } from '../oci/reference.ts'
import type { Login, TokenServer } from './accounts.ts'
import type { Revision } from './revision.ts'

/**
 * Who asks: whom a request says that it is from, and what tells programs from web pages, and those
 * on this machine from others.
 */
export interface Principal {
  /** What came of its credentials, where that is known without asking. */
  readonly login: Login | undefined
  /** Has them tried where it is not. Only where there are accounts. Never rejects. */
  findLogin(): Promise<Login>
  /** What came of the certificate that its connection began with. */
  readonly certificate: ShownCertificate
  /**
   * That of the client, behind the proxies that are believed too. What is no address: nobody says.
   * Undefined when the connection is gone.
   */
  readonly address: string | undefined
  /** Somebody who is believed passes it on for somebody else. */
  readonly isForwarded: boolean
  /** The `Host` header, or what it was in front of proxies that are believed. */
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

/** `refused`: it is nobody's, for this `reason`, which is for the client. */
export type ShownCertificate =
  | { readonly kind: 'none' }
  | { readonly kind: 'named'; readonly names: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: string }

/** `unknown`: this system does not say, for this `reason`. */
export type Owner =
  | { readonly kind: 'user'; readonly uid: number }
  | { readonly kind: 'unknown'; readonly reason: string }

/**
 * `list` reads the catalog of repositories; `pull` everything else that is read; `push` uploads and
 * manifests; `delete` deletes.
 */
export type Action = 'pull' | 'list' | 'push' | 'delete'

/**
 * The tags that a push or a delete moves or takes away. `any`: it may be each that there is.
 * Undefined: it is neither, or moves none.
 */
export type MovedTags = readonly Tag[] | 'any' | undefined

export interface AccessRequest {
  readonly principal: Principal
  /**
   * `unrouted`: the name leads to no configured registry; asked all the same, so that a refusal
   * hides that too (R178).
   */
  readonly resource: Repository | 'catalog' | 'unrouted'
  /** Of `unrouted`: where its name would lead, by which tokens of others grant it. */
  readonly asIf?: Repository | undefined
  readonly action: Action
  readonly moves?: MovedTags
}

/**
 * `anonymously`: readable without credentials too, from anywhere, so that a shared cache in front
 * may keep it (R11). `denied`: may be told; `reason` is for the client: which rule it was, and what
 * to do. `hidden`: is told that there is nothing. `unauthorized`: who shows credentials may; also
 * said of those that are nobody's. `busy`, `limited`, `away`: nobody knows whose they are, and none
 * are tried now. `by`, for the log: what decided.
 */
export type Decision =
  | { readonly kind: 'allowed'; readonly anonymously: boolean }
  | { readonly kind: 'denied'; readonly reason: string; readonly by?: string }
  | { readonly kind: 'hidden'; readonly by: string }
  | Unidentified

/**
 * What a client is told to show: `basic`: a name and a password; `token`: one of this edge's own
 * (R129), for which these are good. `realm`: what people are told that they log in to. The same for
 * whoever asks, but for what is said to who has shown a token.
 */
export type Challenge =
  | { readonly kind: 'basic'; readonly realm: string }
  | {
      readonly kind: 'token'
      readonly realm: string
      /** Of somebody else's; undefined: this edge's own. */
      readonly server?: TokenServer | undefined
      readonly error?: 'invalid_token' | 'insufficient_scope' | undefined
    }

type Unidentified =
  | {
      readonly kind: 'unauthorized'
      readonly reason: string
      readonly challenge: Challenge
      readonly by?: string
    }
  | {
      readonly kind: 'busy' | 'limited' | 'away'
      readonly reason: string
      readonly retryAfterSeconds: number
    }

export type Refusal =
  | { readonly kind: 'denied'; readonly reason: string; readonly by?: string }
  | Unidentified

/** What a client is told, and by which status, wherever it asks. */
export const REFUSAL_CODES = {
  denied: 'DENIED',
  unauthorized: 'UNAUTHORIZED',
  limited: 'TOOMANYREQUESTS',
  busy: 'UNAVAILABLE',
  away: 'UNAVAILABLE',
} as const satisfies Record<Refusal['kind'], ErrorCode>

/** By which URL and names clients come to this edge, as far as its operator says. */
export interface PublicNames {
  /** Without a slash at its end. */
  readonly url: string | undefined
  /** Further names, in lower case, some with a port. */
  readonly hosts: readonly string[]
}

export interface NamesForCaller extends PublicNames {
  /** It is a program of this machine that calls by a name of it, as far as that is known. */
  readonly isHere: boolean
}

/** None of these MAY ask the network, or depend on whether content exists. */
export interface Access {
  /**
   * Of what this goes by. Where this thread does not hold the newest, it MUST be waited for before
   * anything is asked but `decideNow`, which does not know then. What was decided by an older one
   * is to be decided again before an answer is begun.
   */
  readonly revision: Pick<Revision, 'newest' | 'held' | 'isHeld' | 'untilHeld'>
  /** For who is told to come again, and where to. To be asked after `identify` or `meet`. */
  namesFor(principal: Principal): NamesForCaller
  /**
   * What speaks against any answer to this request, whatever it asks for; asked first of all.
   * Undefined: nothing.
   */
  admit(principal: Principal): Refusal | undefined
  /**
   * What speaks against its credentials where they matter before anything else does: for a ping,
   * which is how clients try a login and find out whether they need one, and for writes. To be
   * asked after `identify`.
   */
  judgeCredentials(principal: Principal, about: 'ping' | 'write'): Refusal | undefined
  /**
   * What speaks against `login`, which was shown for a token. Undefined: nothing, or there are no
   * accounts.
   */
  judgeLogin(principal: Principal, login: Login): Refusal | undefined
  /** Finds out whose its credentials are. Undefined: that is known. */
  identify(principal: Principal): Promise<void> | undefined
  /**
   * Finds out what `decide` goes by and no request tells, as `identify` does among it. MUST be
   * awaited before anything is decided that it is said to be for. Undefined: there is nothing to
   * find out.
   */
  meet(principal: Principal, about: 'pull' | 'pull or push'): Promise<void> | undefined
  decide(request: AccessRequest): Decision
  /**
   * May who asks do this there, as far as that is known without `meet`? Asked for each answer from
   * memory, so it MUST be cheap. Undefined: it is not known, or not by what holds now.
   */
  decideNow(
    principal: Principal,
    repository: Repository,
    action: 'pull' | 'push',
  ): boolean | undefined
  /** May who asks see it in lists, and pull it? To be asked after `meet`. */
  isShown(principal: Principal, repository: Repository): boolean
  /**
   * Behind a repository that is not shown to who asks, in the order of keys: the text behind which
   * the next one may be that is. Undefined: there is none. To be asked after `meet`.
   */
  nextShown(principal: Principal, key: RepositoryKey): string | undefined
}
