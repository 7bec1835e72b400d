// Which blob a fill is to bring, for whom, and from where.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { Namespace } from '../namespaces.ts'

export interface FillTask {
  readonly repository: Repository
  readonly digest: Digest
  readonly namespace: Namespace
  /** What a verified manifest of the repository says. */
  readonly declaredBytes: number | undefined
}
