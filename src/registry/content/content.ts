// Files and their rows: here alone bytes are stored, kept and written down, in the turn of their
// digest, so that whatever takes content away sees either both or neither. It knows no rights and
// no facts. The turn of a digest is the innermost: repository's turn, then BlobPresence's, then
// this one, and whoever has it takes no other.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import { type ContentClass, type StoredBlob, UNKNOWN } from '../ports/blob-store-content.ts'
import type { RecordBlob, RecordedManifest, RecordManifest } from '../ports/catalog-content.ts'
import type { RecordPush } from '../ports/catalog-pushes.ts'
import type { Catalog } from '../ports/catalog.ts'
import { classOf, type SaidHold } from '../ports/holds.ts'
import { UnrecordedFiles } from './unrecorded-files.ts'
import { DurableForPushes } from './durable-for-pushes.ts'
import { eachFew, mapFew } from '../../async/few-at-once.ts'
import { Turns } from '../../async/turns.ts'

/** Each is a look at the disk. */
const LOOKED_AT_ONCE = 16

export interface StoredContentDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  /** Told of a file that may stay, and that no row tells of: it is to be adopted. */
  readonly left?: () => void
}

export type TurnsOfDigests = Pick<Turns, 'take' | 'takeMany'>

/** Whose blob it is, and since when. */
export type BlobOf = Omit<RecordBlob, 'sizeBytes' | 'hold' | 'isVerified'>

/** And why it stays. How it is stored, this place knows. */
export type HeldBlob = Omit<RecordBlob, 'sizeBytes' | 'isVerified'>

/** A file that grew, verified: `FillFile` and `UploadFile`. */
interface Grown {
  commit(contentClass: ContentClass): Promise<StoredBlob>
}

/** `missing`: there is no file. `kept`: it is durable. It `was` kept before, or only cached. */
export type KeptHere =
  | { readonly kind: 'missing'; readonly was: ContentClass | undefined }
  | { readonly kind: 'kept'; readonly was: ContentClass | undefined; readonly blob: StoredBlob }

export class StoredContent {
  readonly #deps: StoredContentDeps
  readonly #turns: TurnsOfDigests
  readonly #unrecorded: UnrecordedFiles
  readonly durable = new DurableForPushes()

