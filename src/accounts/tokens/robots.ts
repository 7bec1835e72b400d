// Robots: names that programs log in by, each with a secret that this edge made. They are kept in
// one file for its owner alone, hashed: a secret has more chance in it than anybody can try, so
// that a plain hash is enough, and a login costs no bcrypt.
import { createHash, randomBytes } from 'node:crypto'
import { isRobotName } from '../../access/names.ts'
import { OwnFile } from './own-file.ts'
import type { Credential } from './tokens.ts'

export interface RobotsDeps {
  /** Wall clock. */
  readonly nowMs: () => number
  /** The file cannot be used: no robot is known, and none is made, until it is mended. */
  readonly damaged: (error: unknown) => void
}

export interface Robot {
  readonly name: string
  /** Wall clock. */
  readonly issuedAtMs: number
  /** Undefined: it does not expire. */
  readonly expiresAtMs: number | undefined
}

/** As it is now. */
export interface RobotNow extends Robot {
  readonly state: RobotState
  /** The secret of before, which is good beside the newest. Absent: there is none. */
  readonly before?: {
    /** Wall clock. Absent: it does not end. */
    readonly untilMs?: number | undefined
  }
}

/** `expiring`: within `EXPIRES_SOON_MS`. */
export type RobotState = 'valid' | 'expiring' | 'expired'

/** Time for a person to hand out another secret. */
const EXPIRES_SOON_MS = 7 * 24 * 3_600_000

export type RobotChange =
  | { readonly kind: 'issued'; readonly robot: RobotNow; readonly secret: string }
  | { readonly kind: 'there already' | 'not there' | 'too many' | 'no name' }

export interface FoundRobot extends Credential {
  readonly name: string
}

/** Those of one site; the file is read and written as a whole. */
export const ROBOTS_MAX = 1_000
/** By which people and programs that look for leaked secrets know one. */
export const SECRET_PREFIX = 'erb_'
const SECRET_BYTES = 32

interface Kept extends Robot {
  readonly lifeMs: number | undefined
  /** The newest first; another one only while they overlap. */
  readonly secrets: readonly { readonly hash: string; readonly untilMs: number | undefined }[]
}

export class Robots {
  readonly #file: OwnFile<ReadonlyMap<string, Kept>>
  readonly #deps: RobotsDeps
  #all: ReadonlyMap<string, Kept>
  #byHash: ReadonlyMap<string, string> = new Map()
  #isDamaged = false

  /** Never throws. */
  constructor(path: string, deps: RobotsDeps) {
    this.#file = new OwnFile(path, parseRobots)
    this.#deps = deps
    this.#all = this.#read()
    this.#index()
  }

  /** Was none ever made, as far as can be known? */
  get isEmpty(): boolean {
    return this.#all.size === 0 && !this.#isDamaged
  }

