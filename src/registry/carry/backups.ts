// Backups under way: each has its own view of this edge, the catalog as it was when it began, and
// is read by whoever writes it. What was pushed by then stays until it is copied, whatever deletes
// it, and no longer than whoever began it stays.
import { randomBytes } from 'node:crypto'
import { Standstill } from '../../async/standstill.ts'
import { type BundleSigner, statementOf } from '../../bundle/bundle-key.ts'
import type { SignedSums } from '../../bundle/sums.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { RepositoryKey } from '../../oci/reference.ts'
import type { OperatorDeps } from '../operator/operator-deps.ts'
import { createPacer } from '../pacing/pacer.ts'
import type { CatalogSnapshot, SnapshotContent, TakeSnapshot } from '../ports/catalog-snapshot.ts'
import type { BackedUpContent, BackupEvent, ListedBackups } from './backup-answers.ts'
import type { Held } from './held.ts'
import { isRotten } from './is-rotten.ts'
import { readBlob } from './read-blob.ts'

/** Two would copy the same, and hold it twice. */
const BACKUPS_MAX = 1
const ID_BYTES = 12
const ROWS_AT_ONCE = 500
/** Who has it, for people. */
const NAMED_MAX = 10

export interface BackupsDeps extends Pick<OperatorDeps, 'catalog' | 'store' | 'facts' | 'clock'> {
  readonly held: Held
  readonly takeSnapshot: TakeSnapshot
  /** Nothing is made of it here: see BegunBackup. */
  readonly directory: string
  /** @throws RegistryError where the key cannot be had */
  readonly signer: () => BundleSigner
  /** Told when what was held may leave again. */
  readonly released: () => void
}

interface Backup {
  readonly sinceMs: number
  readonly snapshot: CatalogSnapshot
  /** Else what was pushed here alone. */
  readonly ofAll: boolean
  readonly counted: { readonly contents: number; readonly contentBytes: number }
  readonly ended: AbortController
  doneBytes: number
  broken(message: string): void
}

export class Backups {
  readonly #deps: BackupsDeps
  readonly #running = new Map<string, Backup>()
  readonly #standstill = new Standstill()
  #begun = 0

  constructor(deps: BackupsDeps) {
    this.#deps = deps
  }

