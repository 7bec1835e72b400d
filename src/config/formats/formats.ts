// The kinds of values that keys have: how each is read from what was written, how it is written
// again, and what JSON Schema says about it. One table entry per kind; the keys are in schema.ts.
import { hostFrom, type RegistryHost } from '../../oci/reference.ts'
import {
  readNameGlob,
  readRepositoryGlob,
  readTagGlob,
  readTagPattern,
  type TagPattern,
} from './globs.ts'
import { Secret } from '../secret.ts'
import { type ListenAddress, formatAddress, parseAddress, parseUrl } from '../addresses.ts'
import {
  DURATION_PATTERN,
  formatDuration,
  formatSize,
  type Parsed,
  parseDuration,
  parseSize,
  type Size,
  sizePattern,
} from './units.ts'

/** What a scalar was written as; `quoted` tells `"true"` from `true`. */
export interface Written {
  readonly text: string
  readonly quoted: boolean
}

export interface Format<T> {
  /** As the documentation calls it. */
  readonly name: string
  readonly json: {
    readonly type: string | readonly string[]
    readonly enum?: readonly string[]
    /** Of texts; a number without a unit is an integer for JSON Schema. */
    readonly pattern?: string
    readonly minimum?: number
    readonly maximum?: number
    readonly examples?: readonly string[]
  }
  /** MUST NOT put the text into its message when the value may be a secret. */
  parse(written: Written): Parsed<T>
  /** The inverse of parse, for people; `[secret]` for secrets. */
  format(value: T): string
}

function fault(message: string, suggestion?: string): Parsed<never> {
  return suggestion === undefined
    ? { kind: 'fault', message }
    : { kind: 'fault', message, suggestion }
}

const BOOLEAN_WORDS: Record<string, string> = { yes: 'true', on: 'true', no: 'false', off: 'false' }

export const BOOLEAN: Format<boolean> = {
  name: 'true or false',
  json: { type: 'boolean' },
  parse({ text, quoted }) {
    if (!quoted && text === 'true') return { kind: 'ok', value: true }
    if (!quoted && text === 'false') return { kind: 'ok', value: false }
    const word = text.toLowerCase()
    const meant = BOOLEAN_WORDS[word] ?? (word === 'true' || word === 'false' ? word : undefined)
    return fault('must be true or false, without quotes', meant)
  },
  format: String,
}

export const TEXT: Format<string> = {
  name: 'text',
  json: { type: 'string' },
  parse: ({ text }) => (text === '' ? fault('must not be empty') : { kind: 'ok', value: text }),
  format: value => value,
}

export const SECRET: Format<Secret> = {
  name: 'secret text',
  json: { type: 'string' },
  parse: ({ text }) =>
    text === '' ? fault('must not be empty') : { kind: 'ok', value: new Secret(text) },
  format: String,
}

export const PATH: Format<string> = {
  name: 'path',
  json: { type: 'string' },
  parse({ text }) {
    if (text === '' || text.includes('\0')) return fault('must be a path')
    if (text.startsWith('~')) return fault('~ is not expanded here; write the whole path')
    return { kind: 'ok', value: text }
  },
  format: value => value,
}

export const DURATION: Format<number> = {
  name: 'duration',
  json: {
    type: ['string', 'integer'],
    pattern: DURATION_PATTERN,
    // The only number that needs no unit.
    minimum: 0,
    maximum: 0,
    examples: ['5m', '1h30m', '30d', '500ms', 'forever'],
  },
  parse: ({ text }) => parseDuration(text),
  format: formatDuration,
}

export const SIZE: Format<Size> = {
  name: 'size or share',
  json: {
    type: ['string', 'integer'],
    pattern: sizePattern('bytes or share'),
    minimum: 0,
    examples: ['20GiB', '200GB', '80%'],
  },
  parse: ({ text }) => parseSize(text),
  format: formatSize,
}
export const BYTES: Format<number> = {
  name: 'size',
  json: {
    type: ['string', 'integer'],
    pattern: sizePattern('bytes'),
    minimum: 0,
    examples: ['64MiB', '1GiB'],
  },
  parse({ text }) {
    const size = parseSize(text)
    if (size.kind !== 'ok') return size
    if (size.value.kind === 'bytes') return { kind: 'ok', value: size.value.bytes }
    return fault('must be a size such as 64MiB')
  },
  format: bytes => formatSize({ kind: 'bytes', bytes }),
}

