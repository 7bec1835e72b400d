// An image as a number, for what is remembered of those that have left.
import { createHash } from 'node:crypto'
import { repositoryKey } from '../oci/reference.ts'
import type { Image } from '../registry/ports/catalog-images.ts'

/** What a number holds exactly; of 10^5 images, two are the same one in 50,000 times. */
const HASH_BYTES = 6

export function imageHash({ repository, digest }: Image): number {
  const name = `${repositoryKey(repository)} ${digest}`
  return createHash('sha256').update(name).digest().readUIntBE(0, HASH_BYTES)
}