  get all(): readonly RobotNow[] {
    const nowMs = this.#deps.nowMs()
    return [...this.#all.values()].map(robot => toldOf(robot, nowMs))
  }

  /** Undefined: it is nobody's. */
  find(secret: string): FoundRobot | undefined {
    const name = this.#byHash.get(hashOf(secret))
    if (name === undefined) return undefined
    const shown = this.credentialsOf(name).find(({ hash }) => hash === hashOf(secret))
    return shown && { name, ...shown }
  }

  /** Its secrets that are good. None: there is no such robot, or it is over. */
  credentialsOf(name: string): readonly Credential[] {
    const robot = this.#all.get(name)
    if (robot === undefined) return []
    const nowMs = this.#deps.nowMs()
    return robot.secrets
      .map(({ hash, untilMs }) => {
        const endsAtMs = Math.min(robot.expiresAtMs ?? Infinity, untilMs ?? Infinity)
        return { hash, forMs: endsAtMs - nowMs }
      })
      .filter(({ forMs }) => forMs > 0)
  }

  /** `lifeMs` undefined: for ever. @throws where it cannot be kept */
  issue(name: string, lifeMs: number | undefined): RobotChange {
    if (!isRobotName(name)) return { kind: 'no name' }
    if (this.#all.has(name)) return { kind: 'there already' }
    if (this.#all.size >= ROBOTS_MAX) return { kind: 'too many' }
    return this.#renew({ name, lifeMs, secrets: [], issuedAtMs: 0, expiresAtMs: undefined }, 0)
  }

  /** The secret of before is good for `overlapMs` more. @throws where it cannot be kept */
  rotate(name: string, overlapMs: number): RobotChange {
    const robot = this.#all.get(name)
    return robot === undefined ? { kind: 'not there' } : this.#renew(robot, overlapMs)
  }

  /** @returns false: there is none. @throws where it cannot be kept */
  revoke(name: string): boolean {
    if (!this.#all.has(name)) return false
    const next = new Map(this.#all)
    next.delete(name)
    this.#keep(next)
    return true
  }

  #renew(robot: Kept, overlapMs: number): RobotChange {
    const { name, lifeMs, secrets } = robot
    const secret = `${SECRET_PREFIX}${randomBytes(SECRET_BYTES).toString('base64url')}`
    const nowMs = this.#deps.nowMs()
    const before = secrets.slice(0, overlapMs > 0 ? 1 : 0).map(({ hash }) => {
      const untilMs = Math.min(nowMs + overlapMs, robot.expiresAtMs ?? Infinity)
      // JSON knows no time without an end.
      return { hash, untilMs: untilMs === Infinity ? undefined : untilMs }
    })
    const next: Kept = {
      ...robot,
      issuedAtMs: nowMs,
      expiresAtMs: lifeMs === undefined ? undefined : nowMs + lifeMs,
      secrets: [{ hash: hashOf(secret), untilMs: undefined }, ...before],
    }
    this.#keep(new Map(this.#all).set(name, next))
    return { kind: 'issued', robot: toldOf(next, nowMs), secret }
  }

  #keep(next: ReadonlyMap<string, Kept>): void {
    const { path } = this.#file
    if (this.#isDamaged) throw new Error(`${path} is damaged: mend or remove it, and restart`)
    this.#file.write({ robots: [...next.values()] })
    this.#all = next
    this.#index()
  }

  #index(): void {
    const all = [...this.#all.values()]
    const entries = all.flatMap(({ name, secrets }) =>
      secrets.map(({ hash }) => [hash, name] as const),
    )
    this.#byHash = new Map(entries)
  }

  #read(): ReadonlyMap<string, Kept> {
    const found = this.#file.read()
    if (found.kind === 'read') return found.value
    if (found.kind === 'unusable') {
      this.#isDamaged = true
      this.#deps.damaged(found.error)
    }
    return new Map()
  }
}

/** @throws Error where it is not what this program writes */
function parseRobots({ robots }: Readonly<Record<string, unknown>>): ReadonlyMap<string, Kept> {
  if (!Array.isArray(robots) || !robots.every(isKept)) throw new Error('it holds no robots')
  return new Map(robots.map(robot => [robot.name, withEnds(robot)]))
}

/** What JSON makes of a time without an end, as a build from before the first release wrote it. */
function withEnds(robot: Kept): Kept {
  const secrets = robot.secrets.map(({ hash, untilMs }) => ({
    hash,
    untilMs: untilMs ?? undefined,
  }))
  return { ...robot, secrets }
}

function isKept(value: unknown): value is Kept {
  if (typeof value !== 'object' || value === null) return false
  const { name, issuedAtMs, expiresAtMs, lifeMs, secrets } = value as Record<keyof Kept, unknown>
  return (
    typeof name === 'string' &&
    isRobotName(name) &&
    typeof issuedAtMs === 'number' &&
    [expiresAtMs, lifeMs].every(isNumberOrNone) &&
    Array.isArray(secrets) &&
    secrets.every(isSecret)
  )
}

function isSecret(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { hash, untilMs } = value as { hash?: unknown; untilMs?: unknown }
  return typeof hash === 'string' && (untilMs === null || isNumberOrNone(untilMs))
}

function isNumberOrNone(value: unknown): boolean {
  return value === undefined || typeof value === 'number'
}

function toldOf({ name, issuedAtMs, expiresAtMs, secrets }: Kept, nowMs: number): RobotNow {
  const state = stateOf(expiresAtMs, nowMs)
  const [, before] = secrets
  const isOver = state === 'expired' || (before?.untilMs ?? Infinity) <= nowMs
  const told = { name, issuedAtMs, expiresAtMs, state }
  return before === undefined || isOver ? told : { ...told, before: { untilMs: before.untilMs } }
}

function stateOf(expiresAtMs = Infinity, nowMs: number): RobotState {
  if (expiresAtMs <= nowMs) return 'expired'
  return expiresAtMs - nowMs <= EXPIRES_SOON_MS ? 'expiring' : 'valid'
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}