export const SHARE: Format<number> = {
  name: 'share',
  json: { type: 'string', pattern: sizePattern('share'), examples: ['90%'] },
  parse({ text }) {
    const size = parseSize(text)
    if (size.kind === 'ok' && size.value.kind === 'share')
      return { kind: 'ok', value: size.value.share }
    return fault('must be a share above 0% and at most 100%, such as 90%')
  },
  format: share => formatSize({ kind: 'share', share }),
}

export const COUNT: Format<number> = {
  name: 'number',
  json: { type: 'integer' },
  parse({ text }) {
    return /^\d{1,15}$/.test(text)
      ? { kind: 'ok', value: Number(text) }
      : fault('must be a whole number')
  },
  format: String,
}

export const ADDRESS: Format<ListenAddress> = {
  name: 'address',
  json: { type: 'string', examples: [':5000', '127.0.0.1:5001', '[::1]:5000'] },
  parse: ({ text }) => parseAddress(text),
  format: formatAddress,
}

export const URL_TEXT: Format<string> = {
  name: 'URL',
  json: { type: 'string', examples: ['https://registry.example.com'] },
  parse: ({ text }) => parseUrl(text),
  format: value => value,
}

export const PROXY: Format<string> = {
  name: 'URL or none',
  json: { type: 'string', examples: ['http://proxy.example.com:3128', 'none'] },
  parse: ({ text }) => (text === 'none' ? { kind: 'ok', value: text } : parseUrl(text)),
  format: value => value,
}

export const HOST: Format<RegistryHost> = {
  name: 'registry host',
  json: { type: 'string', examples: ['docker.io', 'registry.example.com:5000'] },
  parse({ text }) {
    const host = hostFrom(text)
    if (host !== undefined) return { kind: 'ok', value: host }
    if (text.includes('*')) return fault('must be a host name: a pattern of names matches nothing')
    return fault('must be a host name, with a port where it has one', hostIn(text))
  },
  format: value => value,
}

/** `https://ghcr.io/v2/` and `ghcr.io.` → `ghcr.io` */
export function hostIn(text: string): string | undefined {
  const authority = text.replace(/^[a-z]+:\/\//i, '').replace(/\/.*$/s, '')
  return hostFrom(authority.replace(/\.(?=$|:\d+$)/, ''))
}

export const NAME_GLOB: Format<string> = {
  name: 'pattern',
  json: { type: 'string', examples: ['library/**'] },
  parse: ({ text }) => readNameGlob(text),
  format: value => value,
}

export const REPOSITORY_GLOB: Format<string> = {
  name: 'repository pattern',
  json: { type: 'string', examples: ['localhost/**', 'registry.example.com/team/**'] },
  parse: ({ text }) => readRepositoryGlob(text),
  format: value => value,
}

export const TAG_GLOB: Format<string> = {
  name: 'tag pattern',
  json: { type: 'string', examples: ['v*', '!(latest|edge)'] },
  parse: ({ text }) => readTagGlob(text),
  format: value => value,
}

export const TAG_PATTERN: Format<TagPattern> = {
  name: 'repository pattern:tag pattern',
  json: { type: 'string', examples: ['*:latest', '*@release-*', 'library/**:1.*'] },
  parse: ({ text }) => readTagPattern(text),
  format: ({ repository, tag }) => `${repository}:${tag}`,
}

/**
 * The program's name is docker-credential- and this; a path here would let the configuration start
 * any program.
 */
export const HELPER: Format<string> = {
  name: 'name',
  json: { type: 'string', examples: ['ecr-login'] },
  parse({ text }) {
    const name = text.replace(/^(?:.*\/)?docker-credential-/s, '')
    if (!/^[a-z0-9][a-z0-9_.-]*$/i.test(name))
      return fault('must be the name after docker-credential-')
    return name === text
      ? { kind: 'ok', value: name }
      : fault('is written without docker-credential-', name)
  },
  format: value => value,
}
