// Who somebody is that shows a name and a password: what access goes by, whoever keeps accounts and
// wherever passwords are tried.

import type { RegistryHost } from '../oci/reference.ts'

/** What came of a name and a password. */
export type Verified =
  | KnownAccount
  /** Nobody's. It is the same whether there is such an account or not, and takes as long. */
  | Refused
  /**
   * Nothing: too many are being tried (`busy`), or there were too many wrong ones from there or for
   * that name (`limited`), the same whether there is such an account or not; or nobody can say now
   * whose it is (`away`).
   */
  | { readonly kind: 'busy' | 'limited' | 'away'; readonly retryAfterSeconds: number }

export interface KnownAccount {
  readonly kind: 'account'
  /** As a LoginName is written. */
  readonly name: string
  /** As its identity provider says: beside those of the configuration, as formatGroup has them. */
  readonly groups?: readonly string[]
  /** By a token of somebody else's token server, which allows nothing else. */
  readonly grants?: readonly Grant[]
}

/** `byToken`: a token was shown. */
type Refused = { readonly kind: 'refused'; readonly byToken?: true }

export const REFUSED: Refused = { kind: 'refused' }

/** One entry of `access` in a token, as distribution has it. */
export interface Grant {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[]
}

/** Values, so that each thread can be given them. */
export interface TokenServer {
  /** Where clients are sent for a token. */
  readonly realm: string
  /** Whom they ask a token for: this edge. */
  readonly service: string
  /** Of names that carry none. */
  readonly defaultHost: RegistryHost
}

/** `anonymous`: shows nothing, or a token that says so. */
export type Login = Verified | Anonymous

interface Anonymous {
  readonly kind: 'anonymous'
  readonly byToken?: true
  readonly grants?: readonly Grant[]
}

/** `address`: of the client; undefined when its connection is gone. */
export interface LoginAttempt {
  readonly name: string
  readonly password: string
  readonly address: string | undefined
}

/** Who somebody is by what was shown, and for how long at most that may be gone by. */
export interface FoundLogin<Found extends Login = Login> {
  readonly login: Found
  readonly forMs: number
}

/** Of a token that is nobody's. */
export const TOKEN_OF_NOBODY: FoundLogin = { login: { kind: 'refused', byToken: true }, forMs: 0 }

/**
 * What tokens of this edge are for, in challenges and in themselves: of one edge as of the next,
 * whose keys differ.
 */
export const OWN_SERVICE = 'entrepot'

/** What a client shows for a token; `nothing` for one that says so. */
export type ShownForToken =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'password'; readonly attempt: LoginAttempt }
  | { readonly kind: 'refresh token'; readonly token: string }

export interface TokenRequest {
  readonly shown: ShownForToken
  /** Wants a refresh token beside it, which only an account is given. */
  readonly isOffline: boolean
}

export type IssuedToken =
  | {
      readonly kind: 'token'
      readonly token: string
      /** Undefined: nobody's. */
      readonly account: string | undefined
      /** Wall clock. */
      readonly issuedAtMs: number
      readonly expiresInSeconds: number
      readonly refreshToken: string | undefined
    }
  | Exclude<Verified, { kind: 'account' }>

/** Of one account, everywhere. */
export type EndedLogins = 'ended' | 'no such account' | 'no accounts'

/**
 * No method rejects. What they say holds for the accounts that are in force when they resolve.
 */
export interface Accounts {
  verify(attempt: LoginAttempt): Promise<FoundLogin<Verified>>
  /** Of the edge's own. */
  readToken(token: string): Promise<FoundLogin>
  issueToken(request: TokenRequest): Promise<IssuedToken>
}

/** Values, so that each thread can be given them. */
export interface AccountsSettings {
  /** What people are told that they log in to. */
  readonly realm: string
  /** Who is in which: names of accounts by that of the group. */
  readonly groups: Readonly<Record<string, readonly string[]>>
  /** There is none yet. */
  readonly isEmpty: boolean
  /** Somebody else's, whose tokens have to allow what is done. Default: tokens are this edge's. */
  readonly tokenServer?: TokenServer | undefined
}
