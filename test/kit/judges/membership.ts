// What tests ask of a membership, each in a word.
import type { Digest } from '../../../src/oci/digest.ts'
import type { Repository } from '../../../src/oci/reference.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'

type Asked = Pick<Catalog, 'findMember'>

export async function isMemberOf(catalog: Asked, repository: Repository, digest: Digest) {
  return (await catalog.findMember(repository, digest)) !== undefined
}

export async function membershipOf(catalog: Asked, repository: Repository, digest: Digest) {
  const member = await catalog.findMember(repository, digest)
  return member && (member.delivered ? 'delivered' : 'named')
}
