// What whoever exports is told: events of an export under way, and how it stands.
import type { GatherEvent } from './gather.ts'

export type ExportEvent =
  | { readonly kind: 'begun'; readonly id: string }
  /** The last one: what ended it while it was being read. */
  | { readonly kind: 'broken'; readonly message: string }

export type AddEvent =
  | GatherEvent
  | { readonly kind: 'added'; readonly image: string }
  /** This image cannot be had; others can. */
  | { readonly kind: 'missing'; readonly image: string; readonly message: string }

/** What will be written. */
export interface PlannedExport {
  readonly images: number
  readonly manifests: number
  readonly blobs: number
  /** Of these, what whoever gets the bundle has already. */
  readonly supposed: number
  /** Of other platforms, that their indexes list. */
  readonly leftOut: number
  /** Of the bundle. */
  readonly sizeBytes: number
  /** SHA-256 of its inventory: another one is another bundle. */
  readonly inventory: string
}

export interface LookedAgain {
  /** The first that needs it. */
  readonly image: string
  /** It was pushed here, and no upstream has it, or not yet. */
  readonly isKept: boolean
  /** False: its bytes are right now. */
  readonly isRotten: boolean
}

/** Each as it stands. */
export interface ListedExport {
  readonly id: string
  /** Wall clock. */
  readonly sinceMs: number
  readonly images: number
  /** That were sent. */
  readonly doneBytes: number
  /** Of the bundle; absent while images are gathered. */
  readonly sizeBytes?: number
}

export interface ListedExports {
  /** They stand still. */
  readonly isPaused: boolean
  readonly running: readonly ListedExport[]
}
