// The schema as JSON Schema (draft 2020-12), for editors: what they complete and underline.
import type { KeySchema } from './keys.ts'
import { KEY_SCHEMA } from './schema.ts'

/**
 * Plain JSON. It knows names, kinds of values and their units; bounds, files and what belongs
 * together are checked by `entrepot check`.
 */
export function renderJsonSchema(): Readonly<Record<string, unknown>> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Entrepot configuration',
    ...render(KEY_SCHEMA),
  }
}

function render(schema: KeySchema): Record<string, unknown> {
  const description = schema.description === undefined ? {} : { description: schema.description }
  const format = schema['x-format']
  if (format !== undefined) {
    return { ...description, ...format.json, ...range(schema), ...defaultValue(schema) }
  }
  if (schema.items !== undefined) {
    return { ...description, type: 'array', items: render(schema.items), ...defaultValue(schema) }
  }
  const [entry] = Object.values(schema.patternProperties ?? {})
  // A map with nothing after its key is read as an empty one.
  const type = ['object', 'null']
  if (entry !== undefined) return { ...description, type, additionalProperties: render(entry) }
  const properties = Object.entries(schema.properties ?? {})
  return {
    ...description,
    type: schema === KEY_SCHEMA ? 'object' : type,
    properties: Object.fromEntries(properties.map(([key, child]) => [key, render(child)])),
    ...requiredKeys(schema),
    additionalProperties: false,
  }
}

/**
 * The schema calls everything required that is never undefined; for the writer only what has no
 * default is.
 */
function requiredKeys(schema: KeySchema): { readonly required?: readonly string[] } {
  const required = (schema.required ?? []).filter(key => {
    const child = schema.properties?.[key]
    return child?.['x-format'] !== undefined && child['x-default'] === undefined
  })
  return required.length === 0 ? {} : { required }
}

/** Only of plain numbers: a size or a duration is a string for JSON Schema. */
function range(schema: KeySchema): Record<string, unknown> {
  if (schema['x-format']?.json.type !== 'integer') return {}
  const { 'x-at-least': minimum, 'x-at-most': maximum } = schema
  return {
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
  }
}

function defaultValue(schema: KeySchema): Record<string, unknown> {
  const text = schema['x-default']
  if (text === undefined) return {}
  const type = schema['x-format']?.json.type
  const isPlain = typeof text === 'string' && (type === 'boolean' || type === 'integer')
  return { default: isPlain ? JSON.parse(text) : text }
}
