// A registry as an HTTP thread has it: lent by one side and reached through the other, over a real
// MessageChannel, in one thread. The route and the rules are the registry's own.
import { MessageChannel } from 'node:worker_threads'
import type { Registry } from '../../../src/registry/use-cases.ts'
import type { Epochs } from '../../../src/registry/epochs.ts'
import { OpenBlobs } from '../../../src/registry/reading/open-blobs.ts'
import type { Clock } from '../../../src/registry/ports/clock.ts'
import { lendRegistry } from '../../../src/threads/lend-registry.ts'
import type { Port } from '../../../src/threads/messages.ts'
import { OtherThread } from '../../../src/threads/other-thread.ts'
import { borrowRegistry } from '../../../src/threads/borrowed-registry.ts'
import type { CoordinatorThread, CrossingChunk, HttpThread } from '../../../src/threads/sides.ts'
import { createManualClock } from '../manual-clock.ts'

export interface OverThreads {
  readonly registry: Registry
  /** Blobs that the far side has open. */
  blobsOpen(): number
  /** Bodies that the far side was offered, and has neither left nor read to their end. */
  streamsOpen(): number
  /** Of the borrowed one. */
  stop(): Promise<void>
  /** As when the thread that serves dies. */
  die(): void
}

export function overThreads(
  t: { teardown(fn: () => unknown): unknown },
  registry: Registry,
  { clock = createManualClock(), epochs }: { clock?: Clock; epochs?: Epochs } = {},
): OverThreads {
  const { port1, port2 } = new MessageChannel()
  const offered = new Set<number>()
  const nothing = async () => undefined
  t.teardown(() => port1.close())
  const failed = (error: unknown) => {
    throw error
  }
  const lent = lendRegistry({ registry: () => registry, httpThread: () => httpThread, failed })
  const httpThread: HttpThread = new OtherThread(watched(port1 as Port, offered), {
    methods: {
      ...lent.handlers.methods,
      takePlace: nothing,
      verify: async () => ({ login: { kind: 'refused' }, forMs: 0 }),
      readToken: async () => ({ login: { kind: 'refused' }, forMs: 0 }),
      issueToken: async () => ({ kind: 'refused' }),
    },
    notes: {
      ...lent.handlers.notes,
      leavePlace: () => {},
      placeFreed: () => {},
      placesHeld: () => {},
      log: () => {},
      counted: () => {},
      audit: () => {},
    },
  })
  const borrowed = borrowRegistry({
    coordinator: () => coordinator,
    clock,
    openBlobs: new OpenBlobs({ clock, epochs, failed }),
    rules: () => ({
      route: (...asked) => registry.route(...asked),
      policies: { find: repository => registry.policyOf(repository) },
    }),
  })
  const coordinator: CoordinatorThread = new OtherThread(port2 as Port, {
    methods: {
      ...borrowed.methods,
      listen: nothing,
      replace: nothing,
      drain: nothing,
      ping: nothing,
      count: async () => [],
      tellUses: () => borrowed.tellUses().then(nothing),
    },
    notes: { othersWait: () => {}, ticketKeys: () => {}, closeOpen: () => {} },
  })
  return {
    registry: borrowed.registry,
    blobsOpen: () => lent.blobsOpen,
    streamsOpen: () => offered.size,
    stop: () => borrowed.stop(),
    die: () => {
      httpThread.end()
      lent.end()
    },
  }
}

/** `port`, whose far end's streams are in `offered` until they are over. */
function watched(port: Port, offered: Set<number>): Port {
  return {
    postMessage: (messages, transfer) => {
      for (const each of messages) if (each.kind === 'leave') offered.delete(each.stream)
      port.postMessage(messages, transfer)
    },
    on: (event, listener) =>
      port.on(event, messages => {
        for (const each of messages) {
          const body = each.kind === 'call' ? bodyOf(each.request) : undefined
          if (body !== undefined) offered.add(body)
          if (each.kind === 'end' || each.kind === 'break') offered.delete(each.stream)
        }
        listener(messages)
      }),
  }
}

/** Of a write to an upload. */
function bodyOf(request: unknown): CrossingChunk['body'] {
  return (request as { chunk?: CrossingChunk } | undefined)?.chunk?.body
}
