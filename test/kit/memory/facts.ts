// The in-memory twin of the facts on disk: the same contract and the same texts, no files.
import type { NoteEvent } from '../../../src/registry/ports/events.ts'
import type { FactStore, ListedFact } from '../../../src/registry/ports/facts.ts'
import { factName, formatFact, parseFact } from '../../../src/store/fact-text.ts'
import { createMemoryDisk } from './store.ts'
import { freeBytes, full, type MemoryDisk } from './disk.ts'

export interface MemoryFactsOptions {
  readonly note?: NoteEvent
  /** The identity of the catalog that is told the same. Default that of no other. */
  readonly catalog?: string
}

/**
 * Facts on `disk`, which a second instance may be given later, as a second process finds the same
 * files.
 */
export function createMemoryFacts(
  disk: MemoryDisk = createMemoryDisk(),
  { note = () => {}, catalog = 'the only one' }: MemoryFactsOptions = {},
): FactStore {
  let unreadable = 0
  return {
    get failures() {
      return unreadable
    },
    async write(facts) {
      const texts = facts.map(fact => [factName(fact), formatFact(fact, catalog)] as const)
      for (const [name, text] of texts) {
        if (text.length - (disk.facts.get(name)?.length ?? 0) > freeBytes(disk)) throw full()
        disk.facts.set(name, text)
      }
    },
    async remove(identities) {
      for (const identity of identities) disk.facts.delete(factName(identity))
    },
    async has(identity) {
      return disk.facts.has(factName(identity))
    },
    async find(identity) {
      const name = factName(identity)
      const text = disk.facts.get(name)
      return text === undefined ? undefined : (parseFact(name, text, catalog) ?? 'unreadable')
    },
    async *list(): AsyncGenerator<ListedFact | 'unreadable'> {
      for (const [name, text] of disk.facts) {
        const fact = parseFact(name, text, catalog)
        if (fact === undefined) {
          unreadable += 1
          note({ kind: 'storage failed', failure: 'corrupt', reason: name, hint: undefined })
        }
        yield fact ?? 'unreadable'
      }
    },
  }
}
