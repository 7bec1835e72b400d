// The data port's app as every HTTP thread has it. What goes out as it lies on disk is sent by the
// native addon, where it was built; what is encrypted first is read and bounded by it. A part of
// the composition root.
import { type AppDeps, buildApp, type DataApp } from '../http/app.ts'
import { loadReadCached } from '../http/addon.ts'
import { createTellOfProxies } from '../http/proxies/told-of-proxy.ts'
import { loadSendfile, type Sendfile } from '../http/send/sendfile.ts'
import { loadLimitUnsent } from '../http/send/unsent-limit.ts'
import { createTlsTransport, type TlsOptions, type TlsTransport } from '../http/tls/tls.ts'
import { type AuditSettings, createAudit, createAuditRequest } from '../observe/audit.ts'
import type { ReadCached } from '../registry/fill/buffer-pool.ts'
import type { sharedCounts } from '../threads/shared-counts.ts'

export interface ThreadWire {
  /** Undefined: plain HTTP. */
  readonly tls: TlsOptions | undefined
  /** native/sender.c may be loaded, where it was built. */
  readonly native: boolean
}

export interface ThreadAppOptions extends ThreadWire {
  /** Threads that serve, the first one included. */
  readonly threads: number
  /** Undefined: there is no audit. */
  readonly audit: AuditSettings | undefined
  /** For answers in memory, of this thread. */
  readonly memoryBytes: number
  /** See AppDeps. */
  readonly cursorKey: Uint8Array
  /** See createToldMemory. */
  readonly toldOfProxy: SharedArrayBuffer
}

export interface ThreadAppParts
  extends Omit<
    AppDeps,
    'audit' | 'owners' | 'options' | 'transport' | 'sendfile' | 'cursorKey' | 'tellOf'
  > {
  readonly shared: ReturnType<typeof sharedCounts>
  /** Where lines of the audit go. */
  readonly writeAudit: (line: string) => void
}

export function openThreadApp(
  options: ThreadAppOptions,
  { shared, writeAudit, ...parts }: ThreadAppParts,
): { readonly app: DataApp; readonly transport: TlsTransport | undefined } {
  const { threads, native, tls, memoryBytes, cursorKey, toldOfProxy } = options
  const limitUnsent = native ? loadLimitUnsent({ threads }) : undefined
  const transport = tls && createTlsTransport(tls, { ...parts, limitUnsent })
  const monotonicMs = () => parts.clock.monotonicMs()
  const noteAudit = createAudit(writeAudit, () => parts.clock.nowMs())
  const app = buildApp({
    ...parts,
    audit: options.audit && createAuditRequest(noteAudit, options.audit, monotonicMs),
    cursorKey,
    tellOf: createTellOfProxies(toldOfProxy, parts.logger),
    sendfile: sendfileFor(options),
    options: { threads, shared, memoryBytes },
    ...(transport && { transport }),
  })
  return { app, transport }
}

/** Undefined where blobs go out otherwise. */
export function sendfileFor({ native, tls }: ThreadWire): Sendfile | undefined {
  return native && tls === undefined ? loadSendfile() : undefined
}

/** For the blobs that this process writes itself. Undefined: every read is the thread pool's. */
export function readCachedFor({ native, tls }: ThreadWire): ReadCached | undefined {
  return native && tls !== undefined ? loadReadCached() : undefined
}
