// The keys of this edge's own tokens, in one file for its owner alone: Ed25519 pairs that sign
// access tokens, a new one each day, and a secret behind tokens that last. With it, of each account
// a mark of the stay that its logins are of: another one once it was logged out everywhere, or was
// gone. Not in the catalog, which is copied and rebuilt.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { OwnFile } from './own-file.ts'

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
/** Nobody chooses one, and none comes twice. */
const STAY_BYTES = 9
const SECRET_BYTES = 32

export interface TokenKeysDeps {
  readonly nowMs: () => number
  /** What the file held is lost: whoever has logged in does so again. */
  readonly lost: (error: unknown) => void
  /** It is in force all the same, until the process ends, and is tried again with the next. */
  readonly unwritten: (error: unknown) => void
}

interface Kept {
  readonly secret: Buffer
  /** The newest first. */
  readonly keys: readonly SigningKey[]
  /** By account, of all that there are and of no other: they are as many as those. */
  readonly stays: ReadonlyMap<string, string>
}

export class TokenKeys {
  readonly #file: OwnFile<Kept>
  readonly #deps: TokenKeysDeps
  #kept: Kept
  #isWritten = true

  /** Reads the file at `path`, or makes one. Never throws. */
  constructor(path: string, deps: TokenKeysDeps) {
    this.#file = new OwnFile(path, parseKept)
    this.#deps = deps
    this.#kept = this.#read() ?? { secret: randomBytes(SECRET_BYTES), keys: [], stays: new Map() }
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

  /** What the logins of an account hang on. Undefined: there is no such account. */
  stayOf(account: string): string | undefined {
    return this.#kept.stays.get(account)
  }

  /** Those that there are, as `follow` was told. */
  get followed(): readonly string[] {
    return [...this.#kept.stays.keys()]
  }

  /**
   * These are the accounts from now on. Who is gone is forgotten, so that who comes back by that
   * name has none of the logins of before.
   */
  follow(accounts: readonly string[]): void {
    const { stays } = this.#kept
    const isSame = accounts.length === stays.size && accounts.every(name => stays.has(name))
    if (isSame && this.#isWritten) return
    const next = accounts.map(name => [name, stays.get(name) ?? newStay()] as const)
    this.#keep({ ...this.#kept, stays: new Map(next) })
  }

  /** Of one that there is. @throws where that would not outlast the process: nothing was changed */
  endLoginsOf(account: string): void {
    const stays = new Map(this.#kept.stays).set(account, newStay())
    const next = { ...this.#kept, stays }
    this.#file.write(written(next))
    this.#kept = next
    this.#isWritten = true
  }

  #keep(next: Kept): void {
    this.#kept = next
    this.#isWritten = false
    try {
      this.#file.write(written(next))
      this.#isWritten = true
    } catch (error) {
      this.#deps.unwritten(error)
    }
  }

  #read(): Kept | undefined {
    const found = this.#file.read()
    if (found.kind === 'unusable') this.#deps.lost(found.error)
    return found.kind === 'read' ? found.value : undefined
  }
}

function makeKey(createdAtMs: number): SigningKey {
  const id = randomBytes(ID_BYTES).toString('base64url')
  return { id, createdAtMs, ...generateKeyPairSync('ed25519') }
}

function newStay(): string {
  return randomBytes(STAY_BYTES).toString('base64url')
}

function written({ secret, keys, stays }: Kept) {
  return {
    secret: secret.toString('base64'),
    keys: keys.map(({ id, createdAtMs, privateKey }) => ({
      id,
      createdAtMs,
      key: privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    })),
    stays: Object.fromEntries(stays),
  }
}

/** @throws Error where it is not what this program writes */
function parseKept(fields: Readonly<Record<string, unknown>>): Kept {
  const { secret, keys, stays } = fields as ReturnType<typeof written>
  const bytes = Buffer.from(secret, 'base64')
  if (bytes.length !== SECRET_BYTES) throw new Error('it holds no secret')
  return {
    secret: bytes,
    keys: keys.map(parseKey),
    stays: new Map(
      Object.entries(stays).map(([account, stay]) => {
        if (typeof stay !== 'string') throw new Error('it holds no marks of accounts')
        return [account, stay]
      }),
    ),
  }
}

function parseKey({ id, createdAtMs, key }: ReturnType<typeof written>['keys'][number]) {
  const der = Buffer.from(key, 'base64')
  const privateKey = createPrivateKey({ key: der, type: 'pkcs8', format: 'der' })
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('it holds another key')
  if (typeof id !== 'string' || typeof createdAtMs !== 'number')
    throw new Error('it holds a key without its time')
  return { id, createdAtMs, privateKey, publicKey: createPublicKey(privateKey) }
}
