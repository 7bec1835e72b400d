// An image that is here before anything is measured: the upstream holds it, and every server is
// asked for all of it once.
import { bytesContent, type Content, patternBlob } from '../test/kit/content.ts'
import type { PullOptions } from './load.ts'
import type { RowContext, Started } from './row.ts'

/** Members but the last two are paths of its URLs. */
export interface HotImage {
  readonly manifestByTag: string
  readonly manifestByDigest: string
  readonly blobs: readonly string[]
  /** The media type of its manifest. */
  readonly accept: string
  /** All of it by path, for a server that has its content from the start. */
  files(): Readonly<Record<string, Content>>
}

interface Added {
  readonly repository: string
  readonly seed: string
  /** One blob for each. */
  readonly layerBytes: readonly number[]
}

export async function addHotImage(
  { upstream }: Pick<RowContext, 'upstream'>,
  { repository, seed, layerBytes }: Added,
): Promise<HotImage> {
  const added = await upstream.addImage({ repository, tag: 'v1', seed, layerBytes })
  const manifestByTag = `/v2/${repository}/manifests/v1`
  const manifestByDigest = `/v2/${repository}/manifests/${added.manifestDigest}`
  const blobs = added.layers.map(digest => `/v2/${repository}/blobs/${digest}`)
  return {
    manifestByTag,
    manifestByDigest,
    blobs,
    accept: added.mediaType,
    files: () => {
      const manifest = bytesContent(Buffer.from(added.manifest))
      // As the upstream makes them.
      const contentOf = (at: number) => patternBlob(`${seed}/${at}`, layerBytes[at] ?? 0)
      return {
        [manifestByTag]: manifest,
        [manifestByDigest]: manifest,
        ...Object.fromEntries(blobs.map((path, at) => [path, contentOf(at)])),
      }
    },
  }
}

/** Blobs last: some servers know only those of images that were asked for by tag before. */
export async function bringHere(
  { load }: Pick<RowContext, 'load'>,
  { server }: Started,
  { manifestByTag, manifestByDigest, blobs }: HotImage,
  options?: PullOptions,
): Promise<void> {
  await load.pull(server.url, [manifestByTag, manifestByDigest, ...blobs], options)
}
