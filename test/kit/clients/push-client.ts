// The plain upload protocol as small calls, for tests that push much and want to know of each
// answer. A connection that breaks is a rejection; any answer comes back.
import { Agent, request } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { once } from 'node:events'
import { digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../image.ts'
import { testCertificate } from '../over-tls.ts'
import { withDigest } from './raw-push.ts'

export interface PushAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export interface PushClient {
  /** `path` may be a Location. */
  send(
    method: string,
    path: string,
    body?: Uint8Array,
    headers?: Readonly<Record<string, string>>,
  ): Promise<PushAnswer>
  /** POST, then PUT. Resolves with the answer of the last one that was sent. */
  blob(repository: string, bytes: Uint8Array): Promise<PushAnswer>
  manifest(repository: string, reference: string, document: SmallManifest): Promise<PushAnswer>
  close(): void
}

export interface SmallManifest {
  readonly bytes: Buffer
  readonly mediaType: string
  readonly digest: string
}

/** Connections are kept; `url` has no slash at its end. */
export function createPushClient(url: string): PushClient {
  const isTls = url.startsWith('https:')
  const open = isTls ? tlsRequest : request
  const agent = isTls
    ? new TlsAgent({ keepAlive: true, ca: testCertificate().ca })
    : new Agent({ keepAlive: true })
  const send: PushClient['send'] = async (method, path, body, headers = {}) => {
    const outgoing = open(new URL(path, url), {
      method,
      agent,
      headers: { ...headers, 'content-length': String(body?.length ?? 0) },
    })
    outgoing.end(body)
    const [response] = (await once(outgoing, 'response')) as [import('node:http').IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: Buffer.concat(chunks).toString(),
    }
  }
  return {
    send,
    async blob(repository, bytes) {
      const begun = await send('POST', `/v2/${repository}/blobs/uploads/`)
      const location = begun.headers['location']
      if (begun.status !== 202 || typeof location !== 'string') return begun
      return send('PUT', withDigest(location, digestOf(bytes)), bytes)
    },
    manifest: (repository, reference, { bytes, mediaType }) =>
      send('PUT', `/v2/${repository}/manifests/${reference}`, bytes, { 'content-type': mediaType }),
    close: () => agent.destroy(),
  }
}

/** An OCI manifest over a config and layers that were pushed before. */
export function manifestOver(config: Uint8Array, layers: readonly Uint8Array[]): SmallManifest {
  const types = MEDIA_TYPES.oci
  const descriptor = (mediaType: string, bytes: Uint8Array) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  })
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: types.manifest,
      config: descriptor(types.config, config),
      layers: layers.map(layer => descriptor(types.layer, layer)),
    }),
  )
  return { bytes, mediaType: types.manifest, digest: digestOf(bytes) }
}
