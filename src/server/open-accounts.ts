// The accounts of the running server: of the file that the configuration names, as it is now, and
// passwords tried in a thread of their own. A part of the composition root.
import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import type { LookedAtAccounts } from '../admin/api.ts'
import type { Accounts, LoginAttempt, Verified } from '../access/accounts.ts'
import { type Entry, type LineFault, parseHtpasswd } from '../access/htpasswd/parse.ts'
import { Bcrypt } from '../accounts/bcrypt.ts'
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
  readonly #file: WatchedFiles<readonly Entry[], readonly LineFault[]>
  #isWatching = false
  #auth: AuthConfig | undefined
  #count = 0

  constructor({ auth }: Config, deps: OpenAccountsDeps) {
    this.#deps = deps
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

  verify(attempt: LoginAttempt): Promise<Verified> {
    return this.#check.verify(attempt)
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
