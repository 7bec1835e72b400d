// The tokens that this edge gives out. An access token says who somebody is, for minutes, and not
// what they may: that is judged with each request. A refresh token stands for a password that was
// shown once. Both hang on the credential that bought them and on the account as it is now: another
// password, none, a logout, or a robot's secret that ends, and they are nobody's.
//
// A token is read strictly: its head has to be, letter by letter, the one that this edge writes for
// one of its keys. So no token names its own algorithm or brings its own key (R135).
import { createHmac, randomUUID, sign, timingSafeEqual, verify } from 'node:crypto'
import { type FoundLogin, OWN_SERVICE, TOKEN_OF_NOBODY } from '../../access/accounts.ts'
import type { SigningKey, TokenKeys } from './token-keys.ts'

export interface TokensDeps {
  readonly keys: TokenKeys
  /** Wall clock. */
  readonly nowMs: () => number
  /** What an account logs in by now: a password, or secrets. None: there is no such account. */
  readonly credentialsOf: (name: string) => readonly Credential[]
}

export interface Credential {
  readonly hash: string
  /** It is good for so long yet. */
  readonly forMs: number
}

/** Whose a token is. */
export interface Holder {
  readonly name: string
  /** Of an identity provider: the first is for whoever it knows, and the others begin with it. */
  readonly groups?: readonly string[] | undefined
  /** Wall clock; whatever is given for it ends then. Default: it goes on with the account. */
  readonly endsAtMs?: number | undefined
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
/** Longer ones are none of ours, and cost a look each. */
const TOKEN_MAX_LENGTH = 8_192
const REFRESH_PREFIX = 'ert_'
const VERSION_LENGTH = 22

interface Claims {
  readonly iss: typeof OWN_SERVICE
  readonly aud: typeof OWN_SERVICE
  /** Absent: of nobody. */
  readonly sub?: string
  /** Of what bought it; see `#versionOf`. */
  readonly ver?: string
  /** Of an identity provider's token that was shown: its groups, and when it all ends (seconds). */
  readonly grp?: readonly string[]
  readonly end?: number
  readonly iat: number
  readonly nbf: number
  readonly exp: number
  readonly jti: string
}

type RefreshClaims = Required<Pick<Claims, 'sub' | 'ver' | 'exp'>> & Pick<Claims, 'grp' | 'end'>

export class Tokens {
  readonly #deps: TokensDeps
  #anonymous: AccessToken | undefined

  constructor(deps: TokensDeps) {
    this.#deps = deps
  }

