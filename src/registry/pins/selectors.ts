// What an operator means by a few words: pins, purges and what is kept for a time are about all
// that a selector matches. Plain values, which may be sent elsewhere and applied twice. Over
// canonical repositories, `host/name`, in the patterns of the configuration; how people write them
// is read in config/selectors.ts.
import picomatch from 'picomatch'
import { type Digest, digestFrom } from '../../oci/digest.ts'
import { NAME_GLOB } from '../../oci/name-glob.ts'
import type { RepositoryKey, Tag } from '../../oci/reference.ts'

export type Selector =
  /** All of the repositories that match. */
  | { readonly kind: 'repositories'; readonly repositories: string }
  /** What their tags lead to. */
  | { readonly kind: 'tags'; readonly repositories: string; readonly tags: string }
  /** One manifest of them. */
  | { readonly kind: 'manifest'; readonly repositories: string; readonly digest: Digest }
  /** It, wherever it is. */
  | { readonly kind: 'content'; readonly digest: Digest }

/** As people write it; the inverse of reading it. */
export function formatSelector(selector: Selector): string {
  switch (selector.kind) {
    case 'repositories':
      return selector.repositories
    case 'tags':
      return `${selector.repositories}:${selector.tags}`
    case 'manifest':
      return `${selector.repositories}@${selector.digest}`
    case 'content':
      return selector.digest
  }
}

/** The inverse of JSON.stringify; undefined for what is no selector, of a later version for one. */
export function selectorFrom(json: string): Selector | undefined {
  try {
    return selectorOf(JSON.parse(json))
  } catch {
    return undefined
  }
}

/** The same of what JSON was read as. */
export function selectorOf(given: unknown): Selector | undefined {
  const value: Readonly<Record<string, unknown>> =
    typeof given === 'object' && given !== null ? { ...given } : {}
  const { kind, repositories, tags } = value
  const digest = typeof value['digest'] === 'string' ? digestFrom(value['digest']) : undefined
  if (kind === 'content') return digest && { kind, digest }
  if (typeof repositories !== 'string') return undefined
  if (kind === 'repositories') return { kind, repositories }
  if (kind === 'manifest') return digest && { kind, repositories, digest }
  return kind === 'tags' && typeof tags === 'string' ? { kind, repositories, tags } : undefined
}

/** A selector, ready to be asked many times. */
export interface Matcher {
  readonly selector: Selector
  /** May anything of this repository be meant? */
  isAbout(key: RepositoryKey): boolean
  /** In a repository that it is about: is what the tag leads to meant? */
  hasTag(tag: Tag): boolean
  /** In a repository that it is about: is this manifest, whatever leads to it? */
  hasDigest(digest: Digest): boolean
}

export function compileSelector(selector: Selector): Matcher {
  const { kind } = selector
  const all = kind === 'repositories'
  const digest = kind === 'manifest' || kind === 'content' ? selector.digest : undefined
  return {
    selector,
    isAbout: kind === 'content' ? () => true : overNames(selector.repositories),
    hasTag: kind === 'tags' ? over(selector.tags) : () => all,
    hasDigest: other => all || other === digest,
  }
}

function overNames(glob: string): (key: RepositoryKey) => boolean {
  const matches = over(glob)
  // The brackets of an IPv6 address are a choice of characters to globs.
  return key => key === glob || matches(key)
}

function over(glob: string): (text: string) => boolean {
  if (glob === '*' || glob === '**') return () => true
  return picomatch(glob, NAME_GLOB)
}
