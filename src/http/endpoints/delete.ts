// DELETE of a tag, a manifest or a blob (end-9, end-10; R118).
import type { Endpoint } from '../../oci/endpoint.ts'
import { type Answer, emptyAnswer } from '../answer.ts'
import type { NamedContext } from '../context.ts'

type Deleted = Extract<Endpoint, { kind: 'manifest' | 'blob' }>

export async function answerDelete(
  { registry, routed }: NamedContext,
  endpoint: Deleted,
): Promise<Answer> {
  const { repository } = routed
  if (endpoint.kind === 'blob') await registry.deleteBlob(repository, endpoint.digest)
  else await registry.deleteManifest(repository, endpoint.reference)
  return emptyAnswer(202, {})
}
