// Copies the catalog, as it is at one moment, into a file of its own, in a thread that holds up
// nobody. Started by take-snapshot.ts only; it answers once.
import { parentPort, workerData } from 'node:worker_threads'
import type { StoreErrorValue } from '../../../registry/ports/store-error.ts'
import { faultOf } from '../faults.ts'
import { openForReading } from '../file/database.ts'
import { closeToOthers } from '../file/file-mode.ts'

export interface SnapshotStart {
  readonly file: string
  readonly to: string
}

export type SnapshotReply =
  | { readonly kind: 'copied' }
  | { readonly kind: 'failed'; readonly fault: StoreErrorValue }

function copy({ file, to }: SnapshotStart): SnapshotReply {
  try {
    closeToOthers(to)
    const database = openForReading(file)
    try {
      // It writes, though not into this file.
      database.pragma('query_only = OFF')
      database.prepare('VACUUM INTO ?').run(to)
      return { kind: 'copied' }
    } finally {
      database.close()
    }
  } catch (error) {
    return { kind: 'failed', fault: faultOf(error) }
  }
}

parentPort?.postMessage(copy(workerData as SnapshotStart))
