// Parts that no fill has open: which there are, what they take, and how they go. Each is two files,
// whose blocks count however short they are. What there is of them is known without a look at the
// disk, since whoever needs room asks often.
import { lstat, readdir, utimes } from 'node:fs/promises'
import { eachFew } from '../../../async/few-at-once.ts'
import type { Digest } from '../../../oci/digest.ts'
import { BLOCK_BYTES, onDiskBytes } from '../../../registry/ports/blob-store.ts'
import { UNKNOWN } from '../../../registry/ports/blob-store-content.ts'
import type { FillExpectation, LeftPart } from '../../../registry/ports/blob-store-fills.ts'
import { EARLIEST_MS } from '../../../registry/ports/clock.ts'
import { StoreError } from '../../../registry/ports/store-error.ts'
import { type Disk, FILES_AT_ONCE, removeFile } from '../disk.ts'
import { diskError, ignoreMissing } from '../disk-error.ts'
import { fillEntry, partPath, sidecarPath } from '../layout.ts'
import { readSidecar } from './sidecar.ts'

/**
 * Each is two files that are read at every start. Far more than the downloads that an outage cuts
 * off: beyond this an upstream answers in bits, to whoever asks for ever other blobs.
 */
export const PARTS_MAX = 10_000
/** Where there are too many, so many go for one that may come: they become fewer. */
const GO_FOR_ONE = 2

/** Of what grows now, and of what was left of it: with its sidecar, which is one block at most. */
export function partTakesBytes(lengthBytes: number): number {
  return onDiskBytes(lengthBytes) + BLOCK_BYTES
}

export class LeftParts {
  readonly #disk: Disk
  readonly #most: number
  readonly #isOpen: (digest: Digest) => boolean
  readonly #parts = new Map<Digest, LeftPart>()
  /** What is being removed of them: a fill that begins waits for it. */
  readonly #leaving = new Map<Digest, Promise<boolean>>()
  /** The disk did not let them go: they count, and no room can be had by them. */
  readonly #stuck = new Map<Digest, LeftPart>()
  /** The disk could not say how long they are. */
  readonly #unseen = new Set<Digest>()
  #takenBytes = 0

  /** `isOpen`: a fill has it, or is about to. */
  constructor(disk: Disk, { most, isOpen }: { most: number; isOpen: (digest: Digest) => boolean }) {
    this.#disk = disk
    this.#most = most
    this.#isOpen = isOpen
  }

  /** Reads which an earlier process left, once the sweep is over. @throws the system's error */
  async load(): Promise<void> {
    const { layout } = this.#disk
    const entries = (await readdir(layout.fills)).map(fillEntry)
    const digests = entries.flatMap(entry => (entry?.kind === 'part' ? [entry.digest] : []))
    await eachFew(digests, FILES_AT_ONCE, async digest => this.#note(await this.#lookAt(digest)))
  }

  /** One that the disk cannot look at is as old as this look, and looked at again. */
  async #lookAt(digest: Digest): Promise<LeftPart> {
    const { layout, unreadable, clock } = this.#disk
    const path = partPath(layout, digest)
    const stats = await unreadable.orUnknown(path, () => lstat(path).catch(ignoreMissing))
    const isSeen = stats !== UNKNOWN && stats !== undefined
    const changedAtMs = isSeen ? await this.#dated(path, stats.mtimeMs) : clock.nowMs()
    const takenBytes = partTakesBytes(isSeen ? stats.size : 0)
    const source = (await readSidecar(this.#disk, digest))?.expected?.source
    if (stats === UNKNOWN) this.#unseen.add(digest)
    else this.#unseen.delete(digest)
    return { digest, takenBytes, changedAtMs, source }
  }

  /** Of what is open by now whoever has it knows how long it is. */
  async #lookAgain(): Promise<void> {
    const isLeft = (digest: Digest) => this.#parts.has(digest) && !this.#isOpen(digest)
    for (const digest of this.#unseen) {
      const part = isLeft(digest) ? await this.#lookAt(digest) : undefined
      if (part !== undefined && isLeft(digest)) this.#note(part)
      else this.#unseen.delete(digest)
    }
  }

  /** By a clock that nobody had set: it is as old as this start, then and for the next one. */
  async #dated(path: string, atMs: number): Promise<number> {
    if (atMs >= EARLIEST_MS) return atMs
    const nowMs = this.#disk.clock.nowMs()
    await utimes(path, nowMs / 1000, nowMs / 1000).catch(() => {})
    return nowMs
  }

