// Goal: the in-memory twin keeps the FactStore contract, so that tests built on it mean something.
// Method: the suite.
import t from 'tap'
import type { EngineEvent } from '../../src/registry/ports/events.ts'
import { factName } from '../../src/store/fact-text.ts'
import { createMemoryDisk } from '../kit/memory/store.ts'
import { createMemoryFacts } from '../kit/memory/facts.ts'
import { factsContract } from './facts.ts'

factsContract(t, async () => {
  const disk = createMemoryDisk()
  const events: EngineEvent[] = []
  const note = (event: EngineEvent) => events.push(event)
  const open = (catalog = 'this one') => createMemoryFacts(disk, { note, catalog })
  return {
    facts: open(),
    reopen: async catalog => open(catalog),
    spoil: async (identity, text) => void disk.facts.set(factName(identity), text),
    events,
  }
})
