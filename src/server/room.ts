// What the configuration says of the room that an edge may take, as it is now, and who looks at it:
// a part of the composition root.
import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../config/config.ts'
import { createQuotas, type Quotas } from '../registry/evict/quotas.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import { createPolicies } from '../registry/routing/repository-policies.ts'
import type { RegistryDeps, RunningRegistry } from '../registry/running-registry.ts'
import { RoomKeeper } from '../upkeep/keep-room.ts'

export interface RoomParts {
  readonly clock: Clock
  readonly note: NoteEvent
}

type ForRegistry = Required<
  Pick<RegistryDeps, 'storageLimits' | 'graceMs' | 'roomWanted'> & { quotas: () => Quotas }
>

export interface Room {
  readonly forRegistry: ForRegistry
  /** Has it look at its room. Not to be called twice. */
  start(registry: Pick<RunningRegistry, 'keepRoom'>): void
  /** Limits and quotas may be others from now on. */
  replace(config: Config): void
  /** Resolves when nothing is done any more. */
  stop(): Promise<void>
}

export function openRoom(config: Config, parts: RoomParts): Room {
  let { storage } = config
  let said = whatIsSaid(config)
  let quotas = quotasOf(config)
  let keeper: RoomKeeper | undefined
  return {
    forRegistry: {
      quotas: () => quotas,
      storageLimits: () => storage,
      graceMs: () => storage.collection.delayMs,
      roomWanted: () => keeper?.look(),
    },
    start: registry => {
      keeper = new RoomKeeper({ ...parts, keepRoom: signal => registry.keepRoom(signal) })
      keeper.start()
    },
    replace: next => {
      storage = next.storage
      const before = said
      said = whatIsSaid(next)
      // What leaves at this moment goes on, unless it is to leave by something else.
      if (!isDeepStrictEqual(said, before)) quotas = quotasOf(next)
      keeper?.look()
    },
    stop: async () => keeper?.stop(),
  }
}

/** Of quotas, with what their shares are of and whose they are. */
function whatIsSaid({ upstreams, repositories, storage: { maxSize, minFree } }: Config): unknown {
  return {
    limits: [maxSize, minFree],
    ofUpstreams: upstreams.map(({ registry, quota }) => [registry, quota]),
    ofRules: repositories.map(({ match, quota }) => [match, quota]),
  }
}

function quotasOf({ upstreams, repositories }: Config): Quotas {
  const ofUpstreams = upstreams.flatMap(({ registry, quota }) =>
    quota === undefined ? [] : [[registry, quota] as const],
  )
  const ofRules = repositories.flatMap(({ quota }) => (quota === undefined ? [] : [quota]))
  const policies = createPolicies(repositories)
  return createQuotas({ ofUpstreams: new Map(ofUpstreams), ofRules, policies })
}
