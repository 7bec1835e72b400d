// An OCI image layout of another program: what its index.json names is planned, and what is about
// that. Names stand in annotations, which each program writes its own way.
import { LAYOUT_NAME } from '../../bundle/layout.ts'
import { BundleFault } from '../../bundle/tar-pieces.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parsePlainJson } from '../../oci/json-text.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { OCI_INDEX } from '../../oci/media-type.ts'
import { tagFrom } from '../../oci/reference.ts'
import {
  type ArchiveEntry,
  type GivenName,
  isWholeName,
  namesOf,
  requireOneName,
  withoutNames,
} from './archive-names.ts'
import type { ArchivePlan } from './archive-plan.ts'

/** containerd's, and those who write for it: the whole name. */
const CONTAINERD_NAME = 'io.containerd.image.name'
/** Of image-spec: a tag, or whatever its writer takes for a name. */
const REF_NAME = 'org.opencontainers.image.ref.name'
/** Signatures of signatures; deeper ones nobody makes. */
const REFERRERS_DEEP = 4
const VERSION = '1.0.0'

interface Root extends ArchiveEntry {
  readonly digest: Digest
  readonly mediaType: string
}

/** Returns how many were left, because nothing says their names. @throws BundleFault */
export async function planLayout(
  plan: ArchivePlan,
  index: Uint8Array,
  given: GivenName | undefined,
): Promise<number> {
  const { manifests } = parsed(index)
  const roots = manifests.map(rootOf).filter(root => root !== undefined)
  const nameless: Root[] = []
  const named = roots.map(root => ({ root, names: namesOf(root, given) }))
  requireOneName(named, given)
  for (const { root, names } of named) {
    if (names.length === 0) nameless.push(root)
    for (const name of names) await plan.addImage(name, root)
  }
  if (plan.images === 0) throw withoutNames(nameless)
  return addReferrers(plan, nameless)
}

async function addReferrers(plan: ArchivePlan, roots: readonly Root[]): Promise<number> {
  let left = roots
  for (let deep = 0; deep < REFERRERS_DEEP && left.length > 0; deep += 1) {
    const still: Root[] = []
    for (const root of left) if (!(await plan.addReferrer(root))) still.push(root)
    left = still
  }
  return left.length
}

/** @throws BundleFault for a layout of another version */
export function requireVersion(layout: Uint8Array): void {
  const { imageLayoutVersion } = readJson(layout) as { imageLayoutVersion?: unknown }
  if (imageLayoutVersion !== VERSION)
    throw new BundleFault(`its ${LAYOUT_NAME} is of another version than ${VERSION}`)
}

/** Undefined for what is of an algorithm that nobody computes here. */
function rootOf({ digest, mediaType, annotations }: Descriptor): Root | undefined {
  if (digest === undefined) return undefined
  const whole = annotations?.[CONTAINERD_NAME]
  const short = annotations?.[REF_NAME]
  const name = [whole, short].find(each => each !== undefined && isWholeName(each))
  return {
    digest,
    mediaType,
    names: name === undefined ? [] : [name],
    tag: short === undefined ? undefined : tagFrom(short),
  }
}

function parsed(index: Uint8Array) {
  try {
    return parseManifest(index, OCI_INDEX)
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    throw new BundleFault(`its index.json is none: ${error.message}`)
  }
}

/** @throws BundleFault */
export function readJson(bytes: Uint8Array): unknown {
  try {
    return parsePlainJson(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    throw new BundleFault(`something of it is no JSON: ${error.message}`)
  }
}
