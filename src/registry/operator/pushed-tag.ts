// What becomes of a tag that was pushed here under an upstream's name and is not there yet, for
// people.
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { parseDelivery } from '../delivery-payload.ts'
import type { TagFact } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'

/** One sentence. Asks no upstream. */
export async function pushedTagSentence(
  catalog: Catalog,
  repository: Repository,
  { tag, digest }: TagFact,
): Promise<string> {
  const { registry } = repository
  const entries = await catalog.listDeliveriesOf(repositoryKey(repository))
  const entry = entries.findLast(({ payload }) => {
    const delivery = parseDelivery(payload)
    return delivery?.digest === digest && delivery.tags.some(each => each.tag === tag)
  })
  if (entry === undefined)
    return `the tag was pushed here and is kept here: ${registry} is not asked about it`
  const { id, state } = entry
  return state === 'waiting'
    ? `the tag was pushed here, and waits to be delivered to ${registry} as entry ${id} of the queue: given at once, nobody is asked`
    : `the tag was pushed here, and its delivery to ${registry} is parked: "entrepot queue ls" says why at entry ${id}; until then it is given from here`
}
