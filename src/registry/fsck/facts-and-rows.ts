// Facts against rows, both ways, and images against what they list.
import type { Digest } from '../../oci/digest.ts'
import {
  formatImage,
  parseRepositoryKey,
  type Repository,
  type RepositoryKey,
} from '../../oci/reference.ts'
import { isListed } from '../content/edges.ts'
import { rowsOf } from '../pacing/pages.ts'
import type { RecordedManifest } from '../ports/catalog-content.ts'
import type { HeldManifest } from '../ports/catalog-holdings.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { FactIdentity, ListedFact } from '../ports/facts.ts'
import {
  entriesOf,
  localTagsOf,
  missingEntry,
  missingTag,
  repositoriesOf,
  type Wrong,
  wrongBy,
} from '../rebuild/wrong-facts.ts'
import type { Damage } from './damage.ts'
import type { FsckSteps } from './steps.ts'

/** By the path of its file. */
export type UnreadableFacts = Map<string, Damage>

type OverCatalog = FsckSteps & { readonly catalog: Catalog; readonly unreadable: UnreadableFacts }

/** Unreadable facts of which the catalog has the row are given their names. @throws StoreError */
export async function compareFactsAndRows(
  steps: FsckSteps,
  unreadable: UnreadableFacts,
): Promise<void> {
  const { catalog } = steps
  if (catalog === undefined) return lookAtFactsAlone(steps)
  const over = { ...steps, catalog, unreadable }
  for await (const repository of repositoriesOf(catalog)) {
    for await (const tag of localTagsOf(catalog, repository)) {
      await steps.step('images')
      await lookAtTag(over, repository, tag)
    }
    for await (const { digest } of manifestsOf(catalog, repository)) {
      await steps.step('images')
      await lookAtManifest(over, repository, digest)
    }
  }
  for await (const entry of entriesOf(catalog)) {
    nameUnreadable(over, [{ kind: 'delivery', id: entry.id }])
    const wrong = await missingEntry(steps, entry)
    if (wrong !== undefined) await tellMissing(over, wrong.identities)
  }
  await lookAtFacts(over)
}

function manifestsOf(catalog: Catalog, key: RepositoryKey): AsyncGenerator<HeldManifest> {
  const repository = parseRepositoryKey(key)
  return rowsOf<HeldManifest, number>(
    page => catalog.listManifests(repository, page),
    ({ position }) => position,
  )
}

async function lookAtTag(
  over: OverCatalog,
  key: RepositoryKey,
  tag: Parameters<typeof missingTag>[2],
): Promise<void> {
  const { catalog, report } = over
  const repository = parseRepositoryKey(key)
  const { digest } = tag
  nameUnreadable(over, [
    { kind: 'tag', repository: key, tag: tag.tag },
    { kind: 'manifest', repository: key, digest },
  ])
  const wrong = await missingTag(over, key, tag)
  const isWhole = (await catalog.findManifest(repository, digest)) !== undefined
  if (wrong === undefined && isWhole) return
  // Moved, delivered or deleted since the page was read.
  const now = await catalog.findTag(repository, tag.tag)
  if (now?.local !== true || now.digest !== digest) return
  if (wrong !== undefined) await tellMissing(over, wrong.identities)
  if (isWhole) return
  const what = formatImage(repository, { kind: 'tag', tag: tag.tag })
  report.add({ kind: 'image broken', what, detail: `its manifest ${digest} is not here` })
}

/** Those that are missing. */
async function tellMissing(
  { facts, report }: OverCatalog,
  identities: readonly FactIdentity[],
): Promise<void> {
  for (const identity of identities)
    if (!(await facts.has(identity)))
      report.add({ kind: 'fact missing', what: nameOf(identity), detail: '' })
}