  /** Of those that may go. */
  get takenBytes(): number {
    return this.#takenBytes
  }

  /** Of those that the disk did not let go. */
  get stuckBytes(): number {
    return this.#stuck.values().reduce((sum, { takenBytes }) => sum + takenBytes, 0)
  }

  has(digest: Digest): boolean {
    return this.#parts.has(digest) || this.#stuck.has(digest)
  }

  /** Those that are not open, and may go. */
  describe(): readonly LeftPart[] {
    return [...this.#parts.values()].filter(({ digest }) => !this.#isOpen(digest))
  }

  /** It was closed just now, and so much of it lies there. */
  add(digest: Digest, lengthBytes: number, expected: FillExpectation | undefined): void {
    const changedAtMs = this.#disk.clock.nowMs()
    const takenBytes = partTakesBytes(lengthBytes)
    this.#note({ digest, takenBytes, changedAtMs, source: expected?.source })
  }

  #note(part: LeftPart): void {
    this.drop(part.digest)
    this.#parts.set(part.digest, part)
    this.#takenBytes += part.takenBytes
  }

  /** Whoever has opened it, or removes it, answers for it from here on. */
  drop(digest: Digest): boolean {
    if (this.#stuck.delete(digest)) return true
    this.#takenBytes -= this.#parts.get(digest)?.takenBytes ?? 0
    return this.#parts.delete(digest)
  }

  /** Resolves once nothing of it is being removed. */
  async settled(digest: Digest): Promise<void> {
    await this.#leaving.get(digest)
  }

  /**
   * Where there are as many as there may be, the shortest go: they are soonest there again. What
   * the disk refuses costs that and no download.
   */
  async makePlace(): Promise<void> {
    if (this.#parts.size < this.#most) return
    const shortest = [...this.describe()].sort((a, b) => a.takenBytes - b.takenBytes)
    for (const { digest } of shortest.slice(0, GO_FOR_ONE)) await this.remove(digest)
  }

  /**
   * False when it is open, or gone, or the disk does not let it go: then it counts on, and the
   * operator is told.
   */
  async remove(digest: Digest): Promise<boolean> {
    const stuck = this.#stuck.get(digest)
    const part = stuck ?? this.#parts.get(digest)
    // Somebody may go on with it meanwhile.
    if (part === undefined || this.#isOpen(digest)) return false
    this.drop(digest)
    const removing = this.#unlink(part, { isNews: stuck === undefined })
    this.#leaving.set(digest, removing)
    return await removing.finally(() => this.#leaving.delete(digest))
  }

  /** The part first: a sidecar alone is nothing. */
  async #unlink(part: LeftPart, { isNews }: { isNews: boolean }): Promise<boolean> {
    const { layout, note } = this.#disk
    const { digest } = part
    let left = part
    try {
      await removeFile(partPath(layout, digest))
      left = { ...part, takenBytes: partTakesBytes(0) }
      await removeFile(sidecarPath(layout, digest))
      return true
    } catch (error) {
      this.#stuck.set(digest, left)
      const failed = diskError(error, { doing: `remove the part of ${digest}`, root: layout.root })
      if (!(failed instanceof StoreError)) throw failed
      const { failure, message: reason, hint } = failed
      if (isNews) note({ kind: 'storage failed', failure, reason, hint })
      return false
    }
  }

  /** Those that have not grown for so long, and another time what did not go. */
  async removeOlder(ageMs: number): Promise<void> {
    await this.#lookAgain()
    const nowMs = this.#disk.clock.nowMs()
    // A file may be younger than the clock says that it is now.
    const left = [...this.describe(), ...this.#stuck.values()]
    const old = left.filter(part => ageMs === 0 || nowMs - part.changedAtMs >= ageMs)
    await eachFew(old, FILES_AT_ONCE, async ({ digest }) => void (await this.remove(digest)))
  }
}
