// Where a push is seen: a target that clients push to, a real registry that they take images from,
// and a look at what arrived, byte for byte, over the plain protocol.
import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import type { Image } from '../../kit/image.ts'
import { push } from '../images.ts'
import type { UpstreamServer } from '../upstream-servers.ts'

export interface Scene {
  /** Where clients push to: `127.0.0.1:PORT`. */
  readonly target: string
  /** A registry with images to take: `127.0.0.1:PORT`. */
  readonly source: string
  /** Resolves when so many blobs were mounted in this repository of the target. */
  mounted(repository: string, count: number): Promise<void>
}

/**
 * One client's pushes, as a person would do them, and its pulls of what it pushed.
 * @throws Error with what the client wrote
 */
export interface Scenario {
  /** Client and version. */
  readonly name: string
  run(t: Test, scene: Scene): Promise<void>
}

export function sceneOf(
  upstream: UpstreamServer,
  target: string,
  mounted: Scene['mounted'] = async () => {},
): Scene {
  return { target, source: new URL(upstream.url()).host, mounted }
}

/** Puts an image into the source, for clients to take from there. */
export async function publish(
  scene: Scene,
  image: Image,
  place: { name: string; tag: string },
): Promise<string> {
  await push(`http://${scene.source}`, image, place)
  return `${scene.source}/${place.name}:${place.tag}`
}

const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ')

export interface Walked {
  /** Of the manifest that the reference stands for. */
  readonly digest: string
  readonly mediaType: string
  readonly manifest: ManifestDocument
  /** Every manifest and blob below it, itself included. */
  readonly digests: ReadonlySet<string>
}

interface ManifestDocument {
  readonly mediaType?: string
  readonly artifactType?: string
  readonly config?: Listed
  readonly layers?: readonly Listed[]
  readonly manifests?: readonly Listed[]
  readonly subject?: Listed
}

interface Listed {
  readonly digest: string
  readonly size: number
}

/**
 * Reads everything that `reference` leads to and hashes it.
 * @throws Error for the first thing that is missing or wrong
 */
export async function readWhole(
  authority: string,
  repository: string,
  reference: string,
): Promise<Walked> {
  const url = `http://${authority}/v2/${repository}`
  const response = await fetch(`${url}/manifests/${reference}`, {
    headers: { accept: MANIFEST_TYPES },
  })
  const bytes = Buffer.from(await response.arrayBuffer())
  if (!response.ok)
    throw new Error(`${repository}:${reference}: ${response.status} ${bytes.toString()}`)
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const told = response.headers.get('docker-content-digest')
  if (told !== digest) throw new Error(`${reference}: told ${told}, sent ${digest}`)
  if (reference.includes(':') && reference !== digest) throw new Error(`${reference}: ${digest}`)
  const manifest = JSON.parse(bytes.toString()) as ManifestDocument
  const digests = new Set([digest])
  for (const { digest: child } of manifest.manifests ?? []) {
    const below = await readWhole(authority, repository, child)
    for (const each of below.digests) digests.add(each)
  }
  const blobs = [manifest.config, ...(manifest.layers ?? [])].filter(each => each !== undefined)
  for (const blob of blobs) {
    await readBlob(`${url}/blobs/${blob.digest}`, blob)
    digests.add(blob.digest)
  }
  return { digest, mediaType: response.headers.get('content-type') ?? '', manifest, digests }
}

async function readBlob(url: string, { digest, size }: Listed): Promise<void> {
  const response = await fetch(url)
  if (!response.ok || response.body === null) throw new Error(`${url}: ${response.status}`)
  const hash = createHash('sha256')
  let length = 0
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    hash.update(chunk)
    length += chunk.length
  }
  const found = `sha256:${hash.digest('hex')}`
  if (found !== digest || length !== size) throw new Error(`${url}: ${length} bytes, ${found}`)
}
