// The keys of this edge's own tokens, in one file for its owner alone: Ed25519 pairs that sign
// access tokens, a new one each day, and a secret behind tokens that last. With it, how often
// the logins of an account were ended. Not in the catalog, which is copied and rebuilt.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { chmodSync, readFileSync } from 'node:fs'
import { writeWhole } from '../replace-file.ts'

export interface SigningKey {
  /** As `kid` names it. */
  readonly id: string
  /** Wall clock. */
  readonly createdAtMs: number
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** What has leaked signs no longer than that, and who sees a token learns of no key of tomorrow. */
export const KEY_LIFE_MS = 24 * 3_600_000
/** The newest signs; what the one before has signed is good for minutes more. */
const KEYS_KEPT = 2
const ID_BYTES = 8
const SECRET_BYTES = 32
const MODE = 0o600

export interface TokenKeysDeps {
  readonly nowMs: () => number
  /** What the file held is lost: whoever has logged in does so again. */
  readonly lost: (error: unknown) => void
  /** It is in force all the same, until the process ends. */
  readonly unwritten: (error: unknown) => void
}

interface Kept {
  readonly secret: Buffer
  /** The newest first. */
  readonly keys: readonly SigningKey[]
  /** By account; absent: never. */
  readonly logouts: ReadonlyMap<string, number>
}

export class TokenKeys {
  readonly #path: string
  readonly #deps: TokenKeysDeps
  #kept: Kept

  /** Reads the file at `path`, or makes one. Never throws. */
  constructor(path: string, deps: TokenKeysDeps) {
    this.#path = path
    this.#deps = deps
    this.#kept = this.#read() ?? { secret: randomBytes(SECRET_BYTES), keys: [], logouts: new Map() }
    // A file with a mode that lets others read it is written anew with its own.
    this.signing()
  }

  /** Of KEY_LIFE_MS at most. */
  signing(): SigningKey {
    const [newest] = this.#kept.keys
    const ageMs = this.#deps.nowMs() - (newest?.createdAtMs ?? -Infinity)
    // A clock that was ahead made one that would sign for years.
    if (newest !== undefined && ageMs >= 0 && ageMs < KEY_LIFE_MS) return newest
    const made = makeKey(this.#deps.nowMs())
    this.#keep({ ...this.#kept, keys: [made, ...this.#kept.keys].slice(0, KEYS_KEPT) })
    return made
  }

  /** Those by which what was signed may be good still. */
  get all(): readonly SigningKey[] {
    return this.#kept.keys
  }

  /** MUST NOT leave this process. */
  get secret(): Uint8Array {
    return this.#kept.secret
  }

  logoutsOf(account: string): number {
    return this.#kept.logouts.get(account) ?? 0
  }

  /** @throws where that would not outlast the process: then nothing was changed */
  endLoginsOf(account: string): void {
    const logouts = new Map(this.#kept.logouts).set(account, this.logoutsOf(account) + 1)
    const next = { ...this.#kept, logouts }
    writeWhole(this.#path, formatKept(next))
    this.#kept = next
  }

  #keep(next: Kept): void {
    this.#kept = next
    try {
      writeWhole(this.#path, formatKept(next))
    } catch (error) {
      this.#deps.unwritten(error)
    }
  }

  #read(): Kept | undefined {
    try {
      chmodSync(this.#path, MODE)
      return parseKept(readFileSync(this.#path, 'utf8'))
    } catch (error) {
      const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!isAbsent) this.#deps.lost(error)
      return undefined
    }
  }
}

function makeKey(createdAtMs: number): SigningKey {
  const id = randomBytes(ID_BYTES).toString('base64url')
  return { id, createdAtMs, ...generateKeyPairSync('ed25519') }
}

interface Written {
  readonly secret: string
  readonly keys: readonly {
    readonly id: string
    readonly createdAtMs: number
    readonly key: string
  }[]
  readonly logouts: Readonly<Record<string, number>>
}

function formatKept({ secret, keys, logouts }: Kept): string {
  const written: Written = {
    secret: secret.toString('base64'),
    keys: keys.map(({ id, createdAtMs, privateKey }) => ({
      id,
      createdAtMs,
      key: privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    })),
    logouts: Object.fromEntries(logouts),
  }
  return `${JSON.stringify(written)}\n`
}

/** @throws Error where it is not what this program writes */
function parseKept(text: string): Kept {
  const { secret, keys, logouts } = JSON.parse(text) as Written
  const bytes = Buffer.from(secret, 'base64')
  if (bytes.length !== SECRET_BYTES) throw new Error('it holds no secret')
  return {
    secret: bytes,
    keys: keys.map(({ id, createdAtMs, key }) => {
      const der = Buffer.from(key, 'base64')
      const privateKey = createPrivateKey({ key: der, type: 'pkcs8', format: 'der' })
      if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('it holds another key')
      return { id, createdAtMs, privateKey, publicKey: createPublicKey(privateKey) }
    }),
    logouts: new Map(Object.entries(logouts)),
  }
}
