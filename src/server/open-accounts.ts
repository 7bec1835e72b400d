// The accounts of the running server: of the file that the configuration names, as it is now, and
// passwords tried in a thread of their own. A part of the composition root.
import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import type { LookedAtAccounts } from '../admin/api.ts'
import type {
  Accounts,
  IssuedToken,
  LoginAttempt,
  ShownForToken,
  ShownToken,
  TokenRequest,
  Verified,
} from '../access/accounts.ts'
import { type Entry, type LineFault, parseHtpasswd } from '../access/htpasswd/parse.ts'
import { Bcrypt } from '../accounts/bcrypt.ts'
import { TokenKeys } from '../accounts/tokens/token-keys.ts'
import { Robots, SECRET_PREFIX } from '../accounts/tokens/robots.ts'
import { Tokens } from '../accounts/tokens/tokens.ts'
import { KEY_BYTES, PasswordCheck, type RefusedByLimit } from '../accounts/password-check.ts'
import type { AuthConfig, Config } from '../config/config.ts'
import { whyUnreadable } from '../config/local-file.ts'
import { type FilesFault, type Judged, WatchedFiles } from '../config/watched-files.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { createOnceAMinute, type OnceAMinute } from '../observe/once-a-minute.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { AccountsState } from './thread-settings.ts'

