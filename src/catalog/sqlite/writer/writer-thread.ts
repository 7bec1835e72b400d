// The one thread that writes the catalog, so that no fsync blocks the thread that serves. Started
// by writer.ts only. Speaks in plain values: perhaps that it migrates, opened or refused once, then
// one answer per batch, in order.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { Database } from 'better-sqlite3'
import { type Outcomes, prepareBatches } from './batch.ts'
import { closeInOrder } from '../file/closed-mark.ts'
import { type MigrationBegins, openForWriting, type WritableCatalog } from '../file/database.ts'
import type { StoreErrorValue } from '../../../registry/ports/store-error.ts'
import { faultOf } from '../faults.ts'
import type { Operation } from '../operations.ts'
import { createRests, HurriedWrites } from './rests.ts'

export interface WriterStart {
  readonly file: string
  /** Wall clock; names a damaged file that is moved aside. */
  readonly nowMs: number
  /** Of `HurriedWrites`. */
  readonly hurried: SharedArrayBuffer
}

/** What there is to tell of the file that was opened. */
export type OpenedCatalog = Omit<WritableCatalog, 'database'>

export type WriterRequest =
  | { readonly kind: 'commit'; readonly operations: readonly Operation[] }
  /** `inOrderAtMs`, wall clock, marks the file as whole; undefined leaves that to be found out. */
  | { readonly kind: 'close'; readonly inOrderAtMs: number | undefined }

export type WriterReply =
  | { readonly kind: 'migrates'; readonly versions: Parameters<MigrationBegins>[0] }
  | ({ readonly kind: 'opened' } & OpenedCatalog)
  | { readonly kind: 'refused'; readonly fault: StoreErrorValue }
  | { readonly kind: 'committed'; readonly outcomes: Outcomes }

function serve(
  port: MessagePort,
  database: Database,
  { file, hurried }: Pick<WriterStart, 'file' | 'hurried'>,
): void {
  const commit = prepareBatches(database, createRests(new HurriedWrites(hurried)))
  port.on('message', (request: WriterRequest) => {
    if (request.kind === 'commit') {
      reply(port, { kind: 'committed', outcomes: commit(request.operations) })
      return
    }
    close(database, file, request.inOrderAtMs)
    port.close()
  })
}

function close(database: Database, file: string, inOrderAtMs: number | undefined): void {
  if (inOrderAtMs !== undefined) return closeInOrder(database, file, inOrderAtMs)
  database.pragma('wal_checkpoint(TRUNCATE)')
  database.close()
}

function reply(port: MessagePort, message: WriterReply): void {
  port.postMessage(message)
}

function start(port: MessagePort, { file, nowMs, hurried }: WriterStart): void {
  try {
    const { database, ...opened } = openForWriting(file, nowMs, versions =>
      reply(port, { kind: 'migrates', versions }),
    )
    serve(port, database, { file, hurried })
    reply(port, { kind: 'opened', ...opened })
  } catch (error) {
    reply(port, { kind: 'refused', fault: faultOf(error) })
    port.close()
  }
}

if (parentPort !== null) start(parentPort, workerData as WriterStart)
