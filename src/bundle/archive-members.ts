// An archive of images that another program wrote, read member by member as it comes: an OCI image
// layout, or what `docker save` writes. Members stand in any order there, beside such as nobody
// needs. Nothing is unpacked: a name only says which member another one means, and one that could
// mean anything outside is refused all the same, since no honest program wrote it.
import type { Digest } from '../oci/digest.ts'
import { digestOfName, INDEX_NAME, LAYOUT_NAME } from './layout.ts'
import { MemberBody, nextPiece } from './member-body.ts'
import { BundleFault, type ReadMember, shownName, type TarPiece } from './tar-pieces.ts'

/** What `docker save` says of the images in its archive. */
export const DOCKER_MANIFEST_NAME = 'manifest.json'

export type ArchiveMember =
  /** What says which images there are; whole, since it is small. */
  | { readonly kind: 'text'; readonly name: TextName; readonly text: Buffer }
  | {
      readonly kind: 'content'
      readonly name: string
      /** As its name says. Undefined: its name says none. */
      readonly digest: Digest | undefined
      readonly sizeBytes: number
      /** To be read before the next member is asked for; what is not is passed over. */
      readonly bytes: AsyncIterable<Uint8Array>
    }
  /** A layer that stands elsewhere in the archive, under the name `target`. */
  | { readonly kind: 'link'; readonly name: string; readonly target: string }

const TEXTS = [LAYOUT_NAME, INDEX_NAME, DOCKER_MANIFEST_NAME] as const
export type TextName = (typeof TEXTS)[number]

/** As of manifests: some ten thousand images. */
const TEXT_MAX_BYTES = 4 * 1024 * 1024
/** Files and directories; as many as an import may have manifests and blobs. */
const MEMBERS_MAX = 200_000
/** Longest are those of sha512 in a directory. */
const NAME_MAX_LENGTH = 300

/**
 * Of `docker save`, podman and crane: layers, and configurations. What else lies beside them, by
 * whatever name, is passed over.
 */
const DOCKER_CONTENT =
  /^(?:[\w.-]+\/)?(?:layer\.tar|[\w.-]+\.tar(?:\.gz)?|sha256:[0-9a-f]{64}|[\w.-]+\.json)$/
/** Written beside each layer for versions of long ago. */
const DOCKER_LEGACY = /^[0-9a-f]{64}\/(?:json|VERSION)$/
/** A layer that two images have is written once, and the second time it is a link to the first. */
const LAYER_LINK = /^[0-9a-f]{64}\/layer\.tar$/

/** @throws BundleFault */
export async function* archiveMembers(
  pieces: AsyncGenerator<TarPiece>,
): AsyncGenerator<ArchiveMember> {
  const names = new Set<string>()
  let count = 0
  try {
    for (
      let piece = await nextPiece(pieces);
      piece !== undefined;
      piece = await nextPiece(pieces)
    ) {
      if (piece.kind !== 'head') continue
      const { member } = piece
      if (++count > MEMBERS_MAX) throw new BundleFault(`there are more than ${MEMBERS_MAX} members`)
      const name = plainName(member)
      if (member.kind === 'directory') continue
      if (names.has(name)) throw new BundleFault(`${shownName({ name })} is there twice`)
      names.add(name)
      const body = new MemberBody(pieces)
      const what = await whatIs({ ...member, name }, body)
      if (what !== undefined) yield what
      await body.passOver()
    }
  } finally {
    await pieces.return(undefined)
  }
}

/** Undefined for what nobody needs. */
async function whatIs(member: ReadMember, body: MemberBody): Promise<ArchiveMember | undefined> {
  const { name, sizeBytes } = member
  if (member.kind === 'symbolic link') return linkOf(member)
  if (member.kind !== 'file') throw new BundleFault(`${shownName(member)} is no file`)
  const text = TEXTS.find(each => each === name)
  if (text !== undefined) return { kind: 'text', name: text, text: await textOf(member, body) }
  const digest = digestOfName(name)
  if (digest === undefined && (DOCKER_LEGACY.test(name) || !DOCKER_CONTENT.test(name))) return
  return { kind: 'content', name, digest, sizeBytes, bytes: body.read() }
}

/** @throws BundleFault for a link to anything but a layer of this archive */
function linkOf({ name, target = '' }: ReadMember): ArchiveMember {
  const directory = name.slice(0, name.indexOf('/'))
  // `../<other>/layer.tar`, as seen from the directory that the link is in.
  const path = target.startsWith('../') ? target.slice('../'.length) : `${directory}/${target}`
  const isInside = isPlain(path) && DOCKER_CONTENT.test(path)
  if (LAYER_LINK.test(name) && isInside) return { kind: 'link', name, target: path }
  throw new BundleFault(`${shownName({ name })} is a link that leads to no layer`)
}

async function textOf(member: ReadMember, body: MemberBody): Promise<Buffer> {
  if (member.sizeBytes > TEXT_MAX_BYTES)
    throw new BundleFault(
      `${shownName(member)} has ${member.sizeBytes} bytes; at most ${TEXT_MAX_BYTES} are read`,
    )
  const pieces: Uint8Array[] = []
  for await (const piece of body.read()) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** Without `./` before it, which tar writes where it was given a directory. */
function plainName({ name, kind }: ReadMember): string {
  const bare = name.replace(/^(?:\.\/+)+/, '')
  const plain = kind === 'directory' ? bare.replace(/\/+$/, '') : bare
  const isTop = kind === 'directory' && (plain === '' || plain === '.')
  if (isTop || isPlain(plain)) return plain
  throw new BundleFault(`${shownName({ name })} is no name of a member that is taken`)
}

function isPlain(name: string): boolean {
  if (name.length > NAME_MAX_LENGTH || !/^[\x20-\x7e]+$/.test(name)) return false
  return name.split('/').every(part => part !== '' && part !== '.' && part !== '..')
}