export interface OpenAccountsDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
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
  #robots: Robots | undefined
  #tokens: Tokens | undefined
  readonly #file: WatchedFiles<readonly Entry[], readonly LineFault[]>
  #isWatching = false
  #auth: AuthConfig | undefined
  #count = 0

  constructor({ auth, storage }: Config, deps: OpenAccountsDeps) {
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
    this.#take(auth)
  }

  get isEmpty(): boolean {
    return this.#count === 0
  }

  async verify(attempt: LoginAttempt): Promise<Verified> {
    const robot = this.#robotOf(attempt.password)
    return robot === undefined ? this.#check.verify(attempt) : robot.login
  }

  /** Undefined without accounts. Its file is looked at as that of tokens is. */
  get robots(): Robots | undefined {
    if (this.#auth === undefined) return undefined
    this.#robots ??= new Robots(join(this.#directory, ROBOTS_FILE), {
      nowMs: () => this.#deps.clock.nowMs(),
      damaged: err => this.#deps.logger.error({ err }, 'the file of robots is damaged'),
    })
    return this.#robots
  }

  /** Undefined of what is no secret of a robot by its looks. */
  #robotOf(secret: string): (ShownToken & { readonly login: Verified }) | undefined {
    if (!secret.startsWith(SECRET_PREFIX)) return undefined
    const found = this.robots?.find(secret)
    if (found === undefined) return { login: REFUSED, forMs: 0 }
    const { name, forMs } = found
    return { login: { kind: 'account', name: `${ROBOT}${name}` }, forMs }
  }

  /** Resolves when every thread goes by what robots are now. */
  robotsChanged(): Promise<void> {
    return this.#deps.changed()
  }

  async readToken(token: string): Promise<ShownToken> {
    const robot = this.#robotOf(token)
    if (robot !== undefined) return robot
    const tokens = this.#openTokens()
    return tokens?.read(token) ?? { login: { kind: 'refused', byToken: true }, forMs: 0 }
  }

  async issueToken({ shown, isOffline }: TokenRequest): Promise<IssuedToken> {
    const tokens = this.#openTokens()
    if (tokens === undefined) return REFUSED
    if (shown.kind === 'nothing') return { ...tokens.issueAnonymous(), ...ONE, ...NO_REFRESH }
    const whose = await this.#whose(tokens, shown)
    if (whose.kind !== 'account') return whose
    const issued = tokens.issue(whose.name)
    // A robot has its secret, which ends when that does.
    const mayRefresh = isOffline && !whose.name.startsWith(ROBOT)
    const refreshToken = mayRefresh ? tokens.issueRefresh(whose.name) : undefined
    return issued === undefined ? REFUSED : { ...issued, ...ONE, refreshToken }
  }

  /**
   * Of the tokens of an account none is good any more, from a password none the less. Resolves when
   * every thread goes by it.
   * @returns false: there is no such account
   * @throws where it would not outlast this process
   */
  async endLogins(name: string): Promise<boolean> {
    const tokens = this.#openTokens()
    if (tokens === undefined || this.#check.hashOf(name) === undefined) return false
    tokens.endLoginsOf(name)
    await this.#deps.changed()
    return true
  }

  async #whose(
    tokens: Tokens,
    shown: Exclude<ShownForToken, { kind: 'nothing' }>,
  ): Promise<Verified> {
    if (shown.kind === 'password') return this.verify(shown.attempt)
    const name = tokens.redeem(shown.token)
    return name === undefined ? REFUSED : { kind: 'account', name }
  }

  /** Takes over what the configuration says now; whoever calls tells all threads. */
  replace({ auth }: Config): void {
    this.#take(auth)
  }

  /**
   * Takes the file as it is now. Resolves when every thread goes by it, or it was refused.
   * @returns the path of the file, and whether it is in force; undefined: there are no accounts
   */
  async look(): Promise<LookedAtAccounts | undefined> {
    await this.#file.look('now')
    if (this.#auth === undefined) return undefined
    return { path: resolve(this.#auth.path), isInForce: !this.#file.isRefused }
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the process stops'))
    await this.#bcrypt.end()
  }

  #take(auth: AuthConfig | undefined): void {
    this.#auth = auth
    const text = auth?.text.reveal() ?? ''
    this.#use(parseHtpasswd(text).entries)
    this.#file.replace(auth === undefined ? [] : [{ path: auth.path, text }])
    if (auth === undefined || this.#isWatching) return
    this.#isWatching = true
    void this.#file.watch(this.#stopping.signal)
  }

  /**
   * Undefined without accounts. Its file is looked at when somebody wants a token, and not before:
   * then the data directory is this process's alone.
   */
  #openTokens(): Tokens | undefined {
    if (this.#auth === undefined || this.#tokens !== undefined) return this.#auth && this.#tokens
    const { clock, logger } = this.#deps
    const nowMs = () => clock.nowMs()
    const hint = 'who has logged in to this edge logs in again'
    const keys = new TokenKeys(join(this.#directory, TOKENS_FILE), {
      nowMs,
      lost: err => logger.error({ err, hint }, 'the keys of tokens are lost, and made anew'),
      unwritten: err => logger.error({ err }, 'the keys of tokens could not be written'),
    })
    const hashOf = (name: string) =>
      name.startsWith(ROBOT)
        ? this.robots?.idOf(name.slice(ROBOT.length))
        : this.#check.hashOf(name)
    this.#tokens = new Tokens({ keys, nowMs, hashOf })
    return this.#tokens
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

  #use(entries: readonly Entry[]): void {
    this.#count = entries.length
    this.#check.replace(entries)
    this.#deps.metrics.set('authHtpasswdAccounts', {}, entries.length)
  }
}

/** No name of an account has a colon. */
const ROBOT = 'robot:'
/** In the data directory. */
const ROBOTS_FILE = 'robots.json'
const TOKENS_FILE = 'tokens.json'
const REFUSED = { kind: 'refused' } as const
const ONE = { kind: 'token' } as const
const NO_REFRESH = { refreshToken: undefined } as const
const LIMITED = 'logins are refused for a while, after too many wrong ones'

function judge(text: string): Judged<readonly Entry[], readonly LineFault[]> {
  const { entries, faults } = parseHtpasswd(text)
  return faults.length > 0 ? { kind: 'faulty', fault: faults } : { kind: 'good', value: entries }
}

function describe(why: FilesFault<readonly LineFault[]>): {
  readonly line?: number
  readonly fault: string
} {
  if (why.kind === 'unreadable') return { fault: whyUnreadable(why.error) }
  const [first] = why.fault
  return { ...(first && { line: first.line }), fault: first?.message ?? '' }
}
