// The accounts of the running server: of the file that the configuration names, as it is now, and
// passwords tried in a thread of their own. A part of the composition root.
import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import type { EndedLogins, LookedAtAccounts } from '../admin/api.ts'
import type {
  Accounts,
  FoundLogin,
  IssuedToken,
  LoginAttempt,
  TokenRequest,
  Verified,
} from '../access/accounts.ts'
import { type Entry, type LineFault, parseHtpasswd } from '../access/htpasswd/parse.ts'
import { Bcrypt } from '../accounts/bcrypt.ts'
import type { Identities } from '../accounts/identities/identities.ts'
import { TokenServerTokens } from '../accounts/identities/token-server.ts'
import { changedAccounts } from '../accounts/changed-accounts.ts'
import type { Robots } from '../accounts/tokens/robots.ts'
import { KEY_BYTES, PasswordCheck, type RefusedByLimit } from '../accounts/password-check.ts'
import type { AuthConfig, Config } from '../config/config.ts'
import { readLocalFile } from '../config/local-file.ts'
import { type FilesFault, type Judged, WatchedFiles } from '../config/watched-files.ts'
import type { NoteAudit } from '../observe/audit.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { createOnceAMinute, type OnceAMinute } from '../observe/once-a-minute.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { byIdentity, openIdentities, type IdentityLogin } from './open-identities.ts'
import { isRobots, OpenTokens, type OpenTokensDeps } from './open-tokens.ts'
import type { AccountsState } from './thread-settings.ts'

export interface OpenAccountsDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly version: string
  /** Default: nothing is. */
  readonly audit?: { readonly note: NoteAudit } | undefined
  /** Called in the turn in which other accounts are in force. Resolves when every thread knows. */
  readonly changed: () => Promise<void>
}

export class OpenAccounts implements Accounts, AccountsState {
  readonly #deps: OpenAccountsDeps
  readonly #bcrypt = new Bcrypt()
  readonly #check: PasswordCheck
  readonly #stopping = new AbortController()
  readonly #due: OnceAMinute
  readonly #directory: string
  readonly #identities: Identities
  /** Of somebody else's token server, in place of this edge's own. */
  #others: TokenServerTokens | undefined
  #hasBegun = false
  #givenOut: OpenTokens | undefined
  readonly #file: WatchedFiles<readonly Entry[], readonly LineFault[]>
  #isWatching = false
  #auth: AuthConfig | undefined
  #names: readonly string[] = []

