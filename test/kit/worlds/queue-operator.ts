// The operator's questions about the queue, over an in-memory catalog that a test fills: for the
// use cases and the commands before them. Whatever else an operator may ask throws.
import { DENIED } from '../../../src/registry/routing/repository-policy.ts'
import { createMemoryCatalog } from '../memory/catalog.ts'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import {
  parseRepositoryKey,
  type Repository,
  repositoryKey,
  type Tag,
} from '../../../src/oci/reference.ts'
import { formatDelivery } from '../../../src/registry/deliveries/delivery-payload.ts'
import type { Operator } from '../../../src/registry/operator/operator.ts'
import {
  dropQueued,
  listQueue,
  retryAllQueued,
  retryQueued,
} from '../../../src/registry/operator/queue.ts'
import type { DeliveryChange } from '../../../src/registry/ports/outbox.ts'
import type { Fact } from '../../../src/registry/ports/facts.ts'
import type { Namespaces } from '../../../src/registry/routing/namespaces.ts'
import type { PushMode } from '../../../src/registry/ports/push-modes.ts'
import { Turns } from '../../../src/async/turns.ts'
import { listFacts } from '../judges/facts-of.ts'
import { createMemoryFacts } from '../memory/facts.ts'
import { createManualClock } from '../manual-clock.ts'

export const QUEUED_REPOSITORY = parseRepositoryKey('registry.example.com/team/app')

const notAsked = () => {
  throw new Error('this operator knows the queue alone')
}

export function createQueueOperator() {
  const catalog = createMemoryCatalog()
  const facts = createMemoryFacts()
  const clock = createManualClock()
  let nudged = 0
  const asked: string[] = []
  let push: PushMode = 'queue'
  const deps = {
    catalog,
    facts,
    clock,
    registry: { turns: new Turns() },
    policies: {
      find: () => ({ ...DENIED, push }),
    },
    namespaces: {
      find: (registry: string) => ({
        upstream: { letNextThrough: () => void asked.push(registry) },
      }),
    } as unknown as Namespaces,
    nudgeDeliveries: () => void (nudged += 1),
  }

  /** A push of `content` under `tags` as a queueing repository records it; gives its entry's id. */
  async function pushed(
    content: string,
    tags: readonly string[],
    repository: Repository = QUEUED_REPOSITORY,
  ): Promise<{ id: number; digest: Digest }> {
    const id = catalog.sequence()
    const digest = digestOf(Buffer.from(content))
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const atMs = clock.nowMs()
    const key = repositoryKey(repository)
    const delivered = tags.map(tag => ({ tag: tag as Tag, expected: [] }))
    const delivery = formatDelivery(
      repository,
      { digest, mediaType, tags: delivered },
      { id, atMs },
    )
    await facts.write([
      { kind: 'manifest', repository: key, digest, mediaType, atMs },
      ...delivered.map(({ tag }) => ({ kind: 'tag', repository: key, tag, digest, atMs }) as const),
      { kind: 'delivery', ...delivery },
    ])
    await catalog.recordPush({
      repository,
      manifest: { digest, mediaType, sizeBytes: content.length, edges: [] },
      hold: 'undelivered',
      tags: delivered.map(({ tag }) => tag),
      delivery,
      atMs,
    })
    return { id, digest }
  }

  async function change(id: number, changed: Partial<DeliveryChange>): Promise<void> {
    const entry = await catalog.findDelivery(id)
    if (entry === undefined) throw new Error(`there is no entry ${id}`)
    await catalog.changeDelivery(id, { ...entry, ...changed })
  }

  const operator: Operator = {
    status: notAsked,
    list: notAsked,
    inspect: notAsked,
    why: notAsked,
    warm: notAsked,
    pins: { list: notAsked, pin: notAsked, unpin: notAsked },
    purge: notAsked,
    jobs: { list: notAsked, run: notAsked, pause: notAsked, resume: notAsked, cancel: notAsked },
    queue: () => listQueue(deps),
    retryQueued: id => (id === 'all' ? retryAllQueued(deps) : retryQueued(deps, id)),
    dropQueued: id => dropQueued(deps, id),
  }
  return {
    operator,
    catalog,
    clock,
    push: pushed,
    change,
    /** What `repositories` says from now on. */
    setMode: (mode: PushMode) => {
      push = mode
    },
    /** Registries that are asked at once, whatever was found before. */
    asked,
    /** How often somebody was told that there is something to carry. */
    nudged: () => nudged,
    facts: (): Promise<readonly Fact[]> => listFacts(facts),
  }
}
