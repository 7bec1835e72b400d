// How people write what a pin or a purge is about: a repository pattern, with `:` and a pattern of
// tags or with `@` and a digest behind it, or a digest alone. What is matched by it is
// registry/pins/selectors.ts's.
import { digestFrom, isDigestText } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { formatSelector, type Selector } from '../registry/pins/selectors.ts'
import type { Format } from './formats/formats.ts'
import { readRepositoryGlob, readTagGlob } from './formats/globs.ts'
import type { Parsed } from './formats/units.ts'

const DIGEST_ALONE = /^sha(?:256|512):/
/** Not the beginning of a choice, `@(a|b)`. */
const BEFORE_DIGEST = /@(?!\()/

const BAD_DIGEST =
  'a digest is sha256: with 64 or sha512: with 128 lower-case hexadecimal characters'

export function readSelector(text: string): Parsed<Selector> {
  if (DIGEST_ALONE.test(text)) {
    const digest = digestFrom(text)
    if (digest === undefined) return { kind: 'fault', message: BAD_DIGEST }
    return { kind: 'ok', value: { kind: 'content', digest } }
  }
  const at = text.search(BEFORE_DIGEST)
  if (at !== -1) return readManifest(text.slice(0, at), text.slice(at + 1))
  // A colon before the last slash belongs to a port.
  const colon = text.indexOf(':', text.lastIndexOf('/') + 1)
  const repositories = readRepositoryGlob(colon === -1 ? text : text.slice(0, colon))
  const rest = colon === -1 ? '' : text.slice(colon)
  if (repositories.kind === 'fault') return withRest(repositories, rest)
  if (colon === -1) return ok({ kind: 'repositories', repositories: repositories.value })
  if (rest === ':')
    return {
      kind: 'fault',
      message: 'no tag stands behind the colon',
      suggestion: text.slice(0, -1),
    }
  const tags = readTagGlob(rest.slice(1))
  if (tags.kind === 'fault') return withRest(tags, '', `${text.slice(0, colon)}:`)
  return ok({ kind: 'tags', repositories: repositories.value, tags: tags.value })
}

/** `@` and a tag pattern is `:` and a tag pattern elsewhere in the configuration; not so here. */
function readManifest(name: string, reference: string): Parsed<Selector> {
  const repositories = readRepositoryGlob(name)
  if (repositories.kind === 'fault') return withRest(repositories, `@${reference}`)
  const digest = digestFrom(reference)
  if (digest !== undefined)
    return ok({ kind: 'manifest', repositories: repositories.value, digest })
  if (isDigestText(reference)) return { kind: 'fault', message: BAD_DIGEST }
  const message = 'a digest stands behind @, and tags behind a colon'
  return { kind: 'fault', message, suggestion: `${name}:${reference}` }
}

function ok(value: Selector): Parsed<Selector> {
  return { kind: 'ok', value }
}

/** A suggestion is of the whole text. */
function withRest(
  { message, suggestion }: Extract<Parsed<never>, { kind: 'fault' }>,
  after: string,
  before = '',
): Parsed<never> {
  return suggestion === undefined
    ? { kind: 'fault', message }
    : { kind: 'fault', message, suggestion: `${before}${suggestion}${after}` }
}

/** @throws RegistryError NAME_INVALID, with what to write instead */
export function parseSelector(text: string): Selector {
  const read = readSelector(text)
  if (read.kind === 'ok') return read.value
  const meant = read.suggestion === undefined ? '' : `; did you mean ${read.suggestion}?`
  throw new RegistryError('NAME_INVALID', `${text}: ${read.message}${meant}`)
}

export const SELECTOR: Format<Selector> = {
  name: 'pin pattern',
  json: {
    type: 'string',
    examples: ['docker.io/library/alpine:3.*', 'localhost/base/**', 'ghcr.io/team/app:latest'],
  },
  parse: ({ text }) => readSelector(text),
  format: formatSelector,
}