  /** `turns`: by digest; a test takes them out to see that they are needed. */
  constructor(deps: StoredContentDeps, turns: TurnsOfDigests = new Turns()) {
    this.#deps = deps
    this.#turns = turns
    const { store, catalog, left = () => {} } = deps
    this.#unrecorded = new UnrecordedFiles({
      remove: digest => store.remove(digest),
      catalog,
      left,
    })
  }

  /** `named` is told when the file has its name, before there is a row. @throws StoreError */
  publish(file: Grown, blob: HeldBlob, named?: () => void): Promise<StoredBlob> {
    return this.#turns.take(blob.digest, async () => {
      const { digest } = blob
      const already = { mustStay: await this.#isHere(digest) }
      const contentClass = await this.#writtenAs(digest, blob.hold)
      const stored = await this.#unrecorded.noneOf(digest, () => file.commit(contentClass), already)
      named?.()
      const record = () => this.#deps.catalog.recordBlob({ ...blob, ...stored, isVerified: true })
      await this.#unrecorded.unless(digest, record, already)
      return stored
    })
  }

  /**
   * What is here becomes durable, and one of the repository's blobs. `durable` is of a push that is
   * under way, which may fail and says itself what it keeps: it knows of this one from then on.
   * @throws StoreError
   */
  keepHere(blob: HeldBlob, durable?: Set<Digest>): Promise<KeptHere> {
    const { digest, repository, hold } = blob
    return this.#turns.take(digest, async () => {
      const { store, catalog } = this.#deps
      const was = (await catalog.findContent(digest))?.contentClass
      const stored = await (was === 'kept' ? store.find(digest) : store.keep(digest))
      if (stored === undefined) return { kind: 'missing', was }
      durable?.add(digest)
      const member = await catalog.findMember(repository, digest)
      if (hold !== 'nothing' || was === undefined || member?.delivered !== true)
        await catalog.recordBlob({ ...blob, ...stored })
      return { kind: 'kept', was, blob: stored }
    })
  }

  /**
   * What lies here, though its row says less of it or is lost. Undefined, and no effect, when there
   * is no file. `declaredBytes`: how long it is to be.
   * @throws StoreError
   */
  recordHere(blob: HeldBlob, declaredBytes?: number): Promise<StoredBlob | undefined> {
    const { digest } = blob
    return this.#turns.take(digest, async () => {
      const stored = await this.#deps.store.find(digest, declaredBytes)
      if (stored !== undefined) await this.#deps.catalog.recordBlob({ ...blob, ...stored })
      return stored
    })
  }

  /**
   * A manifest as an upstream gave it. `record` is asked when the bytes are stored.
   * @throws StoreError
   */
  putManifest(digest: Digest, bytes: Uint8Array, record: () => RecordManifest): Promise<void> {
    return this.#turns.take(digest, async () => {
      const already = { mustStay: await this.#isHere(digest) }
      await this.#put(digest, bytes, 'nothing', already)
      const recordRow = () => this.#deps.catalog.recordManifest(record())
      await this.#unrecorded.unless(digest, recordRow, already)
    })
  }

  /**
   * Bytes before their row, so that a disk without room is found out: without one they may go at
   * any time. Who gives up calls what it resolves to, which takes them away unless they were here.
   * @throws StoreError
   */
  putAhead(digest: Digest, bytes: Uint8Array): Promise<() => Promise<void>> {
    return this.#turns.take(digest, async () => {
      const mustStay = await this.#isHere(digest)
      await this.#put(digest, bytes, 'nothing', { mustStay })
      if (mustStay) return () => Promise.resolve()
      return () => this.#turns.take(digest, () => this.#unrecorded.remove(digest))
    })
  }

  /**
   * A manifest as a client gave it. `write` calls `record`, and does before and behind it what is
   * to be done between the bytes and the answer.
   * @throws StoreError; what `write` throws
   */
  pushManifest(
    push: RecordPush,
    bytes: Uint8Array,
    write: (record: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const { hold, manifest } = push
    const { digest } = manifest
    return this.#turns.take(digest, async () => {
      const { catalog } = this.#deps
      const mustStay = await this.#isHere(digest)
      if (hold !== 'nothing' || !mustStay) await this.#put(digest, bytes, hold, { mustStay })
      // Its facts may say that it is here: the bytes stay, whatever becomes of the row.
      await write(() => catalog.recordPush(push))
    })
  }

  /**
   * A kept manifest that lies here, as `read` makes it of its bytes: undefined when nothing is to
   * be written of them. `sync`: whoever brought them need not have done it. Resolves to what was
   * written.
   * @throws StoreError; what `read` throws
   */
  pushFromDisk(
    digest: Digest,
    { sync }: { sync: boolean },
    read: (bytes: Uint8Array | undefined) => Promise<RecordPush | undefined>,
  ): Promise<RecordPush | undefined> {
    return this.#turns.take(digest, async () => {
      const { store, catalog } = this.#deps
      if (sync) await store.keep(digest)
      const push = await read(await store.readVerified(digest))
      if (push !== undefined) await catalog.recordPush(push)
      return push
    })
  }

  /**
   * More of a kept manifest that the catalog knows in this repository; undefined, and no effect,
   * when it does not.
   * @throws StoreError
   */
  pushKnown(
    repository: Repository,
    digest: Digest,
    more: Omit<RecordPush, 'repository' | 'manifest'>,
  ): Promise<RecordedManifest | undefined> {
    return this.#turns.take(digest, async () => {
      const { catalog } = this.#deps
      const manifest = await catalog.findManifest(repository, digest)
      if (manifest !== undefined) await catalog.recordPush({ ...more, repository, manifest })
      return manifest
    })
  }

  /**
   * Removes files of what was let go, but for those that were brought back since, and then their
   * intents, in one commit. `unlink` is to run what it is given, and says whether the file is gone:
   * else the intent stays. Resolves to those that are gone.
   * @throws StoreError; what `unlink` throws
   */
  async takeAway(
    digests: readonly Digest[],
    unlink: (digest: Digest, remove: () => Promise<void>) => Promise<boolean>,
  ): Promise<readonly Digest[]> {
    const { store, catalog } = this.#deps
    const gone: Digest[] = []
    await this.#turns.takeMany(digests, async each => {
      const removed: Digest[] = []
      const leaving = await catalog.whichLeave(each)
      await eachFew(leaving, each.length, async digest => {
        if (await unlink(digest, () => store.remove(digest))) removed.push(digest)
      })
      if (removed.length === 0) return
      // Still in their turns: what comes back and is let go again has another intent.
      await catalog.finishLeaving(removed)
      gone.push(...removed)
    })
    return gone
  }

  /**
   * Files that no row tells of count as cached content of nobody: those that are here, that no row
   * tells of by then and that are not on their way out. `unknown`: of these the disk cannot say
   * whether they are.
   * @throws StoreError
   */
  async adopt(
    digests: readonly Digest[],
    { atMs, isUnclear }: { readonly atMs: number; readonly isUnclear: boolean },
  ): Promise<{ readonly adopted: readonly StoredBlob[]; readonly unknown: readonly Digest[] }> {
    const { store, catalog } = this.#deps
    const adopted: StoredBlob[] = []
    const unknown: Digest[] = []
    // A listing may tell of a file twice that comes again meanwhile.
    await this.#turns.takeMany([...new Set(digests)], async each => {
      const looked = await mapFew(each, LOOKED_AT_ONCE, async digest => {
        if ((await catalog.findContent(digest)) !== undefined) return undefined
        if ((await catalog.findLeaving(digest)) !== undefined) return undefined
        const found = await store.look(digest)
        if (found === UNKNOWN) unknown.push(digest)
        return found === UNKNOWN || found === 'none' ? undefined : found
      })
      const files = looked.filter(file => file !== undefined)
      if (files.length > 0) await catalog.adopt(files, atMs, isUnclear)
      adopted.push(...files)
    })
    return { adopted, unknown }
  }

  /**
   * Forgets a row whose file is `gone`, unless it is kept and some repository holds it, or is of a
   * manifest that needs what is here. `no`: there is no such row, or the file is here. Of what is
   * unknown none is forgotten: a disk that fails for a moment would take all that is asked for.
   * @throws StoreError
   */
  forgetMissing(digest: Digest): Promise<'no' | 'gone' | typeof UNKNOWN> {
    return this.#turns.take(digest, async () => {
      const { store, catalog } = this.#deps
      if ((await catalog.findContent(digest)) === undefined) return 'no'
      const found = await store.look(digest)
      if (found === UNKNOWN) return UNKNOWN
      if (found !== 'none') return 'no'
      await catalog.forgetContent(digest)
      return 'gone'
    })
  }

  /**
   * Then no write that fails takes it away: an earlier process may have acknowledged it. So it is
   * where nobody can say. Never rejects: a file that grew is committed, or its descriptor stays.
   */
  async #isHere(digest: Digest): Promise<boolean> {
    return (await this.#deps.store.look(digest).catch(() => UNKNOWN)) !== 'none'
  }

  async #put(
    digest: Digest,
    bytes: Uint8Array,
    hold: SaidHold,
    already: { readonly mustStay: boolean },
  ): Promise<void> {
    const contentClass = await this.#writtenAs(digest, hold)
    const put = () => this.#deps.store.put(digest, bytes, contentClass)
    await this.#unrecorded.noneOf(digest, put, already)
  }

  /**
   * As what its file is to be written: what was pushed stays durable, also when its file was gone.
   * Where the catalog cannot be asked it will not record anything either.
   */
  async #writtenAs(digest: Digest, hold: SaidHold): Promise<ContentClass> {
    if (hold !== 'nothing') return classOf(hold)
    const content = await this.#deps.catalog.findContent(digest).catch(() => undefined)
    return this.durable.classFor(digest, content?.contentClass ?? classOf(hold))
  }
}
