// What an import is asked for, and what it tells.
import type { Digest } from '../../oci/digest.ts'
import type { TagOutcome } from '../content/imported-tag.ts'

export interface ImportOptions {
  /** Only says what would change; every byte is verified all the same. */
  readonly dryRun: boolean
  /** As `key show` prints them: one of these is to have signed it as well. Empty: anybody. */
  readonly keys: readonly string[]
  /** Of an archive of another program: what it is to be called, as people write images. */
  readonly as?: string | undefined
}

export type ImportEvent =
  /** Its signature is right; whose it is, the reader has to know. */
  | {
      readonly kind: 'inventory'
      readonly edge: string
      readonly key: string
      readonly keyId: string
      /** It is one that was asked for, here or by the configuration. */
      readonly isTrusted: boolean
      readonly images: number
      readonly bytes: number
    }
  /** Another program wrote it, and nobody signed it. */
  | ArchiveEvent
  /** Nothing is wrong, and an operator ought to know. */
  | { readonly kind: 'note'; readonly message: string }
  | {
      readonly kind: 'image'
      readonly image: string
      readonly digest: Digest
      readonly outcome: TagOutcome
    }
  /** So much of what it supposes is not here, and nothing of it is published. */
  | { readonly kind: 'lacking'; readonly count: number; readonly images: readonly string[] }
  /** The last one. */
  | ({ readonly kind: 'imported'; readonly dryRun: boolean } & ImportCounts)

export interface ArchiveEvent {
  readonly kind: 'archive'
  /** Whose manifests were made here, `docker save` says none. */
  readonly form: 'OCI image layout' | 'docker archive'
  readonly images: number
  readonly bytes: number
  /** Manifests that an index lists and the archive does not bring. */
  readonly leftOut: number
  /** Images that nothing says a name of. */
  readonly nameless: number
}

export interface ImportCounts {
  /** That were told, and lead to what they were imported as. */
  images: number
  /** Manifests and blobs that were not here. */
  written: number
  writtenBytes: number
  /** Of manifests and blobs that were. */
  hereBytes: number
}

/** Each as it stands. */
export interface ListedImports {
  /** They stand still. */
  readonly isPaused: boolean
  readonly running: readonly {
    /** Wall clock. */
    readonly sinceMs: number
    readonly dryRun: boolean
    readonly images: number
    /** Of the archive, that came. */
    readonly doneBytes: number
    /** Of what it brings; 0 before it said so. */
    readonly sizeBytes: number
  }[]
}
