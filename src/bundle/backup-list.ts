// The list of a backup: what is in it, as lines of JSON that are written and read one at a time
// (docs/storage-format.md). It is written last, and its last line signs it: where it is, all else
// is.
import { createHash } from 'node:crypto'
import { type Digest, digestFrom } from '../oci/digest.ts'
import type { SignedSums } from './sums.ts'
import { lineOf, type SignedEnd, SignedLines } from './signed-lines.ts'

export const BACKUP_VERSION = 1
/** Files of the edge's own that a backup may have, and the one of accounts, as it calls them. */
export const SECRET_NAMES = ['bundle-key.json', 'htpasswd', 'robots.json', 'tokens.json'] as const
export type SecretName = (typeof SECRET_NAMES)[number]

export interface BackedUpFile {
  readonly size: number
  readonly sha256: string
}

export interface BackupHead {
  readonly entrepot: 'backup'
  readonly version: typeof BACKUP_VERSION
  /** Identity of the catalog that it is of. */
  readonly edge: string
  /** What was copied: what was pushed here, or what is cached as well. */
  readonly of: 'kept' | 'all'
  readonly catalog: BackedUpFile
  readonly facts: BackedUpFile & { readonly count: number }
  /** Files of the edge's own, by name; none where they were not asked for. */
  readonly secrets: readonly (BackedUpFile & { readonly name: SecretName })[]
}

/** In the order of the digests. */
export interface BackupContent {
  readonly content: Digest
  readonly size: number
  readonly kept?: true
  /** Its bytes were wrong, or could not be read: it is not in the backup. */
  readonly state?: 'missing'
}

export interface BackupEnd extends SignedEnd {
  readonly end: {
    readonly contents: number
    /** Of content that is there. */
    readonly bytes: number
    readonly missing: number
  }
}

export class BackupListWriter {
  readonly #hash = createHash('sha256')
  readonly #counts = { contents: 0, bytes: 0, missing: 0 }

  head(head: Omit<BackupHead, 'entrepot' | 'version'>): Buffer {
    return this.#line({ entrepot: 'backup', version: BACKUP_VERSION, ...head })
  }

  content(content: BackupContent): Buffer {
    this.#counts.contents += 1
    if (content.state === undefined) this.#counts.bytes += content.size
    else this.#counts.missing += 1
    return this.#line(content)
  }

  /** `sign`: is given the SHA-256 of all lines before. */
  async end(sign: (sha256: string) => Promise<SignedSums>): Promise<Buffer> {
    const sha256 = this.#hash.digest('hex')
    const { key, signature } = await sign(sha256)
    const end: BackupEnd = { end: this.#counts, sha256, key, signature }
    return Buffer.from(lineOf(end))
  }

  #line(line: BackupHead | BackupContent): Buffer {
    const bytes = Buffer.from(lineOf(line))
    this.#hash.update(bytes)
    return bytes
  }
}

export class BackupListReader {
  readonly #lines = new SignedLines('backup')
  #head: BackupHead | undefined
  #content = ''

  /** What it says of itself, once all has come. @throws BundleFault for one that is not whole */
  finish(): BackupHead & BackupEnd {
    const end = this.#lines.finish() as BackupEnd
    return { ...(this.#head as BackupHead), ...end }
  }

  /** What is listed in these bytes. @throws BundleFault */
  *push(bytes: Uint8Array): Generator<BackupContent> {
    for (const line of this.#lines.push(bytes))
      if (this.#head === undefined) this.#head = this.#readHead(line)
      else if (!this.#lines.isAtEnd) yield this.#readContent(line as BackupContent)
  }

  #readHead(line: object): BackupHead {
    const head = line as BackupHead
    if (head.entrepot !== 'backup') throw this.#lines.fault('is none: its first line says so')
    if (head.version !== BACKUP_VERSION)
      throw this.#lines.fault(`has version ${String(head.version)}; a newer entrepot reads it`)
    // They become names of files: whoever signed it may be anybody.
    const { secrets } = head
    if (!Array.isArray(secrets) || !secrets.every(each => isSecretName(Object(each).name)))
      throw this.#lines.fault('has a file that no backup has')
    return head
  }

  #readContent(line: BackupContent): BackupContent {
    const { content, size } = line
    const isDigest = typeof content === 'string' && digestFrom(content) !== undefined
    if (!isDigest || !Number.isSafeInteger(size) || size < 0)
      throw this.#lines.fault('has content without a digest or a size')
    if (content <= this.#content) throw this.#lines.fault('is not in its order')
    this.#content = content
    return line
  }
}

function isSecretName(name: unknown): name is SecretName {
  return SECRET_NAMES.some(each => each === name)
}
