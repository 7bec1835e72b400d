// How the schema is written down: each key with its kind of value, default, what a reload does, and one sentence.
// TypeBox carries the types and renders as JSON Schema; the `x-` members are ours.
import {
  type Static,
  type TArray,
  type TObject,
  type TProperties,
  type TSchema,
  type TUnsafe,
  Type,
} from 'typebox'
import type { Format } from './formats.ts'

export interface KeyText {
  /** One or two sentences for the documentation and for editors. */
  readonly description: string
  /** As people write it. A key without one may be left out and is then undefined, or is required. */
  readonly default?: string | readonly string[]
  /** What the documentation shows where the default is not a plain value. */
  readonly defaultText?: string
  /** Takes effect on SIGHUP. */
  readonly reload: boolean
  /** Smallest and largest number allowed after parsing: milliseconds, bytes, pieces. */
  readonly atLeast?: number
  readonly atMost?: number
}

/** What hangs on a schema node beside JSON Schema. Plain members, so that the walker and the documentation can read them. */
interface KeyMarks {
  readonly 'x-format'?: Format<unknown>
  readonly 'x-reload'?: boolean
  readonly 'x-default'?: string | readonly string[]
  readonly 'x-default-text'?: string
  readonly 'x-at-least'?: number
  readonly 'x-at-most'?: number
  readonly description?: string
}

/** Seen by TypeBox as a description only: it takes further members but has no types for them. */
function marks(text: KeyText): { readonly description: string } {
  const all: KeyMarks & { readonly description: string } = {
    description: text.description,
    'x-reload': text.reload,
    ...(text.default === undefined ? {} : { 'x-default': text.default }),
    ...(text.defaultText === undefined ? {} : { 'x-default-text': text.defaultText }),
    ...(text.atLeast === undefined ? {} : { 'x-at-least': text.atLeast }),
    ...(text.atMost === undefined ? {} : { 'x-at-most': text.atMost }),
  }
  return all
}

/** One value. Its static type is what the format parses to. */
export function value<T>(format: Format<T>, text: KeyText): TUnsafe<T> {
  return Type.Unsafe<T>({ ...format.json, ...marks(text), 'x-format': format })
}

/** A list of values of one kind. */
export function valuesOf<T>(format: Format<T>, text: KeyText): TArray<TUnsafe<T>> {
  return Type.Array(Type.Unsafe<T>({ ...format.json, 'x-format': format }), marks(text))
}

/** A list of groups. */
export function groupsOf<T extends TSchema>(group: T, text: KeyText): TArray<T> {
  return Type.Array(group, marks(text))
}

/** A map with exactly these keys. */
export function group<P extends TProperties>(description: string, keys: P): TObject<P> {
  return Type.Object(keys, { description, additionalProperties: false })
}

/** May be left out; then undefined. */
export const optional = Type.Optional

export type { Static, TSchema }
export { Type }

/** A schema node as the walkers see it. */
export interface KeySchema extends KeyMarks {
  readonly type?: string | readonly string[]
  readonly items?: KeySchema
  readonly properties?: Readonly<Record<string, KeySchema>>
  readonly required?: readonly string[]
  readonly patternProperties?: Readonly<Record<string, KeySchema>>
}

/** Stands for any key of a map whose keys the operator chooses. */
export const ANY_KEY = '<host>'

/** What lies under a key: undefined when the schema has no such key. */
export function childSchema(schema: KeySchema, key: string): KeySchema | undefined {
  const [entry] = Object.values(schema.patternProperties ?? {})
  // Own members only: a key may be called `constructor`.
  return (
    entry ?? (Object.hasOwn(schema.properties ?? {}, key) ? schema.properties?.[key] : undefined)
  )
}

/** Every key of the schema in its order, groups before what is in them; items of lists are not entered. */
export function* listKeys(
  schema: KeySchema,
  path: readonly string[] = [],
): Generator<{ readonly path: readonly string[]; readonly schema: KeySchema }> {
  const children = Object.entries(schema.properties ?? {})
  const [entry] = Object.values(schema.patternProperties ?? {})
  if (entry !== undefined) children.push([ANY_KEY, entry])
  for (const [key, child] of children) {
    const childPath = [...path, key]
    yield { path: childPath, schema: child }
    yield* listKeys(child, childPath)
  }
}
