// A large blob that is still open from who asked for it before, whole, for who asks now: with no
// question to anybody. Whatever is out of the ordinary leaves the request to the usual way.
import type { ServerResponse } from 'node:http'
import type { Registry } from '../../registry/use-cases.ts'
import type { KeptBlob } from '../memory/hot-answers.ts'
import type { TakePlaceNow } from '../places/place.ts'
import { BlobSending, type BlobSendingDeps } from './blob-sending.ts'

export interface OpenKeptDeps extends BlobSendingDeps {
  readonly registry: Pick<Registry, 'findKept'>
  readonly takePlaceNow: TakePlaceNow
}

/** Undefined when it is not to be had at once. What comes back is to be sent, by sendBlob. */
export type OpenKept = (kept: KeptBlob, response: ServerResponse) => BlobSending | undefined

export function createOpenKept(deps: OpenKeptDeps): OpenKept {
  const { registry, takePlaceNow } = deps
  return ({ repository, digest }, response) => {
    const blob = registry.findKept(repository, digest)
    if (blob === undefined) return undefined
    const { file, sizeBytes } = blob
    // Where nobody has read, the disk may fail, which can be told as an error before the head
    // alone.
    const isReady = file?.readyBytes === sizeBytes && file.isProven?.(0) === true
    if (!isReady || takePlaceNow(response) === 'none') {
      // Whoever reads it sees to what goes wrong at its end.
      blob.close().catch(() => {})
      return undefined
    }
    const segments = [{ range: { first: 0, last: sizeBytes - 1 } }]
    return new BlobSending(response, { kind: 'blob', blob, segments, sizeBytes }, deps)
  }
}
