// An image that real clients unpack: layers that are archives of incompressible files, wrapped as
// gzip but not compressed, so that making and unpacking a hundred megabytes costs next to nothing
// beside their download.
import { gzipSync } from 'node:zlib'
import { digestOf } from '../src/oci/digest.ts'
import { bytesContent, patternBlob } from '../test/kit/content.ts'
import { document, type Image, MEDIA_TYPES } from '../test/kit/image.ts'
import { tarOf } from '../test/kit/tar-archive.ts'

/** One layer for each size; what is named by the same seed is the same image. */
export function archiveImage(seed: string, layerBytes: readonly number[]): Image {
  const types = MEDIA_TYPES.oci
  const archives = layerBytes.map((sizeBytes, index) =>
    tarOf(`file-${index}`, patternBlob(`${seed}/${index}`, sizeBytes).bytes()),
  )
  const layers = archives.map(archive => bytesContent(gzipSync(archive, { level: 0 })))
  const created = '2020-01-01T00:00:00Z'
  const config = bytesContent(
    Buffer.from(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        created,
        config: { Cmd: ['/file-0'], Labels: { seed } },
        rootfs: { type: 'layers', diff_ids: archives.map(archive => digestOf(archive)) },
        history: archives.map(() => ({ created, created_by: 'bench' })),
      }),
    ),
  )
  const manifest = document(types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, digest: config.digest, size: config.sizeBytes },
    layers: layers.map(({ digest, sizeBytes }) => ({
      mediaType: types.layer,
      digest,
      size: sizeBytes,
    })),
  })
  const { mediaType, digest, bytes } = manifest
  const platform = { architecture: 'amd64', os: 'linux' }
  const descriptor = { mediaType, digest, size: bytes.length, platform }
  return { manifest, config, layers, children: [], descriptor }
}
