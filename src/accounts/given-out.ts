// What this edge gives out itself for logins: tokens, and the secrets of robots, with the two files
// of the data directory that they are kept in.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type FoundLogin, type IssuedToken, REFUSED, type Verified } from '../access/accounts.ts'
import { formatName, type LoginName, parseLoginName } from '../access/names.ts'
import { type FoundRobot, Robots, type RobotsDeps, SECRET_PREFIX } from './tokens/robots.ts'
import { TokenKeys, type TokenKeysDeps } from './tokens/token-keys.ts'
import { type AccessToken, type Holder, Tokens } from './tokens/tokens.ts'

export interface GivenOutDeps {
  /** This process's alone, by now. */
  readonly directory: string
  /** Wall clock. */
  readonly nowMs: () => number
  readonly robotsDamaged: RobotsDeps['damaged']
  readonly keysLost: TokenKeysDeps['lost']
  readonly keysUnwritten: TokenKeysDeps['unwritten']
  /**
   * Of what somebody logs in by; of whom an identity provider knows, its definition, as `follow`
   * is told of it. Undefined: there is nobody of that name.
   */
  readonly hashOf: (name: Exclude<LoginName, { kind: 'robot' }>) => string | undefined
}

export class GivenOut {
  readonly robots: Robots
  readonly #keys: TokenKeys
  readonly #tokens: Tokens

  constructor(deps: GivenOutDeps) {
    const { directory, nowMs, hashOf } = deps
    this.robots = new Robots(join(directory, ROBOTS_FILE), { nowMs, damaged: deps.robotsDamaged })
    const { keysLost: lost, keysUnwritten: unwritten } = deps
    this.#keys = new TokenKeys(join(directory, TOKENS_FILE), { nowMs, lost, unwritten })
    const credentialsOf = (written: string) => {
      const name = parseLoginName(written)
      if (name.kind === 'robot') return this.robots.credentialsOf(name.name)
      const found = hashOf(name)
      const isBought = found !== undefined && name.kind === 'identity'
      const hash = isBought ? `${found} ${this.#keys.stayOf(found)}` : found
      return hash === undefined ? [] : [{ hash, forMs: Infinity }]
    }
    this.#tokens = new Tokens({ keys: this.#keys, nowMs, credentialsOf })
  }

  /** Something was given out in that directory before. */
  static isIn(directory: string): boolean {
    return existsSync(join(directory, TOKENS_FILE))
  }

  /**
   * These are the accounts from now on, and the definitions of providers: what others had been
   * given is over, and does not come back with them. `accounts` undefined: nothing is said of any.
   */
  follow(accounts: readonly string[] | undefined, definitions: readonly string[]): void {
    const isAccount = (name: string) => !name.includes(':')
    this.#keys.follow([...(accounts ?? this.#keys.followed.filter(isAccount)), ...definitions])
  }

  /** Undefined of what is no secret of a robot by its looks. */
  readRobot(secret: string): FoundLogin<Verified> | undefined {
    if (!isRobots(secret)) return undefined
    const found = this.robots.find(secret)
    if (found === undefined) return { login: REFUSED, forMs: 0 }
    return { login: { kind: 'account', name: nameOf(found) }, forMs: found.forMs }
  }

  readToken(token: string): FoundLogin {
    return this.readRobot(token) ?? this.#tokens.read(token)
  }

  issueAnonymous(): IssuedToken {
    return answer(this.#tokens.issueAnonymous(), undefined)
  }

  /**
   * For a robot's secret. It ends when that does, so that there is no refresh token. Undefined of
   * what is none by its looks.
   */
  issueForRobot(secret: string): IssuedToken | undefined {
    if (!isRobots(secret)) return undefined
    const found = this.robots.find(secret)
    if (found === undefined) return REFUSED
    const name = nameOf(found)
    return answer(this.#tokens.issue({ name }, found.hash), name)
  }

  /** `isOffline`: with a refresh token. */
  issue(whose: Holder, isOffline: boolean): IssuedToken {
    const refreshToken = isOffline ? this.#tokens.issueRefresh(whose) : undefined
    return answer(this.#tokens.issue(whose), whose.name, refreshToken)
  }

  /** Whose it is; undefined: nobody's. */
  redeem(refreshToken: string): Holder | undefined {
    return this.#tokens.redeem(refreshToken)
  }

  /** Of a token that was bought by one of an identity provider; undefined: it is none. */
  holderOf(token: string): Holder | undefined {
    return this.#tokens.holderOf(token)
  }

  /** Of one that there is. @throws where it would not outlast this process */
  endLoginsOf(account: string): void {
    this.#keys.endLoginsOf(account)
  }
}

const ROBOTS_FILE = 'robots.json'
const TOKENS_FILE = 'tokens.json'

/** By its looks. */
export function isRobots(secret: string): boolean {
  return secret.startsWith(SECRET_PREFIX)
}

function nameOf({ name }: FoundRobot): string {
  return formatName({ kind: 'robot', name })
}

/** `account`: whose it is; undefined: nobody's. */
function answer(
  issued: AccessToken | undefined,
  account: string | undefined,
  refreshToken?: string,
): IssuedToken {
  return issued === undefined ? REFUSED : { kind: 'token', ...issued, account, refreshToken }
}
