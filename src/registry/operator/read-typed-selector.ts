// From what a person typed to what is selected by it: as clients write an image, or as a pattern
// over the names that the edge has for repositories.
import { RegistryError } from '../../oci/errors.ts'
import { repositoryKey } from '../../oci/reference.ts'
import type { Selector } from '../pins/selectors.ts'
import { nameImage, withoutEdge } from './find-image.ts'
import type { OperatorDeps } from './operator-deps.ts'

const GLOB = /[*?[\]{}()!+|]/
/** Also one that was cut off, as tables show it: no repository is meant. */
const DIGEST = /^sha(?:256|512):/
/** A colon before the last slash belongs to a port. */
const WITH_REFERENCE = /@|:[^/]*$/

type SelectorDeps = Pick<OperatorDeps, 'registry' | 'ownNameIn' | 'parseSelector'>

/**
 * A name without tag or digest is the whole repository.
 * @throws RegistryError NAME_INVALID, TAG_INVALID, DIGEST_INVALID
 */
export function readTypedSelector(deps: SelectorDeps, text: string): Selector {
  const plain = withoutEdge(deps, text)
  if (GLOB.test(plain) || DIGEST.test(plain)) return deps.parseSelector(plain)
  const isWhole = !WITH_REFERENCE.test(plain)
  const named = nameOf(deps, isWhole ? `${text}:any` : text)
  // What leads nowhere any more may still be here.
  if (named === undefined) return deps.parseSelector(plain)
  const repositories = repositoryKey(named.repository)
  const { reference } = named
  if (isWhole) return { kind: 'repositories', repositories }
  return reference.kind === 'tag'
    ? { kind: 'tags', repositories, tags: reference.tag }
    : { kind: 'manifest', repositories, digest: reference.digest }
}

function nameOf(deps: SelectorDeps, text: string) {
  try {
    return nameImage(deps, text)
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'NAME_UNKNOWN') return undefined
    throw error
  }
}
