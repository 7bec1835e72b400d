// The catalog as it was at one moment, in a file of its own: what a backup takes along.
import type { Digest } from '../../oci/digest.ts'

export interface SnapshotContent {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly isKept: boolean
}

export interface CatalogSnapshot {
  readonly sizeBytes: number
  /**
   * What was here, by digest, a page at a time: behind `after`, `limit` at most. Not what nobody
   * has
   * verified.
   */
  contents(page: {
    readonly after?: Digest | undefined
    readonly limit: number
  }): readonly SnapshotContent[]
  /** A piece is good until the next one is asked for. */
  read(): AsyncIterable<Uint8Array>
  /** The file goes. Idempotent; what fails the next start makes up for. */
  remove(): Promise<void>
}

/**
 * Holds up neither who writes nor who reads: it is made beside them.
 * @throws StoreError, also where there is no room for it
 */
export type TakeSnapshot = () => Promise<CatalogSnapshot>
