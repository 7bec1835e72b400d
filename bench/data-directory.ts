// A data directory of Entrepot with many small blobs in it, made without asking the server for
// each: files under their digests, and rows through the catalog's own port, as pushes leave them.
// The layout is that of docs/storage-format.md, through the code that defines it.
import { mkdirSync, writeFileSync } from 'node:fs'
import { layoutUnder, blobPath, prefixNames, WHOLE_MODE } from '../src/store/filesystem/layout.ts'
import { createEpochs } from '../src/registry/epochs.ts'
import { openSqliteCatalog } from '../src/catalog/sqlite/open.ts'
import type { SqliteCatalog } from '../src/catalog/sqlite/catalog.ts'
import { type Digest, digestOf } from '../src/oci/digest.ts'
import { parseRepositoryKey, parseTag } from '../src/oci/reference.ts'
import type { Edge } from '../src/registry/ports/catalog-content.ts'
import { systemClock } from '../src/server/clock.ts'
import { document, MEDIA_TYPES } from '../test/kit/image.ts'

/** A config and layers; with their manifest ten blobs. */
const BLOBS_OF_IMAGE = 9
const PER_IMAGE = BLOBS_OF_IMAGE + 1
/** So few that each has a page of tags at any size that is measured. */
const REPOSITORIES = 10
/** Images recorded at once: the catalog makes one transaction of what waits. */
const AT_ONCE = 400
const HOST = 'localhost'
const NAME = 'bench/many'

/** Of the n-th repository, as clients name it. */
export function repositoryName(n: number): string {
  return `${HOST}/${NAME}-${n % REPOSITORIES}`
}

/** What the n-th blob is called, and where clients ask for it. */
export function blobOf(n: number): { readonly digest: Digest; readonly path: string } {
  const digest = digestOf(contentOf(n))
  const image = Math.floor(n / BLOBS_OF_IMAGE)
  return { digest, path: `/v2/${repositoryName(image)}/blobs/${digest}` }
}

/** How many blobs that are no manifests a directory of `blobs` holds. */
export function plainBlobs(blobs: number): number {
  return Math.floor(blobs / PER_IMAGE) * BLOBS_OF_IMAGE
}

/** Makes `directory` and `blobs` blobs in it, a tenth of them manifests, each with a tag. */
export async function makeDataDirectory(directory: string, blobs: number): Promise<void> {
  const layout = layoutUnder(directory)
  for (const prefix of prefixNames())
    mkdirSync(`${layout.blobs}/sha256/${prefix}`, { recursive: true, mode: 0o700 })
  const write = (bytes: Buffer) =>
    writeFileSync(blobPath(layout, digestOf(bytes)), bytes, { mode: WHOLE_MODE })
  const catalog = await openSqliteCatalog({
    directory,
    clock: systemClock,
    note: () => {},
    epochs: createEpochs(),
  })
  try {
    const images = Math.floor(blobs / PER_IMAGE)
    for (let first = 0; first < images; first += AT_ONCE) {
      const last = Math.min(images, first + AT_ONCE)
      const recorded: Promise<unknown>[] = []
      for (let n = first; n < last; n += 1) recorded.push(addImage(catalog, n, write))
      await Promise.all(recorded)
    }
  } finally {
    await catalog.close()
  }
}

function contentOf(n: number): Buffer {
  return Buffer.from(`blob ${n} of a large catalog\n`)
}

async function addImage(
  catalog: SqliteCatalog,
  image: number,
  write: (bytes: Buffer) => void,
): Promise<void> {
  const repository = parseRepositoryKey(repositoryName(image))
  const atMs = Date.now()
  const blobs = Array.from({ length: BLOBS_OF_IMAGE }, (_, at) => {
    const bytes = contentOf(image * BLOBS_OF_IMAGE + at)
    write(bytes)
    return { digest: digestOf(bytes), sizeBytes: bytes.length }
  })
  const types = MEDIA_TYPES.oci
  const [config, ...layers] = blobs.map(({ digest, sizeBytes }, at) => ({
    mediaType: at === 0 ? types.config : types.layer,
    digest,
    size: sizeBytes,
  }))
  const manifest = document(types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config,
    layers,
  })
  write(manifest.bytes)
  const edges = blobs.map(
    ({ digest, sizeBytes }, at): Edge => ({
      child: digest,
      kind: at === 0 ? 'config' : 'layer',
      sizeBytes,
      mediaType: at === 0 ? types.config : types.layer,
      platform: undefined,
      distributable: true,
    }),
  )
  const { digest, mediaType, bytes } = manifest
  await Promise.all([
    ...blobs.map(blob => catalog.recordBlob({ repository, ...blob, contentClass: 'cached', atMs })),
    catalog.recordPush({
      repository,
      manifest: { digest, mediaType, sizeBytes: bytes.length, edges },
      contentClass: 'cached',
      tags: [parseTag(`v${image}`)],
      local: true,
      atMs,
    }),
  ])
}
