// What makes room in a simulation: what is loose goes, and cached images, cold or not, whatever is
// done with them at the moment. More often than any disk is full, and with less care: what is safe
// has to be so by the conditions of the catalog and the turns of the digests alone.
import { repositoryKey, type Repository } from '../../../src/oci/reference.ts'
import type { ClientsOf, Deed } from './clients.ts'
import { LOCAL, PUSHED } from './repositories.ts'
import { ANY_TAG } from '../keep-line.ts'

export const { signal: NEVER } = new AbortController()
/** Of images that may be evicted, the coldest among which one is drawn. */
const COLDEST = 8

export function drawSpaceDeed({ world: { schedule } }: Pick<ClientsOf, 'world'>): Deed {
  const drawn = schedule.random.below(100)
  if (drawn < 10)
    return { name: 'expire', run: ({ edge }) => edge.registry.expirePendingBlobs(NEVER) }
  if (drawn < 14) return drawPurge(PUSHED[schedule.random.below(PUSHED.length)] as Repository)
  if (drawn < 20) return { name: 'retain', run: retain }
  if (drawn < 26) return { name: 'keep room', run: keepRoom }
  if (drawn < 32) return { name: 'collect', run: collect }
  if (drawn < 50) return { name: 'let go', run: letLooseGo }
  return { name: 'evict', run: evict }
}

/** All that nothing needs, and of either class: what makes room asks for no more than this. */
async function letLooseGo({ world: { schedule }, edge: { catalog, registry } }: ClientsOf) {
  await catalog.stampLoose(schedule.nowMs)
  const limit = 1 + schedule.random.below(4)
  const collected = await catalog.listLooseSince({ beforeMs: schedule.nowMs + 1, limit })
  const evicted = await catalog.listLoose({ limit })
  const reason = schedule.random.oneIn(2) ? 'evicted' : 'collected'
  const digests = (reason === 'evicted' ? evicted : collected).map(({ digest }) => digest)
  await registry.leaving.letGo(digests, reason)
}

async function keepRoom({ edge: { registry } }: ClientsOf): Promise<void> {
  await registry.keepRoom(NEVER)
}

async function collect({ edge: { registry } }: ClientsOf): Promise<void> {
  await registry.collect(WHOLE)
}

async function evict({ world: { schedule }, edge: { catalog, registry } }: ClientsOf) {
  const { images } = await catalog.listColdest({ limit: COLDEST })
  const image = images[schedule.random.below(Math.max(1, images.length))]
  if (image === undefined) return
  await registry.leaving.evict([image], 'evicted')
}

export function drawPurge(repository: Repository): Deed {
  const key = repositoryKey(repository)
  const run = async ({ edge, record, world }: ClientsOf) => {
    const kept = world.schedule.random.oneIn(2)
    const ended = kept ? record.clearingBegun(repository) : () => {}
    const options = { ...WHOLE, kept }
    await edge.registry.purge({ kind: 'repositories', repositories: key }, options)
    ended()
  }
  return { name: `purge ${key}`, run }
}

/** Of one repository the latest tag stays. */
export async function retain({ edge, record, world }: ClientsOf): Promise<void> {
  const [, repository] = LOCAL
  if (repository === undefined) return
  const isDeaf = world.options.isDeaf === 'retention'
  const keepTags = [
    { ...ANY_TAG, ...(isDeaf ? { pushedWithinMs: 1 } : { mostRecentlyPushedCount: 1 }) },
  ]
  const repositories = [repositoryKey(repository)]
  const policy = { repositories, deleteUntagged: true, deleteReferrers: true, keepTags }
  const ended = record.clearingBegun(repository)
  await edge.registry.retain(() => ({ delayMs: 0, policies: [policy] }), WHOLE)
  ended()
}

export const WHOLE = { dryRun: false, signal: NEVER, progress: () => {}, pause: async () => {} }
