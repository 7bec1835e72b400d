// fsck of the directory of a server that runs, and its repair: over its own catalog and registry,
// and a look at the files of its own. A part of the composition root.
import { realpath } from 'node:fs/promises'
import type { Config } from '../config/config.ts'
import { type FsckControl, type RepairDeps, RunningFsck } from '../registry/fsck/run-fsck.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import { openToLook } from '../store/filesystem/open-to-look.ts'
import type { Engine } from './engine.ts'

export interface RunningFsckDeps {
  readonly engine: Engine
  readonly clock: Clock
  readonly note: NoteEvent
  /** Of ContentDeps. */
  readonly addon: string | undefined
}

/** @throws StoreError io */
export async function openRunningFsck(
  { storage }: Config,
  { engine, clock, note, addon }: RunningFsckDeps,
): Promise<FsckControl> {
  const { catalog, registry } = engine
  const directory = await realpath(storage.rootDirectory)
  const looked = await openToLook({ directory, clock, catalog: catalog.identity, addon })
  return new RunningFsck({
    ...repairing({ engine, clock, note }),
    ...looked,
    inTurn: (key, work) => registry.turns.take(key, work),
  })
}

/** What puts right what was found, over an engine. */
export function repairing({
  engine,
  clock,
  note,
}: Pick<RunningFsckDeps, 'engine' | 'clock' | 'note'>): RepairDeps {
  const { catalog, content, store, registry, scrubThese } = engine
  return { catalog, content, store, registry, scrubThese, clock, note }
}
