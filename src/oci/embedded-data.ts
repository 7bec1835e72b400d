// Content that a descriptor carries in itself (image-spec descriptor.md, `data`), looked at when a
// client pushes it (R114, R289). Nobody here ever reads it, and whoever does must compare it with
// size and digest first; so what is stale in it, as `regctl image mod` leaves it behind in an
// index, is no reason to refuse a push that every other registry takes: the pusher is warned. What
// is no base64 at all makes the whole document unreadable to clients, and is refused. What an
// upstream sends is passed on as it is.
import { type Descriptor, invalid } from './descriptor.ts'
import { digestAlgorithm, digestOf } from './digest.ts'
import type { Manifest } from './manifest.ts'

/**
 * Of descriptors whose `data` is not the content that their size and digest name, one text each.
 * @throws RegistryError MANIFEST_INVALID for `data` that is no base64
 */
export function staleData({ config, layers, manifests, subject }: Manifest): readonly string[] {
  return [
    ...(config === undefined ? [] : [check(config, 'config')]),
    ...(subject === undefined ? [] : [check(subject, 'subject')]),
    ...layers.map((layer, at) => check(layer, `layers[${at}]`)),
    ...manifests.map((child, at) => check(child, `manifests[${at}]`)),
  ].filter(text => text !== undefined)
}

function check({ data, digest, sizeBytes }: Descriptor, where: string): string | undefined {
  if (data === undefined) return undefined
  const bytes = Buffer.from(typeof data === 'string' ? data : '', 'base64')
  // The decoder skips what it does not know.
  if (bytes.toString('base64') !== data) throw invalid(`data of ${where} is no base64`)
  if (bytes.length !== sizeBytes) {
    return `data of ${where} has ${bytes.length} bytes, and its size says ${sizeBytes}: readers will not use it`
  }
  // One of an algorithm that is unknown here can't be checked any further.
  if (digest === undefined || digestOf(bytes, digestAlgorithm(digest)) === digest) return undefined
  return `data of ${where} does not hash to its digest: readers will not use it`
}
