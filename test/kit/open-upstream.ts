// An upstream client towards a stub, as tests want it: virtual time, no chance, every event kept.
import { parseHost, parseName, parseReference } from '../../src/oci/reference.ts'
import type { Clock } from '../../src/registry/ports/clock.ts'
import type { EngineEvent } from '../../src/registry/ports/events.ts'
import { UpstreamError } from '../../src/registry/ports/upstream.ts'
import type { LookupAll } from '../../src/upstream/connect/connector.ts'
import type { UpstreamOptions } from '../../src/upstream/options.ts'
import { createUpstream } from '../../src/upstream/upstream.ts'
import { createManualClock } from './manual-clock.ts'

export interface OpenOptions extends Omit<Partial<UpstreamOptions>, 'registry'> {
  /** Default: the URL's host. */
  readonly registry?: string
  readonly clock?: Clock
  readonly lookup?: LookupAll
}

/** The part of a test that stubs need. */
export interface Teardown {
  teardown(undo: () => Promise<void>): void
}

/** Anonymous, no mirrors, no private addresses beside `url`'s own. Closed when the test ends. */
export function openUpstream(t: Teardown, url: string, options: OpenOptions = {}) {
  const { registry, lookup, clock: given, ...changes } = options
  const clock = createManualClock()
  const events: EngineEvent[] = []
  const upstream = createUpstream(
    {
      registry: parseHost(registry ?? new URL(url).host),
      url: new URL(url),
      mirrors: [],
      credentials: { kind: 'anonymous' },
      realms: [],
      privateAddresses: false,
      plainHttp: true,
      connections: 16,
      allows: () => true,
      userAgent: 'entrepot/test',
      ...changes,
    },
    {
      clock: given ?? clock,
      note: event => events.push(event),
      random: () => 0.5,
      ...(lookup === undefined ? {} : { lookup }),
    },
  )
  t.teardown(() => upstream.close())
  return { upstream, events, clock }
}

export const NAME = parseName('library/alpine')
export const LATEST = parseReference('latest')

/** What `promise` is rejected with, which must be an UpstreamError. */
export async function failureOf(promise: Promise<unknown>): Promise<UpstreamError> {
  const error = await promise.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  )
  if (error instanceof UpstreamError) return error
  throw new Error('no UpstreamError', { cause: error })
}

/** The `failure` of the UpstreamError that `run` throws; undefined when it throws none. */
export function failureThrownBy(run: () => unknown): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof UpstreamError) return error.failure
    throw error
  }
}

/** Every text that hangs on an error: what could come into a log. */
export function textsOf(error: unknown, depth = 0): string {
  if (depth > 4 || typeof error !== 'object' || error === null) return String(error)
  const own = Object.getOwnPropertyNames(error).map(name =>
    textsOf((error as Record<string, unknown>)[name], depth + 1),
  )
  return [error instanceof Error ? error.toString() : JSON.stringify(error), ...own].join('\n')
}

export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}
