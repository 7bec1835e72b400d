// Brings a manifest to an upstream's repository by its digest, with everything that it lists
// (R116): blobs, then children, then itself. Bytes go as they are here; tags are put-tags.ts.
import type { Digest } from '../oci/digest.ts'
import { type Descriptor, isDistributable } from '../oci/descriptor.ts'
import { RegistryError } from '../oci/errors.ts'
import { type Manifest, parseManifest } from '../oci/manifest.ts'
import { manifestKind, parseMediaType } from '../oci/media-type.ts'
import { INDEX_DEPTH_MAX } from '../registry/content/edges.ts'
import { uploadBlobs, missing } from './upload-blobs.ts'
import { type DeliveryContext, isThere, requireGone, Undeliverable } from './delivery-context.ts'

type Parted = Descriptor & { readonly digest: Digest }

export interface ManifestToUpload {
  readonly digest: Digest
  readonly mediaType: string
}

/**
 * Resolves to its bytes when the upstream has it. Asks first: a manifest that is there has
 * everything that it lists.
 * @throws UpstreamError, Undeliverable, StoreError, or the signal's reason
 */
export async function uploadManifest(
  context: DeliveryContext,
  manifest: ManifestToUpload,
): Promise<Uint8Array> {
  const bytes = await readHere(context, manifest.digest)
  if (bytes === undefined) throw missing(context, `the manifest ${manifest.digest}`)
  if (!(await hasManifest(context, manifest.digest)))
    await uploadMissing(context, manifest, { bytes, depth: 0 })
  return bytes
}

function hasManifest(
  { upstream, repository, fromRegistry }: DeliveryContext,
  digest: Digest,
): Promise<boolean> {
  const reference = { kind: 'digest', digest } as const
  return isThere(() => upstream.headManifest(repository.name, reference, fromRegistry))
}

async function uploadMissing(
  context: DeliveryContext,
  { digest, mediaType }: ManifestToUpload,
  { bytes, depth }: { bytes: Uint8Array; depth: number },
): Promise<void> {
  const { upstream, repository, signal } = context
  const manifest = parse(bytes, mediaType)
  const children: ManifestToUpload[] = []
  const blobs: Digest[] = []
  for (const descriptor of [...listed(manifest), ...(await namedHere(context, manifest))]) {
    const child = await asManifest(context, manifest, descriptor)
    if (child === undefined) blobs.push(descriptor.digest)
    else children.push(child)
  }
  await uploadBlobs(context, blobs)
  for (const child of children) await uploadChild(context, child, depth + 1)
  const reference = { kind: 'digest', digest } as const
  await upstream.putManifest(repository.name, reference, { bytes, mediaType, digest }, signal)
}

async function uploadChild(
  context: DeliveryContext,
  child: ManifestToUpload,
  depth: number,
): Promise<void> {
  const { there, policy, signal } = context
  signal.throwIfAborted()
  if (there.has(child.digest)) return
  if (!(await hasManifest(context, child.digest))) {
    if (depth > INDEX_DEPTH_MAX) {
      throw new Undeliverable(
        `the index holds indexes that are nested deeper than ${INDEX_DEPTH_MAX}`,
        'drop this entry, and push what it holds by itself',
      )
    }
    const bytes = await readChild(context, child)
    if (bytes !== undefined) await uploadMissing(context, child, { bytes, depth })
    // Else it was acknowledged without, and it is for the upstream to say whether it takes it so.
    else if (!policy.sparse) throw missing(context, `the manifest ${child.digest}`)
  }
  there.add(child.digest)
}

/**
 * Listing is no right to the bytes (R179): undefined as well for what is not in this repository.
 */
async function readChild(
  context: DeliveryContext,
  { digest }: ManifestToUpload,
): Promise<Uint8Array | undefined> {
  const { catalog, repository } = context
  const isGiven = (await catalog.findMember(repository, digest))?.delivered === true
  return isGiven ? readHere(context, digest) : undefined
}

/** Undefined when it is gone. @throws StoreError */
async function readHere(context: DeliveryContext, digest: Digest): Promise<Uint8Array | undefined> {
  const bytes = await context.store.readVerified(digest)
  if (bytes === undefined) await requireGone(context, digest)
  return bytes
}

/**
 * What has to be there before the manifest: no foreign layer (R64), and no subject, which may come
 * later or never.
 */
function listed({ manifests, config, layers }: Manifest): readonly Parted[] {
  const all = [...manifests, ...(config === undefined ? [] : [config]), ...layers]
  return all.filter(isDistributable).filter(hasDigest)
}

function hasDigest(each: Descriptor): each is Parted {
  return each.digest !== undefined
}

/**
 * What was sent here for a manifest that is not understood has no other home, and goes along.
 */
async function namedHere(
  context: DeliveryContext,
  { named }: Manifest,
): Promise<readonly Parted[]> {
  const { catalog, store, repository } = context
  const here: Parted[] = []
  for (const each of [...named.manifests, ...named.blobs]) {
    if (!hasDigest(each)) continue
    const isGiven = (await catalog.findMember(repository, each.digest))?.delivered === true
    if (!isGiven) continue
    if ((await store.find(each.digest)) !== undefined) here.push(each)
    else await requireGone(context, each.digest)
  }
  return here
}

/**
 * Caches of builds are indexes that list blobs: a child is a manifest when its type says so, or
 * when it was pushed as one.
 */
async function asManifest(
  { catalog, repository }: DeliveryContext,
  parent: Manifest,
  { digest, mediaType }: Parted,
): Promise<ManifestToUpload | undefined> {
  if (parent.kind === 'image' || parent.kind === 'artifact') return undefined
  const type = parent.kind === 'index' ? parseMediaType(mediaType) : undefined
  if (type !== undefined && manifestKind(type) !== 'opaque') return { digest, mediaType: type }
  const pushedAs = (await catalog.findMember(repository, digest))?.mediaType
  return pushedAs === undefined ? undefined : { digest, mediaType: pushedAs }
}

function parse(bytes: Uint8Array, mediaType: string): Manifest {
  try {
    return parseManifest(bytes, mediaType)
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    throw new Undeliverable(`it is no manifest: ${error.message}`, 'drop this entry')
  }
}
