// Whose name and password a request shows. What was found out a moment ago is known to this thread
// at once, for as long as it goes by the same state of accounts; everything else is asked for,
// since passwords are tried in one place for all threads.
import { createHmac, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type BoundedCache, boundedCache } from '../async/bounded-cache.ts'
import type { Accounts, FoundLogin, IssuedToken, Login, ShownForToken } from '../access/accounts.ts'
import type { Access } from '../access/access.ts'
import { parseBasic, parseBearer } from './authorization.ts'

export interface LoginsDeps {
  readonly accounts: Accounts
  readonly revision: Pick<Access['revision'], 'held'>
  readonly monotonicMs: () => number
}

/** More clients than that at one time are asked for again. */
const KNOWN_MAX = 4_096
/** Less than passwords are remembered by who tries them: nothing is asked of an account so long. */
export const KNOWN_MS = 60_000
const KEY_BYTES = 32

const ANONYMOUS: Login = { kind: 'anonymous' }
const REFUSED: Login = { kind: 'refused' }

interface Known {
  readonly login: Login
  /** Of accounts, when it was asked for. */
  readonly revision: number
}

export class Logins {
  readonly #deps: LoginsDeps
  /** By an HMAC of the header, so that what lies about in memory is nobody's password. */
  readonly #known: BoundedCache<Known>
  readonly #key = randomBytes(KEY_BYTES)

  constructor(deps: LoginsDeps) {
    this.#deps = deps
    this.#known = boundedCache(KNOWN_MAX, { ttlMs: KNOWN_MS, nowMs: deps.monotonicMs })
  }

  /** That what is known now holds for. */
  get revision(): number {
    return this.#deps.revision.held
  }

  /** Undefined: it has to be asked for. */
  known({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): Login | undefined {
    const shown = credentialsIn(rawHeaders)
    if (shown === undefined) return ANONYMOUS
    return shown === SEVERAL ? REFUSED : this.#knownBy(this.#markOf(shown))
  }

  /** `address`: where it comes from. Never rejects. */
  async find(
    { rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>,
    address: string | undefined,
  ): Promise<Login> {
    const shown = credentialsIn(rawHeaders)
    if (shown === undefined) return ANONYMOUS
    if (shown === SEVERAL) return REFUSED
    const mark = this.#markOf(shown)
    const known = this.#knownBy(mark)
    if (known !== undefined) return known
    const { revision } = this.#deps
    const { held } = revision
    const { login, forMs } = await this.#ask(shown, address)
    // By older accounts than those of now it is known to nobody else: who asked decides again.
    const isGood = login.kind === 'account' || login.kind === 'anonymous'
    if (isGood && forMs > 0 && revision.held === held)
      this.#known.set(mark, { login, revision: held }, { ttl: Math.min(forMs, KNOWN_MS) })
    return login
  }

  /** What a GET shows for a token; undefined: nobody can say what is meant. */
  shownForToken(
    { rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>,
    address: string | undefined,
  ): ShownForToken | undefined {
    const shown = credentialsIn(rawHeaders)
    if (shown === undefined) return { kind: 'nothing' }
    const basic = shown === SEVERAL ? undefined : parseBasic(shown)
    return basic && { kind: 'password', attempt: { ...basic, address } }
  }

  /** Never rejects. */
  issueToken(shown: ShownForToken, isOffline: boolean): Promise<IssuedToken> {
    return this.#deps.accounts.issueToken({ shown, isOffline })
  }

  async #ask(shown: string, address: string | undefined): Promise<FoundLogin> {
    const { accounts } = this.#deps
    const token = parseBearer(shown)
    if (token !== undefined) return accounts.readToken(token)
    const basic = parseBasic(shown)
    if (basic === undefined) return { login: REFUSED, forMs: 0 }
    return accounts.verify({ ...basic, address })
  }

  #knownBy(mark: string): Login | undefined {
    const known = this.#known.get(mark)
    return known?.revision === this.#deps.revision.held ? known.login : undefined
  }

  #markOf(shown: string): string {
    return createHmac('sha256', this.#key).update(shown).digest('base64')
  }
}

const NAME = 'authorization'
const SEVERAL = Symbol('several')

/** What podman and skopeo send who have no login, where a challenge was Basic. */
const NOTHING_SHOWN = /^basic +Og==$/i

/** The value of the one header; SEVERAL: nobody can say which of them is meant. */
function credentialsIn(rawHeaders: readonly string[]): string | typeof SEVERAL | undefined {
  let shown: string | undefined
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (name.length !== NAME.length || name.toLowerCase() !== NAME) continue
    if (shown !== undefined) return SEVERAL
    shown = rawHeaders[at + 1] ?? ''
  }
  return shown !== undefined && NOTHING_SHOWN.test(shown) ? undefined : shown
}
