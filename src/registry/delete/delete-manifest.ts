// end-9: a tag goes, and its manifest stays; or a manifest goes, with every tag that points to it,
// at once (R118). Out of this repository only, and never at the upstream (R119): what was not
// delivered yet is not delivered any more. The facts come first: what a client was told is gone
// must not come back with a catalog that is built from them.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import {
  formatReference,
  type Reference,
  type Repository,
  repositoryKey,
  type Tag,
} from '../../oci/reference.ts'
import { requireDeletable } from './delete-refusal.ts'
import type { DeleteOptions } from '../ports/catalog-pushes.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { FactIdentity, FactStore } from '../ports/facts.ts'
import type { RepositoryPolicies } from '../repository-policy.ts'
import { restoreFacts, type RestoreDeps } from '../restore-facts.ts'
import type { Turns } from '../../async/turns.ts'
import { type Withdrawn, withdrawDeliveries } from './withdraw-deliveries.ts'

export interface DeleteManifestDeps extends RestoreDeps {
  readonly catalog: Catalog
  readonly facts: FactStore
  readonly clock: Clock
  readonly policies: RepositoryPolicies
  readonly turns: Turns
}

/** Tags read from the catalog at a time. */
const TAGS_PAGE = 1_000

/** Durable when it resolves. @throws RegistryError UNSUPPORTED, MANIFEST_UNKNOWN; StoreError */
export async function deleteManifest(
  deps: DeleteManifestDeps,
  repository: Repository,
  reference: Reference,
): Promise<void> {
  requireDeletable(deps.policies, repository)
  await deps.turns.take(repositoryKey(repository), async () => {
    const isKnown =
      reference.kind === 'tag'
        ? await deps.catalog.findTag(repository, reference.tag)
        : await deps.catalog.findManifest(repository, reference.digest)
    if (isKnown === undefined) throw notHere(repository, reference)
    if (reference.kind === 'tag') await deleteTag(deps, repository, reference.tag)
    else await deleteDigest(deps, repository, reference.digest)
  })
}

async function deleteTag(deps: DeleteManifestDeps, repository: Repository, tag: Tag) {
  const { catalog, facts } = deps
  const withdrawn = await withdrawDeliveries(catalog, repository, {
    tags: new Set([tag]),
    digest: undefined,
  })
  const gone = { kind: 'tag', repository: repositoryKey(repository), tag } as const
  await orRestore(deps, [gone, ...deliveryFacts(withdrawn)], async () => {
    await facts.remove([gone])
    await changeFacts(facts, withdrawn)
    await catalog.deleteTag(repository, tag, optionsOf(withdrawn))
    await forgetDeliveries(facts, withdrawn)
  })
}

async function deleteDigest(deps: DeleteManifestDeps, repository: Repository, digest: Digest) {
  const { catalog, facts, clock } = deps
  const tags = await tagsTo(catalog, repository, digest)
  const withdrawn = await withdrawDeliveries(catalog, repository, { tags: new Set(tags), digest })
  const key = repositoryKey(repository)
  const deleted = { kind: 'deleted', repository: key, digest } as const
  const gone = [
    { kind: 'manifest', repository: key, digest } as const,
    ...tags.map(tag => ({ kind: 'tag', repository: key, tag }) as const),
  ]
  await orRestore(deps, [deleted, ...gone, ...deliveryFacts(withdrawn)], async () => {
    await facts.write([{ ...deleted, atMs: clock.nowMs() }])
    await facts.remove(gone)
    await changeFacts(facts, withdrawn)
    await catalog.removeMember(repository, digest, optionsOf(withdrawn))
    await forgetDeliveries(facts, withdrawn)
  })
}

async function orRestore(
  deps: DeleteManifestDeps,
  identities: readonly FactIdentity[],
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    await restoreFacts(deps, { identities, atMs: deps.clock.nowMs() })
    throw error
  }
}

function deliveryFacts({ drops, rests }: Withdrawn): readonly FactIdentity[] {
  return [...drops, ...rests.map(({ id }) => id)].map(id => ({ kind: 'delivery', id }))
}

function optionsOf({ drops, rests }: Withdrawn): DeleteOptions {
  return { dropDeliveries: drops, changeDeliveries: rests }
}

/** After those of the tags: an entry brings no tag back whose own fact is gone. */
async function changeFacts(facts: FactStore, { rests }: Withdrawn): Promise<void> {
  if (rests.length > 0) await facts.write(rests.map(rest => ({ kind: 'delivery', ...rest })))
}

/** After the entries themselves: until those are gone, they are what was acknowledged. */
async function forgetDeliveries(facts: FactStore, { drops }: Withdrawn): Promise<void> {
  if (drops.length > 0) await facts.remove(drops.map(id => ({ kind: 'delivery', id })))
}

async function tagsTo(catalog: Catalog, repository: Repository, digest: Digest): Promise<Tag[]> {
  const found: Tag[] = []
  let after: Tag | undefined
  for (;;) {
    const page = await catalog.listTags(repository, {
      limit: TAGS_PAGE,
      ...(after === undefined ? {} : { after }),
    })
    found.push(...page.filter(each => each.digest === digest).map(({ tag }) => tag))
    after = page.at(-1)?.tag
    if (after === undefined || page.length < TAGS_PAGE) return found
  }
}

function notHere(repository: Repository, reference: Reference): RegistryError {
  const what = formatReference(reference)
  return new RegistryError(
    'MANIFEST_UNKNOWN',
    `${repositoryKey(repository)} has no ${what} at this edge`,
  )
}