  /**
   * `hash`: of the credential that was shown for it. Default: the one that the account has.
   * Undefined where there is no such account any more.
   */
  issue({ name, ...rest }: Holder, hash = this.#hashOf(name)): AccessToken | undefined {
    if (hash === undefined) return undefined
    const issued = this.#sign({ sub: name, ver: this.#versionOf(name, hash), ...endOf(rest) })
    const isReadable = issued.token.length <= TOKEN_MAX_LENGTH
    return issued.expiresInSeconds > 0 && isReadable ? issued : undefined
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

  read(token: string): FoundLogin {
    const claims = this.#claimsOf(token)
    const nowMs = this.#deps.nowMs()
    const isOfNow = claims !== undefined && claims.nbf * 1_000 <= nowMs
    const forMs = isOfNow ? claims.exp * 1_000 - nowMs : 0
    if (!isOfNow || forMs <= 0) return TOKEN_OF_NOBODY
    const { sub: name, ver } = claims
    if (name === undefined) return { login: { kind: 'anonymous', byToken: true }, forMs }
    const credential = this.#credentialBehind(name, ver)
    if (credential === undefined) return TOKEN_OF_NOBODY
    const login = { kind: 'account', name, ...groupsOf(claims) } as const
    return { login, forMs: Math.min(forMs, credential.forMs) }
  }

  /** Of an access token that was bought by one of an identity provider; undefined: it is none. */
  holderOf(token: string): Holder | undefined {
    const { end, ...claims } = this.#claimsOf(token) ?? {}
    const { login } = this.read(token)
    if (end === undefined || login.kind !== 'account') return undefined
    return { name: login.name, ...groupsOf(claims), endsAtMs: end * 1_000 }
  }

  /** Undefined where there is no such account any more. */
  issueRefresh({ name, ...rest }: Holder): string | undefined {
    const hash = this.#hashOf(name)
    if (hash === undefined) return undefined
    const ver = this.#versionOf(name, hash)
    const said = endOf(rest)
    const exp = said.end ?? Math.floor(this.#deps.nowMs() / 1_000) + REFRESH_SECONDS
    const claims = encode({ sub: name, ver, ...said, exp, jti: randomUUID() })
    return `${REFRESH_PREFIX}${claims}.${this.#macOf(`refresh ${claims}`)}`
  }

  /** Whose it is; undefined: nobody's. */
  redeem(refreshToken: string): Holder | undefined {
    if (!refreshToken.startsWith(REFRESH_PREFIX)) return undefined
    if (refreshToken.length > TOKEN_MAX_LENGTH) return undefined
    const [claims = '', mac = ''] = refreshToken.slice(REFRESH_PREFIX.length).split('.')
    const right = Buffer.from(this.#macOf(`refresh ${claims}`))
    const shown = Buffer.from(mac)
    if (shown.length !== right.length || !timingSafeEqual(shown, right)) return undefined
    const { sub, ver, exp, end, ...more } = decode<RefreshClaims>(claims)
    const isOver = this.#deps.nowMs() / 1_000 >= exp
    if (isOver || this.#credentialBehind(sub, ver) === undefined) return undefined
    return { name: sub, ...groupsOf(more), endsAtMs: end === undefined ? undefined : end * 1_000 }
  }

  /** What was bought by a token of others lasts as long as that may go on. */
  #sign(who: Pick<Claims, 'sub' | 'ver' | 'grp' | 'end'>): AccessToken {
    const issuedAtMs = this.#deps.nowMs()
    const iat = Math.floor(issuedAtMs / 1_000)
    const exp = who.end ?? iat + ACCESS_SECONDS
    const claims: Claims = {
      iss: OWN_SERVICE,
      aud: OWN_SERVICE,
      ...who,
      iat,
      nbf: iat,
      exp,
      jti: randomUUID(),
    }
    const key = this.#deps.keys.signing()
    const signed = `${headOf(key)}.${encode(claims)}`
    const signature = sign(null, Buffer.from(signed), key.privateKey).toString('base64url')
    return { token: `${signed}.${signature}`, issuedAtMs, expiresInSeconds: exp - iat }
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

  #hashOf(name: string): string | undefined {
    return this.#deps.credentialsOf(name)[0]?.hash
  }

  /** Undefined: it is good no longer. */
  #credentialBehind(name: string, version: string | undefined): Credential | undefined {
    const all = this.#deps.credentialsOf(name)
    return all.find(({ hash }) => this.#versionOf(name, hash) === version)
  }

  /**
   * Another one when the credential is, when the account's logins were ended, and when it was gone
   * meanwhile. Nothing can be learned from it.
   */
  #versionOf(name: string, hash: string): string {
    const stay = this.#deps.keys.stayOf(name) ?? ''
    return this.#macOf(`account ${stay} ${name}:${hash}`).slice(0, VERSION_LENGTH)
  }

  #macOf(text: string): string {
    return createHmac('sha256', this.#deps.keys.secret).update(text).digest('base64url')
  }
}

function endOf({ groups, endsAtMs }: Omit<Holder, 'name'>): Pick<Claims, 'grp' | 'end'> {
  const end = endsAtMs === undefined ? {} : { end: Math.floor(endsAtMs / 1_000) }
  return { ...(groups && { grp: shortened(groups) }), ...end }
}

/** In many groups it is their provider's name that would take most of a token. */
function shortened([first = '', ...rest]: readonly string[]): readonly string[] {
  return [first, ...rest.map(each => each.slice(first.length))]
}

function groupsOf({ grp }: Pick<Claims, 'grp'>): { readonly groups?: readonly string[] } {
  if (grp === undefined) return {}
  const [first = '', ...rest] = grp
  return { groups: [first, ...rest.map(each => `${first}${each}`)] }
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
