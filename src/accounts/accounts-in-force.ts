// Who may log in now, and whose it is what somebody shows: a password of the file, the secret of a
// robot, a token of an identity provider, of this edge or of somebody else's token server. When
// others are in force is told from outside.
import {
  type Accounts,
  type EndedLogins,
  type FoundLogin,
  type IssuedToken,
  type LoginAttempt,
  REFUSED,
  TOKEN_OF_NOBODY,
  type TokenRequest,
  type Verified,
} from '../access/accounts.ts'
import type { Entry } from '../access/htpasswd/parse.ts'
import { type GivenOut, type GivenOutDeps, isRobots } from './given-out.ts'
import type { Identities, Provider } from './identities/identities.ts'
import { type TokenServerSettings, TokenServerTokens } from './identities/token-server.ts'
import type { PasswordCheck } from './password-check.ts'
import type { Robots } from './tokens/robots.ts'
import type { Holder } from './tokens/tokens.ts'

export interface AccountsInForceDeps {
  readonly check: PasswordCheck
  readonly identities: Identities
  /** Something was given out by a process before. */
  readonly wasGivenOut: () => boolean
  /** Called once, after `begin`. */
  readonly openGivenOut: (deps: Pick<GivenOutDeps, 'hashOf'>) => GivenOut
  /** Wall clock. */
  readonly nowMs: () => number
}

/** By what somebody may log in beside the file of accounts, as the operator sets it. */
export interface WaysToLogIn {
  readonly providers: readonly Provider[]
  /** In place of this edge's own tokens. */
  readonly token: TokenServerSettings | undefined
}

/** What another file of accounts means for people, for the audit: names. */
export interface ChangedAccounts {
  readonly added?: readonly string[]
  readonly removed?: readonly string[]
  /** Those with another one. */
  readonly passwords?: readonly string[]
}

interface IdentityLogin extends FoundLogin<Verified> {
  /** Whom tokens of this edge are given to for it. */
  readonly holder?: Holder
}

export class AccountsInForce implements Accounts {
  readonly #deps: AccountsInForceDeps
  /** Undefined: there are no accounts. */
  #ways: WaysToLogIn | undefined
  #others: TokenServerTokens | undefined
  #entries: readonly Entry[] = []
  #hasBegun = false
  #givenOut: GivenOut | undefined

  constructor(deps: AccountsInForceDeps) {
    this.#deps = deps
  }

  /** From now on the data directory is this process's alone. To be followed by `replace`. */
  begin(): void {
    this.#hasBegun = true
  }

