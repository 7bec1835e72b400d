// A data directory for who looks and changes nothing: no directory is made, nothing is swept or put
// out of the way, and whoever else works in it is not told of anything.
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Clock } from '../../registry/ports/clock.ts'
import type { FactStore } from '../../registry/ports/facts.ts'
import type { InspectedFiles } from '../../registry/ports/inspected-files.ts'
import { factName } from '../fact-text.ts'
import { BadPlaces } from './bad-places.ts'
import type { Disk } from './disk.ts'
import { diskError } from './disk-error.ts'
import { FilesystemFacts } from './facts.ts'
import { inspectBlob, inspectBlobs } from './inspect-blobs.ts'
import { inspectOthers } from './inspect-others.ts'
import { layoutUnder } from './layout.ts'
import { Prefixes } from './prefixes.ts'
import { Quarantine } from './quarantine.ts'
import { WholeReading } from './reading/whole-reading.ts'
import { SyncTurns } from './sync-turns.ts'
import { Turns } from '../../async/turns.ts'
import { Unreadable } from './unreadable.ts'

export interface LookOptions {
  /** Without links. */
  readonly directory: string
  readonly clock: Clock
  /** Of FactsOptions. */
  readonly catalog: string
  /** Of FilesystemStoreOptions. */
  readonly addon?: string | undefined
}

export interface LookedAt {
  readonly files: InspectedFiles
  readonly facts: Pick<FactStore, 'has' | 'find' | 'list'>
}

/** @throws StoreError io */
export async function openToLook({
  directory,
  clock,
  catalog,
  addon,
}: LookOptions): Promise<LookedAt> {
  const layout = layoutUnder(directory)
  const note = () => {}
  const disk: Disk = {
    layout,
    note,
    clock,
    bootId: '',
    prefixes: new Prefixes(layout),
    syncTurns: new SyncTurns(),
    unreadable: new Unreadable({ note, layout }),
  }
  const owner = await orStoreError(directory, async () => (await stat(directory)).uid)
  const own = { layout, owner }
  return {
    files: {
      blobs: given => inspectBlobs({ ...own, note: given }),
      look: digest => inspectBlob({ ...own, note }, digest),
      others: given => orStoreError(directory, () => inspectOthers({ ...own, note: given })),
      placeOfFact: identity => `facts/${factName(identity)}`,
      openRereader: () => readingOf(disk, addon).openRereader(),
    },
    facts: factsOf(disk, catalog),
  }
}

/** Where there is no directory of them there are none. */
function factsOf(disk: Disk, catalog: string): LookedAt['facts'] {
  const facts = new FilesystemFacts(disk, { catalog, giveRoom: async () => false })
  return {
    has: identity => facts.has(identity),
    find: identity => facts.find(identity),
    list: async function* () {
      if (existsSync(disk.layout.facts)) yield* facts.list()
    },
  }
}

/** What is known of content is of no consequence where nothing is put out of the way. */
function readingOf(disk: Disk, addon: string | undefined): WholeReading {
  const quarantine = new Quarantine(disk, new Turns(), {
    known: async () => undefined,
    isForgone: async () => false,
    isKnowing: () => false,
    isAllFound: () => false,
  })
  return new WholeReading({ disk, quarantine, bad: new BadPlaces(disk, quarantine), addon })
}

async function orStoreError<T>(root: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    throw diskError(error, { doing: 'look at the data directory', root })
  }
}
