// Archives of images as other programs write them: OCI layouts, and what `docker save` wrote until
// dockerd 24, what podman and crane write in its place, and what dockerd writes since. Members in
// any order, and of any kind that a hostile one may have.
import { createHash } from 'node:crypto'
import { blobName } from '../../src/bundle/layout.ts'
import { paddingOf, TAR_END_BYTES, tarHead } from '../../src/bundle/tar-head.ts'
import { type Digest, digestHex, digestOf } from '../../src/oci/digest.ts'
import { withChecksum } from './bundle.ts'
import type { Image } from './image.ts'

export interface Member {
  readonly name: string
  readonly bytes?: Uint8Array
  /** Of the head, as ustar has it; default a regular file. */
  readonly type?: string
  /** Of a link. */
  readonly target?: string
}

export function memberBytes({ name, bytes = Buffer.alloc(0), type, target }: Member): Buffer {
  const head = tarHead({ name, sizeBytes: bytes.length })
  // A long name has its own head before it.
  const own = head.subarray(-512)
  if (type !== undefined) own.fill(type, 156, 157)
  if (target !== undefined) own.write(target, 157, 100)
  withChecksum(own)
  return Buffer.concat([head, bytes, Buffer.alloc(paddingOf(bytes.length))])
}

export function archiveOf(members: readonly Member[]): Buffer {
  return Buffer.concat([...members.map(memberBytes), Buffer.alloc(TAR_END_BYTES)])
}

export const text = (value: unknown) => Buffer.from(JSON.stringify(value))
export const directory = (name: string): Member => ({ name, type: '5' })
export const LAYOUT: Member = { name: 'oci-layout', bytes: text({ imageLayoutVersion: '1.0.0' }) }

/** All that an image is, as members of a layout. */
export function blobsOf(image: Image): readonly Member[] {
  const children = image.children.flatMap(blobsOf)
  const blobs = image.children.length > 0 ? [] : [image.config, ...image.layers]
  return [
    { name: blobName(image.manifest.digest), bytes: image.manifest.bytes },
    ...children,
    ...blobs.map(blob => ({ name: blobName(blob.digest), bytes: Buffer.from(blob.bytes()) })),
  ]
}

export interface NamedImage {
  readonly image: Image
  readonly annotations?: Readonly<Record<string, string>>
}

export const byName = (image: Image, name: string): NamedImage => ({
  image,
  annotations: { 'io.containerd.image.name': name },
})

export function indexOf(images: readonly NamedImage[]): Member {
  const manifests = images.map(({ image: { manifest }, annotations }) => ({
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
    ...(annotations && { annotations }),
  }))
  return { name: 'index.json', bytes: text({ schemaVersion: 2, manifests }) }
}

/** By its name, once, as sorted as most programs write it: its index and its version last. */
export function layoutMembers(images: readonly NamedImage[]): readonly Member[] {
  const blobs = new Map(
    images.flatMap(({ image }) => blobsOf(image)).map(member => [member.name, member]),
  )
  const sorted = [...blobs.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return [directory('blobs/'), directory('blobs/sha256/'), ...sorted, indexOf(images), LAYOUT]
}

/** An image as dockerd has it: a configuration, and layers that are not packed. */
export interface Saved {
  readonly config: Buffer
  readonly layers: readonly Buffer[]
  readonly names: readonly string[] | null
}

export function savedImage(
  seed: string,
  layers: readonly Buffer[],
  names: Saved['names'] = null,
): Saved {
  const diffIds = layers.map(layer => digestOf(layer))
  const config = text({ architecture: 'amd64', os: 'linux', seed, rootfs: { diff_ids: diffIds } })
  return { config, layers, names }
}

const hexOf = (bytes: Uint8Array) => digestHex(digestOf(bytes))
const idOf = (bytes: Uint8Array) => createHash('sha256').update('id').update(bytes).digest('hex')

/** As dockerd 20.10: a directory for each layer; one that was written already is a link. */
export function dockerMembers(images: readonly Saved[]): readonly Member[] {
  const members: Member[] = []
  const written = new Map<string, string>()
  const manifest = images.map((image, which) => {
    const layers = image.layers.map(layer => {
      const id = idOf(Buffer.concat([layer, Buffer.from([which])]))
      const name = `${id}/layer.tar`
      const first = written.get(hexOf(layer))
      members.push(directory(`${id}/`), { name: `${id}/VERSION`, bytes: Buffer.from('1.0') })
      members.push({ name: `${id}/json`, bytes: text({ id }) })
      if (first === undefined) members.push({ name, bytes: layer })
      else members.push({ name, type: '2', target: `../${first}` })
      written.set(hexOf(layer), name)
      return name
    })
    const config = `${hexOf(image.config)}.json`
    members.push({ name: config, bytes: image.config })
    return { Config: config, RepoTags: image.names, Layers: layers }
  })
  members.push({ name: 'manifest.json', bytes: text(manifest) })
  members.push({ name: 'repositories', bytes: text({}) })
  return members
}

/** The manifest that skopeo makes of it. */
export function skopeoManifest({ config, layers }: Saved): { bytes: Buffer; digest: Digest } {
  const bytes = text({
    schemaVersion: 2,
    mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
    config: {
      mediaType: 'application/vnd.docker.container.image.v1+json',
      size: config.length,
      digest: digestOf(config),
    },
    layers: layers.map(layer => ({
      mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
      size: layer.length,
      digest: digestOf(layer),
    })),
  })
  return { bytes, digest: digestOf(bytes) }
}
