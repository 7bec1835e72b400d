// Pushes and deletes that a test cuts off, with where they begin and where they may end: one
// repository whose tag `v1` points to an older image, and an index that is to take its place.
import type { Digest } from '../../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../../src/oci/reference.ts'
import type { Registry } from '../../../src/registry/use-cases.ts'
import { parseDelivery } from '../../../src/registry/deliveries/delivery-payload.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import { createBreaking } from './breaking-ports.ts'
import { createEngine, localOf, repositoryOf } from '../engine.ts'
import { makeImage, makeIndex } from '../image.ts'
import { digested, pushDocument, pushParts, tagged } from '../clients/push-image.ts'
import { everywhere } from './rebuilt.ts'

const older = makeImage({ seed: 'older', layers: [10] })
const newer = makeImage({ seed: 'newer', layers: [10] })
export const index = makeIndex([newer])
export const OLD = older.manifest.digest
export const NEW = index.manifest.digest
export const { reference } = tagged('v1')

export const MODES = [
  { push: 'store', repository: localOf('team/app') },
  { push: 'queue', repository: repositoryOf('team/app') },
] as const
export type Mode = (typeof MODES)[number]

export interface Operation {
  readonly name: string
  run(registry: Registry, repository: Repository): Promise<unknown>
  /** Where the tag may point when it was cut off. */
  readonly outcomes: readonly (Digest | undefined)[]
  /** Two tags that one push gave, when it begins; default one. */
  readonly isTwice?: boolean
  /** What the tag is to point to was here before and was deleted; default it never was. */
  readonly isDeleted?: boolean
  /** And when it was tried again. */
  readonly done: Digest | undefined
}

export const OPERATIONS: readonly Operation[] = [
  {
    name: 'a push by tag',
    run: (registry, repository) =>
      pushDocument(registry, repository, { document: index.manifest, reference: 'v1' }),
    outcomes: [OLD, NEW],
    done: NEW,
  },
  {
    name: 'a push with tags',
    run: (registry, repository) =>
      pushDocument(registry, repository, { document: index.manifest, tags: ['v1', 'v2'] }),
    outcomes: [OLD, NEW],
    done: NEW,
  },
  {
    name: 'a delete of a tag',
    run: (registry, repository) => registry.deleteManifest(repository, reference),
    outcomes: [OLD, undefined],
    done: undefined,
  },
  {
    name: 'a delete of one of two tags',
    run: (registry, repository) => registry.deleteManifest(repository, reference),
    isTwice: true,
    outcomes: [OLD, undefined],
    done: undefined,
  },
  {
    name: 'a delete of a manifest',
    run: (registry, repository) => registry.deleteManifest(repository, digested(OLD).reference),
    outcomes: [OLD, undefined],
    done: undefined,
  },
  {
    name: 'a delete of a manifest with two tags',
    run: (registry, repository) => registry.deleteManifest(repository, digested(OLD).reference),
    isTwice: true,
    outcomes: [OLD, undefined],
    done: undefined,
  },
  {
    name: 'a push by tag of what was deleted',
    run: (registry, repository) =>
      pushDocument(registry, repository, { document: index.manifest, reference: 'v1' }),
    isDeleted: true,
    outcomes: [OLD, NEW],
    done: NEW,
  },
  {
    name: 'a push with tags of what was deleted',
    run: (registry, repository) =>
      pushDocument(registry, repository, { document: index.manifest, tags: ['v1', 'v2'] }),
    isDeleted: true,
    outcomes: [OLD, NEW],
    done: NEW,
  },
  {
    name: 'a push by digest of what was deleted',
    run: (registry, repository) => pushDocument(registry, repository, { document: index.manifest }),
    isDeleted: true,
    outcomes: [OLD],
    done: OLD,
  },
]

export const rulesOf = ({ push }: Mode) => everywhere({ push })

export async function begin(mode: Mode, { isTwice, isDeleted }: Operation) {
  const breaking = createBreaking()
  const engine = createEngine({ ...breaking, policies: rulesOf(mode) })
  const { registry } = engine
  const { repository } = mode
  await pushParts(registry, repository, older)
  const document = older.manifest
  await pushDocument(registry, repository, {
    document,
    ...(isTwice ? { tags: ['v1', 'v2'] } : { reference: 'v1' }),
  })
  await pushParts(registry, repository, index)
  if (isDeleted) {
    await pushDocument(registry, repository, { document: index.manifest })
    await registry.deleteManifest(repository, digested(NEW).reference)
  }
  return { breaking, engine }
}

/** Where the tag points, and that everything behind it is there. */
export async function pointsTo(
  catalog: Catalog,
  repository: Repository,
): Promise<Digest | undefined> {
  const recorded = await catalog.findTag(repository, reference.tag)
  if (recorded === undefined) return undefined
  if ((await catalog.findManifest(repository, recorded.digest)) === undefined)
    throw new Error('the tag points to nothing')
  return recorded.digest
}

/** Digests that the outbox brings the tag to. */
export async function carriedOf(catalog: Catalog, repository: Repository): Promise<Digest[]> {
  const entries = await catalog.listDeliveriesOf(repositoryKey(repository))
  return entries
    .map(({ payload }) => parseDelivery(payload))
    .filter(delivery => delivery?.tags.some(({ tag }) => tag === reference.tag))
    .map(delivery => delivery?.digest as Digest)
}
