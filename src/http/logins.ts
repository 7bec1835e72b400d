// Whose name and password a request shows. What was found out a moment ago is known to this thread
// at once, for as long as it goes by the same state of accounts; everything else is asked for,
// since passwords are tried in one place for all threads. There it counts where a password was
// right, so that each address it comes from is told.
import { hash, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type BoundedCache, boundedCache } from '../async/bounded-cache.ts'
import {
  type Accounts,
  type FoundLogin,
  type IssuedToken,
  type Login,
  REFUSED,
  type ShownForToken,
} from '../access/accounts.ts'
import type { Access } from '../access/access.ts'
import { parseAuthorization, type Shown } from './authorization.ts'

export interface LoginsDeps {
  readonly accounts: Accounts
  readonly revision: Pick<Access['revision'], 'held'>
  readonly monotonicMs: () => number
}

/** More clients than that at one time are asked for again. */
const KNOWN_MAX = 4_096
/** Less than passwords are remembered by who tries them: nothing is asked of an account so long. */
export const KNOWN_MS = 60_000
/**
 * As many places as are kept of an account (accounts/known-places.ts): beyond, whoever shows the
 * same is known without being told of.
 */
export const ADDRESSES_TOLD_MAX = 128
const KEY_BYTES = 32
/**
 * What is good for no longer is known by the header as it came. What is good for longer, a password
 * or the secret of a robot, is no text that lies about in memory.
 */
const SHORT_LIVED_MS = 5 * 60_000
/** This edge's own tokens are half of it. With as many as are known it is some four megabytes. */
const HEADER_MAX_LENGTH = 1_024

const ANONYMOUS: Login = { kind: 'anonymous' }

interface Known {
  readonly login: Login
  /** Of accounts, when it was asked for. */
  readonly revision: number
  /** From where it was asked for; undefined where that does not count. */
  readonly addresses: Set<string | undefined> | undefined
}

export class Logins {
  readonly #deps: LoginsDeps
  /**
   * By the header: each answer from memory asks, and is told by one look. A token in another
   * spelling is another one.
   */
  readonly #short: BoundedCache<Known>
  /** All others. By `#markOf`, so that what lies about in memory is nobody's password. */
  readonly #known: BoundedCache<Known>
  readonly #key = randomBytes(KEY_BYTES).toString('base64')

  constructor(deps: LoginsDeps) {
    this.#deps = deps
    const ageing = { ttlMs: KNOWN_MS, nowMs: deps.monotonicMs }
    this.#short = boundedCache(KNOWN_MAX, ageing)
    this.#known = boundedCache(KNOWN_MAX, ageing)
  }

  /** That what is known now holds for. */
  get revision(): number {
    return this.#deps.revision.held
  }

  /** `address`: where it comes from. Undefined: it has to be asked for. */
  known(
    { rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>,
    address: string | undefined,
  ): Login | undefined {
    const header = headerIn(rawHeaders)
    const short = header === undefined ? undefined : this.#short.get(header)
    if (short?.revision === this.#deps.revision.held) return short.login
    const shown = shownIn(rawHeaders)
    return 'login' in shown ? shown.login : this.#knownBy(this.#markOf(shown), address)
  }

  /** `address`: as of `known`. Never rejects. */
  async find(
    { rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>,
    address: string | undefined,
  ): Promise<Login> {
    const shown = shownIn(rawHeaders)
    if ('login' in shown) return shown.login
    const mark = this.#markOf(shown)
    const known = this.#knownBy(mark, address)
    if (known !== undefined) return known
    // Accounts that are newer when it is answered do not know it: who asked decides again.
    const { revision } = this
    const { login, forMs } = await this.#ask(shown, address)
    const isGood = login.kind === 'account' || login.kind === 'anonymous'
    if (isGood && forMs > 0) {
      const isToken = shown.kind === 'token'
      const header = isToken && forMs <= SHORT_LIVED_MS ? headerIn(rawHeaders) : undefined
      const addresses = isToken ? undefined : this.#toldWith(mark, address)
      const known = { login, revision, addresses }
      const ttl = { ttl: Math.min(forMs, KNOWN_MS) }
      if (header === undefined || header.length > HEADER_MAX_LENGTH)
        this.#known.set(mark, known, ttl)
      else this.#short.set(header, known, ttl)
    }
    return login
  }

  /** What a GET shows for a token; undefined: nobody can say what is meant. */
  shownForToken(
    { rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>,
    address: string | undefined,
  ): ShownForToken | undefined {
    const shown = shownIn(rawHeaders)
    if ('login' in shown) return shown.login.kind === 'anonymous' ? { kind: 'nothing' } : undefined
    if (shown.kind === 'token') return undefined
    const { name, password } = shown
    return { kind: 'password', attempt: { name, password, address } }
  }

  /** Never rejects. */
  issueToken(shown: ShownForToken, isOffline: boolean): Promise<IssuedToken> {
    return this.#deps.accounts.issueToken({ shown, isOffline })
  }

  #ask(shown: Shown, address: string | undefined): Promise<FoundLogin> {
    const { accounts } = this.#deps
    if (shown.kind === 'token') return accounts.readToken(shown.token)
    const { name, password } = shown
    return accounts.verify({ name, password, address })
  }

  #knownBy(mark: string, address: string | undefined): Login | undefined {
    const known = this.#known.get(mark)
    if (known?.revision !== this.#deps.revision.held) return undefined
    const { login, addresses } = known
    const isTold =
      addresses === undefined || addresses.size >= ADDRESSES_TOLD_MAX || addresses.has(address)
    return isTold ? login : undefined
  }

  /** Those of before, of the same state of accounts or not: they were told of. */
  #toldWith(mark: string, address: string | undefined): Set<string | undefined> {
    const addresses = this.#known.get(mark)?.addresses ?? new Set()
    return addresses.add(address)
  }

  /**
   * With a key before it nobody can try passwords on it, in one call: it is made for each request
   * that shows a password, of which an HMAC's objects would take three times as much. Nobody sees
   * or is shown one.
   */
  #markOf(shown: Shown): string {
    const text = shown.kind === 'token' ? `token ${shown.token}` : `${shown.name}:${shown.password}`
    return hash('sha256', `${this.#key}${text}`, 'base64')
  }
}

const NAME = 'authorization'

/** Undefined: there is none. Of several the answer is what stands for one that is nobody's. */
function headerIn(rawHeaders: readonly string[]): string | undefined {
  let header: string | undefined
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (name.length !== NAME.length || name.toLowerCase() !== NAME) continue
    // Nobody can say which of them is meant.
    if (header !== undefined) return UNCLEAR
    header = rawHeaders[at + 1] ?? ''
  }
  return header
}

/** Nothing that can be read, and nothing that is remembered. */
const UNCLEAR = ''

/** What a request shows; or, where nothing is to be asked, who it is by that. */
function shownIn(rawHeaders: readonly string[]): Shown | { readonly login: Login } {
  const header = headerIn(rawHeaders)
  if (header === undefined) return { login: ANONYMOUS }
  const shown = parseAuthorization(header)
  if (shown === undefined) return { login: REFUSED }
  const isEmpty = shown.kind === 'password' && shown.name === '' && shown.password === ''
  // What podman and skopeo send who have no login, where a challenge was Basic.
  return isEmpty ? { login: ANONYMOUS } : shown
}
