// Starts one further HTTP thread and is the coordinator towards it: lends it the registry, writes
// its log lines, keeps its counts. Part of the composition root.
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { HttpThreadStart } from './http-thread.ts'
import type { Accounts } from '../access/accounts.ts'
import type { WaitingRoom } from '../http/places/waiting-room.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Registry } from '../registry/use-cases.ts'
import type { RunningThread } from '../threads/http-threads.ts'
import { lendPlaces } from '../threads/places.ts'
import { lendRegistry } from '../threads/lend-registry.ts'
import type { Port } from '../threads/messages.ts'
import { GoneError, OtherThread } from '../threads/other-thread.ts'
import { forgetCounts } from '../threads/shared-counts.ts'
import type { HttpThread } from '../threads/sides.ts'

export interface Coordinator {
  /** Looked up at each call; there are none before a thread listens. */
  readonly registry: () => Registry
  /** Places for blobs that are sent, for all threads. */
  readonly waitingRoom: WaitingRoom
  readonly accounts: Accounts
  readonly logger: Logger
  readonly metrics: Metrics
  /** Where whole log lines go. */
  readonly logDestination: { write(lines: string): void }
  /** Undefined: there is none. */
  readonly audit: { write(lines: string): void } | undefined
  /** The thread's own file. Default: http-thread beside this one. */
  readonly entry?: URL
}

/**
 * What comes young and dies young in a thread that serves: requests and their answers. V8 would set
 * aside three times as much.
 */
const YOUNG_GENERATION_MIB = 16

/** Never throws: a thread that cannot be started is one that died. */
export function startHttpThread(start: HttpThreadStart, coordinator: Coordinator): RunningThread {
  // The thread's file lies beside this one under the same extension, as source and as compiled.
  const beside = new URL(`./http-thread${extname(import.meta.url)}`, import.meta.url)
  try {
    const worker = new Worker(coordinator.entry ?? beside, {
      workerData: start,
      name: `http ${start.thread}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    })
    return coordinate(worker, start, coordinator)
  } catch (error) {
    return notStarted(error instanceof Error ? error : new Error(String(error)))
  }
}

function coordinate(
  worker: Worker,
  start: HttpThreadStart,
  coordinator: Coordinator,
): RunningThread {
  const { registry, waitingRoom, accounts, logger, metrics, logDestination, audit } = coordinator
  const places = lendPlaces(waitingRoom)
  const lent = lendRegistry({
    registry,
    httpThread: () => httpThread,
    failed: err => logger.error({ err }, 'a blob could not be closed'),
  })
  const httpThread: HttpThread = new OtherThread(worker as Port, {
    methods: {
      ...lent.handlers.methods,
      ...places.methods,
      verify: attempt => accounts.verify(attempt),
      readToken: token => accounts.readToken(token),
      issueToken: request => accounts.issueToken(request),
    },
    notes: {
      ...lent.handlers.notes,
      ...places.notes,
      log: lines => logDestination.write(lines),
      audit: lines => audit?.write(lines),
      counted: snapshot => metrics.merged.update(start.thread, snapshot),
    },
  })
  let isWanted = false
  let why = new Error('it ended by itself')
  const ended = new Promise<Error | undefined>(resolve => {
    worker.on('error', error => {
      why = error instanceof Error ? error : new Error(String(error))
    })
    // What cannot be read is lost, and somebody would wait for it for ever.
    worker.on('messageerror', error => {
      why = error
      void worker.terminate()
    })
    worker.on('exit', () => {
      httpThread.end()
      lent.end()
      forgetCounts(start.counts, start.thread)
      places.end()
      metrics.merged.retire(start.thread)
      resolve(isWanted ? undefined : why)
    })
  })
  return {
    httpThread,
    ended,
    async end() {
      isWanted = true
      await worker.terminate()
    },
  }
}

function notStarted(error: Error): RunningThread {
  return {
    httpThread: { call: () => Promise.reject(new GoneError()), notify: () => {} },
    ended: Promise.resolve(error),
    end: async () => {},
  }
}
