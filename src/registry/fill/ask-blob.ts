// Asks an upstream for a blob of which something is known already. A mirror that says another
// length may be wrong, and so may a manifest: so the registry itself says which, within the same
// question, and nobody is accused before a digest is wrong (R260, R253).
import type { BlobRequest, UpstreamBlob } from '../ports/upstream-content.ts'
import { UpstreamError } from '../ports/upstream.ts'
import type { FillTask } from './fill-task.ts'

export type AskedFor = Pick<FillTask, 'namespace' | 'repository' | 'digest'>

/**
 * As Upstream.getBlob, but what a mirror says is taken only when its length is `expectedBytes`,
 * where both are told, or when the registry gives nothing: then the digest judges. @throws
 * UpstreamError; the signal's reason
 */
export async function askBlob(
  { namespace, repository, digest }: AskedFor,
  { request, expectedBytes }: { request: BlobRequest; expectedBytes: number | undefined },
  signal: AbortSignal,
): Promise<UpstreamBlob> {
  const { upstream } = namespace
  const ask = () => upstream.getBlob(repository.name, digest, request, { signal })
  const answer = await ask()
  const isOdd =
    expectedBytes !== undefined && (answer.totalBytes ?? expectedBytes) !== expectedBytes
  const reference = { kind: 'digest', digest } as const
  if (!isOdd || !upstream.distrust(repository.name, reference, 'odd content')) return answer
  try {
    const ofRegistry = await ask()
    await leave(answer)
    return ofRegistry
  } catch (error) {
    if (error instanceof UpstreamError) return answer
    await leave(answer)
    throw error
  }
}

/**
 * How long the blob is, of an answer that does not say so. Not from a mirror, whose answer it may
 * be. Undefined: nobody says it, or nobody is there. @throws the signal's reason
 */
export async function askLength(
  { namespace, repository, digest }: AskedFor,
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

/** Of an answer that nobody reads: unread it would hold its connection. */
export async function leave({ body }: Pick<UpstreamBlob, 'body'>): Promise<void> {
  await body[Symbol.asyncIterator]().return?.()
}
