// Walks what was written along the schema: every value parsed, every default filled in, every fault
// noted with its place. What follows from several keys together is judged in build.ts.
import type { Node } from './document.ts'
import { type Finding, findingAt, formatPath, type Path, pathKey, type Place } from './findings.ts'
import type { Format } from './formats/formats.ts'
import { childSchema, type Keys, type KeySchema, listKeys, type Written } from './schema/keys.ts'
import { KEY_SCHEMA, LATER_KEYS, type Settings } from './schema/schema.ts'
import { closest } from './suggest.ts'

export interface ReadSettings {
  /** Where a value was faulty, its default or nothing stands in for it. */
  readonly settings: Settings
  readonly findings: readonly Finding[]
  /** Where keys were written, by pathKey; missing for what nobody wrote. */
  readonly places: ReadonlyMap<string, Place>
  /**
   * Of lists with items that are faulty and left out, by pathKey of the list: which item as written
   * each of the others is.
   */
  readonly itemsLeft: ReadonlyMap<string, readonly number[]>
  /** Some key that was written is no key here: it may have been meant for any other. */
  readonly hasUnknownKeys: boolean
}

export function readSettings(root: Node): ReadSettings {
  const reader = new SettingsReader()
  const read = reader.read(KEY_SCHEMA, root, [])
  // Every key of the top level has a default or may be left out, so an empty map always reads.
  const settings = read === FAULTY ? new SettingsReader().read(KEY_SCHEMA, undefined, []) : read
  const { findings, places, itemsLeft, hasUnknownKeys } = reader
  return { settings: settings as Settings, findings, places, itemsLeft, hasUnknownKeys }
}

/** Stands for a value that could not be read and has no default. */
const FAULTY = Symbol('faulty')

class SettingsReader {
  readonly findings: Finding[] = []
  readonly places = new Map<string, Place>()
  readonly itemsLeft = new Map<string, readonly number[]>()
  hasUnknownKeys = false

  read(schema: KeySchema, node: Node | undefined, path: Path): unknown {
    if (node !== undefined) this.places.set(pathKey(path), node.place)
    const format = schema['x-format']
    if (format !== undefined) return this.#readValue(schema, format, { node, path })
    if (schema.items !== undefined) return this.#readList(schema, schema.items, { node, path })
    return this.#readMap(schema, node, path)
  }

  #readValue(
    schema: KeySchema,
    format: Format<unknown>,
    from: { node: Node | undefined; path: Path },
  ): unknown {
    const { node, path } = from
    const fallback = defaultOf(schema, format)
    if (node === undefined) return fallback
    if (node.kind !== 'scalar') {
      const is =
        node.kind === 'empty' ? 'has no value: write one or remove the key' : `is a ${node.kind}`
      this.#fault(path, node, node.kind === 'empty' ? is : `${is}; it must be one ${format.name}`)
      return fallback ?? FAULTY
    }
    const parsed = format.parse(node)
    if (parsed.kind === 'fault') {
      this.#fault(path, node, parsed.message, parsed.suggestion)
      return fallback ?? FAULTY
    }
    const limit = outOfRange(schema, format, parsed.value)
    if (limit === undefined) return parsed.value
    this.#fault(path, node, limit)
    return fallback ?? FAULTY
  }

  #readList(
    schema: KeySchema,
    items: KeySchema,
    from: { node: Node | undefined; path: Path },
  ): unknown {
    const { node, path } = from
    const fallback = defaultList(schema, items)
    if (node === undefined) return fallback
    if (node.kind !== 'list') {
      // No pattern is called "true": whoever writes that wants all of it.
      const isName = node.kind === 'scalar' && node.text !== 'true' && node.text !== 'false'
      const suggestion = isName ? `[${JSON.stringify(node.text)}]` : undefined
      this.#fault(
        path,
        node,
        'must be a list',
        items['x-format'] === undefined ? undefined : suggestion,
      )
      return fallback
    }
    const left = node.items
      .map((item, index) => ({ index, value: this.read(items, item, [...path, index]) }))
      .filter(({ value }) => value !== FAULTY)
    const indexes = left.map(({ index }) => index)
    if (left.length < node.items.length) this.itemsLeft.set(pathKey(path), indexes)
    return left.map(({ value }) => value)
  }

  /** A map with nothing after its key is an empty map: `ghcr.io:` */
  #readMap(schema: KeySchema, node: Node | undefined, path: Path): unknown {
    if (node !== undefined && node.kind !== 'map' && node.kind !== 'empty') {
      this.#fault(
        path,
        node,
        path.length === 0
          ? 'a configuration is keys with values'
          : `must hold keys with values${someOf(schema)}`,
      )
      // Where everything in it has a default, that stands in, so that the rest can be judged.
      return new SettingsReader().read(schema, undefined, path)
    }
    const entries = node?.kind === 'map' ? node.entries : undefined
    const result: Record<string, unknown> = {}
    let isFaulty = false
    for (const [key, { keyPlace, value }] of entries ?? []) {
      const child = childSchema(schema, key)
      if (child === undefined) this.#unknownKey(schema, [...path, key], keyPlace)
      // A record's keys are data: read them here, in the operator's order.
      else if (schema.patternProperties !== undefined) {
        const read = this.read(child, value, [...path, key])
        this.places.set(pathKey([...path, key]), keyPlace)
        if (read !== FAULTY) define(result, key, read)
      }
    }
    for (const [key, child] of Object.entries(schema.properties ?? {})) {
      const isRequired = schema.required?.includes(key) ?? false
      const written = entries?.get(key)?.value
      if (written === undefined && !isRequired) continue
      if (
        written === undefined &&
        child['x-format'] !== undefined &&
        child['x-default'] === undefined
      ) {
        this.#faultAt([...path, key], node?.place, 'is missing')
        isFaulty = true
        continue
      }
      const read = this.read(child, written, [...path, key])
      if (read !== FAULTY) result[key] = read
      else isFaulty ||= isRequired
    }
    return isFaulty ? FAULTY : result
  }

  #unknownKey(schema: KeySchema, path: Path, place: Place): void {
    const key = String(path.at(-1))
    this.hasUnknownKeys = true
    if (LATER_KEYS.has(formatPath(path)))
      return this.#faultAt(path, place, 'is not in this version yet')
    const near = closest(key, Object.keys(schema.properties ?? {}))
    const meant = near ?? misplacedKey(path)
    const others = meant === undefined ? someOf(schema, '; here are') : ''
    this.#faultAt(path, place, `there is no such key${others}`, meant)
  }

  #fault(path: Path, node: Node, message: string, suggestion?: string): void {
    this.#faultAt(path, node.place, message, suggestion)
  }

  #faultAt(
    path: Path,
    place: Place | undefined,
    ...text: [message: string, suggestion?: string]
  ): void {
    const [message, suggestion] = text
    this.findings.push(findingAt(path, place, { message, suggestion }))
  }
}

