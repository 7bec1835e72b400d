// Where redirects led for blobs, for whoever asks for more of one: the ranges of a download go
// there at once instead of through the registry each. Held by the download, so that a place lasts
// no longer than that; any refusal sends it back to the registry (R146).
import type { Digest } from '../../oci/digest.ts'
import type { BlobPlace } from '../../registry/ports/upstream-content.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import type { Endpoint } from '../endpoint/endpoint.ts'
import type { RegistryResponse } from '../endpoint/session.ts'

interface Found {
  readonly endpoint: Endpoint
  readonly digest: Digest
  readonly url: URL
  /** For a registry that was redirected to, which may want an anonymous token (R159). */
  readonly scope: string
}

export interface BlobPlaces {
  /** `url` answered a GET for the blob, without credentials. */
  remember(found: Found): BlobPlace
  /**
   * The answer of the place when it has the blob, else undefined: it is of no use any more, or
   * another blob's or endpoint's. No credentials go there. @throws the signal's reason
   */
  ask(
    place: BlobPlace | undefined,
    wanted: { readonly endpoint: Endpoint; readonly digest: Digest },
    how: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
  ): Promise<RegistryResponse | undefined>
}

export function createBlobPlaces(): BlobPlaces {
  const found = new WeakMap<BlobPlace, Found>()
  return {
    remember: known => {
      const place = { host: known.url.host }
      found.set(place, known)
      return place
    },
    ask: async (place, { endpoint, digest }, { headers, signal }) => {
      const known = place === undefined ? undefined : found.get(place)
      if (place === undefined || known?.endpoint !== endpoint || known.digest !== digest) {
        return undefined
      }
      try {
        const { url, scope } = known
        const request = { call: 'blob', lane: 'blob', method: 'GET', url, scope } as const
        const response = await endpoint.send(
          { ...request, headers, withoutCredentials: true },
          signal,
        )
        if (response.status === 200 || response.status === 206)
          return { ...response, redirected: true }
        await response.body.drain()
      } catch (error) {
        if (signal.aborted || !(error instanceof UpstreamError)) throw error
      }
      found.delete(place)
      return undefined
    },
  }
}
