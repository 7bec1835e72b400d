// Reconciling rows with files, when files were lost: the store is right about bytes, the catalog
// about names. It mends rows and never makes one; files without rows are adopt-files.ts.
import { mapFew } from '../../async/few-at-once.ts'
import { noteStorage } from '../best-effort.ts'
import type { StoredContent } from '../content/content.ts'
import { noteMissing } from '../content/missing-content.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import { UNKNOWN } from '../ports/blob-store-content.ts'
import type { RecordedContent } from '../ports/catalog-content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import { StoreError } from '../ports/store-error.ts'

export interface RecoveryParts {
  readonly content: StoredContent
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly clock: Clock
  readonly note: NoteEvent
}

export interface RecoveryReport {
  readonly full: boolean
  /** Rows that were compared with the disk. */
  readonly rows: number
  /**
   * Of these, content whose file was gone or of another length: the row was forgotten, unless it is
   * kept, or a manifest that needs what is here; edges and memberships stay.
   */
  readonly missing: number
  /** Of the missing, what was pushed here and some repository holds: told, and left. */
  readonly lost: number
  /** Whether their files are here the disk does not say: told, and their rows stay. */
  readonly unreadable: number
  /**
   * The quick form saw so much missing that the full one should follow. Never true of the full
   * form.
   */
  readonly suspicious: boolean
  readonly durationMs: number
}

/** Digests are random, so the first rows by key are a fair sample; 256 look-ups are some 10 ms. */
const QUICK_ROWS = 256
/**
 * A few rows may be behind after a power cut, as cached files need not have reached the directory;
 * a quarter never is.
 */
const SUSPICIOUS_SHARE = 0.25
const PAGE_ROWS = 512
/** Look-ups at once: enough to keep a disk busy, few enough to leave it to those who pull. */
const LOOKUPS = 8

/**
 * Quick, at every start: looks at a sample, in time that does not grow with the cache. Full, after
 * damage or on demand, while serving: looks at every row, in constant memory.
 *
 * @throws StoreError when disk or catalog fail; the signal's reason when `signal` aborts.
 */
export async function recover(
  parts: RecoveryParts,
  { full, signal }: { full: boolean; signal?: AbortSignal },
): Promise<RecoveryReport> {
  const startMs = parts.clock.monotonicMs()
  const rows = await checkRows(parts, full ? Number.POSITIVE_INFINITY : QUICK_ROWS, signal)
  return {
    full,
    ...rows,
    suspicious: !full && rows.rows > 0 && rows.missing / rows.rows >= SUSPICIOUS_SHARE,
    durationMs: parts.clock.monotonicMs() - startMs,
  }
}

async function checkRows(parts: RecoveryParts, maxRows: number, signal?: AbortSignal) {
  const counts = { rows: 0, missing: 0, lost: 0, unreadable: 0 }
  let page = await parts.catalog.listContent({ limit: Math.min(PAGE_ROWS, maxRows) })
  for (let last = page.at(-1); last !== undefined; last = page.at(-1)) {
    counts.rows += page.length
    signal?.throwIfAborted()
    const found = await mapFew(page, LOOKUPS, fact => checkRow(parts, fact))
    for (const what of found.flat()) counts[what]++
    const limit = Math.min(PAGE_ROWS, maxRows - counts.rows)
    if (limit === 0) break
    page = await parts.catalog.listContent({ after: last.digest, limit })
  }
  return counts
}

/**
 * What is to be counted. A file of another length than its row says is none: the store has put it
 * out of the way, and told of it.
 */
async function checkRow(
  parts: RecoveryParts,
  { digest }: RecordedContent,
): Promise<readonly ('missing' | 'lost' | 'unreadable')[]> {
  try {
    const found = await parts.store.look(digest)
    if (found !== 'none' && found !== UNKNOWN) return []
  } catch (error) {
    // One file of many must not keep the others from being served.
    if (!(error instanceof StoreError) || error.failure !== 'io') throw error
    noteStorage(parts.note, error)
    return ['unreadable']
  }
  return COUNTED[await noteMissing(parts, digest)]
}

const COUNTED = {
  here: [],
  unknown: ['unreadable'],
  gone: ['missing'],
  lost: ['missing', 'lost'],
} as const
