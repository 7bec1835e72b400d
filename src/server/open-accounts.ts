// The accounts of the running server: of the file that the configuration names, as it is now, with
// passwords tried in a thread of their own. Who may log in by them, accounts/accounts-in-force.ts
// says. A part of the composition root.
import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import type { EndedLogins } from '../access/accounts.ts'
import { type Entry, type LineFault, parseHtpasswd } from '../access/htpasswd/parse.ts'
import { isWordOfAudit } from '../access/names.ts'
import { AccountsInForce } from '../accounts/accounts-in-force.ts'
import { Bcrypt } from '../accounts/bcrypt.ts'
import { GivenOut, type GivenOutDeps } from '../accounts/given-out.ts'
import { KEY_BYTES, PasswordCheck, type RefusedByLimit } from '../accounts/password-check.ts'
import type { Robots } from '../accounts/tokens/robots.ts'
import type { AccountsControl, LookedAtAccounts, RobotAnswer, RobotsControl } from '../admin/api.ts'
import type { AuthConfig, Config } from '../config/config.ts'
import { readLocalFile } from '../config/local-file.ts'
import { type FilesFault, type Judged, WatchedFiles } from '../config/watched-files.ts'
import type { NoteAudit } from '../observe/audit.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { createOnceAMinute, type OnceAMinute } from '../observe/once-a-minute.ts'
import type { AccountsNow } from '../registry/operator/operator-deps.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { openIdentities } from './open-identities.ts'

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

export class OpenAccounts implements AccountsControl {
  readonly inForce: AccountsInForce
  readonly robots: RobotsControl
  readonly #deps: OpenAccountsDeps
  readonly #bcrypt = new Bcrypt()
  readonly #stopping = new AbortController()
  readonly #due: OnceAMinute
  readonly #file: WatchedFiles<readonly Entry[], readonly LineFault[]>
  #isWatching = false
  #auth: AuthConfig | undefined

  constructor({ auth, storage, proxyEnvironment }: Config, deps: OpenAccountsDeps) {
    this.#deps = deps
    const { clock, metrics, changed } = deps
    this.#due = createOnceAMinute(() => clock.monotonicMs())
    this.inForce = new AccountsInForce({
      check: new PasswordCheck({
        compare: (password, hash) => this.#bcrypt.compare(password, hash),
        monotonicMs: () => clock.monotonicMs(),
        key: randomBytes(KEY_BYTES),
        tried: outcome => metrics.count('authPasswords', { outcome }),
        limited: refused => this.#noteLimited(refused),
      }),
      identities: openIdentities(proxyEnvironment, deps),
      wasGivenOut: () => GivenOut.isIn(storage.rootDirectory),
      openGivenOut: ({ hashOf }) => openGivenOut(storage.rootDirectory, hashOf, deps),
      nowMs: () => clock.nowMs(),
    })
    this.robots = controlRobots(() => this.inForce.robots, changed)
    this.#file = this.#createFile()
    this.#take(auth, auth?.file?.text.reveal())
  }

  /**
   * For once the data directory is this process's alone, and before anybody is heard: it keeps what
   * is given out for logins. Takes the file as it is by now.
   */
  begin(): void {
    this.inForce.begin()
    this.#takeNewest(this.#auth)
  }

  /** Of the file; undefined: there is none. */
  get now(): AccountsNow | undefined {
    if (this.#auth?.file === undefined) return undefined
    return { count: this.inForce.count, isRefused: this.#file.isRefused }
  }

  /** @throws where it would not outlast this process */
  async endLogins(account: string): Promise<EndedLogins> {
    const outcome = this.inForce.endLogins(account)
    if (outcome === 'ended') await this.#deps.changed()
    return outcome
  }

  /**
   * Takes over what the configuration says now; whoever calls tells all threads. Of a file that has
   * changed since it was read for that, what stands there now: whoever was taken out of it has been
   * told that this is in force.
   */
  replace({ auth }: Config): void {
    this.#takeNewest(auth)
  }

  /** @throws where the file was another one each time, and where not all threads go by it */
  async look(name?: string): Promise<LookedAtAccounts | undefined> {
    await this.#file.look('now')
    const file = this.#auth?.file
    if (file === undefined) return undefined
    const isThere = name !== undefined && this.inForce.has(name)
    return { path: resolve(file.path), isInForce: !this.#file.isRefused, isThere }
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
    this.#auth = auth
    this.inForce.replace(auth)
  }

  #take(auth: AuthConfig | undefined, text = ''): void {
    const file = auth?.file
    this.#auth = auth
    this.#use(parseHtpasswd(text).entries)
    this.#file.replace(file === undefined ? [] : [{ path: file.path, text }])
    if (file === undefined || this.#isWatching) return
    this.#isWatching = true
    void this.#file.watch(this.#stopping.signal)
  }

  #use(entries: readonly Entry[]): void {
    const changed = this.inForce.replace(this.#auth, entries)
    if (changed !== undefined) this.#deps.audit?.note({ audit: 'accounts', ...changed })
    this.#deps.metrics.set('authHtpasswdAccounts', {}, entries.length)
    const accounts = entries.map(({ name }) => name).filter(isWordOfAudit)
    const hint = 'make each anew by another name, and remove it'
    if (accounts.length > 0) this.#deps.logger.warn({ accounts, hint }, CALLED_AS_OTHERS)
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
      mended: () => {
        metrics.set('authHtpasswdFaulty', {}, 0)
        logger.info({ accounts: this.inForce.count }, 'the file of accounts is good again')
      },
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
}

const LIMITED = 'logins are refused for a while, after too many wrong ones'

function openGivenOut(
  directory: string,
  hashOf: GivenOutDeps['hashOf'],
  { clock, logger }: OpenAccountsDeps,
): GivenOut {
  const hint = 'who has logged in to this edge logs in again'
  return new GivenOut({
    directory,
    nowMs: () => clock.nowMs(),
    robotsDamaged: err => logger.error({ err }, 'the file of robots is damaged'),
    keysLost: err => logger.error({ err, hint }, 'the keys of tokens are lost, and made anew'),
    keysUnwritten: err => logger.error({ err }, 'the keys of tokens could not be written'),
    hashOf,
  })
}

/** `changed`: resolves when every thread goes by what robots are now. */
function controlRobots(
  robotsOfNow: () => Robots | undefined,
  changed: () => Promise<void>,
): RobotsControl {
  const change = async (by: (robots: Robots) => RobotAnswer): Promise<RobotAnswer> => {
    const robots = robotsOfNow()
    if (robots === undefined) return { kind: 'no accounts' }
    const answer = by(robots)
    await changed()
    return answer
  }
  return {
    list: () => ({ robots: robotsOfNow()?.all ?? [] }),
    issue: (name, lifeMs) =>
      change(robots => robots.issue(name, lifeMs === Infinity ? undefined : lifeMs)),
    rotate: (name, overlapMs) => change(robots => robots.rotate(name, overlapMs)),
    revoke: name =>
      change(robots => ({ kind: robots.revoke(name) ? 'revoked' : 'not there' }) as const),
  }
}

/** Undefined where it cannot be read now, or is faulty. */
function goodTextOf(path: string): string | undefined {
  const read = readLocalFile(path)
  return read.kind === 'file' && judge(read.text).kind === 'good' ? read.text : undefined
}

const CALLED_AS_OTHERS = 'accounts are called as the audit log calls others'

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
