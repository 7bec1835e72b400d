// The effective configuration as a flat list, in the schema's order: for showing one, and for
// telling what a new one changes, at once or with a restart.
import type { Config, Setting } from './config.ts'
import { formatPath, pathKey } from './findings.ts'
import { childSchema, type KeySchema } from './schema/keys.ts'
import { KEY_SCHEMA, type Settings } from './schema/schema.ts'
import { Secret } from './secret.ts'

/**
 * Every key that has a value, and what comes and goes as a whole by itself (with the text `{}`), as
 * every upstream does, so that one without further keys shows.
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
    const key = pathKey(path)
    // Of a list, that of its items, too.
    const file = [...fileTexts]
      .filter(([of]) => of === key || (schema.items && of.startsWith(`${key}\0`)))
      .map(([, each]) => each)
      .join('\0')
    found.push({
      path,
      text,
      reloadable: schema['x-reload'] ?? true,
      content: new Secret(`${content}\0${file}`),
    })
  }
  const visit = (schema: KeySchema, value: unknown, path: readonly string[]): void => {
    if (value === undefined) return
    if (schema['x-whole'] === true) add(path, schema, { text: '{}' })
    const isLeaf = schema['x-format'] !== undefined || schema.items !== undefined
    if (isLeaf) return add(path, schema, textOf(schema, value))
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
  const { items, properties } = schema
  if (properties !== undefined) return { text: itemText(schema, value) }
  if (items === undefined || !Array.isArray(value)) return { text: String(value) }
  return { text: `[${value.map(item => itemText(items, item)).join(', ')}]` }
}

function itemText(items: KeySchema, item: unknown): string {
  if (items['x-format'] !== undefined) return quoted(items['x-format'].format(item))
  const members = Object.entries(item ?? {}).map(([key, member]) => {
    const child = childSchema(items, key)
    if (child === undefined) return `${key}: `
    const { text } = textOf(child, member)
    const isPlain = child.items === undefined && child.properties === undefined
    return `${key}: ${isPlain ? quoted(text) : text}`
  })
  return `{ ${members.join(', ')} }`
}

/** So that the text can stand in a YAML file again. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : JSON.stringify(text)
}

export interface ConfigChange {
  /** Keys that changed and take effect on a reload. An upstream that came or went is one entry. */
  readonly changed: readonly string[]
  /** Keys that changed and keep their old value until the process starts again. */
  readonly needsRestart: readonly string[]
}

/** Files that keys name (passwords, certificates) count with their content. */
export function compareConfigs(before: Config, after: Config): ConfigChange {
  const old = byKey(before)
  const now = byKey(after)
  const changed: string[] = []
  const needsRestart: string[] = []
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(key), now.get(key)]
    const setting = is ?? was
    if (
      setting === undefined ||
      (was !== undefined && is !== undefined && was.content.equals(is.content))
    )
      continue
    // The whole of it came or went, and has its own entry.
    if (wholesOf(setting).some(whole => old.has(whole) !== now.has(whole))) continue
    if (setting.reloadable) changed.push(formatPath(setting.path))
    else needsRestart.push(formatPath(setting.path))
  }
  return { changed, needsRestart }
}

type SettingsByKey = ReadonlyMap<string, Setting>

function byKey(config: Config): SettingsByKey {
  return new Map(config.settings.map(setting => [pathKey(setting.path), setting]))
}

/** Keys of what it is a part of and what has an entry by itself, or may have. */
function wholesOf({ path }: Setting): readonly string[] {
  return path.slice(0, -1).map((_, at) => pathKey(path.slice(0, at + 1)))
}
