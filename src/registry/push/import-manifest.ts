// A manifest that an operator imports becomes true, with its tag if it has one: as a push, with
// facts before its row, held as `imported`. What it lists is here already. In repositories that
// are at home here it is a push: nobody else has the word about them.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { formatImage, type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import { asRecorded, isListed } from '../content/edges.ts'
import type { RecordedManifest } from '../ports/catalog-content.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { Hold } from '../ports/holds.ts'
import type { Order } from '../ports/order.ts'
import { isHome } from '../routing/repository-policy.ts'
import { mayGive } from '../routing/sharing.ts'
import { withFullDiskErrors } from '../upload/upload-refusal.ts'
import {
  type ImportedTag,
  isByClock,
  judgeImportedTag,
  type TagOutcome,
} from '../content/imported-tag.ts'
import type { PushManifestDeps } from './push-manifest.ts'
import { recordPushed } from './record-push.ts'

export interface ImportedManifest {
  readonly digest: Digest
  readonly mediaType: string
  /** Asked for once they are needed. */
  readonly bytes: () => Promise<Uint8Array>
  readonly tag?: { readonly tag: Tag; readonly order: Order }
  /** Of what it lists: it need not be here, and nothing says that it may be read there. */
  readonly mayLack: (digest: Digest) => boolean
}

/**
 * Durable when it resolves. Without a tag, `new` or `same`.
 * @throws RegistryError BLOB_UNKNOWN for what it lists that is not here, MANIFEST_INVALID,
 * UNAVAILABLE; StoreError
 */
export async function importManifest(
  deps: PushManifestDeps,
  repository: Repository,
  imported: ImportedManifest,
): Promise<TagOutcome> {
  const { digest } = imported
  const bytes = await imported.bytes()
  const manifest = asRecorded(parseManifest(bytes, imported.mediaType), digest, bytes.length)
  const room = { repository, digest, sizeBytes: bytes.length, from: 'client' } as const
  return withFullDiskErrors(deps.note, () =>
    deps.room.during(room, () =>
      deps.turns.take(repositoryKey(repository), () =>
        accept(deps, repository, { ...imported, manifest, bytes }),
      ),
    ),
  )
}

interface Importing extends Omit<ImportedManifest, 'bytes'> {
  readonly manifest: RecordedManifest
  readonly bytes: Uint8Array
}

/** In the repository's turn. */
async function accept(
  deps: PushManifestDeps,
  repository: Repository,
  importing: Importing,
): Promise<TagOutcome> {
  const { digest, tag, manifest, bytes } = importing
  const hold = isHome(deps.policies, repository) ? 'pushed' : 'imported'
  const here = tag && (await deps.catalog.findTag(repository, tag.tag))
  const outcome = tag === undefined ? 'new' : judge(deps, repository, { digest, ...tag, here })
  const isToMove = outcome === 'new' || outcome === 'moved'
  const isHeld = (await deps.catalog.holdsOf(repository, digest)).includes(hold)
  const isOurs = tag !== undefined && (isToMove || isToBeHeld(here, { ...tag, digest }, hold))
  if (tag === undefined ? isHeld : !isOurs) return tag === undefined ? 'same' : outcome
  await requireListed(deps, repository, importing)
  await recordPushed(deps, {
    repository,
    manifest,
    hold,
    tags: tag === undefined ? [] : [tag.tag],
    ...orderFor(hold, tag?.order),
    atMs: deps.clock.nowMs(),
    bytes,
    alsoKept: [],
    confirmed: new Set(),
  })
  return outcome
}

/** What would become of the tag now. @throws StoreError */
export async function foreseeImport(
  deps: JudgeDeps,
  repository: Repository,
  { tag, ...imported }: ImportedTag & { readonly tag: Tag },
): Promise<TagOutcome> {
  return judge(deps, repository, {
    ...imported,
    tag,
    here: await deps.catalog.findTag(repository, tag),
  })
}

type JudgeDeps = Pick<PushManifestDeps, 'catalog' | 'policies' | 'namespaces'>

function judge(
  { catalog, policies, namespaces }: JudgeDeps,
  repository: Repository,
  { tag, here, ...imported }: ImportedTag & { tag: Tag; here: RecordedTag | undefined },
): TagOutcome {
  const isImmutable = policies.find(repository).isImmutable(tag)
  const isAsked = namespaces.find(repository.registry)?.policy.offline === false
  return judgeImportedTag(here, imported, { identity: catalog.identity, isImmutable, isAsked })
}

/** It leads there already, by the word of an upstream or of an older bundle. */
function isToBeHeld(here: RecordedTag | undefined, imported: ImportedTag, hold: Hold): boolean {
  if (here === undefined || here.digest !== imported.digest) return false
  // What waits for its delivery stays what it is.
  if (here.local && hold === 'imported') return false
  const { order } = here
  if (order === undefined) return true
  return order.edge === imported.order.edge && order.number < imported.order.number
}

/**
 * Where this edge has the word, numbers count pushes: one that is a time would come after all of
 * its own.
 */
function orderFor(hold: Hold, order: Order | undefined): { readonly order?: Order } {
  if (order === undefined || (hold === 'pushed' && isByClock(order))) return {}
  return { order }
}

/**
 * What it lists is kept, and belongs to the repository from now on; of what may be lacking only
 * what was given there before.
 * @throws RegistryError BLOB_UNKNOWN
 */
async function requireListed(
  deps: PushManifestDeps,
  repository: Repository,
  { manifest, mayLack, digest: parent, tag }: Importing,
): Promise<void> {
  const { catalog, content, presence } = deps
  const children = new Set(manifest.edges.filter(isListed).map(({ child }) => child))
  for (const digest of children) {
    if (mayLack(digest) && !(await mayGive(deps, repository, { digest }))) continue
    const known = await catalog.findManifest(repository, digest)
    // It was imported before, and is held.
    if (known !== undefined && (await catalog.holdsOf(repository, digest)).length > 0) continue
    const kept = await presence.record(repository, digest, async of => {
      const { kind } = await content.keepHere({ ...of, hold: 'awaited' })
      return kind === 'kept' ? kind : undefined
    })
    if (kept !== undefined || mayLack(digest)) continue
    const reference = tag === undefined ? ({ kind: 'digest', digest: parent } as const) : tagOf(tag)
    throw new RegistryError(
      'BLOB_UNKNOWN',
      `${formatImage(repository, reference)} needs ${digest}, which is not here: import it again`,
    )
  }
}

function tagOf({ tag }: { readonly tag: Tag }) {
  return { kind: 'tag', tag } as const
}
