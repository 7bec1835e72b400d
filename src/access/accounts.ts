// Who somebody is that shows a name and a password: what access goes by, whoever keeps accounts and
// wherever passwords are tried.

/** What came of a name and a password. */
export type Verified =
  | { readonly kind: 'account'; readonly name: string }
  /** Nobody's. It is the same whether there is such an account or not, and takes as long. */
  | { readonly kind: 'refused' }
  /** Nothing: too many are being tried. */
  | { readonly kind: 'busy'; readonly retryAfterSeconds: number }

/** `anonymous`: shows nothing. */
export type Login = Verified | { readonly kind: 'anonymous' }

export interface Accounts {
  /** Never rejects. What it says holds for the accounts that are in force when it resolves. */
  verify(name: string, password: string): Promise<Verified>
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