/** A key's name is the operator's: `__proto__` must become a member like any other. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  })
}

/** The right key in the wrong place: of several the one with the most in common. */
function misplacedKey(written: Path): string | undefined {
  const key = String(written.at(-1)).toLowerCase()
  let near: { readonly path: readonly string[]; readonly shared: number } | undefined
  for (const { path } of listKeys(KEY_SCHEMA)) {
    if (path.at(-1) !== key) continue
    const other = path.findIndex((each, index) => each !== written[index])
    const shared = other === -1 ? path.length : other
    if (near === undefined || shared > near.shared) near = { path, shared }
  }
  return near?.path.join('.')
}

/** More than so many keys of a map help nobody. */
const KEYS_TOLD = 8

/** The keys of a map, where they are few: `: ceiling, floor`. */
function someOf(schema: KeySchema, before = ':'): string {
  const keys = Object.keys(schema.properties ?? {})
  if (keys.length === 0 || keys.length > KEYS_TOLD) return ''
  return `${before} ${keys.join(', ')}`
}

function defaultOf(schema: KeySchema, format: Format<unknown>): unknown {
  const text = schema['x-default']
  return typeof text === 'string' ? parseDefault(format, text) : undefined
}

/** `given`, and the defaults of the keys that it leaves out. */
export function withDefaults<P extends Keys>(keys: P, given: Partial<Written<P>>): Written<P> {
  const values: Record<string, unknown> = { ...given }
  for (const [key, schema] of Object.entries<KeySchema>(keys)) {
    const format = schema['x-format']
    values[key] ??= format === undefined ? undefined : defaultOf(schema, format)
    if (values[key] === undefined && schema['x-optional'] !== true)
      throw new Error(`${key} has no default in the schema`)
  }
  return values as Written<P>
}

function defaultList(schema: KeySchema, items: KeySchema): readonly unknown[] {
  const texts = schema['x-default']
  const format = items['x-format']
  if (typeof texts === 'string' || texts === undefined || format === undefined) return []
  return texts.map(text => parseDefault(format, text))
}

function parseDefault(format: Format<unknown>, text: string): unknown {
  const parsed = format.parse({ text, quoted: false })
  if (parsed.kind === 'ok') return parsed.value
  throw new Error(`the schema's default ${text} is no ${format.name}`)
}

function outOfRange(
  schema: KeySchema,
  format: Format<unknown>,
  value: unknown,
): string | undefined {
  const { 'x-at-least': least, 'x-at-most': most } = schema
  if (typeof value !== 'number') return undefined
  if (least !== undefined && value < least) return `must be at least ${format.format(least)}`
  if (most !== undefined && value > most) return `must be at most ${format.format(most)}`
  return undefined
}
