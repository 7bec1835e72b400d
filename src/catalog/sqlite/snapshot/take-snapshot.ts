// The catalog as it is at one moment, beside those who write and read it.
import { rm } from 'node:fs/promises'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { CatalogSnapshot } from '../../../registry/ports/catalog-snapshot.ts'
import { StoreError, storeErrorOf } from '../../../registry/ports/store-error.ts'
import { openSnapshot } from './snapshot.ts'
import type { SnapshotReply, SnapshotStart } from './snapshot-thread.ts'

/** Pages go from one file to the other. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 32 }

/**
 * `file`: the catalog. `to`: a name that nobody has, of the same owner.
 * @throws StoreError, and leaves nothing
 */
export async function takeSnapshot(start: SnapshotStart): Promise<CatalogSnapshot> {
  const { to } = start
  try {
    const reply = await copyBeside(start)
    if (reply.kind === 'failed') throw storeErrorOf(reply.fault)
    return openSnapshot(to)
  } catch (error) {
    await rm(to, { force: true })
    throw error
  }
}

function copyBeside(workerData: SnapshotStart): Promise<SnapshotReply> {
  // The thread's file lies beside this one under the same extension, as source and as compiled.
  const file = new URL(`./snapshot-thread${extname(import.meta.url)}`, import.meta.url)
  return new Promise((resolve, reject) => {
    const worker = new Worker(file, {
      workerData,
      name: 'catalog snapshot',
      resourceLimits: THREAD_LIMITS,
    })
    worker.once('message', resolve)
    worker.once('error', cause => reject(ended(cause)))
    worker.once('exit', () => reject(ended(undefined)))
  })
}

function ended(cause: unknown): StoreError {
  const message = 'the thread that copies the catalog has ended'
  return new StoreError('io', message, cause === undefined ? {} : { cause })
}
