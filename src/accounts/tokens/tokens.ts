// The tokens that this edge gives out. An access token says who somebody is, for minutes, and not
// what they may: that is judged with each request. A refresh token stands for a password that was
// shown once. Both hang on the account as it is now: another password, none, or a logout, and they
// are nobody's.
//
// A token is read strictly: its head has to be, letter by letter, the one that this edge writes for
// one of its keys. So no token names its own algorithm or brings its own key (R135).
import { createHmac, randomUUID, sign, timingSafeEqual, verify } from 'node:crypto'
import type { Login, ShownToken } from '../../access/accounts.ts'
import type { SigningKey, TokenKeys } from './token-keys.ts'

export interface TokensDeps {
  readonly keys: TokenKeys
  /** Wall clock. */
  readonly nowMs: () => number
  /** Of the account's password; undefined: there is no such account. */
  readonly hashOf: (name: string) => string | undefined
}

export interface AccessToken {
  readonly token: string
  readonly issuedAtMs: number
  readonly expiresInSeconds: number
}

/** Clients fetch another one as needed; a removed right takes no token to notice. */
export const ACCESS_SECONDS = 300
/** Who has been away for a year logs in again. */
export const REFRESH_SECONDS = 365 * 24 * 3_600
/** What the anonymous are given is the same for so long; clients want a minute at least (R131). */
const ANONYMOUS_SHARED_MS = 60_000
const SERVICE = 'entrepot'
/** Longer ones are none of ours, and cost a look each. */
const TOKEN_MAX_LENGTH = 2_048
const REFRESH_PREFIX = 'ert_'
const VERSION_LENGTH = 22

const REFUSED: Login = { kind: 'refused', byToken: true }

interface Claims {
  readonly iss: typeof SERVICE
  readonly aud: typeof SERVICE
  /** Absent: of nobody. */
  readonly sub?: string
  /** Of the account; see `#versionOf`. */
  readonly ver?: string
  readonly iat: number
  readonly nbf: number
  readonly exp: number
  readonly jti: string
}

export class Tokens {
  readonly #deps: TokensDeps
  #anonymous: AccessToken | undefined

  constructor(deps: TokensDeps) {
    this.#deps = deps
  }

  /** Undefined where there is no such account any more. */
  issue(name: string): AccessToken | undefined {
    const ver = this.#versionOf(name)
    return ver === undefined ? undefined : this.#sign({ sub: name, ver })
  }

  issueAnonymous(): AccessToken {
    const known = this.#anonymous
    const ageMs = this.#deps.nowMs() - (known?.issuedAtMs ?? -Infinity)
    if (known !== undefined && ageMs >= 0 && ageMs < ANONYMOUS_SHARED_MS) {
      const expiresInSeconds = ACCESS_SECONDS - Math.ceil(ageMs / 1_000)
      return { ...known, expiresInSeconds }
    }
    this.#anonymous = this.#sign({})
    return this.#anonymous
  }

  /**
   * No token that the account has is good from now on. @throws where that would not outlast the
   * process
   */
  endLoginsOf(name: string): void {
    this.#deps.keys.endLoginsOf(name)
  }

  read(token: string): ShownToken {
    const claims = this.#claimsOf(token)
    const nowMs = this.#deps.nowMs()
    const isOfNow = claims !== undefined && claims.nbf * 1_000 <= nowMs
    const forMs = isOfNow ? claims.exp * 1_000 - nowMs : 0
    if (!isOfNow || forMs <= 0) return { login: REFUSED, forMs: 0 }
    const { sub: name, ver } = claims
    if (name === undefined) return { login: { kind: 'anonymous', byToken: true }, forMs }
    if (ver !== this.#versionOf(name)) return { login: REFUSED, forMs: 0 }
    return { login: { kind: 'account', name }, forMs }
  }

  /** Undefined where there is no such account any more. */
  issueRefresh(name: string): string | undefined {
    const ver = this.#versionOf(name)
    if (ver === undefined) return undefined
    const exp = Math.floor(this.#deps.nowMs() / 1_000) + REFRESH_SECONDS
    const claims = encode({ sub: name, ver, exp, jti: randomUUID() })
    return `${REFRESH_PREFIX}${claims}.${this.#macOf(`refresh ${claims}`)}`
  }

  /** Whose it is; undefined: nobody's. */
  redeem(refreshToken: string): string | undefined {
    if (!refreshToken.startsWith(REFRESH_PREFIX)) return undefined
    if (refreshToken.length > TOKEN_MAX_LENGTH) return undefined
    const [claims = '', mac = ''] = refreshToken.slice(REFRESH_PREFIX.length).split('.')
    const right = Buffer.from(this.#macOf(`refresh ${claims}`))
    const shown = Buffer.from(mac)
    if (shown.length !== right.length || !timingSafeEqual(shown, right)) return undefined
    const { sub, ver, exp } = decode<Required<Pick<Claims, 'sub' | 'ver' | 'exp'>>>(claims)
    const isOfNow = this.#deps.nowMs() / 1_000 < exp && ver === this.#versionOf(sub)
    return isOfNow ? sub : undefined
  }

  #sign(who: Pick<Claims, 'sub' | 'ver'>): AccessToken {
    const issuedAtMs = this.#deps.nowMs()
    const iat = Math.floor(issuedAtMs / 1_000)
    const claims: Claims = {
      iss: SERVICE,
      aud: SERVICE,
      ...who,
      iat,
      nbf: iat,
      exp: iat + ACCESS_SECONDS,
      jti: randomUUID(),
    }
    const key = this.#deps.keys.signing()
    const signed = `${headOf(key)}.${encode(claims)}`
    const signature = sign(null, Buffer.from(signed), key.privateKey).toString('base64url')
    return { token: `${signed}.${signature}`, issuedAtMs, expiresInSeconds: ACCESS_SECONDS }
  }

  /** Of what this edge has signed, whenever that was. */
  #claimsOf(token: string): Claims | undefined {
    if (token.length > TOKEN_MAX_LENGTH) return undefined
    const [head = '', claims = '', signature = '', ...more] = token.split('.')
    const key = this.#deps.keys.all.find(each => headOf(each) === head)
    if (key === undefined || more.length > 0) return undefined
    const signed = Buffer.from(`${head}.${claims}`)
    const bytes = Buffer.from(signature, 'base64url')
    // Node reads other spellings of the same bytes as well; each would be another token to keep.
    if (bytes.toString('base64url') !== signature) return undefined
    const isOurs = verify(null, signed, key.publicKey, bytes)
    return isOurs ? decode<Claims>(claims) : undefined
  }

  /**
   * Another one when the password is, or when the account's logins were ended. Nothing can be
   * learned from it.
   */
  #versionOf(name: string): string | undefined {
    const hash = this.#deps.hashOf(name)
    if (hash === undefined) return undefined
    const logouts = this.#deps.keys.logoutsOf(name)
    return this.#macOf(`account ${logouts} ${name}:${hash}`).slice(0, VERSION_LENGTH)
  }

  #macOf(text: string): string {
    return createHmac('sha256', this.#deps.keys.secret).update(text).digest('base64url')
  }
}

function headOf({ id }: SigningKey): string {
  return encode({ alg: 'EdDSA', typ: 'JWT', kid: id })
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Of what this edge wrote, which a signature or MAC has said. */
function decode<Value>(text: string): Value {
  return JSON.parse(Buffer.from(text, 'base64url').toString()) as Value
}
