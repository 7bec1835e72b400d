// From what a person typed to the manifest that is here under that name.
import { parseImageText } from '../../oci/image-text.ts'
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import {
  formatImage,
  parseHost,
  parseName,
  type Reference,
  type Repository,
} from '../../oci/reference.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { OperatorDeps } from './operator-deps.ts'

/** As skopeo and helm write where an image is. */
const SCHEME = /^(?:docker|oci|https?):\/\//i

export interface NamedImage {
  readonly repository: Repository
  readonly reference: Reference
}

export interface FoundImage extends NamedImage {
  /** Canonical: `docker.io/library/alpine:3.20`. */
  readonly image: string
  readonly tag: RecordedTag | undefined
  /** Undefined when the tag is not known here. */
  readonly digest: Digest | undefined
}

/**
 * As a client that is given this text would name it: this edge's own name in front, with its port,
 * says whom to ask and no more.
 * @throws RegistryError NAME_INVALID, TAG_INVALID, DIGEST_INVALID, NAME_UNKNOWN
 */
export function nameImage(
  { registry, ownNameIn }: Pick<OperatorDeps, 'registry' | 'ownNameIn'>,
  text: string,
): NamedImage {
  const plain = text.replace(SCHEME, '')
  const own = ownNameIn(plain)
  const { target, reference } = parseImageText(withoutEdge({ ownNameIn }, plain))
  return { repository: registry.route(target, own).repository, reference }
}

/**
 * What is left of an image, or of a pattern of images, once it does not say any more whom a client
 * asks, and how.
 */
export function withoutEdge({ ownNameIn }: Pick<OperatorDeps, 'ownNameIn'>, text: string): string {
  const plain = text.replace(SCHEME, '')
  const own = ownNameIn(plain)
  return own === undefined ? plain : plain.slice(own.length + 1)
}

/** @throws RegistryError as nameImage */
export async function findImage(deps: OperatorDeps, text: string): Promise<FoundImage> {
  const { repository, reference } = nameImage(deps, text)
  const image = formatImage(repository, reference)
  if (reference.kind === 'digest') {
    return { image, repository, reference, tag: undefined, digest: reference.digest }
  }
  const tag = await deps.catalog.findTag(repository, reference.tag)
  return { image, repository, reference, tag, digest: tag?.digest }
}

/** With what can be done about it. */
export function imageNotHere(
  { namespaces }: Pick<OperatorDeps, 'namespaces'>,
  { image, repository, reference }: Pick<FoundImage, 'image' | 'repository' | 'reference'>,
): RegistryError {
  const { registry, name } = repository
  const namespace = namespaces.find(registry)
  if (namespace === undefined) {
    const hub = { registry: parseHost('docker.io'), name: parseName(`library/${name}`) }
    const other = name.includes('/')
      ? ''
      : `; Docker Hub's ${name} is ${formatImage(hub, reference)}`
    return new RegistryError(
      'MANIFEST_UNKNOWN',
      `${image} is not here, and nothing brings it but a push: ${registry} has no upstream${other}`,
    )
  }
  const way = namespace.policy.offline
    ? `and cannot be pulled: ${registry} is offline in the configuration`
    : `"entrepot pull ${image}" brings it`
  return new RegistryError('MANIFEST_UNKNOWN', `${image} is not here; ${way}`)
}
