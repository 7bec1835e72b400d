// Tags of a repository of the catalog in memory, as upstreams and clients point them. The port's
// promises are made in catalog.ts.
import type { Digest } from '../../../src/oci/digest.ts'
import type { Tag } from '../../../src/oci/reference.ts'
import type {
  PageRequest,
  TagCheck,
  RecordedTag,
} from '../../../src/registry/ports/catalog-tags.ts'
import { isLocalBy, type SaidHold } from '../../../src/registry/ports/holds.ts'
import type { Order } from '../../../src/registry/ports/order.ts'
import type { RepositoryState } from './catalog-repositories.ts'

/** In the order of the port. */
export function listTags(
  state: Pick<RepositoryState, 'tags'> | undefined,
  { after = '', limit }: PageRequest,
): RecordedTag[] {
  return [...(state?.tags.values() ?? [])]
    .filter(({ tag }) => tag > after)
    .sort((a, b) => (a.tag < b.tag ? -1 : 1))
    .slice(0, limit)
}

/** As an upstream says: what is local stays. */
export function pointTag(
  { tags }: RepositoryState,
  to: TagCheck & { tag: Tag; digest: Digest },
): void {
  const { tag, digest, checkedAtMs } = to
  const before = tags.get(tag)
  if (before?.local === true) return
  const { changedAtMs, previous } =
    before?.digest === digest
      ? before
      : { changedAtMs: checkedAtMs, previous: to.previous ?? before?.previous }
  const order = before?.digest === digest ? orderOf(before) : {}
  tags.set(tag, { tag, digest, checkedAtMs, changedAtMs, previous, local: false, ...order })
}

function orderOf({ order }: { readonly order?: Order }): { readonly order?: Order } {
  return order === undefined ? {} : { order }
}

/** As a client says: whatever was there. */
export function pushTag(
  { tags, carriedBy, tagUsage }: RepositoryState,
  to: {
    tag: Tag
    digest: Digest
    hold: SaidHold
    atMs: number
    delivery: number | undefined
    order?: Order
  },
): void {
  const { tag, digest, hold, atMs } = to
  const before = tags.get(tag)
  const changedAtMs = before?.digest === digest ? before.changedAtMs : atMs
  const order = to.order === undefined && before?.digest === digest ? orderOf(before) : orderOf(to)
  tags.set(tag, {
    tag,
    digest,
    checkedAtMs: atMs,
    changedAtMs,
    previous: undefined,
    local: isLocalBy(hold),
    ...order,
  })
  carriedBy.set(tag, to.delivery)
  const usage = tagUsage.get(tag) ?? { pulls: 0 }
  tagUsage.set(tag, { ...usage, pushedAtMs: Math.max(usage.pushedAtMs ?? 0, atMs) })
}

export function dropTag({ tags, carriedBy, tagUsage }: RepositoryState, tag: Tag): void {
  tags.delete(tag)
  tagUsage.delete(tag)
  carriedBy.delete(tag)
}

/**
 * What is at the upstream now is local no longer, unless `isToCome` says so of the entry of the
 * tag's last push.
 */
export function settleTags(
  { tags, carriedBy }: RepositoryState,
  settled: { digest: Digest; tags: readonly Tag[]; atMs: number },
  isToCome: (id: number) => boolean,
): void {
  for (const tag of settled.tags) {
    const recorded = tags.get(tag)
    const last = carriedBy.get(tag)
    if (recorded?.digest !== settled.digest || (last !== undefined && isToCome(last))) continue
    tags.set(tag, { ...recorded, local: false, checkedAtMs: settled.atMs })
  }
}
