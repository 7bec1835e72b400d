// Counters that say whether what was answered may have changed: one for each repository, in memory
// that all threads see. Whoever remembers an answer remembers the stamp that it read before it
// asked; while the stamp is the same, so is the answer, but for time.
import type { RepositoryKey } from '../oci/reference.ts'
import type { ChangedAnswers } from './ports/catalog.ts'

/**
 * Two repositories that share a slot only forget answers that were still good. 16 KiB; slot 0
 * stands for all of them.
 */
const SLOTS = 4_096
const ALL = 0

/** FNV-1a, 32 bits: short, and spreads names that differ in one letter. */
const HASH_START = 0x811c9dc5
const HASH_PRIME = 0x01000193

export interface Epochs extends ChangedAnswers {
  /** For the epochs of another thread: createEpochs(memory) there. */
  readonly memory: SharedArrayBuffer
  /** To be kept by whoever asks for stamps of the same repository often. */
  slotOf(key: RepositoryKey): number
  /**
   * MUST be read before the question is asked whose answer is to be remembered. Any later bump
   * gives another one.
   */
  stampOf(slot: number): number
}

/** `memory`: of the epochs of another thread; new ones otherwise. */
export function createEpochs(
  memory: SharedArrayBuffer = new SharedArrayBuffer(SLOTS * Int32Array.BYTES_PER_ELEMENT),
): Epochs {
  const counters = new Int32Array(memory)
  return {
    memory,
    slotOf,
    // Both only grow, so a sum that is the same says that neither moved.
    stampOf: slot => Atomics.load(counters, slot) + Atomics.load(counters, ALL),
    bump: key => void Atomics.add(counters, slotOf(key), 1),
    bumpAll: () => void Atomics.add(counters, ALL, 1),
  }
}

function slotOf(key: RepositoryKey): number {
  let hash = HASH_START
  for (let at = 0; at < key.length; at += 1)
    hash = Math.imul(hash ^ key.charCodeAt(at), HASH_PRIME) >>> 0
  return 1 + (hash % (SLOTS - 1))
}
