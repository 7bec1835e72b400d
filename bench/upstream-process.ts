// The upstream of the bench in a process of its own: the stub registry of the test kit, told by
// messages what to hold, what to do wrong and what to count. usage: forked by upstream.ts, with
// what it is to be as JSON.
import { archiveImage } from './archive-image.ts'
import type { Certificate } from '../test/kit/certificate.ts'
import { bytesContent, patternBlob } from '../test/kit/content.ts'
import { type Image, makeImage } from '../test/kit/image.ts'
import type { Fault } from '../test/kit/stubs/stub-faults.ts'
import { startStubRegistry } from '../test/kit/stubs/stub-registry.ts'
import type { RequestMatch } from '../test/kit/stubs/stub-requests.ts'

export interface StubKind {
  /** 0 lets the kernel choose. */
  readonly port: number
  /** Asks for a token of each repository, and gives it to anybody. */
  readonly tokens: boolean
  /** Speaks TLS. */
  readonly certificate?: Certificate
  /** Blobs are redirected to a second host: where it listens, and as what it is known. */
  readonly storage?: { readonly port: number; readonly url: string }
}

export interface AddImage {
  readonly repository: string
  readonly tag: string
  readonly seed: string
  /** One blob for each, of exactly so many incompressible bytes. */
  readonly layerBytes: readonly number[]
  /** Blobs are archives that clients can unpack, a little larger than that. Default false. */
  readonly archives?: boolean
}

export interface AddedImage {
  readonly manifestDigest: string
  readonly mediaType: string
  readonly manifest: string
  readonly config: string
  readonly layers: readonly string[]
}

export type UpstreamCall =
  | { readonly call: 'addImage'; readonly image: AddImage }
  | { readonly call: 'forget'; readonly repository: string; readonly digests: readonly string[] }
  | { readonly call: 'deleteTag'; readonly repository: string; readonly tag: string }
  | { readonly call: 'fault'; readonly match: RequestMatch; readonly fault: Fault }
  | { readonly call: 'clearFaults' }
  | { readonly call: 'clearCounts' }
  | { readonly call: 'count'; readonly match: RequestMatch }

export interface Counts {
  readonly requests: number
  /** Of contents, errors not counted. */
  readonly bytes: number
}

const { port, tokens, certificate, storage } = JSON.parse(process.argv[2] ?? '') as StubKind
const stub = await startStubRegistry({
  port,
  auth: { scheme: tokens ? 'bearer' : 'none' },
  behaviour: { blobs: storage === undefined ? 'direct' : 'redirect' },
  ...(certificate === undefined ? {} : { tls: certificate }),
  ...(storage === undefined ? {} : { storage }),
})

process.on('message', (message: { id: number } & UpstreamCall) => {
  process.send?.({ id: message.id, result: answer(message) ?? null })
})
process.once('disconnect', () => process.exit())
process.send?.({ id: 0, result: stub.url })

function answer(call: UpstreamCall): AddedImage | Counts | undefined {
  switch (call.call) {
    case 'addImage':
      return addImage(call.image)
    case 'forget':
      for (const digest of call.digests) stub.deleteBlob(call.repository, digest)
      return undefined
    case 'deleteTag':
      stub.deleteTag(call.repository, call.tag)
      return undefined
    case 'fault':
      stub.fault(call.match, call.fault)
      return undefined
    case 'clearFaults':
      stub.clearFaults()
      return undefined
    case 'clearCounts':
      stub.clear()
      return undefined
    case 'count':
      return {
        requests: stub.count(call.match),
        bytes: stub.select(call.match).reduce((sum, { bytesSent }) => sum + bytesSent, 0),
      }
  }
}

/** Blobs are held in memory, so that sending them costs the upstream as little as it can. */
function addImage({ repository, tag, seed, layerBytes, archives = false }: AddImage): AddedImage {
  const image = archives ? archiveImage(seed, layerBytes) : plainImage(seed, layerBytes)
  stub.addImage(repository, tag, image)
  const { digest, mediaType, bytes } = image.manifest
  return {
    manifestDigest: digest,
    mediaType,
    manifest: bytes.toString(),
    config: image.config.digest,
    layers: image.layers.map(layer => layer.digest),
  }
}

function plainImage(seed: string, layerBytes: readonly number[]): Image {
  const layers = layerBytes.map((sizeBytes, index) =>
    bytesContent(patternBlob(`${seed}/${index}`, sizeBytes).bytes()),
  )
  return { ...makeImage({ seed, layers: layerBytes }), layers }
}
