// Which blob a fill is to bring, for whom and from where, and how its upstream is asked for it when
// something of it is known already. A mirror that says another length may be wrong, and so may a
// manifest: so the registry itself says which, within the same question, and nobody is accused
// before a digest is wrong (R260, R253).
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { Namespace } from '../routing/namespaces.ts'
import type { BlobRequest, UpstreamBlob } from '../ports/upstream-content.ts'
import { type Distrust, UpstreamError } from '../ports/upstream.ts'

export interface FillTask {
  readonly repository: Repository
  readonly digest: Digest
  readonly namespace: Namespace
  /** What a verified manifest of the repository says. */
  readonly declaredBytes: number | undefined
}

type FillSource = Pick<FillTask, 'namespace' | 'repository' | 'digest'>

/**
 * As Upstream.getBlob, but what a mirror says is taken only when its length is `expectedBytes`,
 * where both are told, or when the registry gives nothing: then the digest judges.
 * @throws UpstreamError; the signal's reason
 */
export async function askBlob(
  source: FillSource,
  { request, expectedBytes }: { request: BlobRequest; expectedBytes: number | undefined },
  signal: AbortSignal,
): Promise<UpstreamBlob> {
  const { namespace, repository, digest } = source
  const { upstream } = namespace
  const ask = () => upstream.getBlob(repository.name, digest, request, { signal })
  const response = await ask()
  const isOdd =
    expectedBytes !== undefined && (response.totalBytes ?? expectedBytes) !== expectedBytes
  if (!isOdd || !distrust(source, 'odd content')) return response
  try {
    const registryResponse = await ask()
    await discard(response)
    return registryResponse
  } catch (error) {
    if (error instanceof UpstreamError) return response
    await discard(response)
    throw error
  }
}

/**
 * How long the blob is, of a response that does not say so. Not from a mirror, whose response it
 * may be. Undefined: nobody says it, or nobody is there.
 * @throws the signal's reason
 */
export async function askLength(
  { namespace, repository, digest }: FillSource,
  signal: AbortSignal,
): Promise<number | undefined> {
  const options = { signal, endpoints: 'registry' } as const
  try {
    return (await namespace.upstream.headBlob(repository.name, digest, options)).sizeBytes
  } catch (error) {
    if (error instanceof UpstreamError) return undefined
    throw error
  }
}

/** As Upstream.distrust, about this blob. */
export function distrust({ namespace, repository, digest }: FillSource, why: Distrust): boolean {
  return namespace.upstream.distrust(repository.name, { kind: 'digest', digest }, why)
}

/** Of a response that nobody reads: unread it would hold its connection. */
export async function discard({ body }: Pick<UpstreamBlob, 'body'>): Promise<void> {
  await body[Symbol.asyncIterator]().return?.()
}
