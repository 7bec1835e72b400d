// What whoever backs this edge up is told: how the backup stands, and what is to be copied.
import type { BundleKeyText } from '../../bundle/bundle-key.ts'

export type BackupEvent =
  | BegunBackup
  /** The last one: what ended it while it was being read. */
  | { readonly kind: 'broken'; readonly message: string }

export interface BegunBackup {
  readonly kind: 'begun'
  readonly id: string
  /** Identity of the catalog. */
  readonly edge: string
  /** By which the list of the backup is signed. */
  readonly key: BundleKeyText
  /** Where the edge has its data: who writes the backup may be on the same machine. */
  readonly directory: string
  /** Of the snapshot of the catalog. */
  readonly catalogBytes: number
  /** What is to be copied. */
  readonly contents: number
  readonly contentBytes: number
}

/** What of a backup is told as lines, of facts: each as it stands in its file. */
export interface BackedUpContent {
  readonly content: string
  readonly size: number
  /** It was pushed, and is perhaps nowhere else. */
  readonly kept?: true
}

/** Each as it stands. */
export interface ListedBackup {
  readonly id: string
  /** Wall clock. */
  readonly sinceMs: number
  readonly contents: number
  /** That are there by now, as whoever copies them says. */
  readonly doneBytes: number
  readonly contentBytes: number
}

export interface ListedBackups {
  /** They stand still. */
  readonly isPaused: boolean
  readonly running: readonly ListedBackup[]
}
