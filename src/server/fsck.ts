// Says what is wrong with the data directory of a server that does not run: a part of the
// composition root, for `entrepot fsck`. What it makes is a copy of the catalog elsewhere, which it
// removes again.
import { existsSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lockToLook } from '../catalog/sqlite/file/lock.ts'
import { openSqliteCatalog } from '../catalog/sqlite/open.ts'
import type { Config } from '../config/config.ts'
import { Haste } from '../async/haste.ts'
import { createLogger } from '../observe/log.ts'
import { Closing } from './closing.ts'
import { openEngine } from './engine.ts'
import { repairing } from './running-fsck.ts'
import { repairFound } from '../registry/fsck/run-fsck.ts'
import { openCopy, type OpenedCopy } from '../catalog/sqlite/open-copy.ts'
import { ADDON_FILE } from '../http/addon.ts'
import { createEpochs } from '../registry/epochs.ts'
import type { Damage } from '../registry/fsck/damage.ts'
import { fsck, type FsckOptions } from '../registry/fsck/fsck.ts'
import type { FsckReport } from '../registry/fsck/report.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { StoreError } from '../registry/ports/store-error.ts'
import { openToLook } from '../store/filesystem/open-to-look.ts'

export interface StoppedFsck extends Omit<FsckOptions, 'catalogDamages'> {
  /** `storage.rootdirectory`. */
  readonly directory: string
  readonly clock: Clock
  /** What was compiled at the installation may be loaded. */
  readonly native: boolean
}

export interface RepairStopped extends Pick<StoppedFsck, 'clock' | 'native' | 'signal'> {
  readonly config: Config
  /** Of FilesystemStoreOptions. */
  readonly bootId: string
}

/**
 * What the next start would do, and a scrub of what was found, without anybody being served.
 * @throws StoreError, with a hint: busy when a server has it; the signal's reason
 */
export async function repairStopped(
  { clock, native, signal, config, bootId }: RepairStopped,
  report: FsckReport,
): Promise<void> {
  const undo = new Closing()
  const note = () => {}
  const epochs = createEpochs()
  const { rootDirectory: directory } = config.storage
  const opening = openSqliteCatalog({ directory, note, clock, epochs })
  const opened = opening.catch(() => undefined)
  let inOrder = false
  undo.push(async () => (await opened)?.close({ inOrder }))
  try {
    const engine = await openEngine(config, {
      clock,
      random: Math.random,
      version: '',
      bootId,
      note,
      logger: createLogger({ level: 'fatal', destination: { write: () => {} } }),
      epochs,
      haste: new Haste(),
      readCached: undefined,
      elsewhere: undefined,
      addon: native ? ADDON_FILE : undefined,
      opening,
      undo,
    })
    await repairFound(repairing({ engine, clock, note }), report, signal)
    inOrder = true
  } finally {
    await undo.run()
  }
}

/**
 * Changes nothing there. Undefined when there is no such directory.
 * @throws StoreError, with a hint: busy when a server has it; the signal's reason
 */
export async function fsckStopped(options: StoppedFsck): Promise<FsckReport | undefined> {
  if (!existsSync(options.directory)) return undefined
  const directory = await realpath(options.directory)
  const lock = lockToLook(directory)
  try {
    const scratch = await mkdtemp(join(tmpdir(), 'entrepot-fsck-'))
    try {
      return await inspect(options, directory, scratch)
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  } finally {
    lock.release()
  }
}

async function inspect(
  { clock, native, ...options }: StoppedFsck,
  directory: string,
  scratch: string,
): Promise<FsckReport> {
  const note = () => {}
  const copy = await openCopy(scratch, { directory, note, clock, epochs: createEpochs() })
  const { catalog } = copy
  const over = async (used: OpenedCopy) => {
    // Without one, all that facts say is from before.
    const identity = used.catalog?.identity ?? ''
    const addon = native ? ADDON_FILE : undefined
    const looked = await openToLook({ directory, clock, catalog: identity, addon })
    const parts = { ...looked, clock, catalog: used.catalog, inTurn: direct }
    return fsck(parts, { ...options, catalogDamages: damagesOf(used, directory) })
  }
  try {
    return await over(copy)
  } catch (error) {
    if (!(error instanceof StoreError) || error.failure !== 'corrupt') throw error
    // What no check of the file has found, and a statement met.
    return await over({ catalog: undefined, found: 'damaged', faults: [error.message] })
  } finally {
    await catalog?.close()
  }
}

/** Nobody else works in the directory. */
function direct<T>(_key: string, work: () => Promise<T>): Promise<T> {
  return work()
}

function damagesOf({ found, faults }: OpenedCopy, directory: string): readonly Damage[] {
  const what = 'catalog.db'
  switch (found) {
    case 'whole':
      return []
    case 'missing': {
      const isNew = !existsSync(join(directory, 'blobs'))
      return isNew ? [] : [{ kind: 'catalog missing', what, detail: '' }]
    }
    case 'damaged':
    case 'inconsistent':
    case 'refused': {
      const kind = `catalog ${found}` as const
      return faults.map(detail => ({ kind, what, detail }))
    }
  }
}
