// Who somebody is that shows a name and a password: what access goes by, whoever keeps accounts and
// wherever passwords are tried.

/** What came of a name and a password. */
export type Verified =
  | { readonly kind: 'account'; readonly name: string }
  /** Nobody's. It is the same whether there is such an account or not, and takes as long. */
  | { readonly kind: 'refused' }
  /**
   * Nothing: too many are being tried (`busy`), or there were too many wrong ones from there or for
   * that name (`limited`), the same whether there is such an account or not.
   */
  | { readonly kind: 'busy' | 'limited'; readonly retryAfterSeconds: number }

/** `anonymous`: shows nothing. */
export type Login = Verified | { readonly kind: 'anonymous' }

/** `address`: of the client; undefined when its connection is gone. */
export interface LoginAttempt {
  readonly name: string
  readonly password: string
  readonly address: string | undefined
}

export interface Accounts {
  /** Never rejects. What it says holds for the accounts that are in force when it resolves. */
  verify(attempt: LoginAttempt): Promise<Verified>
}

/** Values, so that each thread can be given them. */
export interface AccountsSettings {
  /** What people are told that they log in to. */
  readonly realm: string
  /** Who is in which: names of accounts by that of the group. */
  readonly groups: Readonly<Record<string, readonly string[]>>
  /** There is none yet. */
  readonly isEmpty: boolean
}
