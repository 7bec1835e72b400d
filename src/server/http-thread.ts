// One further HTTP thread: the data port over a registry that the coordinating thread has. Started
// by start-http-thread.ts only; no store, catalog or upstream is loaded here. Part of the
// composition root.
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { createLocalAccess } from '../access/local-access.ts'
import { Revision } from '../access/revision.ts'
import { drain } from '../http/drain.ts'
import { FreePlaces } from '../http/places/free-places.ts'
import { PULL_LINE } from '../observe/audit.ts'
import { createLogger } from '../observe/log.ts'
import { createMetrics, type Metrics } from '../observe/metrics.ts'
import { createEpochs } from '../registry/epochs.ts'
import { createPolicies } from '../registry/routing/repository-policies.ts'
import { OpenBlobs } from '../registry/reading/open-blobs.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { createRoute } from '../registry/routing/route.ts'
import { systemClock } from './clock.ts'
import { openThreadApp, readCachedFor, type ThreadAppOptions } from './thread-app.ts'
import type { Port } from '../threads/messages.ts'
import { OtherThread } from '../threads/other-thread.ts'
import { borrowAccounts } from '../threads/borrowed-accounts.ts'
import { borrowPlaces } from '../threads/places.ts'
import { borrowRegistry } from '../threads/borrowed-registry.ts'
import { sharedCounts } from '../threads/shared-counts.ts'
import type { CoordinatorThread, ThreadSettings } from '../threads/sides.ts'

/** What a thread is started with: values, and memory that it shares with the others. */
export interface HttpThreadStart extends ThreadAppOptions {
  /** Its number: its place in `counts`. */
  readonly thread: number
  readonly counts: SharedArrayBuffer
  /** Bodies sent at once, by all threads. */
  readonly places: number
  /** Of Epochs. */
  readonly epochs: SharedArrayBuffer
  /** Of Revision. */
  readonly revision: SharedArrayBuffer
  readonly settings: ThreadSettings
  readonly version: string
  readonly nodeVersion: string
}

/**
 * What a thread counted is lost with it but for what it told before; so often it tells by itself.
 */
const COUNTED_EVERY_MS = 5_000

const sleep = (ms: number, signal?: AbortSignal) => systemClock.sleep(ms, signal)

/** @param port leads to the coordinating thread */
export function runHttpThread(port: Port, start: HttpThreadStart): void {
  const clock = systemClock
  const { log, audit } = createStreams(() => coordinator, clock)
  const logger = createLogger({ level: start.settings.logLevel, destination: log })
  const metrics = createMetrics({ ...start, sleep, process: false })
  const epochs = createEpochs(start.epochs)
  let rules = rulesOf(start.settings)
  const revision = new Revision(start.revision, start.settings.revision)
  const failed = (err: unknown) => logger.error({ err }, 'a blob could not be closed')
  const openBlobs = new OpenBlobs({ clock, epochs, failed })
  const borrowed = borrowRegistry({
    coordinator: () => coordinator,
    rules: () => rules,
    clock,
    openBlobs,
    readCached: readCachedFor(start),
  })
  const counts = sharedCounts(start.counts, start.thread)
  const free = new FreePlaces({ limit: start.places, counts, released: () => places.freed() })
  const places = borrowPlaces(() => coordinator, free)
  const { app, transport } = openThreadApp(start, {
    registry: borrowed.registry,
    access: createLocalAccess(() => rules.access, revision),
    proxies: () => rules.proxies,
    clientLimits: () => rules.clientLimits,
    accounts: borrowAccounts(() => coordinator),
    logger,
    metrics,
    clock,
    places,
    epochs,
    shared: counts,
    writeAudit: line => audit.write(line),
  })
  const coordinator: CoordinatorThread = new OtherThread(port, {
    methods: {
      ...borrowed.methods,
      listen: address => app.listen({ ...address, reusePort: true }).then(nothing),
      async replace(next) {
        rules = rulesOf(next)
        if (next.tls !== undefined) transport?.use(next.tls)
        revision.hold(next.revision)
        // What was answered by the old ones since the coordinator went by the new ones.
        epochs.bumpAll()
        logger.level = next.logLevel
        return undefined
      },
      async drain({ timeoutMs }) {
        await drain(app, { timeoutMs, clock })
        openBlobs.stop()
        await borrowed.stop()
        log.flush()
        audit.flush()
        return undefined
      },
      ping: async () => undefined,
      count: () => metrics.snapshot(),
      tellUses: () => borrowed.tellUses().then(nothing),
    },
    notes: {
      othersWait(waiting) {
        app.othersWait(waiting)
        places.tellHeld()
      },
      ticketKeys: keys => transport?.setTicketKeys(keys),
      closeOpen: digest => openBlobs.close(digest),
    },
  })
  void tellCounted(coordinator, metrics)
}

function createStreams(coordinator: () => CoordinatorThread, clock: Pick<Clock, 'sleep'>) {
  return {
    log: createBatches(lines => coordinator().notify('log', lines), clock, EVERYDAY),
    audit: createBatches(lines => coordinator().notify('audit', lines), clock, PULL_LINE),
  }
}

async function tellCounted(coordinator: CoordinatorThread, metrics: Metrics): Promise<never> {
  for (;;) {
    await systemClock.sleep(COUNTED_EVERY_MS)
    coordinator.notify('counted', await metrics.snapshot())
  }
}

function rulesOf({ route, repositories, ...asGiven }: ThreadSettings) {
  return { ...asGiven, route: createRoute(route), policies: createPolicies(repositories) }
}

function nothing(): undefined {
  return undefined
}

/**
 * Each message wakes the coordinating thread, which waits for twice as long before it writes a line
 * to where it goes.
 */
const LOG_EVERY_MS = 50
/** Or so much of it: a second of small answers is some megabytes. */
const LOG_MOST_CHARACTERS = 64 * 1024
const EVERYDAY = '{"level":"info"'

/**
 * Everyday lines, which begin with `everyday`, go together, now and then; others at once, since
 * this thread may be about to die of what they tell.
 */
function createBatches(
  send: (lines: string) => void,
  clock: Pick<Clock, 'sleep'>,
  everyday: string,
): {
  write(line: string): void
  flush(): void
} {
  let waiting = ''
  const flush = () => {
    const lines = waiting
    waiting = ''
    if (lines !== '') send(lines)
  }
  return {
    write(line) {
      const isFirst = waiting === ''
      waiting += line
      if (!line.startsWith(everyday) || waiting.length > LOG_MOST_CHARACTERS) flush()
      else if (isFirst) void clock.sleep(LOG_EVERY_MS).then(flush)
    },
    flush,
  }
}

if (!isMainThread && parentPort !== null) {
  runHttpThread(parentPort as Port, workerData as HttpThreadStart)
}
