// How people write an image: `alpine`, `docker.io/library/alpine:3.20`,
// `10.0.0.1:5000/team/app@sha256:…`. The name is left as it was written; where it leads is decided
// in registry/route, for people as for clients.
import { type NamePath, parseTarget, type Target } from './endpoint.ts'
import { RegistryError } from './errors.ts'
import type { Reference } from './reference.ts'

const DEFAULT_TAG = 'latest'
const DIGEST_ALONE = /^sha(?:256|512):/

export interface ImageText {
  readonly path: NamePath
  readonly reference: Reference
  /** The request target that asks for it, for routing. */
  readonly target: Target
}

/**
 * A tag defaults to `latest`; with a tag and a digest the digest counts, as in every client.
 * @throws RegistryError NAME_INVALID, TAG_INVALID, DIGEST_INVALID
 */
export function parseImageText(text: string): ImageText {
  if (text === '') throw malformed()
  // Nobody means the tag of a repository that is called so.
  if (DIGEST_ALONE.test(text)) throw digestAlone()
  const at = text.indexOf('@')
  const digest = at === -1 ? undefined : text.slice(at + 1)
  const named = at === -1 ? text : text.slice(0, at)
  // A colon before the last slash belongs to a port.
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  const name = colon === -1 ? named : named.slice(0, colon)
  const tag = colon === -1 ? DEFAULT_TAG : named.slice(colon + 1)
  const target = parseTarget(`/v2/${name}/manifests/${digest ?? tag}`)
  if (target.endpoint.kind !== 'manifest' || target.leading !== undefined) {
    throw malformed()
  }
  const { path, reference } = target.endpoint
  return { path, reference, target }
}

function digestAlone(): RegistryError {
  const message = 'a digest alone is no image: write its name before it, [host/]name@sha256:…'
  return new RegistryError('DIGEST_INVALID', message)
}

function malformed(): RegistryError {
  return new RegistryError(
    'NAME_INVALID',
    'an image is written [host/]name[:tag][@digest], such as docker.io/library/alpine:3',
  )
}
