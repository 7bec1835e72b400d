// An archive of another program comes in: all of it is stored as it comes, verified; then what it
// says of its images is read, and planned as an edge's inventory is. What becomes of the plan is
// for imports.ts, as of bundles.
import type { ArchiveMember, TextName } from '../../bundle/archive-members.ts'
import { DOCKER_MANIFEST_NAME } from '../../bundle/archive-members.ts'
import { INDEX_NAME, LAYOUT_NAME } from '../../bundle/layout.ts'
import { BundleFault } from '../../bundle/tar-pieces.ts'
import type { ArchiveContents } from './archive-contents.ts'
import { planDocker } from './archive-docker.ts'
import { planLayout, requireVersion } from './archive-layout.ts'
import type { GivenName } from './archive-names.ts'
import { ArchivePlan } from './archive-plan.ts'
import type { ArchiveEvent } from './import-answers.ts'
import type { ImportPlan } from './import-plan.ts'

export interface ArchiveImport {
  readonly contents: ArchiveContents
  readonly plan: ImportPlan
  readonly given: GivenName | undefined
  readonly nowMs: number
  readonly signal: AbortSignal
}

/** All of it is here by then, and planned. @throws BundleFault, RegistryError, StoreError */
export async function takeArchive(
  members: AsyncGenerator<ArchiveMember>,
  { contents, plan, given, nowMs, signal }: ArchiveImport,
): Promise<ArchiveEvent> {
  const texts = new Map<TextName, Buffer>()
  for await (const member of members) {
    signal.throwIfAborted()
    if (member.kind === 'text') texts.set(member.name, member.text)
    else await contents.take(member)
  }
  const layout = texts.get(LAYOUT_NAME)
  if (layout !== undefined) requireVersion(layout)
  const archive = new ArchivePlan(contents)
  const index = texts.get(INDEX_NAME)
  const text = texts.get(DOCKER_MANIFEST_NAME)
  let nameless = 0
  // Newer versions of docker save write both: digests of a layout are those of its registry.
  if (index !== undefined) nameless = await planLayout(archive, index, given)
  else if (text !== undefined) nameless = await planDocker(archive, { contents, text, given })
  else
    throw new BundleFault('it has neither index.json nor manifest.json: it is no archive of images')
  await archive.fill(plan, nowMs)
  const form = index === undefined ? 'docker archive' : 'OCI image layout'
  const { images, leftOut } = archive
  return { kind: 'archive', form, images, bytes: contents.bytes, leftOut, nameless }
}
