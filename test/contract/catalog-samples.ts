// Made-up content for tests of catalogs: digests, edges and manifests by name.
import type { Test } from 'tap'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import {
  parseRepositoryKey,
  parseTag,
  type Repository,
  repositoryKey,
} from '../../src/oci/reference.ts'
import type {
  Edge,
  RecordedManifest,
  RecordBlob,
  RecordManifest,
} from '../../src/registry/ports/catalog-content.ts'
import type { RecordPush } from '../../src/registry/ports/catalog-pushes.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import type { NewDelivery } from '../../src/registry/ports/outbox.ts'

/** Makes an empty catalog; whatever it needs is removed when `t` ends. */
export type MakeCatalog = (t: Test) => Promise<Catalog>

export const alpine = parseRepositoryKey('docker.io/library/alpine')
export const secret = parseRepositoryKey('registry.corp.example/team/secret')
export const latest = parseTag('latest')

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'

export function digestNamed(name: string): Digest {
  return digestOf(Buffer.from(name))
}

export function layerEdge(child: string, overrides: Partial<Edge> = {}): Edge {
  return {
    child: digestNamed(child),
    kind: 'layer',
    sizeBytes: 1000,
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    platform: undefined,
    distributable: true,
    ...overrides,
  }
}

/** A manifest, as the catalog records it, that is called `name` and lists `edges`. */
export function manifestNamed(name: string, edges: readonly Edge[] = []): RecordedManifest {
  return { digest: digestNamed(name), mediaType: MANIFEST_TYPE, sizeBytes: 500, edges }
}

/** An entry for the outbox under the key of `repository`. */
export function deliveryNamed(
  id: number,
  repository: Repository,
  overrides: Partial<NewDelivery> = {},
): NewDelivery {
  const key = repositoryKey(repository)
  return { id, carrier: 'queue', key, payload: `${id}`, createdAtMs: 0, ...overrides }
}

/** A pull of `manifest` into `alpine`. */
export function pullOf(
  manifest: RecordedManifest,
  more: Partial<RecordManifest> = {},
): RecordManifest {
  return { repository: alpine, manifest, atMs: 1, ...more }
}

/** The bytes that are called `name`, brought to `alpine`. */
export function blobOf(name: string, more: Partial<RecordBlob> = {}): RecordBlob {
  const digest = digestNamed(name)
  return { repository: alpine, digest, sizeBytes: 7, hold: 'nothing', atMs: 1, ...more }
}

/** A push of the manifest `name` to `alpine`; with a delivery it is held for that. */
export function pushOf(name: string, more: Partial<RecordPush> = {}): RecordPush {
  return {
    repository: alpine,
    manifest: manifestNamed(name),
    hold: more.delivery === undefined ? 'pushed' : 'undelivered',
    tags: [latest],
    atMs: 10,
    ...more,
  }
}
