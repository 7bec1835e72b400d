// Content that a descriptor carries in itself (image-spec descriptor.md, `data`): checked when a client pushes it, since readers
// may use it in place of the blob (R114). What an upstream sends is passed on as it is: this edge never reads it.
import { type Descriptor, invalid } from './descriptor.ts'
import { digestAlgorithm, digestOf } from './digest.ts'
import type { Manifest } from './manifest.ts'

/** @throws RegistryError MANIFEST_INVALID when a descriptor's `data` is not the content that its size and digest name */
export function assertEmbeddedData({ config, layers, manifests, subject }: Manifest): void {
  if (config !== undefined) check(config, 'config')
  if (subject !== undefined) check(subject, 'subject')
  for (const [at, layer] of layers.entries()) check(layer, `layers[${at}]`)
  for (const [at, child] of manifests.entries()) check(child, `manifests[${at}]`)
}

function check({ data, digest, sizeBytes }: Descriptor, where: string): void {
  if (data === undefined) return
  const bytes = Buffer.from(typeof data === 'string' ? data : '', 'base64')
  // The decoder skips what it does not know.
  if (bytes.toString('base64') !== data) throw invalid(`data of ${where} is no base64`)
  if (bytes.length !== sizeBytes) {
    throw invalid(`data of ${where} has ${bytes.length} bytes, and its size says ${sizeBytes}`)
  }
  // One of an algorithm that is unknown here can't be checked any further.
  if (digest === undefined || digestOf(bytes, digestAlgorithm(digest)) === digest) return
  throw invalid(`data of ${where} does not hash to its digest`)
}