  /**
   * Lasts until `signal` is aborted, which ends the backup.
   * @throws RegistryError TOOMANYREQUESTS; StoreError
   */
  async *begin({ ofAll }: { ofAll: boolean }, signal: AbortSignal): AsyncGenerator<BackupEvent> {
    if (this.#begun >= BACKUPS_MAX) throw underWay()
    this.#begun += 1
    const { held, catalog, clock, takeSnapshot, signer, released, directory } = this.#deps
    const kept = new Set<Digest>()
    let snapshot: CatalogSnapshot | undefined
    const ended = new AbortController()
    const broken = Promise.withResolvers<string | undefined>()
    const id = randomBytes(ID_BYTES).toString('hex')
    const left = () => broken.resolve(undefined)
    signal.addEventListener('abort', left, { once: true })
    if (signal.aborted) left()
    try {
      const { key } = signer()
      const goOn = held.holdFiles()
      try {
        snapshot = await takeSnapshot()
        const counted = await this.#count({ snapshot, ofAll }, kept)
        held.hold(kept)
        const backup = { sinceMs: clock.nowMs(), snapshot, ofAll, counted, ended, doneBytes: 0 }
        this.#running.set(id, { ...backup, broken: broken.resolve })
      } finally {
        goOn()
        released()
      }
      const { sizeBytes: catalogBytes } = snapshot
      const { counted } = this.#find(id)
      const edge = catalog.identity
      yield { kind: 'begun', id, edge, key, directory, catalogBytes, ...counted }
      const message = await broken.promise
      if (message !== undefined) yield { kind: 'broken', message }
    } finally {
      signal.removeEventListener('abort', left)
      this.#running.delete(id)
      ended.abort(new Error('the backup has ended'))
      held.release(kept)
      this.#begun -= 1
      released()
      await snapshot?.remove()
    }
  }

  /** `kept`: is given what is to stay until it is copied. */
  async #count(view: Pick<Backup, 'snapshot' | 'ofAll'>, kept: Set<Digest>) {
    const pause = createPacer(this.#deps.clock)
    let contents = 0
    let contentBytes = 0
    for (const { digest, sizeBytes, isKept } of contentsOf(view)) {
      contents += 1
      contentBytes += sizeBytes
      if (isKept) kept.add(digest)
      await pause()
    }
    return { contents, contentBytes }
  }

  /** The catalog as it was when the backup began. @throws RegistryError */
  catalog(id: string): { sizeBytes: number; pieces: AsyncIterable<Uint8Array> } {
    const { snapshot } = this.#find(id)
    return { sizeBytes: snapshot.sizeBytes, pieces: snapshot.read() }
  }

  /**
   * Facts as they are now, a line of JSON for each, `null` for one that cannot be read: what came
   * since the snapshot was pushed later.
   * @throws RegistryError, StoreError
   */
  async *facts(id: string): AsyncGenerator<Uint8Array> {
    const { ended } = this.#find(id)
    let lines: string[] = []
    const take = () => {
      const text = lines.join('')
      lines = []
      return Buffer.from(text)
    }
    for await (const fact of this.#deps.facts.list()) {
      await this.#standstill.pass(ended.signal)
      ended.signal.throwIfAborted()
      lines.push(`${JSON.stringify(fact === 'unreadable' ? null : fact)}\n`)
      if (lines.length === ROWS_AT_ONCE) yield take()
    }
    yield take()
  }

  /** What is to be copied, by digest, a line of JSON for each. @throws RegistryError */
  async *contents(id: string): AsyncGenerator<Uint8Array> {
    let lines: string[] = []
    for (const { digest, sizeBytes, isKept } of contentsOf(this.#find(id))) {
      const line: BackedUpContent = { content: digest, size: sizeBytes, ...(isKept && KEPT) }
      lines.push(`${JSON.stringify(line)}\n`)
      if (lines.length < ROWS_AT_ONCE) continue
      yield Buffer.from(lines.join(''))
      lines = []
    }
    yield Buffer.from(lines.join(''))
  }

  /** @throws RegistryError BLOB_UNKNOWN for what is not here, or not of this length */
  async blob(
    id: string,
    digestText: string,
    sizeBytes: number,
  ): Promise<AsyncIterable<Uint8Array>> {
    const { ended } = this.#find(id)
    const digest = parseDigest(digestText)
    await this.#standstill.pass(ended.signal)
    return readBlob(this.#deps.store, digest, { sizeBytes, gone })
  }

  /** How far it is, as whoever copies says; resolves when it may go on. @throws RegistryError */
  async tell(id: string, doneBytes: number): Promise<object> {
    const backup = this.#find(id)
    backup.doneBytes = doneBytes
    await this.#standstill.pass(backup.ended.signal)
    this.#find(id)
    return {}
  }

  /** Signs the list of what was copied. `sha256`: of its text. @throws RegistryError */
  async sign(id: string, sha256: string): Promise<SignedSums> {
    this.#find(id)
    if (!/^[0-9a-f]{64}$/.test(sha256))
      throw new RegistryError('DIGEST_INVALID', 'a SHA-256 is 64 hex characters')
    const signer = this.#deps.signer()
    const signature = Buffer.from(signer.sign(statementOf('backup', sha256))).toString('base64')
    return { key: signer.key, signature }
  }

  /**
   * Whoever copied it says that its bytes are wrong, or not to be had: it is read once more, and
   * where the disk has it wrong it is moved out of the way, so that a push mends it.
   * @throws RegistryError
   */
  async lookAgain(
    id: string,
    digestText: string,
  ): Promise<{ readonly isRotten: boolean; readonly repositories: readonly RepositoryKey[] }> {
    this.#find(id)
    const { catalog, store } = this.#deps
    const digest = parseDigest(digestText)
    const repositories = await catalog.listRepositoriesOf(digest, NAMED_MAX)
    return { isRotten: await isRotten(store, digest), repositories }
  }

  list(): ListedBackups {
    const running = [...this.#running].map(([id, { sinceMs, doneBytes, counted }]) => ({
      id,
      sinceMs,
      doneBytes,
      ...counted,
    }))
    return { isPaused: this.#standstill.isOn, running }
  }

  /** Stands still at its next step, until `resume`. */
  pause(): ListedBackups {
    this.#standstill.begin()
    return this.list()
  }

  resume(): ListedBackups {
    this.#standstill.end()
    return this.list()
  }

  /** Ends what is under way. */
  cancel(): ListedBackups {
    for (const each of this.#running.values()) each.broken('an operator has cancelled this backup')
    return this.list()
  }

  #find(id: string): Backup {
    const running = this.#running.get(id)
    if (running !== undefined) return running
    throw new RegistryError('NAME_INVALID', 'there is no such backup, or it is over')
  }
}

const KEPT = { kept: true } as const

function* contentsOf({
  snapshot,
  ofAll,
}: Pick<Backup, 'snapshot' | 'ofAll'>): Generator<SnapshotContent> {
  let after: Digest | undefined
  for (;;) {
    const page = snapshot.contents({ after, limit: ROWS_AT_ONCE })
    for (const each of page) if (ofAll || each.isKept) yield each
    after = page.at(-1)?.digest
    if (after === undefined) return
  }
}

function gone(digest: Digest): RegistryError {
  return new RegistryError('BLOB_UNKNOWN', `${digest} is not on the disk any more`)
}

function underWay(): RegistryError {
  const message = 'a backup is under way: wait for it, or end it with "entrepot jobs cancel backup"'
  return new RegistryError('TOOMANYREQUESTS', message)
}
