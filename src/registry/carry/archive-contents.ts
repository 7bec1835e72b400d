// What an archive of another program brings, as it comes: stored before anybody knows whose it is,
// since archives name their images last. It is pending, as what a client uploads, in a repository
// that nobody asks for, until a manifest lists it, or for a day.
import type { ArchiveMember } from '../../bundle/archive-members.ts'
import { BundleFault } from '../../bundle/tar-pieces.ts'
import { type Digest, digestOf } from '../../oci/digest.ts'
import { MANIFEST_LIMIT_BYTES } from '../../oci/manifest.ts'
import { parseRepositoryKey } from '../../oci/reference.ts'
import type { StoredBlob } from '../ports/blob-store-content.ts'
import type { Held } from './held.ts'
import type { Intake } from './intake.ts'
import { once } from './read-member.ts'

/** No registry has such a name (RFC 2606), so no upstream gives what is pending here. */
const UNPLACED = parseRepositoryKey('archive.invalid/unplaced')
/** A digest is no right: whoever names one here has to bring its bytes. */
const isGiven = async () => false
/** In a dry run manifests are read from memory: nothing is stored. */
const KEPT_MAX_BYTES = 64 * 1024 * 1024
/** So manifests and configurations begin. */
const BRACE = 0x7b

export class ArchiveContents {
  readonly #intake: Intake
  readonly #held: Held
  readonly #holding: Digest[]
  readonly #dryRun: boolean
  readonly #byName = new Map<string, StoredBlob>()
  readonly #links = new Map<string, string>()
  readonly #sizes = new Map<Digest, number>()
  /** In a dry run. */
  readonly #kept = new Map<Digest, Uint8Array>()
  #keptBytes = 0
  #bytes = 0

  /** `holding` is given what is held until the import has ended. */
  constructor(
    intake: Intake,
    { held, holding, dryRun }: { held: Held; holding: Digest[]; dryRun: boolean },
  ) {
    this.#intake = intake
    this.#held = held
    this.#holding = holding
    this.#dryRun = dryRun
  }

  /** All that came. */
  get bytes(): number {
    return this.#bytes
  }

  /** @throws RottenBlob, BundleFault, RegistryError, StoreError */
  async take(member: Exclude<ArchiveMember, { kind: 'text' }>): Promise<void> {
    if (member.kind === 'link') return void this.#links.set(member.name, member.target)
    const { name, sizeBytes } = member
    const body = this.#keeping(member)
    const stored = await this.#store(member, body)
    this.#bytes += sizeBytes
    this.#add(stored)
    this.#byName.set(name, stored)
    body.keep(stored.digest)
  }

  /** By the name that it has in the archive, or by that of a link to it. */
  find(name: string): StoredBlob | undefined {
    return this.#byName.get(this.#links.get(name) ?? name)
  }

  /** How long it is; undefined: the archive does not bring it. */
  sizeOf(digest: Digest): number | undefined {
    return this.#sizes.get(digest)
  }

  /** Of a manifest, or a configuration. @throws RegistryError, BundleFault */
  async bytesOf(digest: Digest): Promise<Uint8Array> {
    if ((this.#sizes.get(digest) ?? 0) > MANIFEST_LIMIT_BYTES)
      throw new BundleFault(`${digest} is larger than any manifest that is kept`)
    return this.#kept.get(digest) ?? this.#intake.bytesOf(digest)
  }

  /** What the archive does not have, and was made of what it says. */
  async add(bytes: Uint8Array): Promise<StoredBlob> {
    const made = { digest: digestOf(bytes), sizeBytes: bytes.length }
    await this.#intake.take(made, { home: UNPLACED, isGiven, body: once(bytes) })
    this.#add(made)
    if (this.#dryRun) this.#kept.set(made.digest, bytes)
    return made
  }

  async #store(
    { digest, sizeBytes }: Extract<ArchiveMember, { kind: 'content' }>,
    body: AsyncIterable<Uint8Array>,
  ): Promise<StoredBlob> {
    const how = { home: UNPLACED, isGiven, body }
    if (digest === undefined)
      return { digest: await this.#intake.takeUnknown(sizeBytes, how), sizeBytes }
    await this.#intake.take({ digest, sizeBytes }, how)
    return { digest, sizeBytes }
  }

  #add({ digest, sizeBytes }: StoredBlob): void {
    if (this.#sizes.has(digest)) return
    this.#sizes.set(digest, sizeBytes)
    this.#holding.push(digest)
    this.#held.hold([digest])
  }

  /** The same bytes; in a dry run what may be a manifest is remembered. */
  #keeping({ sizeBytes, bytes }: Extract<ArchiveMember, { kind: 'content' }>) {
    const pieces: Uint8Array[] = []
    const isKept = this.#dryRun && sizeBytes <= MANIFEST_LIMIT_BYTES
    async function* passing(): AsyncGenerator<Uint8Array> {
      let isText = isKept
      for await (const piece of bytes) {
        isText &&= pieces.length > 0 || piece[0] === BRACE
        if (isText) pieces.push(Buffer.from(piece))
        yield piece
      }
    }
    const keep = (digest: Digest) => {
      if (pieces.length === 0) return
      this.#keptBytes += sizeBytes
      if (this.#keptBytes > KEPT_MAX_BYTES)
        throw new BundleFault('it has more manifests than a dry run can keep in memory')
      this.#kept.set(digest, Buffer.concat(pieces))
    }
    return { [Symbol.asyncIterator]: passing, keep }
  }
}