async function lookAtManifest(
  over: OverCatalog,
  key: RepositoryKey,
  digest: Digest,
): Promise<void> {
  const { catalog, facts, report } = over
  report.looked.images += 1
  const repository = parseRepositoryKey(key)
  const manifest = await catalog.findManifest(repository, digest)
  if (manifest === undefined) return
  const lacking = await lackedBy(catalog, repository, manifest)
  const isHeld = (await catalog.holdsOf(repository, digest)).length > 0
  const what = formatImage(repository, { kind: 'digest', digest })
  if (!isHeld) {
    if (lacking.length > 0)
      report.add({
        kind: 'cached images incomplete',
        what,
        detail: `${lacking.length} of its blobs`,
      })
    return
  }
  if (lacking.length > 0) report.add({ kind: 'image broken', what, detail: `lacks ${lacking[0]}` })
  const identity = { kind: 'manifest', repository: key, digest } as const
  nameUnreadable(over, [identity])
  if (await facts.has(identity)) return
  const tags = await catalog.listTagsTo(repository, digest, { limit: 100 })
  if (tags.some(({ local }) => local)) return
  report.add({ kind: 'manifest without fact', what, detail: '' })
}

/** What belongs to the repository and is not here: what a client deleted does not. */
async function lackedBy(
  catalog: Catalog,
  repository: Repository,
  { edges }: RecordedManifest,
): Promise<readonly Digest[]> {
  const lacking: Digest[] = []
  for (const edge of edges) {
    if (!isListed(edge) || (await catalog.findContent(edge.child)) !== undefined) continue
    if ((await catalog.findMember(repository, edge.child)) !== undefined) lacking.push(edge.child)
  }
  return lacking
}

async function lookAtFacts(over: OverCatalog): Promise<void> {
  const { facts, report, step } = over
  for await (const fact of facts.list()) {
    await step('facts')
    report.looked.facts += 1
    if (fact === 'unreadable') continue
    const wrong = await wrongNow(over, fact)
    if (wrong === undefined) continue
    const kind = wrong.earlier === undefined ? 'fact contradicts' : 'fact not learned'
    report.add({ kind, what: nameOf(fact), detail: over.files.placeOfFact(fact) })
  }
}

/** It may be of a push under way, or have been replaced or removed since it was read. */
async function wrongNow(over: OverCatalog, listed: ListedFact): Promise<Wrong | undefined> {
  const store = {
    find: async (digest: Digest) => {
      const blob = await over.files.look(digest)
      return blob?.is === 'file' ? blob : undefined
    },
  }
  const lookAt = async (fact: ListedFact) => {
    const found = await wrongBy({ ...over, store }, fact)
    return found?.isOld === true ? undefined : found
  }
  if ((await lookAt(listed)) === undefined) return undefined
  return over.inTurn(listed.kind === 'delivery' ? listed.key : listed.repository, async () => {
    const now = await over.facts.find(listed)
    return now === undefined || now === 'unreadable' ? undefined : await lookAt(now)
  })
}

/** Without a catalog: what the next start cannot build one from. */
async function lookAtFactsAlone({ facts, files, report, step }: FsckSteps): Promise<void> {
  for await (const fact of facts.list()) {
    await step('facts')
    report.looked.facts += 1
    if (fact === 'unreadable' || fact.kind !== 'manifest') continue
    if ((await files.look(fact.digest)) !== undefined) continue
    report.add({ kind: 'kept missing', what: fact.digest, detail: `of ${nameOf(fact)}` })
  }
}

function nameUnreadable(
  { unreadable, files }: OverCatalog,
  identities: readonly FactIdentity[],
): void {
  if (unreadable.size === 0) return
  for (const identity of identities) {
    const path = files.placeOfFact(identity)
    const damage = unreadable.get(path)
    if (damage !== undefined)
      unreadable.set(path, { ...damage, detail: `it is of ${nameOf(identity)}` })
  }
}

function nameOf(identity: FactIdentity): string {
  if (identity.kind === 'delivery') return `entry ${identity.id} of the queue`
  const repository = parseRepositoryKey(identity.repository)
  if (identity.kind === 'tag') return formatImage(repository, { kind: 'tag', tag: identity.tag })
  const image = formatImage(repository, { kind: 'digest', digest: identity.digest })
  return identity.kind === 'deleted' ? `the delete of ${image}` : image
}