  constructor({ auth, storage, proxyEnvironment }: Config, deps: OpenAccountsDeps) {
    this.#deps = deps
    this.#directory = storage.rootDirectory
    const { clock, metrics } = deps
    this.#due = createOnceAMinute(() => clock.monotonicMs())
    this.#check = new PasswordCheck({
      compare: (password, hash) => this.#bcrypt.compare(password, hash),
      monotonicMs: () => clock.monotonicMs(),
      key: randomBytes(KEY_BYTES),
      tried: outcome => metrics.count('authPasswords', { outcome }),
      limited: refused => this.#noteLimited(refused),
    })
    this.#file = this.#createFile()
    this.#identities = openIdentities(proxyEnvironment, deps)
    this.#take(auth, auth?.file?.text.reveal())
  }

  /**
   * For once the data directory is this process's alone, and before anybody is heard: it keeps what
   * is given out for logins. Takes the file as it is by now.
   */
  begin(): void {
    this.#hasBegun = true
    this.#takeNewest(this.#auth)
  }

  /** Nobody can log in yet. Until `begin` that is not known. */
  get isEmpty(): boolean {
    const isWithout =
      this.#names.length === 0 && this.#identities.isEmpty && this.#others === undefined
    return isWithout && this.robots?.isEmpty === true
  }

  async verify(attempt: LoginAttempt): Promise<FoundLogin<Verified>> {
    const { password } = attempt
    const robot = this.#tokens?.readRobot(password)
    const found = robot ?? (await this.#findIdentity(password))
    return found ?? { login: await this.#check.verify(attempt), forMs: Infinity }
  }

  /** Undefined without accounts. */
  get robots(): Robots | undefined {
    return this.#tokens?.robots
  }

  /** Resolves when every thread goes by what robots are now. */
  robotsChanged(): Promise<void> {
    return this.#deps.changed()
  }

  async readToken(token: string): Promise<FoundLogin> {
    if (this.#others !== undefined && !isRobots(token))
      return this.#others.read(token, this.#deps.clock.nowMs())
    const own = this.#tokens?.readToken(token)
    if (own !== undefined && own.login.kind !== 'refused') return own
    const found = await this.#findIdentity(token)
    return found === undefined || found.login.kind === 'refused' ? NO_TOKEN : found
  }

  #findIdentity(shown: string): Promise<IdentityLogin | undefined> {
    const holderOf = (token: string) => this.#tokens?.holderOf(token)
    return byIdentity(shown, { identities: this.#identities, holderOf, clock: this.#deps.clock })
  }

  async issueToken({ shown, isOffline }: TokenRequest): Promise<IssuedToken> {
    const tokens = this.#tokens
    if (tokens === undefined) return REFUSED
    if (shown.kind === 'nothing') return tokens.issueAnonymous()
    const toRobot =
      shown.kind === 'password' ? tokens.issueForRobot(shown.attempt.password) : undefined
    if (toRobot !== undefined) return toRobot
    if (shown.kind === 'refresh token') {
      const holder = tokens.redeem(shown.token)
      return holder === undefined ? REFUSED : tokens.issue(holder, isOffline)
    }
    const { login, holder } = await this.#whose(shown.attempt)
    return login.kind === 'account' ? tokens.issue(holder ?? login, isOffline) : login
  }

  /**
   * Of the tokens of an account none is good any more, from a password none the less. Resolves when
   * every thread goes by it.
   * @throws where it would not outlast this process
   */
  async endLogins(name: string): Promise<EndedLogins> {
    const tokens = this.#tokens
    if (tokens === undefined) return 'no accounts'
    if (!this.#names.includes(name)) return 'no such account'
    tokens.endLoginsOf(name)
    await this.#deps.changed()
    return 'ended'
  }

  async #whose(attempt: LoginAttempt): Promise<Pick<IdentityLogin, 'login' | 'holder'>> {
    const found = await this.#findIdentity(attempt.password)
    return found ?? { login: await this.#check.verify(attempt) }
  }

  /**
   * Takes over what the configuration says now; whoever calls tells all threads. Of a file that has
   * changed since it was read for that, what stands there now: whoever was taken out of it has been
   * told that this is in force.
   */
  replace({ auth }: Config): void {
    this.#takeNewest(auth)
  }

  /**
   * Takes the file as it is now. Resolves when every thread goes by it, or it was refused.
   * @returns the path of the file, and whether it is in force; undefined: there are no accounts
   * @throws where the file was another one each time, and where not all threads go by it
   */
  async look(): Promise<LookedAtAccounts | undefined> {
    await this.#file.look('now')
    const file = this.#auth?.file
    if (file === undefined) return undefined
    return { path: resolve(file.path), isInForce: !this.#file.isRefused }
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the process stops'))
    await this.#bcrypt.end()
  }

  #takeNewest(auth: AuthConfig | undefined): void {
    const file = auth?.file
    const text = file && goodTextOf(file.path)
    const isKept = text === undefined && file !== undefined && file.path === this.#auth?.file?.path
    if (!isKept) return this.#take(auth, text ?? file?.text.reveal())
    // It cannot be taken by now: what is in force stays, as at any look.
    this.#goBy(auth)
    this.#follow()
  }

  #goBy(auth: AuthConfig | undefined): void {
    this.#auth = auth
    this.#identities.replace(auth?.providers ?? [])
    this.#others = auth?.token && new TokenServerTokens(auth.token)
  }

  #take(auth: AuthConfig | undefined, text = ''): void {
    const file = auth?.file
    this.#goBy(auth)
    this.#use(parseHtpasswd(text).entries)
    this.#file.replace(file === undefined ? [] : [{ path: file.path, text }])
    if (file === undefined || this.#isWatching) return
    this.#isWatching = true
    void this.#file.watch(this.#stopping.signal)
  }

  /** Undefined without accounts. */
  get #tokens(): OpenTokens | undefined {
    return this.#auth && this.#givenOut
  }

  /** That there are no accounts at all says nothing of any: they may come back with the next. */
  #follow(): void {
    if (!this.#hasBegun || this.#auth === undefined) return
    const { clock, logger } = this.#deps
    const hashOf: OpenTokensDeps['hashOf'] = name =>
      name.kind === 'identity'
        ? this.#identities.definitionOf(name.provider)
        : this.#check.hashOf(name.name)
    this.#givenOut ??= new OpenTokens({ directory: this.#directory, clock, logger, hashOf })
    this.#givenOut.follow(this.#names)
  }

  #createFile(): WatchedFiles<readonly Entry[], readonly LineFault[]> {
    const { clock, logger, metrics, changed } = this.#deps
    return new WatchedFiles<readonly Entry[], readonly LineFault[]>([], {
      sleep: (ms, signal) => clock.sleep(ms, signal),
      judge: ([text = '']) => judge(text),
      changed: entries => {
        this.#use(entries)
        logger.info({ accounts: entries.length }, 'other accounts are in force')
        return changed()
      },
      refused: why => {
        metrics.set('authHtpasswdFaulty', {}, 1)
        const hint = 'the accounts of before stay in force; "entrepot check" tells all faults'
        logger.error({ ...describe(why), hint }, 'the file of accounts is faulty')
      },
      mended: () => metrics.set('authHtpasswdFaulty', {}, 0),
    })
  }

  #noteLimited({ limit, address: client, name }: RefusedByLimit): void {
    const held = this.#due(limit === 'account' ? `account ${name}` : `address ${client}`)
    if (held === undefined) return
    const account = name === undefined ? {} : { account: name }
    const hint =
      'a client has an old password, or somebody guesses: find the client by its address; who knows the password is let in from other addresses'
    this.#deps.logger.warn({ limit, client, ...account, held, hint }, LIMITED)
  }

  /** Those that a start finds were there before. */
  #auditChange(entries: readonly Entry[]): void {
    const before = new Map(this.#names.map(name => [name, this.#check.hashOf(name)]))
    const changed = changedAccounts(before, new Map(entries.map(({ name, hash }) => [name, hash])))
    if (this.#hasBegun && changed) this.#deps.audit?.note({ audit: 'accounts', ...changed })
  }

  #use(entries: readonly Entry[]): void {
    this.#auditChange(entries)
    this.#names = entries.map(({ name }) => name)
    this.#check.replace(entries)
    this.#follow()
    this.#deps.metrics.set('authHtpasswdAccounts', {}, entries.length)
  }
}

const REFUSED = { kind: 'refused' } as const
const NO_TOKEN = { login: { kind: 'refused', byToken: true }, forMs: 0 } as const
const LIMITED = 'logins are refused for a while, after too many wrong ones'

/** Undefined where it cannot be read now, or is faulty. */
function goodTextOf(path: string): string | undefined {
  const read = readLocalFile(path)
  return read.kind === 'file' && judge(read.text).kind === 'good' ? read.text : undefined
}

function judge(text: string): Judged<readonly Entry[], readonly LineFault[]> {
  const { entries, faults } = parseHtpasswd(text)
  return faults.length > 0 ? { kind: 'faulty', fault: faults } : { kind: 'good', value: entries }
}

function describe(why: FilesFault<readonly LineFault[]>): {
  readonly line?: number
  readonly fault: string
} {
  if (why.kind === 'unreadable') return { fault: why.reason }
  const [first] = why.fault
  return { ...(first && { line: first.line }), fault: first?.message ?? '' }
}
