// The effective configuration as a flat list, in the schema's order: for comparing two of them and
// for showing one.
import type { Setting } from './config.ts'
import { pathKey } from './findings.ts'
import { childSchema, type KeySchema } from './keys.ts'
import { KEY_SCHEMA, type Settings } from './schema.ts'
import { Secret } from './secret.ts'

/**
 * Every key that has a value, and every upstream by itself (with the text `{}`), so that one
 * without further keys shows.
 * @param fileTexts what the files that keys name hold, by pathKey of the key
 */
export function listSettings(
  settings: Settings,
  fileTexts: ReadonlyMap<string, string>,
): readonly Setting[] {
  const found: Setting[] = []
  const add = (
    path: readonly string[],
    schema: KeySchema,
    written: { text: string; content?: string },
  ): void => {
    const { text, content = text } = written
    const file = fileTexts.get(pathKey(path)) ?? ''
    found.push({
      path,
      text,
      reloadable: schema['x-reload'] ?? true,
      content: new Secret(`${content}\0${file}`),
    })
  }
  const visit = (schema: KeySchema, value: unknown, path: readonly string[]): void => {
    if (value === undefined) return
    const isLeaf = schema['x-format'] !== undefined || schema.items !== undefined
    if (isLeaf) return add(path, schema, textOf(schema, value))
    if (path[0] === 'upstreams' && path.length === 2) add(path, schema, { text: '{}' })
    for (const [key, member] of Object.entries(value ?? {})) {
      const child = childSchema(schema, key)
      if (child !== undefined) visit(child, member, [...path, key])
    }
  }
  visit(KEY_SCHEMA, settings, [])
  return found
}

function textOf(schema: KeySchema, value: unknown): { text: string; content?: string } {
  const format = schema['x-format']
  if (format !== undefined) {
    const text = format.format(value)
    return value instanceof Secret ? { text, content: value.reveal() } : { text }
  }
  const { items } = schema
  if (items === undefined || !Array.isArray(value)) return { text: String(value) }
  return { text: `[${value.map(item => itemText(items, item)).join(', ')}]` }
}

function itemText(items: KeySchema, item: unknown): string {
  if (items['x-format'] !== undefined) return quoted(items['x-format'].format(item))
  const members = Object.entries(item ?? {}).map(([key, member]) => {
    const child = childSchema(items, key)
    return `${key}: ${child === undefined ? '' : quoted(textOf(child, member).text)}`
  })
  return `{ ${members.join(', ')} }`
}

/** So that the text can stand in a YAML file again. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : JSON.stringify(text)
}