  /**
   * `ways` undefined: without accounts. `entries`: of the file. Default: those of before.
   * @returns who came and went; undefined: nobody, or those that a start finds
   */
  replace(ways: WaysToLogIn | undefined, entries = this.#entries): ChangedAccounts | undefined {
    const { identities, check } = this.#deps
    const changed = changeFrom(this.#entries, entries)
    this.#ways = ways
    this.#entries = entries
    identities.replace(ways?.providers ?? [])
    this.#others = ways?.token && new TokenServerTokens(ways.token)
    check.replace(entries)
    this.#follow()
    return this.#hasBegun ? changed : undefined
  }

  /** Of the file. */
  get count(): number {
    return this.#entries.length
  }

  /** Of the file: is there an account of this name? */
  has(account: string): boolean {
    return this.#deps.check.hashOf(account) !== undefined
  }

  /** Nobody can log in yet. Until `begin` that is not known. */
  get isEmpty(): boolean {
    const isWithout =
      this.#entries.length === 0 && this.#deps.identities.isEmpty && this.#others === undefined
    return isWithout && this.robots?.isEmpty === true
  }

  /** Undefined without accounts. */
  get robots(): Robots | undefined {
    return this.#own?.robots
  }

  async verify(attempt: LoginAttempt): Promise<FoundLogin<Verified>> {
    const { password } = attempt
    const found = this.#own?.readRobot(password) ?? (await this.#findIdentity(password))
    return found ?? { login: await this.#deps.check.verify(attempt), forMs: Infinity }
  }

  async readToken(token: string): Promise<FoundLogin> {
    if (this.#others !== undefined && !isRobots(token))
      return this.#others.read(token, this.#deps.nowMs())
    const own = this.#own?.readToken(token)
    if (own !== undefined && own.login.kind !== 'refused') return own
    const found = await this.#findIdentity(token)
    return found === undefined || found.login.kind === 'refused' ? TOKEN_OF_NOBODY : found
  }

  async issueToken({ shown, isOffline }: TokenRequest): Promise<IssuedToken> {
    const own = this.#own
    if (own === undefined) return REFUSED
    if (shown.kind === 'nothing') return own.issueAnonymous()
    if (shown.kind === 'refresh token') {
      const holder = own.redeem(shown.token)
      return holder === undefined ? REFUSED : own.issue(holder, isOffline)
    }
    const { attempt } = shown
    const toRobot = own.issueForRobot(attempt.password)
    if (toRobot !== undefined) return toRobot
    const found: Omit<IdentityLogin, 'forMs'> = (await this.#findIdentity(attempt.password)) ?? {
      login: await this.#deps.check.verify(attempt),
    }
    const { login, holder } = found
    return login.kind === 'account' ? own.issue(holder ?? login, isOffline) : login
  }

  /**
   * Of the tokens of an account none is good any more, from a password none the less.
   * @throws where it would not outlast this process
   */
  endLogins(account: string): EndedLogins {
    const own = this.#own
    if (own === undefined) return 'no accounts'
    if (!this.has(account)) return 'no such account'
    own.endLoginsOf(account)
    return 'ended'
  }

  /** Undefined without accounts. */
  get #own(): GivenOut | undefined {
    return this.#ways && this.#givenOut
  }

  /**
   * That there are no accounts at all says nothing of any: they may come back with the next. Of
   * providers it says that they are gone: their names are nothing without them.
   */
  #follow(): void {
    const { identities, check, wasGivenOut, openGivenOut } = this.#deps
    if (!this.#hasBegun || (this.#ways === undefined && !wasGivenOut())) return
    const hashOf: GivenOutDeps['hashOf'] = name =>
      name.kind === 'identity' ? identities.definitionOf(name.provider) : check.hashOf(name.name)
    this.#givenOut ??= openGivenOut({ hashOf })
    const accounts = this.#ways && this.#entries.map(({ name }) => name)
    this.#givenOut.follow(accounts, identities.definitions)
  }

  /**
   * By the token of an identity provider, or by what was bought with one: that is good as a
   * password, too, since some clients keep nothing else. Undefined of what is neither by its looks.
   */
  async #findIdentity(shown: string): Promise<IdentityLogin | undefined> {
    const { identities, nowMs } = this.#deps
    if (identities.isEmpty) return undefined
    const holder = this.#own?.holderOf(shown)
    if (holder !== undefined) {
      const { name, groups = [], endsAtMs = 0 } = holder
      return { login: { kind: 'account', name, groups }, forMs: endsAtMs - nowMs(), holder }
    }
    const found = await identities.find(shown)
    if (found?.kind !== 'identity') return found && { login: found, forMs: 0 }
    const { account, forMs, endsAtMs } = found
    return { login: account, forMs, holder: { ...account, endsAtMs } }
  }
}

/** Undefined: nothing is another one. */
function changeFrom(
  before: readonly Entry[],
  after: readonly Entry[],
): ChangedAccounts | undefined {
  const [old, now] = [hashesOf(before), hashesOf(after)]
  const all = {
    added: [...now.keys()].filter(name => !old.has(name)),
    removed: [...old.keys()].filter(name => !now.has(name)),
    passwords: [...now.keys()].filter(name => old.has(name) && old.get(name) !== now.get(name)),
  }
  const some = Object.entries(all).filter(([, names]) => names.length > 0)
  return some.length === 0 ? undefined : Object.fromEntries(some)
}

function hashesOf(entries: readonly Entry[]): ReadonlyMap<string, string> {
  return new Map(entries.map(({ name, hash }) => [name, hash]))
}
