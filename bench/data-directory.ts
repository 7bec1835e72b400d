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
import type { ColdPlace } from '../src/registry/ports/catalog-images.ts'
import { TimeKeeper } from '../src/registry/time/time-keeper.ts'
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
const UPSTREAM = 'docker.io'
/** Long enough for nobody to be using it. */
const MONTH_MS = 30 * 24 * 3_600_000
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

/** How it came there. */
type Origin = 'pushed' | 'pulled'

/** As an upstream gave it, a month ago: all of it may leave. */
export const CACHED: Origin = 'pulled'

/** Makes `directory` and `blobs` blobs in it, a tenth of them manifests, each with a tag. */
export async function makeDataDirectory(
  directory: string,
  blobs: number,
  origin: Origin = 'pushed',
): Promise<void> {
  const layout = layoutUnder(directory)
  for (const prefix of prefixNames())
    mkdirSync(`${layout.blobs}/sha256/${prefix}`, { recursive: true, mode: 0o700 })
  const write = (bytes: Buffer) =>
    writeFileSync(blobPath(layout, digestOf(bytes)), bytes, { mode: WHOLE_MODE })
  const catalog = await openCatalog(directory)
  try {
    const images = Math.floor(blobs / PER_IMAGE)
    for (let first = 0; first < images; first += AT_ONCE) {
      const last = Math.min(images, first + AT_ONCE)
      const recorded: Promise<unknown>[] = []
      for (let n = first; n < last; n += 1)
        recorded.push(addImage(catalog, { image: n, write, origin }))
      await Promise.all(recorded)
    }
  } finally {
    await closeInOrder(catalog)
  }
}

/** Rows of so many blobs of images that were pulled are let go; their files stay. */
export async function letImagesGo(directory: string, blobs: number): Promise<void> {
  const catalog = await openCatalog(directory)
  try {
    const atMs = Date.now()
    let left = Math.floor(blobs / PER_IMAGE)
    let after: ColdPlace | undefined
    do {
      const { images, next } = await catalog.listColdest({ limit: left, after })
      await Promise.all(
        images.map(({ repository, digest }) =>
          catalog.evictImage({ repository, digest, reason: 'evicted', atMs }),
        ),
      )
      left -= images.length
      after = next
    } while (left > 0 && after !== undefined)
  } finally {
    await closeInOrder(catalog)
  }
}

/**
 * Images of so many blobs, all from one repository, are deleted as of `atMs`, by an edge that ran
 * until now; their files stay.
 */
export async function deleteImages(
  directory: string,
  { blobs, atMs }: { blobs: number; atMs: number },
): Promise<void> {
  const catalog = await openCatalog(directory)
  try {
    const repository = parseRepositoryKey(repositoryName(0))
    const tags = await catalog.listTags(repository, { limit: Math.floor(blobs / PER_IMAGE) })
    await Promise.all(tags.map(({ digest }) => catalog.removeMember(repository, digest)))
    await catalog.stampLoose(atMs)
    const clock = { at: atMs - 1, nowMs: () => clock.at, monotonicMs: () => clock.at }
    const keeper = new TimeKeeper({ catalog, clock })
    clock.at = Date.now()
    await keeper.write()
  } finally {
    await closeInOrder(catalog)
  }
}

function openCatalog(directory: string): Promise<SqliteCatalog> {
  const note = () => {}
  return openSqliteCatalog({ directory, clock: systemClock, note, epochs: createEpochs() })
}

/** A start then finds what a stop in order leaves, and looks through no files. */
async function closeInOrder(catalog: SqliteCatalog): Promise<void> {
  await catalog.markRebuilt(true)
  await catalog.markCompared()
  await catalog.close({ inOrder: true })
}

function contentOf(n: number): Buffer {
  return Buffer.from(`blob ${n} of a large catalog\n`)
}

interface AddedImage {
  readonly image: number
  readonly write: (bytes: Buffer) => void
  readonly origin: Origin
}

async function addImage(
  catalog: SqliteCatalog,
  { image, write, origin }: AddedImage,
): Promise<void> {
  const isPushed = origin === 'pushed'
  const name = repositoryName(image)
  const repository = parseRepositoryKey(isPushed ? name : name.replace(HOST, UPSTREAM))
  const atMs = Date.now() - (isPushed ? 0 : MONTH_MS)
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
  const of = {
    repository,
    manifest: { digest, mediaType, sizeBytes: bytes.length, edges },
    atMs,
  } as const
  const tag = parseTag(`v${image}`)
  await Promise.all([
    ...blobs.map(blob =>
      catalog.recordBlob({ repository, ...blob, hold: isPushed ? 'awaited' : 'nothing', atMs }),
    ),
    isPushed
      ? catalog.recordPush({ ...of, hold: 'pushed', tags: [tag] })
      : catalog.recordManifest({ ...of, tag }),
  ])
}
