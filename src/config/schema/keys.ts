// How the schema is written down: each key with its kind of value, default, what a reload does, and
// one sentence. A node is plain data; what a value under it is, TypeScript knows from the format.
// The `x-` members are ours.
import type { Format } from '../formats/formats.ts'

export interface KeyText<As extends string = never> {
  /** What the code calls it, unit last, where that is not the key itself. */
  readonly as?: As
  /** One or two sentences for the documentation and for editors. */
  readonly description: string
  /**
   * As people write it. A key without one may be left out and is then undefined, or is required.
   */
  readonly default?: string | readonly string[]
  /** What the documentation shows where the default is not a plain value. */
  readonly defaultText?: string
  /** Takes effect on SIGHUP. */
  readonly reload: boolean
  /** Smallest and largest number allowed after parsing: milliseconds, bytes, pieces. */
  readonly atLeast?: number
  readonly atMost?: number
}

/**
 * What hangs on a schema node beside JSON Schema. Plain members, so that the walker and the
 * documentation can read them.
 */
interface KeyMarks {
  readonly 'x-format'?: Format<unknown>
  readonly 'x-reload'?: boolean
  readonly 'x-default'?: string | readonly string[]
  readonly 'x-default-text'?: string
  readonly 'x-at-least'?: number
  readonly 'x-at-most'?: number
  readonly 'x-optional'?: boolean
  readonly 'x-as'?: string
  readonly 'x-any-key'?: string
  readonly 'x-whole'?: boolean
  readonly description?: string
}

declare const staticType: unique symbol
/** A schema node whose values are `T`, which is nowhere but in the type; `As`: its name in code. */
export interface Node<T, As extends string = never> extends KeySchema {
  readonly [staticType]?: () => readonly [T, As]
}
type TypesOf<N> = N extends { readonly [staticType]?: () => infer Types } ? Types : never
export type Static<N> = TypesOf<N> extends readonly [infer T, unknown] ? T : never
type NameOf<N, Key> =
  TypesOf<N> extends readonly [unknown, infer As] ? ([As] extends [never] ? Key : As) : never

export type Keys = Readonly<Record<string, Node<unknown, string>>>
/** One that may be left out. */
type Optional = { readonly 'x-optional': true }
type OptionalKey<P extends Keys> = {
  [K in keyof P]: P[K] extends Optional ? K : never
}[keyof P]
/** Values by the keys, as the operator writes them. */
export type Written<P extends Keys> = { [K in Exclude<keyof P, OptionalKey<P>>]: Static<P[K]> } & {
  [K in OptionalKey<P>]?: Static<P[K]>
}
/** The same by the names that the code has for them: what a part of the program is given. */
export type Named<P extends Keys> = {
  readonly [K in keyof P as NameOf<P[K], K> & string]: P[K] extends Optional
    ? Static<P[K]> | undefined
    : Static<P[K]>
}

/** Of `written` what these keys say. */
export function named<P extends Keys>(keys: P, written: Written<P>): Named<P> {
  const values: Readonly<Record<string, unknown>> = written
  const entries = Object.entries(keys).map(([key, node]) => [node['x-as'] ?? key, values[key]])
  return Object.fromEntries(entries) as Named<P>
}

function marks(text: KeyText<string>): KeyMarks {
  return {
    description: text.description,
    'x-reload': text.reload,
    ...(text.default === undefined ? {} : { 'x-default': text.default }),
    ...(text.defaultText === undefined ? {} : { 'x-default-text': text.defaultText }),
    ...(text.atLeast === undefined ? {} : { 'x-at-least': text.atLeast }),
    ...(text.atMost === undefined ? {} : { 'x-at-most': text.atMost }),
    ...(text.as === undefined ? {} : { 'x-as': text.as }),
  }
}

/** One value. Its static type is what the format parses to. */
export function value<T, const As extends string = never>(
  format: Format<T>,
  text: KeyText<As>,
): Node<T, As> {
  return { ...format.json, ...marks(text), 'x-format': format }
}

/** A list of values of one kind. */
export function valuesOf<T, const As extends string = never>(
  format: Format<T>,
  text: KeyText<As>,
): Node<readonly T[], As> {
  return { ...marks(text), type: 'array', items: { ...format.json, 'x-format': format } }
}

/** A list of groups. */
export function groupsOf<T>(items: Node<T>, text: KeyText): Node<readonly T[]> {
  return { ...marks(text), type: 'array', items }
}

/** A map with exactly these keys. */
export function group<P extends Keys>(description: string, properties: P): Node<Written<P>> {
  const required = Object.keys(properties).filter(key => properties[key]?.['x-optional'] !== true)
  return { description, type: 'object', properties, required }
}

/** A map whose keys the operator chooses. `anyKey`: what stands for one in documents. */
export function mapOf<T>(
  entry: Node<T>,
  description: string,
  anyKey = ANY_KEY,
): Node<Record<string, T>> {
  const marks = { description, 'x-any-key': anyKey }
  return { ...marks, type: 'object', patternProperties: { '^.*$': entry } }
}

/** That it came or went is one change, and `reload` says whether that takes effect on SIGHUP. */
export function whole<N extends KeySchema>(node: N, { reload }: { readonly reload: boolean }): N {
  return { ...node, 'x-whole': true, 'x-reload': reload }
}

/** May be left out; then undefined. */
export function optional<N extends KeySchema>(node: N): N & Optional {
  return { ...node, 'x-optional': true }
}

/** A schema node as the walkers see it. */
export interface KeySchema extends KeyMarks {
  readonly type?: string | readonly string[]
  readonly items?: KeySchema
  readonly properties?: Readonly<Record<string, KeySchema>>
  readonly required?: readonly string[]
  readonly patternProperties?: Readonly<Record<string, KeySchema>>
}

/** Stands for any host of a map that has an entry for each. */
export const ANY_KEY = '<host>'
/** Stands such a step for any key that the operator chooses? */
export function isAnyKey(step: string | undefined): boolean {
  return step?.startsWith('<') === true
}

/** What lies under a key: undefined when the schema has no such key. */
export function childSchema(schema: KeySchema, key: string): KeySchema | undefined {
  const [entry] = Object.values(schema.patternProperties ?? {})
  // Own members only: a key may be called `constructor`.
  return (
    entry ?? (Object.hasOwn(schema.properties ?? {}, key) ? schema.properties?.[key] : undefined)
  )
}

/**
 * Every key of the schema in its order, groups before what is in them; items of lists are not
 * entered.
 */
export function* listKeys(
  schema: KeySchema,
  path: readonly string[] = [],
): Generator<{ readonly path: readonly string[]; readonly schema: KeySchema }> {
  const children = Object.entries(schema.properties ?? {})
  const [entry] = Object.values(schema.patternProperties ?? {})
  if (entry !== undefined) children.push([schema['x-any-key'] ?? ANY_KEY, entry])
  for (const [key, child] of children) {
    const childPath = [...path, key]
    yield { path: childPath, schema: child }
    yield* listKeys(child, childPath)
  }
}
