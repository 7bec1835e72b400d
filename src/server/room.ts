// What the configuration says of the room that an edge may take, as it is now, and who looks at it:
// a part of the composition root.
import type { Config } from '../config/config.ts'
import { createQuotas, type Quotas } from '../registry/evict/quotas.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { RepositoryPolicies } from '../registry/repository-policy.ts'
import type { RegistryDeps, RunningRegistry } from '../registry/running-registry.ts'
import { RoomKeeper } from '../upkeep/keep-room.ts'

export interface RoomParts {
  readonly clock: Clock
  readonly note: NoteEvent
  readonly policies: RepositoryPolicies
}

type ForRegistry = Required<
  Pick<RegistryDeps, 'quotas' | 'storageLimits' | 'graceMs' | 'roomWanted'>
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

export function openRoom(config: Config, { policies, ...parts }: RoomParts): Room {
  let { storage } = config
  let quotas = quotasOf(config, policies)
  let keeper: RoomKeeper | undefined
  return {
    forRegistry: {
      quotas: { list: () => quotas.list(), of: repository => quotas.of(repository) },
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
      quotas = quotasOf(next, policies)
      keeper?.look()
    },
    stop: async () => keeper?.stop(),
  }
}

function quotasOf({ upstreams, repositories }: Config, policies: RepositoryPolicies): Quotas {
  const ofUpstreams = upstreams.flatMap(({ registry, quota }) =>
    quota === undefined ? [] : [[registry, quota] as const],
  )
  const ofRules = repositories.flatMap(({ quota }) => (quota === undefined ? [] : [quota]))
  return createQuotas({ ofUpstreams: new Map(ofUpstreams), ofRules, policies })
}
