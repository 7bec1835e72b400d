// Where redirects led for blobs, for whoever asks for more of one: the ranges of a download go
// there at once instead of through the registry each. Held by the download, so that a location
// lasts no longer than that; any refusal sends it back to the registry (R146).
import type { Digest } from '../../oci/digest.ts'
import type { BlobLocation } from '../../registry/ports/upstream-content.ts'
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

export interface BlobLocations {
  /** `url` answered a GET for the blob, without credentials. */
  remember(found: Found): BlobLocation
  /**
   * The response from there when it has the blob, else undefined: it is of no use any more, or
   * another blob's or endpoint's. No credentials go there.
   * @throws the signal's reason
   */
  ask(
    location: BlobLocation | undefined,
    wanted: { readonly endpoint: Endpoint; readonly digest: Digest },
    how: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
  ): Promise<RegistryResponse | undefined>
}

export function createBlobLocations(): BlobLocations {
  const found = new WeakMap<BlobLocation, Found>()
  return {
    remember: known => {
      const location = { host: known.url.host }
      found.set(location, known)
      return location
    },
    ask: async (location, { endpoint, digest }, { headers, signal }) => {
      const known = location === undefined ? undefined : found.get(location)
      if (location === undefined || known?.endpoint !== endpoint || known.digest !== digest) {
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
      found.delete(location)
      return undefined
    },
  }
}
