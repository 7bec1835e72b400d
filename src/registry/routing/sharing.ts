// May bytes that are here be given under a repository that is known to hold them (R252)? Who
// delivered them may. For others the word of their own upstream, in a manifest or by a HEAD, is
// enough only among registries that the operator named and has not called private: what answers to
// a name that a client made up can say what it likes.
import type { Digest } from '../../oci/digest.ts'
import { type RegistryHost, type Repository, hostFrom, LOCALHOST } from '../../oci/reference.ts'
import type { Namespaces } from './namespaces.ts'
import type { FillFile } from '../ports/blob-store-fills.ts'
import type { Catalog } from '../ports/catalog.ts'

export interface SharingDeps {
  readonly catalog: Catalog
  readonly namespaces: Namespaces
}

/**
 * False also for what is no member, unless `isHeld`: the upstream has just said that it is, and the
 * catalog could not take it.
 * @throws StoreError
 */
export async function mayGive(
  deps: SharingDeps,
  repository: Repository,
  { digest, isHeld = false }: { digest: Digest; isHeld?: boolean },
): Promise<boolean> {
  const member = await deps.catalog.findMember(repository, digest)
  if (member?.delivered === true) return true
  if (member === undefined && !isHeld) return false
  return isShared(deps, repository.registry, digest)
}

/**
 * May bytes that are here be given in this registry once it says that it has them?
 * @throws StoreError
 */
export async function isShared(
  { catalog, namespaces }: SharingDeps,
  registry: RegistryHost,
  digest: Digest,
): Promise<boolean> {
  const deliverers = await catalog.listDeliverers(digest)
  // After the loss of a catalog nobody knows.
  if (deliverers.length === 0) return namespaces.allShare
  return deliverers.some(deliverer => shareWith(namespaces, deliverer, registry))
}

/** Is what one of them delivers the other's, too, once that says that it has it? */
export function shareWith(namespaces: Namespaces, a: RegistryHost, b: RegistryHost): boolean {
  return a === b || (shares(namespaces, a) && shares(namespaces, b))
}

/** The same of registries as they are known now: none is opened for that. */
export function shareNow(
  namespaces: Pick<Namespaces, 'list'>,
  a: RegistryHost,
  b: RegistryHost,
): boolean {
  const isShared = (host: RegistryHost) =>
    host === LOCALHOST ||
    namespaces.list().some(({ upstream, shares }) => shares && upstream.registry === host)
  return a === b || (isShared(a) && isShared(b))
}

/**
 * May what is in the file be gone on with for `registry`? Its beginning would be delivered by its
 * end alone.
 */
export function mayGoOn(
  namespaces: Namespaces,
  { contiguousBytes, expected }: Pick<FillFile, 'contiguousBytes' | 'expected'>,
  registry: RegistryHost,
): boolean {
  if (contiguousBytes === 0) return true
  const host = hostFrom(expected?.source ?? '')
  return host === undefined ? namespaces.allShare : shareWith(namespaces, host, registry)
}

/**
 * Did a registry begin this part that shares? `source`: its host, as a fill has noted it. Where
 * nobody did, nobody knows.
 */
export function isSharedSource(namespaces: Namespaces, source: string | undefined): boolean {
  const registry = hostFrom(source ?? '')
  return registry === undefined ? namespaces.allShare : shares(namespaces, registry)
}

/**
 * What clients bring to this edge alone is shared with who says that it has it; a registry that is
 * no upstream any more shares nothing.
 */
function shares(namespaces: Namespaces, registry: RegistryHost): boolean {
  return registry === LOCALHOST || namespaces.find(registry)?.shares === true
}
