// In which order what goes is taken out: tags of manifests that stay, then manifests with their
// tags, each before all that it lists and that it is about. So whatever is left half-way judges as
// before: nothing loses its parent or its subject and stays for the want of it. What is about a
// manifest goes right before it, so that both go in one step: who is given an image meanwhile has
// its signatures, too.
import type { Digest } from '../../oci/digest.ts'
import type { Tag } from '../../oci/reference.ts'
import { Pieces } from '../pacing/pieces.ts'
import type { Judgement, ManifestToJudge, RepositoryToJudge } from './judge.ts'
import { subjectOfTag } from './signature-tag.ts'

/** One delete. */
export type Going = { readonly reason: string; readonly about: readonly Digest[] } & (
  | { readonly kind: 'tag'; readonly tag: Tag }
  | {
      readonly kind: 'manifest'
      readonly digest: Digest
      /** Those that lead to it, which go with it. */
      readonly tags: readonly GoingTag[]
    }
)

interface GoingTag {
  readonly tag: Tag
  readonly reason: string
}

/** In pieces, as it is judged. */
export async function inOrder(
  { tags, manifests }: RepositoryToJudge,
  judged: Judgement,
): Promise<readonly Going[]> {
  const pieces = new Pieces()
  const going = new Map<Digest, ManifestToJudge>()
  await pieces.each(manifests, each => {
    if (judged.manifests.get(each.digest)?.kind === 'go') going.set(each.digest, each)
  })
  const inOrder: Going[] = []
  const tagsTo = new Map<Digest, GoingTag[]>()
  /** Signatures by a tag alone. */
  const tagsAbout = new Map<Digest, Going[]>()
  await pieces.each(tags, ({ tag, digest }) => {
    const verdict = judged.tags.get(tag)
    if (verdict?.kind !== 'go') return
    const { reason } = verdict
    if (going.has(digest)) return addTo(tagsTo, digest, { tag, reason })
    const stays = judged.manifests.get(digest)?.reason
    // Why no byte comes back by it.
    const whole = stays === undefined ? reason : `${reason}; what it leads to stays: ${stays}`
    const subject = subjectOfTag(tag)
    if (subject !== undefined && going.has(subject))
      addTo(tagsAbout, subject, { kind: 'tag', tag, reason: whole, about: [subject] })
    else inOrder.push({ kind: 'tag', tag, reason: whole, about: [] })
  })
  const aboutOf = ({ digest, subject }: ManifestToJudge) => {
    const signed = (tagsTo.get(digest) ?? []).map(({ tag }) => subjectOfTag(tag))
    return [subject, ...signed].filter(each => each !== undefined && going.has(each)) as Digest[]
  }
  for (const digest of await afterWhatNamesThem(going, aboutOf, pieces)) {
    const manifest = going.get(digest)
    if (manifest === undefined) continue
    const reason = judged.manifests.get(digest)?.reason ?? ''
    const about = aboutOf(manifest)
    inOrder.push(...(tagsAbout.get(digest) ?? []))
    inOrder.push({ kind: 'manifest', digest, reason, tags: tagsTo.get(digest) ?? [], about })
    await pieces.done(1)
  }
  return inOrder
}

function addTo<T>(groups: Map<Digest, T[]>, key: Digest, item: T): void {
  const group = groups.get(key)
  if (group === undefined) groups.set(key, [item])
  else group.push(item)
}

/**
 * What is about a manifest right before it, where nothing else has taken it along. Without
 * recursion: a chain of referrers may be as long as anybody likes.
 */
async function afterWhatNamesThem(
  going: ReadonlyMap<Digest, ManifestToJudge>,
  aboutOf: (manifest: ManifestToJudge) => readonly Digest[],
  pieces: Pieces,
): Promise<readonly Digest[]> {
  const listers = new Map<Digest, Digest[]>()
  const followers = new Map<Digest, Digest[]>()
  await pieces.each(going.values(), manifest => {
    for (const child of manifest.children) addTo(listers, child, manifest.digest)
    for (const subject of aboutOf(manifest)) addTo(followers, subject, manifest.digest)
  })
  const after: Digest[] = []
  const seen = new Set<Digest>()
  for (const first of going.keys()) {
    const path: { readonly digest: Digest; isOpen: boolean }[] = [{ digest: first, isOpen: false }]
    for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
      const { digest } = step
      await pieces.done(1)
      if (step.isOpen) {
        after.push(digest)
        path.pop()
      } else if (seen.has(digest)) {
        path.pop()
      } else {
        seen.add(digest)
        step.isOpen = true
        // The last one on the path comes first.
        for (const each of [...(followers.get(digest) ?? []), ...(listers.get(digest) ?? [])])
          if (!seen.has(each)) path.push({ digest: each, isOpen: false })
      }
    }
  }
  return after
}
