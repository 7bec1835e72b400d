// What the operator's side of an engine over twins is made of: one upstream and one HTTP thread, no
// jobs, no pins, nothing counted. A test says what is otherwise.
import { parseSelector } from '../../../src/config/selectors.ts'
import type { OperatorDeps } from '../../../src/registry/operator/operator-deps.ts'
import { Pins } from '../../../src/registry/pins/pins.ts'
import { Jobs } from '../../../src/upkeep/jobs.ts'
import { LastRuns } from '../../../src/upkeep/last-runs.ts'
import type { Engine } from '../engine.ts'
import { limitsOf } from '../storage-limits.ts'

export function operatorDepsOf(engine: Engine, given: Partial<OperatorDeps> = {}): OperatorDeps {
  const { catalog, clock, registry } = engine
  return {
    ...engine,
    policies: { find: repository => registry.policyOf(repository) },
    storageLimits: () => limitsOf(),
    pins: new Pins(engine),
    stock: { lost: 0 },
    pinnedBytes: { read: async () => 0 },
    parseSelector,
    jobs: new Jobs([], { clock, note: () => {}, lastRuns: new LastRuns(catalog) }),
    retention: () => ({ delayMs: 0, policies: [], dryRun: false }),
    version: '0',
    pid: 1,
    needsRestart: () => [],
    refusedReload: () => undefined,
    sending: { sending: 'sendfile' },
    threads: () => ({ configured: 1, listening: 1, deaths: 0 }),
    nudgeDeliveries: () => {},
    ownNameIn: () => undefined,
    certificates: () => undefined,
    accounts: () => undefined,
    robots: () => undefined,
    adminApi: () => undefined,
    departures: async () => ({ left: [], evictedImages: { room: 0, quota: 0 } }),
    traffic: async () => ({ sentBytes: 0, upstreamBytes: 0, savedBytes: 0, hits: 0, requests: 0 }),
    ...given,
  }
}
